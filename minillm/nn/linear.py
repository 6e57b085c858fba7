"""The linear layer, and the layer that does nothing."""

from __future__ import annotations

import math
from typing import Any

from minillm.autograd.errors import OperationError
from minillm.nn import functional as F
from minillm.nn import init
from minillm.nn.module import Module
from minillm.ops import Parameter, Tensor, empty


class Linear(Module):
    """y = x W^T + b.

    Weight and bias start evenly between -1 / sqrt(in_features) and 1 / sqrt(in_features), as in PyTorch.

    Args:
        in_features: the size of the last dimension of the input.
        out_features: the size of the last dimension of the output.
        bias: add a learned vector.
        device: of the parameters.
        dtype: of the parameters.

    Shape:
        (..., in_features) -> (..., out_features).

    Attributes:
        weight: (out_features, in_features).
        bias: (out_features,), or None.

    Example:
        >>> import minillm
        >>> layer = minillm.nn.Linear(2, 3)
        >>> layer(minillm.ones(4, 2)).shape
        (4, 3)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        if in_features < 0 or out_features < 0:
            raise OperationError(f"Linear: got sizes {in_features} and {out_features}; they may not be negative")
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty(out_features, in_features, device=device, dtype=dtype))
        shift = Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", shift)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(max(self.in_features, 1))
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Identity(Module):
    """y = x; it takes the place of a module that is to be left out, and any arguments.

    Example:
        >>> import minillm
        >>> minillm.nn.Identity(54, unused=True)(minillm.ones(2))
        tensor([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Flatten(Module):
    """y = x with the dimensions from ``start_dim`` to ``end_dim`` in one.

    Args:
        start_dim: the first of them; the batch stays by default.
        end_dim: the last of them.

    Example:
        >>> import minillm
        >>> minillm.nn.Flatten()(minillm.ones(2, 3, 4)).shape
        (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
