"""Generation: a language model goes on from prompts, one token after another.

Each step asks the model for the logits of the next token, changes them by the rules that are asked for (see
:mod:`minillm.inference.constraints`), chooses a token (see :mod:`minillm.inference.sampling`) and adds it to
the text, until every row has ended or is long enough. Beam search follows several texts at once (see
:mod:`minillm.inference.beam_search`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minillm import ops
from minillm.backend import Array
from minillm.inference.beam_search import BeamSearch
from minillm.inference.context import evaluating
from minillm.inference.preparation import Task, prepare
from minillm.inference.stopping import stopped_by
from minillm.ops import Tensor


def generate(
    model: Any,
    input_ids: Any,
    max_new_tokens: int | None = None,
    *,
    num_beams: int = 1,
    num_return_sequences: int = 1,
    length_penalty: float = 1.0,
    early_stopping: bool | str = False,
    on_token: Callable[[list[int]], Any] | None = None,
    **options: Any,
) -> Tensor:
    """Return prompts and what a language model writes after them.

    Args:
        model: one of :mod:`minillm.models`, or any module that maps tokens (B, T) to logits (B, T, V).
        input_ids: prompts: (B, T) or (T,), or sequences of any lengths, which are padded on the left.
        max_new_tokens: the most tokens to write; 20 by default.
        num_beams: above 1, beam search: so many texts of each prompt are followed, and the most probable
            is returned.
        num_return_sequences: how many texts of each prompt are returned: draws, or the best beams.
        length_penalty: a beam's log-probability is divided by its length to this power; above 0 favours
            long texts.
        early_stopping: True ends beam search once ``num_beams`` texts have ended, False once a better one is
            not likely any more, ``"never"`` once there can be none.
        on_token: called with the B tokens of each step as soon as they are there; not in beam search.
        options: as for :func:`~minillm.inference.preparation.prepare`: ``temperature``, ``top_k``,
            ``repetition_penalty``, ``eos_token_id``, ``seed``, ...

    Returns:
        (B num_return_sequences, T + N) with N <= max_new_tokens. A row that ended early is filled up with
        ``pad_token_id``.

    Raises:
        ValueError: an empty prompt, one that is longer than the model can read, a token out of range, or an
            option that does not fit.

    Example:
        >>> from minillm.models import RNNLMConfig, RNNLMHeadModel
        >>> model = RNNLMHeadModel(RNNLMConfig(vocab_size=10, embedding_dim=8, hidden_size=8))
        >>> generate(model, [[1, 2, 3]], max_new_tokens=5, temperature=0.8, seed=1).shape
        (1, 8)
        >>> generate(model, [[1, 2, 3]], max_new_tokens=5, num_beams=4).shape
        (1, 8)
    """
    if num_beams != 1:
        if on_token is not None:
            raise ValueError("generate: beam search has no token until its end; on_token needs num_beams=1")
        task = prepare(model, input_ids, max_new_tokens, copies=num_beams, **options)
        search = BeamSearch(task, num_return_sequences, length_penalty, early_stopping)
        with evaluating(model):
            return ops.tensor(search.run().sequences, device=task.context.device)
    task = prepare(model, input_ids, max_new_tokens, copies=num_return_sequences, **options)
    if num_return_sequences > 1 and not task.sampling.samples:
        raise ValueError(
            f"generate: num_return_sequences is {num_return_sequences}, and the most probable text is one; "
            "give do_sample=True, or as many num_beams"
        )
    stream = TokenStream(task)
    with evaluating(model):
        for tokens in stream:
            if on_token is not None:
                on_token(tokens)
    return stream.sequences()


def stream_tokens(
    model: Any, input_ids: Any, max_new_tokens: int | None = None, **options: Any
) -> TokenStream:
    """Return an iterator over what a language model writes: at each step a list of B tokens.

    Args:
        model: as for :func:`generate`.
        input_ids: as for :func:`generate`.
        max_new_tokens: the most tokens to write; 20 by default.
        options: as for :func:`~minillm.inference.preparation.prepare`.

    Raises:
        ValueError: as for :func:`generate`.

    Example:
        >>> from minillm.models import RNNLMConfig, RNNLMHeadModel
        >>> model = RNNLMHeadModel(RNNLMConfig(vocab_size=10, embedding_dim=8, hidden_size=8))
        >>> [len(tokens) for tokens in stream_tokens(model, [[1, 2, 3], [4]], max_new_tokens=3)]
        [2, 2, 2]
    """
    return TokenStream(prepare(model, input_ids, max_new_tokens, **options))


class TokenStream(Iterator[list[int]]):
    """The tokens of a batch, step by step; see :func:`stream_tokens`, which makes it.

    Attributes:
        finished: (B,) booleans, the rows that have ended.
        scores: (B, V), the logits that the last tokens were chosen by, as the rules changed them.
    """

    def __init__(self, task: Task) -> None:
        self.context = task.context
        self.finished = np.zeros(len(task.context.tokens), bool)
        self.scores: Any = None
        self._task = task
        self._steps = task.steps
        self._ends = np.asarray(task.ends, np.int64)

    def __next__(self) -> list[int]:
        if not self._steps or self.finished.all():
            raise StopIteration
        self._steps -= 1
        task, context = self._task, self.context
        seen = context.seen[:, : context.length]
        self.scores = task.constraints.apply(self._logits(), context.written, seen)
        chosen = np.asarray(task.sampling.choose(self.scores, task.generators), np.int64)
        chosen[self.finished] = task.pad_token_id
        context.append(chosen)
        self.finished |= (chosen[:, None] == self._ends).any(axis=1)  # np.isin takes 50 us, for few numbers too
        self.finished |= stopped_by(task.stopping, context.written)
        tokens: list[int] = chosen.tolist()
        return tokens

    def _logits(self) -> Array:
        """Return the model's logits of the next tokens, (B, V)."""
        if self.context.model.training:
            with evaluating(self.context.model):
                logits = self.context.logits()
        else:
            logits = self.context.logits()
        return logits if self._task.num_tokens is None else logits[:, : self._task.num_tokens]

    def end(self, row: int) -> None:
        """End a row, as if its model had; the stream stops when all have ended."""
        self.finished[row] = True

    def sequences(self) -> Tensor:
        """Return prompts and all tokens so far, (B, T + N)."""
        return ops.tensor(self.context.written, device=self.context.device)
