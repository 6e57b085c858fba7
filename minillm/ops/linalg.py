"""Norms: the lengths of vectors and matrices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from minillm.autograd.errors import OperationError
from minillm.ops.choice import where
from minillm.ops.pointwise import abs
from minillm.ops.promotion import cast, refuse
from minillm.ops.reduction import Dims, reduced_dims, safe_sqrt, sum
from minillm.ops.search import amax, amin
from minillm.ops.shape import dims_of, reshape

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


def vector_norm(x: Tensor, ord: float = 2, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return (sum |x|^ord)^(1/ord) over ``dim``; the largest or smallest of ``|x|`` for an infinite one.

    Args:
        x: floats.
        ord: 2 for the length; 0 counts what is not zero.
        dim: what to reduce; None for all.
        keepdim: keep the reduced dimensions with size 1.
        dtype: cast to this first.

    Example:
        >>> import minillm
        >>> minillm.linalg.vector_norm(minillm.tensor([3.0, 4.0]))
        tensor(5.)
    """
    x = x if dtype is None else cast(x, dtype)
    refuse("vector_norm", "biu", x)
    dims = reduced_dims("vector_norm", x, dim)
    if ord == math.inf:
        return amax(abs(x), dims, keepdim) if dims else abs(x)
    if ord == -math.inf:
        return amin(abs(x), dims, keepdim) if dims else abs(x)
    if ord == 0:
        return _sum(cast(x != 0, x.dtype), dims, keepdim)
    if ord == 1:
        return _sum(abs(x), dims, keepdim)
    if ord == 2:
        return safe_sqrt(_sum(x * x, dims, keepdim))
    absent = x == 0  # where the derivative of the power may be infinite, and that of the norm is 0
    total = _sum(where(absent, 0.0 if ord > 0 else math.inf, where(absent, 1.0, abs(x)) ** ord), dims, keepdim)
    return where(total == 0, 0.0, where(total == 0, 1.0, total) ** (1 / ord))


def _sum(x: Any, dims: tuple[int, ...], keepdim: bool) -> Any:
    return sum(x, dims, keepdim) if dims else x


def norm(A: Tensor, ord: Any = None, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the norm of a vector, or of a matrix where ``ord`` or two dims ask for that.

    Args:
        A: floats.
        ord: None for the length of all elements; of a matrix ``"fro"``, or 1, -1, inf, -inf: the largest or
            smallest sum of absolute values of a column or row.
        dim: one dimension for vectors, two for matrices.
        keepdim: keep the reduced dimensions with size 1.
        dtype: cast to this first.

    Raises:
        OperationError: an ``ord`` that needs singular values.

    Example:
        >>> import minillm
        >>> minillm.linalg.norm(minillm.tensor([[3.0, 0.0], [0.0, 4.0]])), minillm.linalg.norm(minillm.eye(3), 1)
        (tensor(5.), tensor(1.))
    """
    if ord is None or isinstance(dim, int) or (dim is not None and len(dim) == 1) or (dim is None and A.ndim == 1):
        return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)
    dims = dims_of("norm", A.ndim, range(A.ndim) if dim is None else dim)
    if len(dims) != 2:
        raise OperationError(f"norm: got ord={ord!r} for dims {dims}; the norm of a matrix needs two")
    if ord == "fro":
        return vector_norm(A, 2, dims, keepdim, dtype=dtype)
    if ord not in (1, -1, math.inf, -math.inf):
        raise OperationError(f"norm: ord={ord!r} of a matrix needs singular values, which are not offered")
    summed, chosen = dims if ord in (1, -1) else dims[::-1]
    sums = vector_norm(A, 1, summed, keepdim=True, dtype=dtype)
    result = (amax if ord > 0 else amin)(sums, chosen, keepdim=True)
    return result if keepdim else reshape(result, [n for i, n in enumerate(A.shape) if i not in dims])


def norm_of(input: Tensor, p: Any = "fro", dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the ``p``-norm of all elements, or over ``dim``: ``minillm.norm``, PyTorch's older face.

    Example:
        >>> import minillm
        >>> minillm.norm(minillm.tensor([3.0, 4.0])), minillm.norm(minillm.tensor([3.0, 4.0]), 1)
        (tensor(5.), tensor(7.))
    """
    if p is not None and not isinstance(p, int | float) and p != "fro":
        raise OperationError(f"norm: got p={p!r}; it needs a number or 'fro'")
    return vector_norm(input, p if isinstance(p, int | float) else 2, dim, keepdim, dtype=dtype)
