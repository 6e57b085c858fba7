"""Pooling as modules; see :mod:`minillm.nn.functional.pooling`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from minillm.nn import functional as F
from minillm.nn.functional.windows import Sizes
from minillm.nn.module import Module
from minillm.ops import Tensor


class _Pool(Module):
    """Windows of a size at a distance, over an input with padding."""

    def __init__(self, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, ceil_mode: bool) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _MaxPool(_Pool):
    """The largest element of each window."""

    pool: ClassVar[Callable[..., Any]]

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
        return_indices: bool = False, ceil_mode: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.dilation, self.return_indices = dilation, return_indices

    def forward(self, input: Tensor) -> Any:
        return self.pool(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, dilation={self.dilation}, ceil_mode={self.ceil_mode}"


class MaxPool1d(_MaxPool):
    """The largest element of each window of a sequence; see ``functional.max_pool1d``.

    Example:
        >>> import minillm
        >>> minillm.nn.MaxPool1d(2)(minillm.tensor([[1.0, 3.0, 2.0, 0.0]]))
        tensor([[3., 2.]])
    """

    pool = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """The largest element of each window of an image; see ``functional.max_pool2d``.

    Example:
        >>> import minillm
        >>> minillm.nn.MaxPool2d(2)(minillm.ones(1, 3, 6, 6)).shape
        (1, 3, 3, 3)
    """

    pool = staticmethod(F.max_pool2d)


class _AvgPool(_Pool):
    """The mean of each window."""

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = count_include_pad


class AvgPool1d(_AvgPool):
    """The mean of each window of a sequence; see ``functional.avg_pool1d``.

    Example:
        >>> import minillm
        >>> minillm.nn.AvgPool1d(2)(minillm.tensor([[1.0, 3.0, 2.0, 0.0]]))
        tensor([[2., 1.]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(_AvgPool):
    """The mean of each window of an image; see ``functional.avg_pool2d``.

    Example:
        >>> import minillm
        >>> minillm.nn.AvgPool2d(2)(minillm.ones(1, 3, 6, 6)).shape
        (1, 3, 3, 3)
    """

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override,
        )  # fmt: skip
