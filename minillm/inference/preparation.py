"""What generation needs before it begins: prompts, lengths, rules and seeds, each checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minillm.backend import Generator
from minillm.inference.constraints import Constraints
from minillm.inference.context import Context, Tokens
from minillm.inference.prompts import check_range, prompts_of
from minillm.inference.sampling import Sampling, generators_for

DEFAULT_NEW_TOKENS = 20  # as in Hugging Face's library


class Task(NamedTuple):
    """What is to be generated: see :func:`prepare`, whose arguments it holds in the form that is needed.

    ``steps`` is the most tokens to write, ``ends`` the tokens that end a row, ``stopping`` what ends one too.
    """

    context: Context
    steps: int
    sampling: Sampling
    constraints: Constraints
    generators: list[Generator]
    ends: list[int]
    pad_token_id: int
    num_tokens: int | None
    stopping: Sequence[Callable[[Any, Any], Any]]


def prepare(
    model: Any,
    input_ids: Any,
    max_new_tokens: int | None = None,
    *,
    max_length: int | None = None,
    min_length: int = 0,
    min_new_tokens: int | None = None,
    attention_mask: Any = None,
    pad_anywhere: bool = False,
    do_sample: bool | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    no_repeat_ngram_size: int = 0,
    bad_words_ids: Sequence[Sequence[int]] | None = None,
    logits_processor: Sequence[Callable[[Any, Any], Any]] | None = None,
    stopping_criteria: Sequence[Callable[[Any, Any], Any]] | None = None,
    seed: int | Sequence[int] | None = None,
    generator: Generator | None = None,
    eos_token_id: int | Sequence[int] | None = None,
    pad_token_id: int | None = None,
    num_tokens: int | None = None,
    truncate_prompt: bool = False,
    stride: int | None = None,
    use_cache: bool = True,
    copies: Any = 1,
) -> Task:
    """Return what is to be generated, checked.

    Args:
        model: one of :mod:`minillm.models`, or any module that maps tokens (B, T) to logits (B, T, V).
        input_ids: prompts: (B, T) or (T,), or sequences of any lengths, which are padded on the left.
        max_new_tokens: the most tokens to write; 20 by default.
        max_length: the most tokens with the prompt, in the place of ``max_new_tokens``.
        min_length: the fewest tokens with the prompt.
        min_new_tokens: the fewest tokens to write, in the place of ``min_length``.
        attention_mask: (B, T), 1 for tokens and 0 for padding on the left.
        pad_anywhere: take padding behind tokens, too, after which a model goes on less well.
        do_sample: draw tokens (True) or take the most probable ones (False, greedy). By default tokens are
            drawn where one of temperature, top_k, top_p and min_p is given.
        temperature: below 1 favours probable tokens, above 1 makes all more alike.
        top_k: draw from so many most probable tokens; 0 for all.
        top_p: draw from the fewest tokens with this probability together, in (0, 1].
        min_p: draw from tokens at least this times as probable as the first, in [0, 1].
        repetition_penalty: above 1 makes tokens that were there before less probable.
        no_repeat_ngram_size: no so many tokens come twice in the same order; 0 for any.
        bad_words_ids: sequences of tokens that never come.
        logits_processor: functions of the tokens, (B, T), and the logits, (B, V), that return other logits.
        stopping_criteria: functions of the tokens, (B, T), and None, that return which rows end, or whether all.
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
        copies: how many texts go on from each prompt.

    Raises:
        ValueError: an empty prompt, one that is longer than the model can read, a token out of range, or an
            option that does not fit.
    """
    sampling = Sampling(do_sample, temperature, top_k, top_p, min_p)
    config = getattr(model, "config", None)
    if eos_token_id is None:
        eos_token_id = getattr(config, "eos_token_id", None)
    ends: list[int] = [] if eos_token_id is None else np.atleast_1d(np.asarray(eos_token_id, np.int64)).tolist()
    if pad_token_id is None:
        pad_token_id = getattr(config, "pad_token_id", None)
    if pad_token_id is None:
        pad_token_id = ends[0] if ends else 0
    tokens, seen = prompts_of(input_ids, attention_mask, pad_token_id, pad_anywhere)
    check_range(tokens, seen, getattr(config, "vocab_size", None))
    longest = getattr(model, "max_length", None)
    tokens, seen = _fit(tokens, seen, longest, truncate_prompt)
    length = tokens.shape[1]
    steps = _steps(max_new_tokens, max_length, length)
    if num_tokens is not None and num_tokens < 1:
        raise ValueError(f"num_tokens is {num_tokens!r}; it needs to be positive")
    if isinstance(copies, bool) or not isinstance(copies, int) or copies < 1:
        raise ValueError(f"generate: {copies!r} texts of each prompt are asked for; it needs at least one")
    constraints = Constraints(
        repetition_penalty,
        no_repeat_ngram_size,
        bad_words_ids or (),
        min_length if min_new_tokens is None else length + min_new_tokens,
        ends,
        logits_processor or (),
    )
    context = Context(
        model, tokens, seen, length + steps, longest, _checked_stride(stride, longest), use_cache, copies
    )
    generators = generators_for(len(tokens) * copies, seed, generator) if sampling.samples else []
    return Task(
        context, steps, sampling, constraints, generators, ends, pad_token_id, num_tokens,
        stopping_criteria or (),
    )  # fmt: skip


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


def _fit(tokens: Tokens, seen: Tokens, longest: int | None, truncate: bool) -> tuple[Tokens, Tokens]:
    """Return prompts that the model can read, or raise an error."""
    length = tokens.shape[1]
    if longest is None or length <= longest:
        return tokens, seen
    if not truncate:
        raise ValueError(
            f"generate: the prompt has {length} tokens, and the model reads at most {longest}; give a "
            "shorter prompt, or truncate_prompt=True to read its end alone"
        )
    return tokens[:, -longest:], seen[:, -longest:]


def _checked_stride(stride: Any, longest: int | None) -> int:
    if longest is None:
        return 1
    if stride is None:
        return max(1, longest // 4)
    if isinstance(stride, bool) or not isinstance(stride, int) or not 1 <= stride <= longest:
        raise ValueError(f"stride is {stride!r}; it needs a whole number from 1 to {longest}")
    return stride
