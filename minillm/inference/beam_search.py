"""Beam search: the most probable texts, approximately, by following several at once.

At each step every one of the K texts of a prompt could go on with every token; the K most probable of these
K V texts are followed. A text that ends is put aside with the score

    log p(text) / length^length_penalty

and the best texts that ended are returned. Source: Graves, "Sequence Transduction with Recurrent Neural
Networks" (2012), algorithm 1; the length penalty, Wu et al., "Google's Neural Machine Translation System"
(2016), section 7. With ``do_sample`` texts are drawn by these probabilities, without replacement: the K best
after a Gumbel number was added to each (Kool, van Hoof and Welling, "Stochastic Beams", 2019).

The order of steps and the conditions to stop are those of Hugging Face's library, so that texts are equal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minillm import ops
from minillm.autograd.function import wrap
from minillm.backend import Array, to_numpy, xp_of
from minillm.inference.context import Tokens
from minillm.inference.preparation import Task
from minillm.inference.stopping import stopped_by

Floats = np.ndarray[Any, Any]
OUT = np.float32(-1e9)  # the score of what is not to be chosen


class Beams(NamedTuple):
    """Texts of each prompt, best first: (B, K, length), their scores, whether they ended, how much is new."""

    sequences: Tokens
    scores: Floats
    ended: Tokens
    new: Tokens

    def pick(self, places: Tokens) -> Beams:
        """Return the beams at these places of each prompt, (B, K)."""
        return Beams(*(of_each(values, places) for values in self))

    def join(self, other: Beams) -> Beams:
        """Return these beams and others, side by side."""
        return Beams(*(np.concatenate(pair, axis=1) for pair in zip(self, other, strict=True)))


class BeamResult(NamedTuple):
    """The best texts, (B num_return_sequences, T + N), and their scores, (B num_return_sequences,)."""

    sequences: Tokens
    scores: Floats


def of_each(values: Floats, places: Tokens) -> Floats:
    """Return values[b, places[b, k]] for each b and k."""
    return values[np.arange(len(values))[:, None], places]


def best(scores: Floats, count: int) -> Tokens:
    """Return the places of the largest scores of each row, (B, count), best first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


