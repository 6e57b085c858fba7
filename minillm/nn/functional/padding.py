"""Padding: more elements at the ends of dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minillm import ops
from minillm.autograd.errors import OperationError
from minillm.autograd.function import Function, wrap
from minillm.backend import Array, xp_of
from minillm.ops import Tensor


class Pad(Function):
    """y = a constant with x at a place inside,  dx = dy at that place."""

    def forward(self, x: Array, widths: tuple[tuple[int, int], ...], value: float) -> Array:
        self.place = tuple(slice(before, before + n) for (before, _), n in zip(widths, x.shape, strict=True))
        shape = tuple(n + before + after for (before, after), n in zip(widths, x.shape, strict=True))
        y = xp_of(x).full(shape, value, x.dtype)
        y[self.place] = x
        return y

    def backward(self, dy: Any) -> Any:
        return dy[self.place]


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Return the input with more elements at the ends of its last dimensions.

    Args:
        input: any shape.
        pad: (before, after) of the last dimension, then of the one before it, and so on; negative
            numbers cut elements off.
        mode: "constant"; "reflect" mirrors at the edge element, "replicate" repeats it, "circular" goes on
            at the other end.
        value: of the constant; 0 by default.

    Raises:
        OperationError: an odd number of widths, too many, or too wide ones; an unknown mode.

    Example:
        >>> import minillm
        >>> minillm.nn.functional.pad(minillm.tensor([1.0, 2.0]), (1, 2))
        tensor([0., 1., 2., 0., 0.])
    """
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise OperationError(
            f"pad: got {len(pad)} widths for shape {input.shape}; it needs two for each dimension that "
            "is padded, from the last one on"
        )
    widths = [(0, 0)] * (input.ndim - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]
    for dim, (before, after) in enumerate(widths):
        if input.shape[dim] + before + after < 0:
            raise OperationError(
                f"pad: got widths {(before, after)} for dimension {dim} of size {input.shape[dim]}; "
                "they cut off more than there is"
            )
    if mode == "constant":
        return _pad_constant(input, widths, 0.0 if value is None else value)
    if value is not None:
        raise OperationError(f"pad: got value={value} and mode={mode!r}; a value needs mode='constant'")
    for dim, (before, after) in enumerate(widths):
        if before or after:
            input = ops.index_select(input, dim, _places(input, dim, before, after, mode))
    return input


def _pad_constant(input: Any, widths: list[tuple[int, int]], value: float) -> Any:
    if any(before < 0 or after < 0 for before, after in widths):
        kept = tuple(
            slice(max(0, -before), n - max(0, -after)) for (before, after), n in zip(widths, input.shape, strict=True)
        )
        input = ops.getitem(input, kept)
        widths = [(max(0, before), max(0, after)) for before, after in widths]
    if input.dtype.kind != "f":
        value = int(value)
    return Pad.apply(input, tuple(widths), value)


def _places(input: Any, dim: int, before: int, after: int, mode: str) -> Any:
    """Return the index, along ``dim``, of what stands at each place of the padded tensor."""
    n = input.shape[dim]
    most = {"reflect": n - 1, "replicate": None if n else 0, "circular": n}
    if mode not in most:
        raise OperationError(f"pad: got mode={mode!r}; it needs 'constant', 'reflect', 'replicate' or 'circular'")
    limit = most[mode]
    if limit is not None and max(before, after) > limit:
        raise OperationError(
            f"pad: got widths {(before, after)} for dimension {dim} of size {n}; mode={mode!r} needs them to be "
            f"at most {limit}"
        )
    xp = xp_of(input.array)
    places = xp.arange(-before, n + after)
    if mode == "replicate":
        places = xp.clip(places, 0, n - 1)
    elif mode == "circular":
        places = places % n
    else:
        places = xp.abs(places)
        places = (n - 1) - xp.abs((n - 1) - places)
    return wrap(places)
