"""The default generator: what random numbers come from where no generator is given, one for all or one a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minillm.backend.generator import Generator

__all__ = [
    "default_generator", "fork_rng", "generator_of_thread", "get_rng_state", "initial_seed", "manual_seed", "seed",
    "set_rng_state",
]  # fmt: skip

_default = Generator(seed=None)
_of_thread = threading.local()


def default_generator() -> Generator:
    """Return the generator that is used where none is given.

    It starts from a seed of the operating system; `manual_seed` makes runs repeatable.

    Example:
        >>> from minillm.backend import default_generator, manual_seed
        >>> manual_seed(0) is default_generator()
        True
    """
    own: Generator | None = getattr(_of_thread, "generator", None)
    return _default if own is None else own


@contextmanager
def generator_of_thread(generator: Generator) -> Iterator[Generator]:
    """Use another default generator inside a block, in this thread alone.

    Threads that draw from one generator share its numbers as chance has it; each with its own, what they draw
    can be repeated.

    Example:
        >>> from minillm.backend import Generator, default_generator, generator_of_thread
        >>> with generator_of_thread(Generator(seed=1).at("first half")) as own:
        ...     default_generator() is own
        True
    """
    before = getattr(_of_thread, "generator", None)
    _of_thread.generator = generator
    try:
        yield generator
    finally:
        _of_thread.generator = before


def manual_seed(seed: int) -> Generator:
    """Start the default generator anew from ``seed``, and return it.

    Raises:
        ValueError: the seed is not from -2**63 to 2**64 - 1.
        TypeError: the seed is not an integer.

    Example:
        >>> from minillm.backend import default_generator, manual_seed
        >>> first = manual_seed(7).uniform((2,))
        >>> bool((first == manual_seed(7).uniform((2,))).all())
        True
    """
    return _default.manual_seed(seed)


def seed() -> int:
    """Start the default generator anew from a seed of the operating system; returns the seed."""
    return _default.seed()


def initial_seed() -> int:
    """Return the seed that the default generator was last started from."""
    return _default.initial_seed()


def get_rng_state() -> dict[str, Any]:
    """Return the state of the default generator: a small dict that JSON can hold.

    Example:
        >>> from minillm.backend import default_generator, get_rng_state, set_rng_state
        >>> state = get_rng_state()
        >>> first = default_generator().uniform((2,))
        >>> set_rng_state(state)
        >>> bool((first == default_generator().uniform((2,))).all())
        True
    """
    return _default.get_state()


def set_rng_state(state: dict[str, Any]) -> None:
    """Put the default generator back to where `get_rng_state` was called.

    Raises:
        ValueError: not such a state. The generator is then left as it was.
    """
    _default.set_state(state)


@contextmanager
def fork_rng() -> Iterator[Generator]:
    """Use the default generator inside a block, and put it back to where it was afterwards.

    Example:
        >>> from minillm.backend import fork_rng, get_rng_state, manual_seed
        >>> before = get_rng_state()
        >>> with fork_rng():
        ...     _ = manual_seed(0).uniform((3,))
        >>> get_rng_state() == before
        True
    """
    state = get_rng_state()
    try:
        yield _default
    finally:
        set_rng_state(state)
