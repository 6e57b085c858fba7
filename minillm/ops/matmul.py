"""Matrix products.

y = a b,  da = dy b^T,  db = a^T dy.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from minillm.autograd.errors import OperationError
from minillm.autograd.function import Function
from minillm.backend import Array, is_array
from minillm.kernels import kernels_of
from minillm.ops.promotion import Binary, Number
from minillm.ops.shape import reshape

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


class Matmul(Function):
    """y = a b for stacks of matrices, whose leading dimensions broadcast; a vector is a row or a column."""

    @classmethod
    def explain(cls, a: Any, b: Any) -> str | None:
        if not (is_array(a) and is_array(b)):
            return "it needs two tensors"
        if not a.ndim or not b.ndim:
            return "both need at least one dimension; use * for numbers"
        if a.dtype != b.dtype or a.dtype.kind == "b":
            return "it needs numbers of one dtype"
        inner = a.shape[-1], b.shape[-2 if b.ndim > 1 else -1]
        if inner[0] != inner[1]:
            return f"the sizes that are summed over, {inner[0]} and {inner[1]}, need to be equal"
        return f"the leading dimensions {a.shape[:-2]} and {b.shape[:-2]} need to broadcast"

    def forward(self, a: Array, b: Array) -> Array:
        if not (is_array(a) and is_array(b)) or a.dtype != b.dtype or a.dtype.kind == "b":
            raise TypeError("the operands do not fit")
        self.save_for_backward(a if self.needs(1) else None, b if self.needs(0) else None)
        self.a_ndim, self.b_ndim = a.ndim, b.ndim
        product: Array = kernels_of(a).matmul(a, b)
        return product

    def backward(self, dy: Any) -> Any:
        a, b = self.saved
        if self.b_ndim == 1:
            dy, b = dy[..., None], None if b is None else b[:, None]
        if self.a_ndim == 1:
            dy, a = dy[..., None, :], None if a is None else a[None]
        da = None if b is None else matmul(dy, b.swapaxes(-1, -2))
        if a is None:
            return da, None
        if self.b_ndim <= 2 and a.ndim > 2:  # one product, and no sum over a stack of them
            rows = math.prod(a.shape[:-1])
            a, dy = reshape(a, (rows, a.shape[-1])), reshape(dy, (rows, dy.shape[-1]))
        db = matmul(a.swapaxes(-1, -2), dy)
        return da, db[..., 0] if self.b_ndim == 1 else db


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Return the matrix product over the last two dimensions; vectors count as a row and a column.

    Args:
        input: (..., n, k), or a vector (k,).
        other: (..., k, m), or a vector (k,).

    Returns:
        (..., n, m), without the dimension of a vector.

    Raises:
        OperationError: inner sizes that differ, dtypes that differ, or a number without dimensions.

    Example:
        >>> import minillm
        >>> minillm.matmul(minillm.tensor([[1.0, 2.0]]), minillm.tensor([3.0, 4.0]))
        tensor([11.])
    """
    return Matmul.apply(input, other)


def _needs_ndims(name: str, needs: str, *pairs: tuple[Any, int]) -> None:
    """Raise an error unless each tensor has its number of dimensions."""
    if any(x.ndim != ndim for x, ndim in pairs):
        raise OperationError(f"{name}: got shapes {[x.shape for x, _ in pairs]}; it needs {needs}")


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Return the product of two matrices.

    Example:
        >>> import minillm
        >>> minillm.mm(minillm.ones(2, 3), minillm.ones(3, 1))
        tensor([[3.],
                [3.]])
    """
    _needs_ndims("mm", "two matrices", (input, 2), (mat2, 2))
    return Matmul.apply(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Return the products of two stacks of matrices, (b, n, k) and (b, k, m).

    Example:
        >>> import minillm
        >>> minillm.bmm(minillm.ones(2, 1, 3), minillm.ones(2, 3, 1)).shape
        (2, 1, 1)
    """
    _needs_ndims("bmm", "(b, n, k) and (b, k, m)", (input, 3), (mat2, 3))
    if input.shape[0] != mat2.shape[0]:
        raise OperationError(f"bmm: got {input.shape[0]} matrices and {mat2.shape[0]}; it needs as many of both")
    return Matmul.apply(input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Return the product of a matrix and a vector.

    Example:
        >>> import minillm
        >>> minillm.mv(minillm.ones(2, 3), minillm.ones(3))
        tensor([3., 3.])
    """
    _needs_ndims("mv", "a matrix and a vector", (input, 2), (vec, 1))
    return matmul(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """Return the sum of the products of two vectors' elements.

    Example:
        >>> import minillm
        >>> minillm.dot(minillm.tensor([1.0, 2.0]), minillm.tensor([3.0, 4.0]))
        tensor(11.)
    """
    _needs_ndims("dot", "two vectors", (input, 1), (tensor, 1))
    return matmul(input, tensor)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Return all products of an element of one vector and one of another.

    Example:
        >>> import minillm
        >>> minillm.outer(minillm.tensor([1.0, 2.0]), minillm.tensor([3.0, 4.0]))
        tensor([[3., 4.],
                [6., 8.]])
    """
    _needs_ndims("outer", "two vectors", (input, 1), (vec2, 1))
    return reshape(input, (*input.shape, 1)) * vec2


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """Return beta * input + alpha * (mat1 @ mat2); input broadcasts to the product's shape.

    Example:
        >>> import minillm
        >>> minillm.addmm(minillm.ones(2), minillm.ones(1, 3), minillm.ones(3, 2), alpha=2)
        tensor([[7., 7.]])
    """
    product = mm(mat1, mat2) * alpha
    fits = input.dtype == product.dtype and Binary.explain(input, product) is None and input.ndim <= 2
    total = product + input * beta if beta and fits else product  # a beta of 0 hides even NaN
    if not fits or total.shape != product.shape:
        raise OperationError(
            f"addmm: got {input.dtype} {input.shape} for a product of {product.dtype} "
            f"{product.shape}; it needs that dtype, and to broadcast to that shape"
        )
    return total