class BeamSearch:
    """A beam search that is ready to run.

    Args:
        task: with ``num_beams`` copies of each prompt in its context.
        num_return_sequences: how many texts of each prompt are wanted.
        length_penalty: the power of the length that scores are divided by.
        early_stopping: True, False or ``"never"``; see :func:`minillm.inference.generate`.

    Raises:
        ValueError: more texts are wanted than beams are followed, a vocabulary that is too small, or another
            word for ``early_stopping``.
    """

    def __init__(
        self, task: Task, num_return_sequences: int, length_penalty: float, early_stopping: bool | str
    ) -> None:
        self.task = task
        self.num_beams = task.context.copies
        self.num_return = num_return_sequences
        self.length_penalty = length_penalty
        self.early_stopping = early_stopping
        if not 1 <= num_return_sequences <= self.num_beams:
            raise ValueError(
                f"generate: num_return_sequences is {num_return_sequences}; it needs to be from 1 to the "
                f"{self.num_beams} beams"
            )
        if early_stopping not in (True, False, "never"):
            raise ValueError(f"early_stopping is {early_stopping!r}; it needs to be True, False or 'never'")
        # So many candidates that enough are left to go on from where the best ones all end.
        self.keep = max(2, 1 + len(task.ends)) * self.num_beams

    def run(self) -> BeamResult:
        """Search, and return the best texts."""
        context, K = self.task.context, self.num_beams
        B, prompt, end = len(context.tokens) // K, context.prompt, context.prompt + self.task.steps
        texts = np.full((B, K, end), self._filler(), np.int64)
        texts[:, :, :prompt] = context.written.reshape(B, K, prompt)
        nothing, none_yet = np.zeros((B, K), bool), np.full((B, K), OUT)
        running = Beams(texts, none_yet.copy(), nothing, np.zeros((B, K), np.int64))
        running.scores[:, 0] = 0  # at first all beams are alike: one of them counts
        done = Beams(texts, none_yet, nothing, np.zeros((B, K), np.int64))
        hopeful = np.ones((B, 1), bool)  # where a better text may still come
        while context.length < end:
            candidates, sources = self._candidates(running)
            hits = self._hits(candidates, end)
            running, order = self._go_on(candidates, hits)
            done = self._put_aside(done, candidates, hits, hopeful)
            rows = of_each(sources, order) + np.arange(B)[:, None] * K
            context.select(rows.reshape(-1))
            context.append(running.sequences[:, :, context.length].reshape(-1))
            hopeful &= self._may_improve(running, done, end)
            if not hopeful.any() or hits.all() or (done.ended.all() and self.early_stopping is True):
                break
        found = Beams(*(values[:, : self.num_return].reshape(-1, *values.shape[2:]) for values in done))
        return BeamResult(found.sequences[:, : prompt + found.new.max(initial=0)], found.scores)

    def _filler(self) -> int:
        """Return what stands behind the end of a text: Hugging Face's takes 0 for no padding token."""
        return self.task.pad_token_id or (self.task.ends[0] if self.task.ends else 0)

    def _candidates(self, running: Beams) -> tuple[Beams, Tokens]:
        """Return the most probable texts that are one token longer, and the beams they go on from, (B, keep)."""
        task, context = self.task, self.task.context
        B, K = running.scores.shape
        logits = context.logits()
        if task.num_tokens is not None:
            logits = logits[:, : task.num_tokens]
        scores = log_softmax(logits)
        scores = task.constraints.apply(scores, context.written, context.seen[:, : context.length])
        if task.sampling.samples:
            scores = task.sampling.filtered(scores, least=max(2, 1 + len(task.ends)))
        V = scores.shape[1]
        if self.keep > K * V:
            raise ValueError(f"generate: {K} beams need more than the {V} tokens of the model")
        before = ops.tensor(running.scores, device=context.device).array
        scores = (scores.reshape(B, K, V) + before[:, :, None]).reshape(B, K * V)
        places = self._chosen(scores)
        beams, tokens = places // V, places % V
        longer = running.pick(beams)
        longer.sequences[:, :, context.length] = tokens
        top = to_numpy(wrap(scores).gather(1, ops.tensor(places, device=context.device)).array)
        return longer._replace(scores=top, new=longer.new + 1), beams

    def _chosen(self, scores: Array) -> Tokens:
        """Return the places of the best candidates of each prompt, or of those that are drawn, (B, keep)."""
        if self.task.sampling.samples:
            xp, device = xp_of(scores), self.task.context.device
            generators = self.task.generators[:: self.num_beams]
            draws = xp.stack([generator.uniform(scores.shape[1], device=device) for generator in generators])
            with np.errstate(divide="ignore"):
                scores = scores - xp.log(-xp.log(draws))
        return np.asarray(to_numpy(ops.topk(wrap(scores), self.keep)[1].array))

    def _hits(self, candidates: Beams, end: int) -> Tokens:
        """Return which candidates have ended, (B, keep)."""
        length = self.task.context.length + 1
        texts = candidates.sequences[:, :, :length]
        hits = np.isin(texts[:, :, -1], self.task.ends) | (length >= end)
        flat = texts.reshape(-1, length)
        return np.asarray(hits | stopped_by(self.task.stopping, flat).reshape(hits.shape))

    def _go_on(self, candidates: Beams, hits: Tokens) -> tuple[Beams, Tokens]:
        """Return the best texts that have not ended, and their places among the candidates."""
        scores = candidates.scores + hits * OUT
        order = best(scores, self.num_beams)
        return candidates._replace(scores=scores).pick(order), order

    def _put_aside(self, done: Beams, candidates: Beams, hits: Tokens, hopeful: Tokens) -> Beams:
        """Return the best texts that have ended, old and new ones."""
        ended = hits & (np.arange(self.keep) < self.num_beams)  # the others are there to go on from
        scores = candidates.scores / np.float32(float(candidates.new[0, 0]) ** self.length_penalty)
        full = done.ended.all(axis=1, keepdims=True) & (self.early_stopping is True)
        scores = scores + full * OUT + ~hopeful * OUT + ~ended * OUT
        merged = done.join(candidates._replace(scores=scores, ended=ended))
        return merged.pick(best(merged.scores, self.num_beams))

    def _may_improve(self, running: Beams, done: Beams, end: int) -> Tokens:
        """Return where the best text that goes on may come before the worst that ended, (B, 1)."""
        context = self.task.context
        length = context.length - context.prompt
        if self.early_stopping == "never" and self.length_penalty > 0:
            length = end - context.prompt
        hope = running.scores[:, :1] / np.float32(float(length) ** self.length_penalty)
        worst = np.where(done.ended, done.scores.min(axis=1, keepdims=True), OUT)
        return np.asarray((hope > worst).any(axis=1, keepdims=True))


def log_softmax(logits: Array) -> Array:
    """Return log p of each token, (B, V), in float32 at least."""
    xp = xp_of(logits)
    if logits.dtype.itemsize < 4:
        logits = logits.astype(np.float32)
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - xp.log(xp.exp(logits).sum(axis=-1, keepdims=True))
