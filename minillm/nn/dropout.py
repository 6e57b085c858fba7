"""Dropout as a module, which works while training alone."""

from __future__ import annotations

from minillm.autograd.errors import OperationError
from minillm.nn import functional as F
from minillm.nn.module import Module
from minillm.ops import Tensor


class Dropout(Module):
    """While training: each element is zero with probability p, the others are divided by 1 - p.

    Args:
        p: from 0 to 1.
        inplace: write the result into the input.

    Example:
        >>> import minillm
        >>> layer = minillm.nn.Dropout(0.5).eval()
        >>> layer(minillm.ones(3))
        tensor([1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        if not 0 <= p <= 1:
            raise OperationError(f"Dropout: got p={p}; a probability needs to lie between 0 and 1")
        super().__init__()
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
