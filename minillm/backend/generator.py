"""``Generator``: counter-based random numbers, keyed by (seed, stream, step).

The generator is Philox 4x64 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011):
a keyed bijection of a counter. The key holds the seed and the name of a stream, the counter starts
at the step. So ``generator.at("dropout", step=700)`` gives the numbers of step 700 at once, however
much was drawn before, in any order, and a run resumed at step 700 continues bit for bit.

Numbers are always drawn on the host and then moved, so that runs on the CPU and on a GPU see the
same ones. NumPy keeps the raw words of Philox the same for ever; how it makes normal numbers from
them may change between its releases, so bit-for-bit repeats need the same NumPy.
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np

from minillm.backend.device import (
    Array,
    Device,
    device_of,
    get_default_device,
    to_device,
    xp_of,
)
from minillm.backend.dtype import DType, get_default_dtype, to_dtype

__all__ = ["Generator"]

_SEED_MIN, _SEED_MAX = -(2**63), 2**64 - 1
_STATE_FORMAT = "minillm philox 1"


class Generator:
    """A stream of random numbers that can be repeated, stored and split.

    Args:
        seed: an integer from -2**63 to 2**64 - 1, or None for one from the operating system.
        device: where drawn arrays are put (None: the default device at the time of the draw). Each
            draw may name another.

    Threads may draw from one generator: no number is handed out twice, but which thread gets
    which is left to chance. For runs that repeat, give each thread a stream of its own with `at`.

    Example:
        >>> from minillm.backend import Generator
        >>> generator = Generator(seed=0)
        >>> a = generator.at("dropout", step=3).uniform((2,))
        >>> _ = generator.normal((1000,))
        >>> b = generator.at("dropout", step=3).uniform((2,))
        >>> bool((a == b).all())
        True
    """

    def __init__(self, seed: int | None = None, device: str | Device | None = None) -> None:
        self.device = None if device is None else Device(device)
        self._start(secrets.randbits(64) if seed is None else seed, stream="", step=0)

    def _start(self, seed: int, stream: str, step: int) -> None:
        """Go to the first number of (seed, stream, step)."""
        self._seed = _checked_seed(seed)
        self._stream = stream
        self._step = step
        self._bits = np.random.Philox(key=_key(self._seed, stream), counter=[0, 0, step, 0])
        self._draw = np.random.Generator(self._bits)

    def __repr__(self) -> str:
        place = f", stream={self._stream!r}, step={self._step}" if self._stream else ""
        return f"Generator(seed={self._seed}{place})"

    def manual_seed(self, seed: int) -> Generator:
        """Start anew from ``seed``, at the first number of this generator's stream and step.

        Returns:
            The generator itself.

        Raises:
            ValueError: the seed is out of range.
            TypeError: the seed is not an integer.
        """
        self._start(seed, self._stream, self._step)
        return self

    def seed(self) -> int:
        """Start anew from a seed of the operating system, and return that seed."""
        seed = secrets.randbits(64)
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """Return the seed this generator was last started from."""
        return self._seed

    def at(self, stream: str, step: int = 0) -> Generator:
        """Return a fresh generator at the start of (seed, stream, step).

        It depends on the seed (and, for a generator that came from `at` itself, on its own stream
        and step), never on how many numbers were drawn. Each step holds 2**128 blocks of numbers,
        so steps never overlap.

        Args:
            stream: what the numbers are for, such as ``"dropout"`` or ``"shuffle"``. Not empty.
            step: a count from 0 to 2**64 - 1, such as the training step or the epoch.

        Raises:
            ValueError: an empty stream or a step out of range.
        """
        stream = _checked_stream(stream)
        step = _checked_integer("Generator.at: step", step)
        if not 0 <= step < 2**64:
            raise ValueError(f"Generator.at: needs a step from 0 to 2**64 - 1, got {step}")
        if self._stream:  # a stream within a stream: JSON keeps every path apart
            stream = json.dumps([self._stream, self._step, stream])
        fresh = Generator.__new__(Generator)
        fresh.device = self.device
        fresh._start(self._seed, stream, step)
        return fresh

    def get_state(self) -> dict[str, Any]:
        """Return all that is needed to go on from here: a small dict that JSON can hold.

        Example:
            >>> import json
            >>> from minillm.backend import Generator
            >>> generator = Generator(seed=0)
            >>> _ = generator.uniform((3,))
            >>> stored = json.dumps(generator.get_state())
            >>> a = generator.uniform((3,))
            >>> generator.set_state(json.loads(stored))
            >>> bool((a == generator.uniform((3,))).all())
            True
        """
        with self._bits.lock:  # NumPy holds it while drawing: no state in the middle of a draw
            bits: Any = self._bits.state
        return {
            "format": _STATE_FORMAT,
            "seed": self._seed,
            "stream": self._stream,
            "step": self._step,
            "counter": [int(word) for word in bits["state"]["counter"]],
            "buffer": [int(word) for word in bits["buffer"]],
            "buffer_pos": int(bits["buffer_pos"]),
            "has_uint32": int(bits["has_uint32"]),
            "uinteger": int(bits["uinteger"]),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go to where `get_state` was called: seed, stream, step and position are all replaced.

        Raises:
            ValueError: not a state of this generator. The generator is then left as it was.
        """
        seed, stream, step, bits = _checked_state(state)
        self._start(seed, stream, step)
        self._bits.state = bits  # type: ignore[assignment]

    # Draws. `shape` is a sequence of sizes or one size; `dtype=None` is the default dtype.

    def uniform(
        self,
        shape: int | Sequence[int] = (),
        low: float = 0.0,
        high: float = 1.0,
        dtype: object = None,
        device: str | Device | None = None,
    ) -> Array:
        """Draw numbers that are equally likely in [low, high): low may come up, high never does.

        Raises:
            ValueError: ``low > high``, or a bound that is not finite.
            TypeError: the dtype is not a floating-point type.

        Example:
            >>> from minillm.backend import Generator
            >>> Generator(seed=0).uniform((2, 3), -1.0, 1.0).shape
            (2, 3)
        """
        shape, kind = _checked_shape("uniform", shape), _checked_float("uniform", dtype)
        low, high = float(low), float(high)
        if not (low <= high and math.isfinite(high - low)):
            raise ValueError(f"uniform: needs finite low <= high, got low={low}, high={high}")
        # float16 is made from float32 draws: NumPy draws no float16.
        drawn = self._draw.random(shape, dtype=np.float64 if kind.itemsize == 8 else np.float32)
        values = np.asarray(drawn)
        if low != 0.0 or high != 1.0:
            values *= high - low
            values += low
        values = values.astype(kind, copy=False)
        if kind.itemsize == 2 or low != 0.0 or high != 1.0:  # rounding can reach the upper bound
            top = kind.type(high)
            values[values >= top] = np.nextafter(top, kind.type(low))
        return self._place(values, device)

    def normal(
        self,
        shape: int | Sequence[int] = (),
        mean: float = 0.0,
        std: float = 1.0,
        dtype: object = None,
        device: str | Device | None = None,
    ) -> Array:
        """Draw numbers of the normal distribution with this mean and standard deviation.

        Raises:
            ValueError: a negative ``std``.
            TypeError: the dtype is not a floating-point type.

        Example:
            >>> from minillm.backend import Generator
            >>> Generator(seed=0).normal((2, 3), std=0.02).dtype
            dtype('float32')
        """
        shape, kind = _checked_shape("normal", shape), _checked_float("normal", dtype)
        if not std >= 0.0:
            raise ValueError(f"normal: needs a standard deviation >= 0, got {std}")
        wide = np.float64 if kind.itemsize == 8 else np.float32
        values = np.asarray(self._draw.standard_normal(shape, dtype=wide))
        if std != 1.0:
            values *= float(std)
        if mean != 0.0:
            values += float(mean)
        return self._place(values.astype(kind, copy=False), device)

    def integers(
        self,
        low: int,
        high: int,
        shape: int | Sequence[int] = (),
        dtype: object = np.int64,
        device: str | Device | None = None,
    ) -> Array:
        """Draw whole numbers that are equally likely in [low, high): high never comes up.

        Raises:
            ValueError: ``low >= high``, or a bound that the dtype cannot hold.
            TypeError: a bound is not an integer or the dtype is not an integer type.

        Example:
            >>> from minillm.backend import Generator
            >>> bool((Generator(seed=0).integers(0, 10, (100,)) < 10).all())
            True
        """
        shape, kind = _checked_shape("integers", shape), to_dtype(dtype)
        if kind.kind not in "iu":
            raise TypeError(f"integers: needs an integer dtype, got {kind.name}")
        low = _checked_integer("integers: low", low)
        high = _checked_integer("integers: high", high)
        if low >= high:
            raise ValueError(f"integers: needs low < high, got low={low}, high={high}")
        limits = np.iinfo(kind)
        if low < limits.min or high - 1 > limits.max:
            raise ValueError(f"integers: {kind.name} cannot hold all of [{low}, {high})")
        # Drawn as int64 and narrowed, so that the numbers are the same for every dtype.
        values = np.asarray(self._draw.integers(low, high, shape, dtype=np.int64))
        return self._place(values.astype(kind, copy=False), device)

    def permutation(self, n: int, device: str | Device | None = None) -> Array:
        """Draw an order of 0, 1, ..., n - 1, each equally likely; shape ``(n,)``, int64.

        Example:
            >>> from minillm.backend import Generator
            >>> sorted(Generator(seed=0).permutation(4).tolist())
            [0, 1, 2, 3]
        """
        n = _checked_integer("permutation: n", n)
        if n < 0:
            raise ValueError(f"permutation: needs n >= 0, got {n}")
        return self._place(self._draw.permutation(np.arange(n, dtype=np.int64)), device)

    def keep_mask(
        self,
        shape: int | Sequence[int],
        p_keep: float,
        device: str | Device | None = None,
    ) -> Array:
        """Draw a boolean mask, each element true with probability ``p_keep``; made for dropout.

        One random byte decides an element: true below ``p_keep * 256``. A byte equal to the whole
        part of that bound (one in 256) is decided by a second, 53-bit draw, so the probability is
        ``p_keep`` itself and not its nearest multiple of 1/256. That takes an eighth of the raw
        words that floating-point draws take.

        Raises:
            ValueError: ``p_keep`` is not within [0, 1].

        Example:
            >>> from minillm.backend import Generator
            >>> mask = Generator(seed=0).keep_mask((100, 100), 0.9)
            >>> mask.dtype, 0.88 < float(mask.mean()) < 0.92
            (dtype('bool'), True)
        """
        shape = _checked_shape("keep_mask", shape)
        p_keep = float(p_keep)
        if not 0.0 <= p_keep <= 1.0:
            raise ValueError(f"keep_mask: needs a probability within [0, 1], got {p_keep}")
        count = math.prod(shape)
        # Little-endian words, so that the mask is the same on machines of either byte order.
        words = self._bits.random_raw(-(-count // 8)).astype("<u8", copy=False)
        draws = words.view(np.uint8)[:count]
        rest, whole = math.modf(p_keep * 256.0)
        if whole == 256.0:
            mask = np.ones(count, dtype=bool)
        else:
            bound = np.uint8(whole)
            mask = draws < bound
            if rest:
                ties = np.flatnonzero(draws == bound)
                mask[ties] = self._draw.random(ties.size) < rest
        return self._place(mask.reshape(shape), device)

    def choice(self, probabilities: Array) -> Array:
        """Draw one index from each row of probabilities.

        The inverse of the cumulative sum, in float64, is taken at one uniform number a row. Rows
        need not add up to 1 exactly: each is divided by its sum. What has probability 0 is never
        drawn. The result lives where the probabilities live.

        Args:
            probabilities: shape ``(..., V)``, not negative.

        Returns:
            int64 array of shape ``(...)``, 0-d for one row.

        Raises:
            ValueError: no choice to draw from, a negative, infinite or NaN value, a row that
                adds up to 0.

        Example:
            >>> import numpy
            >>> from minillm.backend import Generator
            >>> Generator(seed=0).choice(numpy.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
            array([1, 2])
        """
        xp = xp_of(probabilities)
        if probabilities.ndim == 0 or probabilities.shape[-1] == 0:
            raise ValueError(
                f"choice: needs probabilities of shape (..., V), got {tuple(probabilities.shape)}"
            )
        cumulative = xp.cumsum(probabilities, axis=-1, dtype=np.float64)
        total = cumulative[..., -1:]
        # NaN and infinity both end up in the total, so it alone is asked for them.
        if not bool((xp.isfinite(total) & (total > 0)).all()) or bool((probabilities < 0).any()):
            raise ValueError("choice: needs probabilities >= 0, finite, with a sum above 0 in every row")
        drawn = np.asarray(self._draw.random(tuple(total.shape)))
        bound = to_device(drawn, device_of(probabilities)) * total
        # Rounding may lift the product to the total, which lies beyond the last index.
        bound = xp.minimum(bound, xp.nextafter(total, xp.zeros_like(total)))
        return xp.asarray((cumulative <= bound).sum(axis=-1, dtype=np.int64))

    def _place(self, values: np.ndarray[Any, Any], device: str | Device | None) -> Array:
        if device is None:
            device = get_default_device() if self.device is None else self.device
        return to_device(values, device)


def _key(seed: int, stream: str) -> np.ndarray[Any, Any]:
    """Return the 128-bit key of a stream: the seed and a 64-bit hash of the stream's name."""
    digest = hashlib.blake2b(stream.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return np.array([seed % 2**64, int.from_bytes(digest, "little")], dtype=np.uint64)


def _checked_integer(name: str, value: object) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None


def _checked_seed(seed: object) -> int:
    number = _checked_integer("Generator: the seed", seed)
    if not _SEED_MIN <= number <= _SEED_MAX:
        raise ValueError(f"Generator: needs a seed from -2**63 to 2**64 - 1, got {number}")
    return number


def _checked_stream(stream: object) -> str:
    if not isinstance(stream, str) or not stream:
        raise ValueError(f"Generator.at: needs a stream's name, got {stream!r}")
    return stream


def _checked_shape(name: str, shape: int | Sequence[int]) -> tuple[int, ...]:
    sizes = shape if isinstance(shape, (tuple, list)) else (shape,)
    checked = tuple(_checked_integer(f"{name}: a size", size) for size in sizes)
    if any(size < 0 for size in checked):
        raise ValueError(f"{name}: needs sizes >= 0, got shape {checked}")
    return checked


def _checked_float(name: str, dtype: object) -> DType:
    kind = get_default_dtype() if dtype is None else to_dtype(dtype)
    if kind.kind != "f":
        raise TypeError(f"{name}: needs a floating-point dtype, got {kind.name}")
    return kind


def _checked_state(state: dict[str, Any]) -> tuple[int, str, int, dict[str, Any]]:
    """Return seed, stream, step and NumPy's part of a stored state, or say what is wrong."""
    try:
        if state["format"] != _STATE_FORMAT:
            raise ValueError(f"unknown format {state['format']!r}")
        seed, step = _checked_seed(state["seed"]), _checked_integer("step", state["step"])
        stream = state["stream"]
        if not isinstance(stream, str):
            raise ValueError(f"the stream is {stream!r}")
        if not 0 <= step < 2**64:
            raise ValueError(f"the step is {step}")
        words = {}
        for name in ("counter", "buffer"):
            words[name] = np.array([_checked_integer(name, word) for word in state[name]], dtype=np.uint64)
            if words[name].shape != (4,):
                raise ValueError(f"{name} has {words[name].size} words, not 4")
        position, half = state["buffer_pos"], state["has_uint32"]
        if position not in range(5) or half not in (0, 1) or not 0 <= state["uinteger"] < 2**32:
            raise ValueError("its position is out of range")
        bits = {
            "bit_generator": "Philox",
            "state": {"counter": words["counter"], "key": _key(seed, stream)},
            "buffer": words["buffer"],
            "buffer_pos": int(position),
            "has_uint32": int(half),
            "uinteger": int(state["uinteger"]),
        }
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"Generator.set_state: this is not a state of get_state(): {what}") from error
    return seed, stream, step, bits
