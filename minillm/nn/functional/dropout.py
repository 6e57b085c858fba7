"""Dropout: while training, each element is zero with probability p, so that none can be relied on.

y = x keep / (1 - p), where keep is drawn anew each time; the mean stays.

Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 2014.
"""

from __future__ import annotations

from typing import Any

from minillm.autograd.errors import OperationError
from minillm.autograd.function import Function
from minillm.backend import Array, default_generator, device_of
from minillm.kernels import kernels_of
from minillm.ops import Tensor


class Dropout(Function):
    """y = x keep scale,  dx = dy keep scale."""

    def forward(self, x: Array, keep: Array, scale: float) -> Array:
        self.scale = scale
        self.save_constants(keep)
        return kernels_of(x).dropout(x, keep, scale)

    def backward(self, dy: Any) -> Any:
        (keep,) = self.constants
        return Dropout.apply(dy, keep, self.scale)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Return the input with each element zero with probability ``p``, the others divided by 1 - p.

    Args:
        input: floats of any shape.
        p: from 0 to 1.
        training: False returns the input itself.
        inplace: write the result into the input.

    Raises:
        OperationError: a probability out of range.

    Example:
        >>> import minillm
        >>> _ = minillm.manual_seed(0)
        >>> sorted({round(y, 2) for y in minillm.nn.functional.dropout(minillm.ones(100), 0.2).tolist()})
        [0.0, 1.25]
    """
    if not 0 <= p <= 1:
        raise OperationError(f"dropout: got p={p}; a probability needs to lie between 0 and 1")
    if not training or p == 0:
        return input
    array = getattr(input, "array", input)
    keep = default_generator().keep_mask(array.shape, 1 - p, device_of(array))
    result = Dropout.apply(input, keep, 1 / (1 - p) if p < 1 else 0.0)
    return input._become("dropout_", result) if inplace else result
