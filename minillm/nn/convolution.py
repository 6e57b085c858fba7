"""Convolution as modules; see :mod:`minillm.nn.functional.convolution`."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from minillm.autograd.errors import OperationError
from minillm.nn import functional as F
from minillm.nn import init
from minillm.nn.functional.convolution import paddings_of
from minillm.nn.functional.windows import Sizes, sizes_of
from minillm.nn.module import Module
from minillm.ops import Parameter, Tensor, empty

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """A convolution over the last ``num_dims`` dimensions."""

    num_dims: ClassVar[int]
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes | str = 0,
        dilation: Sizes = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        name, n = type(self).__name__, self.num_dims
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise OperationError(f"{name}: groups={groups} does not divide {in_channels} and {out_channels} channels")
        if padding_mode not in PADDING_MODES:
            known = ", ".join(PADDING_MODES)
            raise OperationError(f"{name}: got padding_mode={padding_mode!r}; it needs one of {known}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = sizes_of(name, "kernel_size", kernel_size, n, 1)
        self.stride = sizes_of(name, "stride", stride, n, 1)
        self.dilation = sizes_of(name, "dilation", dilation, n, 1)
        self.padding = padding if isinstance(padding, str) else sizes_of(name, "padding", padding, n, 0)
        self.groups, self.padding_mode = groups, padding_mode
        self._paddings = paddings_of(name, padding, self.kernel_size, self.stride, self.dilation, n)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        shift = Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", shift)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, evenly between -1 / sqrt(n) and 1 / sqrt(n) for n places in a window."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            places = math.prod(self.weight.shape[1:])
            bound = 1 / math.sqrt(places) if places else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        convolve = F.conv1d if self.num_dims == 1 else F.conv2d
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._paddings, mode=self.padding_mode)
            padding = 0
        return convolve(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += self._changed(padding=(0,) * self.num_dims, dilation=(1,) * self.num_dims, groups=1)
        text += ", bias=False" if self.bias is None else ""
        return text + self._changed(padding_mode="zeros")


class Conv1d(_Convolution):
    """A linear layer on each window of a sequence, (N, C_in, L) -> (N, C_out, L_out).

    Args:
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: places in a window.
        stride: the distance of windows.
        padding: on both sides, or ``"same"`` or ``"valid"``.
        dilation: the distance of the places within a window.
        groups: the channels are cut into so many parts that do not see each other.
        bias: add a learned vector.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        device: of the parameters.
        dtype: of the parameters.

    Attributes:
        weight: (out_channels, in_channels / groups, kernel_size).
        bias: (out_channels,), or None.

    Example:
        >>> import minillm
        >>> minillm.nn.Conv1d(3, 8, 5)(minillm.ones(2, 3, 20)).shape
        (2, 8, 16)
    """

    num_dims = 1


class Conv2d(_Convolution):
    """A linear layer on each window of an image, (N, C_in, H, W) -> (N, C_out, H_out, W_out).

    The arguments are those of :class:`Conv1d`; sizes may be pairs (height, width).

    Example:
        >>> import minillm
        >>> minillm.nn.Conv2d(3, 8, 3, padding=1)(minillm.ones(2, 3, 6, 6)).shape
        (2, 8, 6, 6)
    """

    num_dims = 2
