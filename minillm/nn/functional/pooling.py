"""Pooling: the largest element, or the mean, of each window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minillm import ops
from minillm.autograd.errors import OperationError
from minillm.nn.functional.padding import pad
from minillm.nn.functional.windows import Sizes, num_windows, sizes_of, windows, with_batch
from minillm.ops import Tensor


def max_pool1d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """Return the largest element of each window over one dimension; the first of equals gets the gradient.

    Args:
        input: (N, C, L), or (C, L).
        kernel_size: places in a window.
        stride: the distance of windows; ``kernel_size`` by default.
        padding: of -inf on both sides, at most half of ``kernel_size``.
        dilation: the distance of the places within a window.
        ceil_mode: let a last window hang over the end.
        return_indices: return the places of the elements too.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.max_pool1d(minillm.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
        tensor([[3., 2.]])
    """
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """Return the largest element of each window over two dimensions, (N, C, H, W) or (C, H, W).

    The arguments are those of :func:`max_pool1d`; indices count through the flattened image.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.max_pool2d(minillm.arange(4.0).reshape(1, 2, 2), 2)
        tensor([[[3.]]])
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def avg_pool1d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """Return the mean of each window over one dimension.

    Args:
        input: (N, C, L), or (C, L).
        kernel_size: places in a window.
        stride: the distance of windows; ``kernel_size`` by default.
        padding: of zeros on both sides, at most half of ``kernel_size``.
        ceil_mode: let a last window hang over the end.
        count_include_pad: divide by the size of the window, padding included.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.avg_pool1d(minillm.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
        tensor([[2., 1.]])
    """
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """Return the mean of each window over two dimensions, (N, C, H, W) or (C, H, W).

    The arguments are those of :func:`avg_pool1d`; ``divisor_override`` takes the place of the number of elements.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.avg_pool2d(minillm.arange(4.0).reshape(1, 2, 2), 2)
        tensor([[[1.5000]]])
    """
    return _avg_pool(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def _arguments(
    name: str, n: int, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, dilation: Sizes
) -> tuple[tuple[int, ...], ...]:
    """Return kernel, stride, padding and dilation for each dimension."""
    kernel = sizes_of(name, "kernel_size", kernel_size, n, 1)
    strides = kernel if stride is None else sizes_of(name, "stride", stride, n, 1)
    sides = sizes_of(name, "padding", padding, n, 0)
    if any(p > k // 2 for p, k in zip(sides, kernel, strict=True)):
        raise OperationError(
            f"{name}: got padding={padding} for kernel_size={kernel_size}; it may be half of it at most"
        )
    return kernel, strides, sides, sizes_of(name, "dilation", dilation, n, 1)


def _hanging(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """Return how far the last window hangs over the padded end; it must begin inside the input or its left padding."""
    if not ceil_mode:
        return 0
    padded = size + 2 * padding
    count = num_windows(padded + stride - 1, kernel, stride, dilation)
    if (count - 1) * stride >= size + padding:
        count -= 1
    return max(0, (count - 1) * stride + dilation * (kernel - 1) + 1 - padded)


def _padded_windows(
    name: str, x: Any, arguments: tuple[tuple[int, ...], ...], ceil_mode: bool, value: float
) -> tuple[Any, tuple[int, ...]]:
    kernel, stride, sides, dilation = arguments
    paddings: list[int] = []
    for d in reversed(range(len(kernel))):
        over = _hanging(x.shape[2 + d], kernel[d], stride[d], sides[d], dilation[d], ceil_mode)
        paddings += [sides[d], sides[d] + over]
    x = pad(x, paddings, value=value) if any(paddings) else x
    return windows(name, x, kernel, stride, dilation)


def _max_pool(
    name: str, n: int, input: Any, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, dilation: Sizes,
    ceil_mode: bool, return_indices: bool,
) -> Any:  # fmt: skip
    arguments = _arguments(name, n, kernel_size, stride, padding, dilation)
    x, single = with_batch(name, input, n)
    elements, _ = _padded_windows(name, x, arguments, ceil_mode, -math.inf)
    values, chosen = ops.max(elements, 2)
    if not return_indices:
        return values[0] if single else values
    places = ops.arange(math.prod(x.shape[2:]), device=x.device).reshape(1, 1, *x.shape[2:])
    where, _ = _padded_windows(name, places, arguments, ceil_mode, 0)
    where = ops.expand(where, *elements.shape)
    indices = ops.squeeze(ops.gather(where, 2, ops.unsqueeze(chosen, 2)), 2)
    return (values[0], indices[0]) if single else (values, indices)


def _avg_pool(
    name: str, n: int, input: Any, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Any:  # fmt: skip
    arguments = _arguments(name, n, kernel_size, stride, padding, 1)
    kernel, strides, sides, _ = arguments
    if divisor_override == 0:
        raise OperationError(f"{name}: got divisor_override=0; it needs another number, or None")
    x, single = with_batch(name, input, n)
    elements, counts = _padded_windows(name, x, arguments, ceil_mode, 0.0)
    divisor: Any = divisor_override
    if divisor is None:
        divisor = np.ones((1,) * n)
        for d in range(n):
            starts = np.arange(counts[d]) * strides[d] - sides[d]
            ends = np.minimum(starts + kernel[d], x.shape[2 + d] + sides[d])
            if not count_include_pad:
                starts, ends = np.maximum(starts, 0), np.minimum(ends, x.shape[2 + d])
            divisor = divisor * (ends - starts).reshape([-1 if e == d else 1 for e in range(n)])
        divisor = ops.tensor(divisor, dtype=x.dtype, device=x.device)
    y = ops.sum(elements, 2) / divisor
    return y[0] if single else y
