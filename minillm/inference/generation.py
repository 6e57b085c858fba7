"""Generation: a language model goes on from prompts, one token after another.

Each step asks the model for the logits of the next token, chooses one (see :mod:`minillm.inference.sampling`)
and adds it to the text, until every row has ended or is long enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minillm import ops
from minillm.backend import Generator, device_of, to_device, xp_of
from minillm.inference.context import Context, Tokens, evaluating
from minillm.inference.prompts import check_range, prompts_of
from minillm.inference.sampling import Sampling, generators_for, penalize_repetition
from minillm.ops import Tensor

DEFAULT_NEW_TOKENS = 20  # as in Hugging Face's library


def generate(
    model: Any,
    input_ids: Any,
    max_new_tokens: int | None = None,
    *,
    on_token: Callable[[list[int]], Any] | None = None,
    **options: Any,
) -> Tensor:
    """Return prompts and what a language model writes after them.

    Args:
        model: one of :mod:`minillm.models`, or any module that maps tokens (B, T) to logits (B, T, V).
        input_ids: prompts: (B, T) or (T,), or sequences of any lengths, which are padded on the left.
        max_new_tokens: the most tokens to write; 20 by default.
        on_token: called with the B tokens of each step as soon as they are there.
        options: as for :func:`stream_tokens`.

    Returns:
        (B, T + N) with N <= max_new_tokens. A row that ended early is filled up with ``pad_token_id``.

    Raises:
        ValueError: an empty prompt, one that is longer than the model can read, a token out of range, or an
            option that does not fit.

    Example:
        >>> from minillm.models import RNNLMConfig, RNNLMHeadModel
        >>> model = RNNLMHeadModel(RNNLMConfig(vocab_size=10, embedding_dim=8, hidden_size=8))
        >>> generate(model, [[1, 2, 3]], max_new_tokens=5, temperature=0.8, seed=1).shape
        (1, 8)
    """
    with evaluating(model):
        stream = stream_tokens(model, input_ids, max_new_tokens, **options)
        for tokens in stream:
            if on_token is not None:
                on_token(tokens)
    return stream.sequences()


class TokenStream(Iterator[list[int]]):
    """The tokens of a batch, step by step; see :func:`stream_tokens`, which makes it.

    Attributes:
        finished: (B,) booleans, the rows that have ended.
    """

    def __init__(
        self,
        context: Context,
        steps: int,
        sampling: Sampling,
        generators: list[Generator],
        ends: Sequence[int],
        pad_token_id: int,
        num_tokens: int | None,
    ) -> None:
        self.context = context
        self.finished = np.zeros(len(context.tokens), bool)
        self._steps = steps
        self._sampling = sampling
        self._generators = generators
        self._ends = np.asarray(ends, np.int64)
        self._pad = pad_token_id
        self._num_tokens = num_tokens
        self._seen: Any = None

    def __next__(self) -> list[int]:
        if not self._steps or self.finished.all():
            raise StopIteration
        self._steps -= 1
        context = self.context
        if context.model.training:
            with evaluating(context.model):
                logits = context.logits()
        else:
            logits = context.logits()
        if self._num_tokens is not None:
            logits = logits[:, : self._num_tokens]
        if self._sampling.repetition_penalty != 1:
            logits = penalize_repetition(logits, self._tokens_seen(logits), self._sampling.repetition_penalty)
        chosen = np.asarray(self._sampling.choose(logits, self._generators), np.int64)
        chosen[self.finished] = self._pad
        self.finished |= np.isin(chosen, self._ends)
        tokens: list[int] = chosen.tolist()
        context.append(tokens)
        return tokens

    def _tokens_seen(self, logits: Any) -> Any:
        """Return which tokens each row has, (B, V), prompt and all."""
        rows, vocabulary = logits.shape
        context = self.context
        if self._seen is None:
            seen = np.zeros((rows, vocabulary), bool)
            for row, tokens, padding in zip(seen, context.tokens, context.padding, strict=True):
                own = tokens[padding : context.length]
                row[own[own < vocabulary]] = True
            self._seen = to_device(seen, device_of(logits))
        else:
            last = to_device(context.tokens[:, context.length - 1], device_of(logits))
            self._seen |= last[:, None] == xp_of(logits).arange(vocabulary)
        return self._seen

    def end(self, row: int) -> None:
        """End a row, as if its model had; the stream stops when all have ended."""
        self.finished[row] = True

    def sequences(self) -> Tensor:
        """Return prompts and all tokens so far, (B, T + N)."""
        context = self.context
        return ops.tensor(context.tokens[:, : context.length], device=context.device)


def stream_tokens(
    model: Any,
    input_ids: Any,
    max_new_tokens: int | None = None,
    *,
    max_length: int | None = None,
    attention_mask: Any = None,
    do_sample: bool | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    seed: int | Sequence[int] | None = None,
    generator: Generator | None = None,
    eos_token_id: int | Sequence[int] | None = None,
    pad_token_id: int | None = None,
    num_tokens: int | None = None,
    truncate_prompt: bool = False,
    stride: int | None = None,
    use_cache: bool = True,
) -> TokenStream:
    """Return an iterator over what a language model writes: at each step a list of B tokens.

    Args:
        model: as for :func:`generate`.
        input_ids: as for :func:`generate`.
        max_new_tokens: the most tokens to write; 20 by default.
        max_length: the most tokens with the prompt, in the place of ``max_new_tokens``.
        attention_mask: (B, T), 1 for tokens and 0 for padding on the left.
        do_sample: draw tokens (True) or take the most probable ones (False, greedy). By default tokens are
            drawn where one of temperature, top_k, top_p and min_p is given.
        temperature: below 1 favours probable tokens, above 1 makes all more alike.
        top_k: draw from so many most probable tokens; 0 for all.
        top_p: draw from the fewest tokens with this probability together, in (0, 1].
        min_p: draw from tokens at least this times as probable as the first, in [0, 1].
        repetition_penalty: above 1 makes tokens that were there before less probable.
        seed: of the draws, a number or one for each row; a row's draws do not depend on the other rows.
        generator: to draw a fresh seed from; the default generator by default.
        eos_token_id: tokens that end a row; those of the model's config by default, () for none.
        pad_token_id: what follows the end of a row; that of the model's config, or the first
            ``eos_token_id``, or 0 by default.
        num_tokens: choose among so many first tokens alone, for models with a longer table than their
            tokenizer's.
        truncate_prompt: read the end of a prompt that is longer than the model can read, instead of raising.
        stride: when the text has become longer than the model can read, its end is read anew, short enough
            for so many further tokens; a quarter of the longest text by default. 1 moves with each token:
            the longest context, and the slowest.
        use_cache: False reads the whole text anew for each token: slow, for comparison.

    Raises:
        ValueError: an empty prompt, one that is longer than the model can read, a token out of range, or an
            option that does not fit.

    Example:
        >>> from minillm.models import RNNLMConfig, RNNLMHeadModel
        >>> model = RNNLMHeadModel(RNNLMConfig(vocab_size=10, embedding_dim=8, hidden_size=8))
        >>> [len(tokens) for tokens in stream_tokens(model, [[1, 2, 3], [4]], max_new_tokens=3)]
        [2, 2, 2]
    """
    sampling = Sampling(do_sample, temperature, top_k, top_p, min_p, repetition_penalty)
    config = getattr(model, "config", None)
    if eos_token_id is None:
        eos_token_id = getattr(config, "eos_token_id", None)
    ends = [] if eos_token_id is None else np.atleast_1d(np.asarray(eos_token_id, np.int64)).tolist()
    if pad_token_id is None:
        pad_token_id = getattr(config, "pad_token_id", None)
    if pad_token_id is None:
        pad_token_id = ends[0] if ends else 0
    tokens, padding = prompts_of(input_ids, attention_mask, pad_token_id)
    check_range(tokens, padding, getattr(config, "vocab_size", None))
    longest = getattr(model, "max_length", None)
    tokens, padding = _fit(tokens, padding, longest, truncate_prompt)
    steps = _steps(max_new_tokens, max_length, tokens.shape[1])
    if num_tokens is not None and num_tokens < 1:
        raise ValueError(f"num_tokens is {num_tokens!r}; it needs to be positive")
    context = Context(
        model, tokens, padding, tokens.shape[1] + steps, longest, _checked_stride(stride, longest), use_cache
    )
    generators = generators_for(len(tokens), seed, generator) if sampling.samples else []
    return TokenStream(context, steps, sampling, generators, ends, pad_token_id, num_tokens)


def _steps(max_new_tokens: Any, max_length: Any, prompt: int) -> int:
    """Return the most tokens to write."""
    if max_new_tokens is not None and max_length is not None:
        raise ValueError("generate: got max_new_tokens and max_length; give one of both")
    for name, value, least in (("max_new_tokens", max_new_tokens, 0), ("max_length", max_length, 1)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise ValueError(f"{name} is {value!r}; it needs a whole number, {least} or more")
    if max_length is None:
        return DEFAULT_NEW_TOKENS if max_new_tokens is None else int(max_new_tokens)
    if max_length <= prompt:
        raise ValueError(
            f"generate: max_length is {max_length}, and the prompt has {prompt} tokens already; give a "
            "larger max_length, or max_new_tokens"
        )
    return int(max_length) - prompt


def _fit(tokens: Tokens, padding: Tokens, longest: int | None, truncate: bool) -> tuple[Tokens, Tokens]:
    """Return prompts that the model can read, or raise an error."""
    length = tokens.shape[1]
    if longest is None or length <= longest:
        return tokens, padding
    if not truncate:
        raise ValueError(
            f"generate: the prompt has {length} tokens, and the model reads at most {longest}; give a "
            "shorter prompt, or truncate_prompt=True to read its end alone"
        )
    return tokens[:, -longest:], np.maximum(padding - (length - longest), 0)


def _checked_stride(stride: Any, longest: int | None) -> int:
    if longest is None:
        return 1
    if stride is None:
        return max(1, longest // 4)
    if isinstance(stride, bool) or not isinstance(stride, int) or not 1 <= stride <= longest:
        raise ValueError(f"stride is {stride!r}; it needs a whole number from 1 to {longest}")
    return stride
