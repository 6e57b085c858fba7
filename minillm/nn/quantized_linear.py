"""A linear layer whose weight has one or two bytes a number: for inference, which then reads less memory."""

from __future__ import annotations

from typing import Any

from minillm.autograd.errors import OperationError
from minillm.autograd.function import Function, wrap
from minillm.backend import Array
from minillm.kernels import kernels_of
from minillm.nn.linear import Linear
from minillm.nn.module import Module
from minillm.ops import Tensor

__all__ = ["QUANTIZED", "QuantizedLinear"]

QUANTIZED = ("int8", "bfloat16")


class QuantizedProduct(Function):
    """y = x W^T + b with a quantised W; never recorded."""

    differentiable = False

    def forward(self, x: Array, weight: Array, scale: Array, bias: Array | None) -> Array:
        rows = x.reshape(-1, x.shape[-1]).astype("float32", copy=False)
        y: Any = kernels_of(x).quantized_linear(rows, weight, scale, bias)
        return y.reshape(*x.shape[:-1], len(weight)).astype(x.dtype, copy=False)


class QuantizedLinear(Module):
    """y = x W^T + b, W in int8 with a scale for each output, or in bfloat16; for inference alone.

    int8 holds W[o, i] as round(W[o, i] / scale[o]) with scale[o] = max_i |W[o, i]| / 127; bfloat16 is the first half
    of the bits of float32, rounded to even. x and y stay float32.

    Args:
        linear: the layer to quantise; it stays as it is.
        dtype: ``"int8"`` or ``"bfloat16"``.

    Shape:
        (..., in_features) -> (..., out_features).

    Attributes:
        weight: (out_features, in_features), int8; or int16, which holds the bits of bfloat16.
        scale: (out_features,); ones for bfloat16.
        bias: (out_features,), or None.

    Source: Dettmers et al., "LLM.int8()", 2022, arXiv:2208.07339, section 2.

    Example:
        >>> import minillm
        >>> layer = minillm.nn.Linear(64, 3)
        >>> x = minillm.randn(2, 64)
        >>> error = (QuantizedLinear(layer, "int8")(x) - layer(x)).abs().max()
        >>> bool(error < 0.05)
        True
    """

    def __init__(self, linear: Linear, dtype: str = "int8") -> None:
        if dtype not in QUANTIZED:
            raise ValueError(f"QuantizedLinear: got the dtype {dtype!r}; there are 'int8' and 'bfloat16'")
        array = linear.weight.array
        if array.dtype.itemsize < 4:
            raise ValueError(f"QuantizedLinear: got a weight of {array.dtype}; it needs float32 or float64")
        super().__init__()
        self.in_features, self.out_features, self.dtype_name = linear.in_features, linear.out_features, dtype
        weight, scale = kernels_of(array).quantize(array, dtype)
        self.register_buffer("weight", wrap(weight))
        self.register_buffer("scale", wrap(scale))
        bias = None if linear.bias is None else wrap(linear.bias.array.astype("float32"))
        self.register_buffer("bias", bias)

    def forward(self, input: Tensor) -> Tensor:
        if not input.ndim or input.shape[-1] != self.in_features:
            raise OperationError(
                f"QuantizedLinear: got an input of shape {tuple(input.shape)}; its last dimension needs to be "
                f"in_features = {self.in_features}"
            )
        if self.training and input.requires_grad:
            raise OperationError("QuantizedLinear: no gradient flows through it; train the float model")
        output: Tensor = QuantizedProduct.apply(input, self.weight, self.scale, self.bias)
        return output

    def arrays(self) -> tuple[Any, Any, Any]:
        """Return the arrays of weight, scale and bias (or None)."""
        weight, scale, bias = (self._buffers[name] for name in ("weight", "scale", "bias"))
        assert weight is not None
        assert scale is not None
        return weight.array, scale.array, None if bias is None else bias.array

    def extra_repr(self) -> str:
        bias = self._buffers["bias"] is not None
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={bias}, dtype={self.dtype_name}"
        )
