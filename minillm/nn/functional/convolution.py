"""Convolution: a linear layer on each window of its input, the same everywhere.

    y[n, o, t] = b[o] + sum over c, k of W[o, c, k] x[n, c, t stride + k dilation - padding]

(a cross-correlation, as in every deep-learning library). All windows side by side are a matrix (im2col:
Chellapilla, Puri and Simard, 2006), so it is one product.
"""

from __future__ import annotations

import math
from typing import Any

from minillm import ops
from minillm.autograd.errors import OperationError, OperationTypeError
from minillm.nn.functional.padding import pad
from minillm.nn.functional.windows import Sizes, sizes_of, windows, with_batch
from minillm.ops import Tensor


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Sizes | str = 0,
    dilation: Sizes = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Return the convolution over one dimension.

    Args:
        input: (N, C_in, L), or (C_in, L).
        weight: (C_out, C_in / groups, K).
        bias: (C_out,), or None.
        stride: the distance of windows.
        padding: zeros on both sides, or ``"valid"`` (none), or ``"same"`` (as many places out as in).
        dilation: the distance of the places within a window.
        groups: the channels are cut into so many parts that do not see each other.

    Returns:
        (N, C_out, L_out), or (C_out, L_out).

    Raises:
        OperationError: sizes that do not fit.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.conv1d(minillm.tensor([[1.0, 2.0, 4.0]]), minillm.tensor([[[-1.0, 1.0]]]))
        tensor([[1., 2.]])
    """
    return _convolution("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Sizes | str = 0,
    dilation: Sizes = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Return the convolution over two dimensions; the arguments are those of :func:`conv1d`.

    Args:
        input: (N, C_in, H, W), or (C_in, H, W).
        weight: (C_out, C_in / groups, K_h, K_w).
        bias: (C_out,), or None.
        stride: the distance of windows.
        padding: zeros on both sides, or ``"valid"``, or ``"same"``.
        dilation: the distance of the places within a window.
        groups: the channels are cut into so many parts that do not see each other.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.conv2d(minillm.ones(1, 3, 3), minillm.ones(1, 1, 2, 2))
        tensor([[[4., 4.],
                 [4., 4.]]])
    """
    return _convolution("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def _convolution(
    name: str, n: int, input: Any, weight: Any, bias: Any, stride: Sizes, padding: Sizes | str, dilation: Sizes,
    groups: int,
) -> Any:  # fmt: skip
    """Return the convolution over the last n dimensions."""
    x, single = with_batch(name, input, n)
    strides = sizes_of(name, "stride", stride, n, 1)
    dilations = sizes_of(name, "dilation", dilation, n, 1)
    if weight.ndim != n + 2 or groups < 1 or weight.shape[0] % groups or x.shape[1] != weight.shape[1] * groups:
        raise OperationError(
            f"{name}: got an input of shape {input.shape}, a weight of shape {weight.shape} and "
            f"groups={groups}; the weight needs shape (C_out, C_in / groups, {n} kernel sizes) with the input's C_in, "
            "and groups needs to divide both numbers of channels"
        )
    if x.dtype != weight.dtype or (bias is not None and bias.dtype != weight.dtype):
        kinds = [str(v.dtype) for v in (x, weight, bias) if v is not None]
        raise OperationTypeError(
            f"{name}: got {', '.join(kinds)} for input, weight and bias; they need the same dtype; cast with .to(...)"
        )
    if bias is not None and bias.shape != (weight.shape[0],):
        raise OperationError(f"{name}: got a bias of shape {bias.shape}; it needs ({weight.shape[0]},)")
    kernel = tuple(weight.shape[2:])
    widths = paddings_of(name, padding, kernel, strides, dilations, n)
    x = pad(x, widths) if any(widths) else x
    columns, counts = windows(name, x, kernel, strides, dilations)
    batch, channels_out = x.shape[0], weight.shape[0]
    rows = weight.shape[1] * math.prod(kernel)
    columns = ops.reshape(columns, (batch, groups, rows, math.prod(counts)))
    y = ops.matmul(ops.reshape(weight, (groups, channels_out // groups, rows)), columns)
    y = ops.reshape(y, (batch, channels_out, *counts))
    if bias is not None:
        y = y + ops.reshape(bias, (channels_out,) + (1,) * n)
    return y[0] if single else y


def paddings_of(
    name: str, padding: Sizes | str, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], n: int
) -> list[int]:
    """Return the padding as ``pad`` takes it: left and right of each dimension, the last one first."""
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise OperationError(f"{name}: got padding={padding!r}; it needs 'same', 'valid' or numbers")
        if padding == "same" and any(s != 1 for s in stride):
            raise OperationError(f"{name}: padding='same' gives as many places as there are; it needs stride 1")
        total = [d * (k - 1) if padding == "same" else 0 for k, d in zip(kernel, dilation, strict=True)]
        return [side for t in reversed(total) for side in (t // 2, t - t // 2)]
    return [size for size in reversed(sizes_of(name, "padding", padding, n, 0)) for _ in range(2)]
