"""The linear layer, y = x W^T + b, alone and with GELU behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minillm.autograd.errors import OperationError
from minillm.autograd.function import Function
from minillm.backend import Array
from minillm.kernels import kernels_of
from minillm.nn.functional.activation import gelu_composite, gelu_tanh_composite

if TYPE_CHECKING:
    from minillm.ops import Tensor


def linear_composite(input: Any, weight: Any, bias: Any = None) -> Any:
    """Return x W^T + b as a formula of operations."""
    y = input @ weight.swapaxes(-1, -2)
    return y if bias is None else y + bias


class Linear(Function):
    """y = x W^T + b,  dx = dy W,  dW = dy^T x,  db = sum of dy."""

    composite = linear_composite

    @classmethod
    def explain(cls, x: Any, weight: Any, bias: Any = None) -> str | None:
        if weight.ndim != 2:
            return "the weight needs two dimensions, (out_features, in_features)"
        if not x.ndim or x.shape[-1] != weight.shape[1]:
            return (
                f"the last dimension of the input needs to be in_features = {weight.shape[1]}, "
                "the second of the weight"
            )
        if bias is not None and bias.shape != weight.shape[:1]:
            return f"the bias needs shape ({weight.shape[0]},), the first dimension of the weight"
        if x.dtype != weight.dtype or (bias is not None and bias.dtype != x.dtype):
            return "input, weight and bias need the same dtype; cast with .to(...)"
        return None

    def forward(self, x: Array, weight: Array, bias: Array | None) -> Array:
        dtype = x.dtype  # compared by identity first, which takes a fifth of the time
        if weight.dtype is not dtype or (bias is not None and (bias.dtype is not dtype or len(bias) != len(weight))):
            _check(x, weight, bias)
        on_x, on_weight, _ = self.edges
        self.saved = (None if on_weight is None else x, None if on_x is None else weight)
        return kernels_of(x).linear(x, weight, bias)

    def backward(self, dy: Array) -> Any:
        x, weight = self.saved
        return kernels_of(dy).linear_backward(dy, x, weight, self.edges[2] is not None)


def _check(x: Array, weight: Array, bias: Array | None) -> None:
    """Refuse what NumPy would compute; what is said of it is :meth:`Linear.explain`'s."""
    if weight.dtype != x.dtype:
        raise TypeError("the dtypes differ")
    if bias is not None and (len(bias) != len(weight) or bias.dtype != x.dtype):
        raise ValueError("the bias does not fit")


def linear_gelu_composite(input: Any, weight: Any, bias: Any = None, tanh: bool = False) -> Any:
    """Return GELU of x W^T + b as a formula of operations."""
    return (gelu_tanh_composite if tanh else gelu_composite)(linear_composite(input, weight, bias))


class LinearGelu(Function):
    """y = GELU(h),  h = x W^T + b;  dh = dy GELU'(h), and from it the gradients of the linear map."""

    composite = linear_gelu_composite

    @classmethod
    def explain(cls, x: Any, weight: Any, bias: Any = None, tanh: bool = False) -> str | None:
        return Linear.explain(x, weight, bias)

    def forward(self, x: Array, weight: Array, bias: Array | None, tanh: bool) -> Array:
        _check(x, weight, bias)
        self.kernels, self.tanh = kernels_of(x), tanh  # sets differ in what they save
        on_x, on_weight, on_bias, _ = self.edges
        recorded = any(edge is not None for edge in (on_x, on_weight, on_bias))
        y, saved = self.kernels.linear_gelu(x, weight, bias, tanh, recorded)
        self.saved = (None if on_weight is None else x, None if on_x is None else weight, saved)
        return y

    def backward(self, dy: Array) -> Any:
        x, weight, saved = self.saved
        dh = (self.kernels.gelu_tanh_backward if self.tanh else self.kernels.gelu_backward)(dy, saved)
        return self.kernels.linear_backward(dh, x, weight, self.edges[2] is not None)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return input W^T + bias.

    Args:
        input: (..., in_features).
        weight: (out_features, in_features), or a vector (in_features,) for a single output.
        bias: (out_features,), or None; a single number for a vector.

    Returns:
        (..., out_features), without the last dimension for a vector.

    Raises:
        OperationError: sizes or dtypes that do not fit.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.linear(minillm.ones(1, 2), minillm.tensor([[1.0, 2.0]]), minillm.tensor([0.5]))
        tensor([[3.5000]])
    """
    if len(weight.shape) == 1:
        y = input @ weight
        return y if bias is None else y + bias
    return Linear.apply(input, weight, bias)


def linear_gelu(input: Tensor, weight: Tensor, bias: Tensor | None = None, approximate: str = "none") -> Tensor:
    """Return gelu(linear(input, weight, bias), approximate) in one operation.

    Args:
        input: (..., in_features).
        weight: (out_features, in_features).
        bias: (out_features,), or None.
        approximate: "none" or "tanh"; see :func:`~minillm.nn.functional.gelu`.

    Returns:
        (..., out_features).

    Raises:
        OperationError: sizes or dtypes that do not fit, or another ``approximate``.

    Example:
        >>> import minillm
        >>> from minillm.nn import functional as F
        >>> F.linear_gelu(minillm.ones(1, 2), minillm.tensor([[1.0, 2.0]]), minillm.tensor([-2.0]))
        tensor([[0.8413]])
    """
    if approximate not in ("none", "tanh"):
        raise OperationError(f"linear_gelu: got approximate={approximate!r}; it needs to be 'none' or 'tanh'")
    return LinearGelu.apply(input, weight, bias, approximate == "tanh")
