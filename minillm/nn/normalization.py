"""Normalisation as modules, with a learned scale and shift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minillm.autograd.errors import OperationError
from minillm.nn import functional as F
from minillm.nn import init
from minillm.nn.module import Module
from minillm.ops import Parameter, Tensor, empty, ones, tensor, zeros


class _Norm(Module):
    """A learned scale over the last dimensions."""

    weight: Parameter | None

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None, elementwise_affine: bool, **kind: Any
    ) -> None:
        super().__init__()
        sizes = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = sizes, eps, elementwise_affine
        self._learn("weight", elementwise_affine, **kind)

    def _learn(self, name: str, wanted: bool, **kind: Any) -> None:
        """Register a parameter of the normalised shape, or None."""
        self.register_parameter(name, Parameter(empty(self.normalized_shape, **kind)) if wanted else None)

    def reset_parameters(self) -> None:
        """Set the scale to ones, and the shift, if there is one, to zeros."""
        if self.weight is not None:
            init.ones_(self.weight)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LayerNorm(_Norm):
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

    eps: float
    bias: Parameter | None

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True,
        bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(normalized_shape, eps, elementwise_affine, device=device, dtype=dtype)
        self._learn("bias", elementwise_affine and bias, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.bias is not None:
            init.zeros_(self.bias)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, bias={self.bias is not None}"

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(_Norm):
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

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(normalized_shape, eps, elementwise_affine, device=device, dtype=dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)


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
        bias: learn the shift, too, where a scale is learned.

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
        track_running_stats: bool = True, device: Any = None, dtype: Any = None, *,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        kind = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(ones(num_features, **kind)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(num_features, **kind)) if affine and bias else None)
        stats = zeros(num_features, **kind), ones(num_features, **kind), tensor(0, device=device)
        for name, value in zip(("running_mean", "running_var", "num_batches_tracked"), stats, strict=True):
            self.register_buffer(name, value if track_running_stats else None)

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
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
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
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )
