"""How the steps of a batch of sequences lie in memory, and in which order a direction walks them.

Rows of a batch of B sequences, the longest first, are packed step by step: N rows in all, of which step t
has the ``batch_sizes[t]`` sequences that are still running. A recurrence keeps its states in one buffer,

    forward:  [initial state (B rows), outputs (N rows)]
    reverse:  [outputs (N rows), initial state (B rows)]

so that the state before a step is a slice of it, and with sequences of equal length so are the states
before all steps: the gradient of the recurrent weight is one product, and nothing is copied.
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

from minillm.backend import Array, xp_of

TILE = 2**16  # elements: 256 KB of float32, which stay in the cache from one pass to the next


class Step(NamedTuple):
    """One step: its rows among the outputs, how many, and where in the buffer the states before it are."""

    rows: slice
    size: int
    before: tuple[slice, ...]  # two in the step of a reverse walk at which further sequences begin


class Tile(NamedTuple):
    """Steps that follow one another, and all their rows: what one elementwise pass works on."""

    rows: slice
    steps: tuple[Step, ...]


class Steps:
    """The steps of a packed batch, in the order of the walk.

    Args:
        batch_sizes: of each step the number of sequences that are still running; never increasing.
        reverse: walk from the last step to the first; a sequence begins at its own last step.
    """

    def __init__(self, batch_sizes: tuple[int, ...], reverse: bool) -> None:
        self.batch = batch = batch_sizes[0]
        self.rows = rows = sum(batch_sizes)
        self.reverse = reverse
        self.equal = batch_sizes[-1] == batch
        self._tiles: dict[int, tuple[Tile, ...]] = {}
        starts = [0, *itertools.accumulate(batch_sizes)]
        count = len(batch_sizes)
        walk: list[Step] = []
        for t in reversed(range(count)) if reverse else range(count):
            start, size = starts[t], batch_sizes[t]
            if not reverse:  # behind the initial state; some sequences may have ended
                first = batch + starts[t - 1] if t else 0
                before: tuple[slice, ...] = (slice(first, first + size),)
            else:  # some sequences may begin
                running = batch_sizes[t + 1] if t + 1 < count else 0
                parts = slice(starts[t + 1], starts[t + 1] + running), slice(rows + running, rows + size)
                before = tuple(part for part in parts if part.stop > part.start) or parts[:1]
            walk.append(Step(slice(start, start + size), size, before))
        self.walk = tuple(walk)
        # Where the last state of each sequence is, the longest sequences first.
        first = 0 if reverse else batch
        self.last = [slice(0, batch)]
        if not reverse:
            sizes = [*batch_sizes, 0]
            ends = [slice(first + starts[t] + sizes[t + 1], first + starts[t + 1]) for t in range(count)]
            self.last = [end for end in reversed(ends) if end.stop > end.start] or ends[-1:]

    def tiles(self, width: int) -> tuple[Tile, ...]:
        """Return the walk in tiles, of at most TILE elements in rows of ``width``, but a step at least."""
        if width in self._tiles:
            return self._tiles[width]
        tiles: list[Tile] = []
        steps: list[Step] = []
        rows = 0
        for i, step in enumerate(self.walk):
            steps.append(step)
            rows += step.size
            if i + 1 == len(self.walk) or (rows + self.walk[i + 1].size) * width > TILE:
                first, last = (steps[-1], steps[0]) if self.reverse else (steps[0], steps[-1])
                tiles.append(Tile(slice(first.rows.start, last.rows.stop), tuple(steps)))
                steps, rows = [], 0
        self._tiles[width] = tuple(tiles)
        return self._tiles[width]

    def buffer(self, initial: Array) -> Array:
        """Return the buffer of all states, (B + N, width), with the initial state (B, width) in its place."""
        states = xp_of(initial).empty((self.batch + self.rows, initial.shape[1]), initial.dtype)
        if self.reverse:
            states[self.rows :] = initial
        else:
            states[: self.batch] = initial
        return states

    def outputs(self, states: Array) -> Array:
        """Return the states after each step, (N, width), a view."""
        return states[: self.rows] if self.reverse else states[self.batch :]

    def before(self, states: Array, step: Step) -> Array:
        """Return the states before a step, (size, width); a view where they lie together."""
        if len(step.before) == 1:
            return states[step.before[0]]
        return xp_of(states).concatenate([states[part] for part in step.before])

    def all_before(self, states: Array) -> Array:
        """Return the states before every step, (N, width); a view where the sequences are equally long."""
        if self.equal:
            return states[self.batch :] if self.reverse else states[: self.rows]
        walk = reversed(self.walk) if self.reverse else self.walk
        return xp_of(states).concatenate([states[part] for step in walk for part in step.before])

    def final(self, states: Array) -> Array:
        """Return a copy of the last state of each sequence, (B, width)."""
        return xp_of(states).concatenate([states[part] for part in self.last])


@functools.lru_cache(maxsize=64)
def steps_of(batch_sizes: tuple[int, ...], reverse: bool) -> Steps:
    """Return the steps of a packed batch; those of the last few kinds of batches are kept."""
    return Steps(batch_sizes, reverse)

