"""Normalisation as modules, with a learned scale and shift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minillm.autograd.errors import OperationError
from minillm.nn import functional as F
from minillm.nn import init
from minillm.nn.module import Module
from minillm.ops import Parameter, Tensor, empty, ones, tensor, zeros


def _sizes(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)


class LayerNorm(Module):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, over the last dimensions.

    Args:
        normalized_shape: the sizes of the dimensions that are normalised together; a number for the last.
        eps: added to the variance, against division by zero.
        elementwise_affine: learn a scale, which starts as ones, and a shift, which starts as zeros.
        bias: learn the shift.
        device: of the parameters.
        dtype: of the parameters.

    Attributes:
        weight: of the normalized_shape, or None.
        bias: likewise.

    Example:
        >>> import minillm
        >>> minillm.nn.LayerNorm(2)(minillm.tensor([[1.0, 3.0]]))
        tensor([[-1.0000,  1.0000]], grad_fn=<layer_norm>)
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True,
        bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        for name, wanted in (("weight", elementwise_affine), ("bias", elementwise_affine and bias)):
            self.register_parameter(
                name, Parameter(empty(self.normalized_shape, device=device, dtype=dtype)) if wanted else None
            )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the scale to ones and the shift to zeros."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(Module):
    """y = x / sqrt(mean(x^2) + eps) * weight, over the last dimensions.

    Args:
        normalized_shape: the sizes of the dimensions that are normalised together; a number for the last.
        eps: added to the mean square; the smallest step from 1 of the dtype by default.
        elementwise_affine: learn a scale, which starts as ones.
        device: of the scale.
        dtype: of the scale.

    Example:
        >>> import minillm
        >>> minillm.nn.RMSNorm(2, elementwise_affine=False)(minillm.tensor([[3.0, 4.0]]))
        tensor([[0.8485, 1.1314]])
    """

    weight: Parameter | None

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        scale = Parameter(empty(self.normalized_shape, device=device, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", scale)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the scale to ones."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class BatchNorm1d(Module):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, for each channel over the batch.

    While training, mean and variance are those of the batch, and running values follow them; while
    evaluating, the running values are used.

    Args:
        num_features: the number of channels, C.
        eps: added to the variance.
        momentum: the weight of a batch in the running values; None for the plain mean over all batches.
        affine: learn a scale and a shift for each channel.
        track_running_stats: keep running values; without them the batch's own are always used.
        device: of parameters and running values.
        dtype: of parameters and running values.

    Shape:
        (N, C) or (N, C, L) -> the same.

    Example:
        >>> import minillm
        >>> minillm.nn.BatchNorm1d(3)(minillm.randn(4, 3)).shape
        (4, 3)
    """

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        kind = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(ones(num_features, **kind)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(num_features, **kind)) if affine else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, **kind) if tracked else None)
        self.register_buffer("running_var", ones(num_features, **kind) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0, device=device) if tracked else None)

    def reset_running_stats(self) -> None:
        """Forget all batches."""
        if self.running_mean is not None and self.running_var is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Forget all batches, set the scale to ones and the shift to zeros."""
        self.reset_running_stats()
        if self.weight is not None and self.bias is not None:
            init.ones_(self.weight)
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (2, 3):
            raise OperationError(f"batch_norm: got shape {input.shape}; BatchNorm1d needs (N, C) or (N, C, L)")
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                momentum = 1.0 / int(self.num_batches_tracked)
        return F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or self.running_mean is None, momentum, self.eps,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )
