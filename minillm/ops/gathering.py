"""Taking and putting elements along one dimension, by indices: all of it by way of ``Getitem`` and ``IndexPut``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minillm.autograd.errors import OperationError, OperationIndexError, OperationTypeError
from minillm.backend import xp_of
from minillm.ops.indexing import IndexPut, getitem
from minillm.ops.repetition import broadcast_to
from minillm.ops.shape import dim_of, reshape

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


def _checked(name: str, input: Any, dim: int, index: Any) -> tuple[int, Any]:
    """Return the dimension from 0 and the index as an array, or raise an error for what cannot be."""
    dim = dim_of(name, input.ndim, dim)
    array = getattr(index, "array", index)
    if array.dtype not in ("int64", "int32"):
        raise OperationTypeError(f"{name}: got an index of {array.dtype}; it needs int64 or int32")
    size = input.shape[dim] if input.ndim else 1
    if array.size and (int(array.min()) < 0 or int(array.max()) >= size):
        raise OperationIndexError(
            f"{name}: got indices from {int(array.min())} to {int(array.max())}; "
            f"they need to lie between 0 and {size - 1}"
        )
    return dim, array


def _along(name: str, input: Any, dim: int, index: Any, source: Any = None) -> tuple[Any, ...]:
    """Return the full index that takes ``index`` along ``dim`` and the same place elsewhere."""
    dim, array = _checked(name, input, dim, index)
    shape, own = array.shape, input.shape
    if max(len(shape), 1) != max(len(own), 1):
        raise OperationError(
            f"{name}: got an index of shape {shape} for shape {own}; they need the same number of dimensions"
        )
    for limit, but in ((own, dim), (shape if source is None else source.shape, -1)):
        if array.size and any(n > m for d, (n, m) in enumerate(zip(shape, limit)) if d != but):  # noqa: B905
            raise OperationError(
                f"{name}: got an index of shape {shape} for shape {limit}; it may not be larger"
                + (f", but in dimension {dim}" if but == dim else "")
            )
    if not input.ndim:
        return () if not array.ndim else (None,) * array.ndim
    xp = xp_of(array)
    grids = [xp.arange(n).reshape([n if e == d else 1 for e in range(len(shape))]) for d, n in enumerate(shape)]
    grids[dim:] = [array, *grids[dim + 1 :]]
    return tuple(grids)


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Return the elements that ``index`` names along ``dim``: y[i][j] = x[index[i][j]][j] for dim 0.

    Args:
        input: any shape.
        dim: the dimension that the indices count along.
        index: integers, with as many dimensions as ``input``, none larger but ``dim``.

    Returns:
        The shape of ``index``.

    Example:
        >>> import minillm
        >>> minillm.gather(minillm.tensor([[1, 2], [3, 4]]), 1, minillm.tensor([[0], [1]]))
        tensor([[1],
                [4]])
    """
    return getitem(input, _along("gather", input, dim, index))


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Return :func:`gather`, where other dimensions broadcast; for None, of the flattened tensor.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([[3.0, 1.0, 2.0]])
        >>> minillm.take_along_dim(x, x.argsort(1), 1)
        tensor([[1., 2., 3.]])
    """
    if dim is None:
        return gather(reshape(input, (-1,)), 0, reshape(indices, (-1,)))
    dim = dim_of("take_along_dim", input.ndim, dim)
    if input.ndim != indices.ndim:
        raise OperationError(
            f"take_along_dim: got shapes {input.shape} and {indices.shape}; they need the same number of dimensions"
        )
    one = [1 if d == dim else n for d, n in enumerate(input.shape)]
    other = [1 if d == dim else n for d, n in enumerate(indices.shape)]
    shape = np.broadcast_shapes(tuple(one), tuple(other))
    input = broadcast_to(input, [*shape[:dim], input.shape[dim], *shape[dim + 1 :]])
    return gather(input, dim, broadcast_to(indices, [*shape[:dim], indices.shape[dim], *shape[dim + 1 :]]))


def scatter(input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None) -> Tensor:
    """Return input with the elements of ``src`` (or a number) written where ``index`` names along ``dim``.

    Args:
        input: floats or integers.
        dim: along which ``index`` counts.
        index: integers, of as many dimensions as the input.
        src: a tensor that is at least as large as the index, or a number.
        value: the number, by PyTorch's other name.

    Raises:
        OperationError: shapes that do not fit.
        OperationTypeError: dtypes that differ, or neither or both of src and value.

    Example:
        >>> import minillm
        >>> minillm.scatter(minillm.zeros(3), 0, minillm.tensor([2]), 5.0)
        tensor([0., 0., 5.])
    """
    if (src is None) == (value is None):
        raise OperationTypeError(f"scatter: got src={src!r} and value={value!r}; it needs one of them")
    return _scattered("scatter", input, dim, index, value if src is None else src, False)


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """Return input with the elements of ``src`` added at the places that ``index`` names along ``dim``.

    Example:
        >>> import minillm
        >>> i, ones = minillm.tensor([0, 0, 2]), minillm.ones(3)
        >>> minillm.scatter_add(minillm.zeros(3), 0, i, ones)
        tensor([2., 0., 1.])
    """
    return _scattered("scatter_add", input, dim, index, src, True)


def _scattered(name: str, input: Any, dim: int, index: Any, src: Any, accumulate: bool) -> Any:
    places = _along(name, input, dim, index, src if hasattr(src, "shape") and src.shape else None)
    if hasattr(src, "dtype"):
        if src.dtype != input.dtype:
            raise OperationTypeError(f"{name}: got {src.dtype} values for {input.dtype}; it needs one dtype")
        src = getitem(src, tuple(slice(0, n) for n in index.shape)) if src.ndim else src
    return IndexPut.apply(input, src, places, accumulate)


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Return the slices of ``dim`` that ``index``, a vector of integers, names.

    Example:
        >>> import minillm
        >>> minillm.index_select(minillm.tensor([[1, 2], [3, 4]]), 1, minillm.tensor([1, 1]))
        tensor([[2, 2],
                [4, 4]])
    """
    dim, array = _vector("index_select", input, dim, index)
    return getitem(input, (slice(None),) * dim + (array,)) if input.ndim else input[()]


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """Return input with the slices of ``source``, times ``alpha``, added at the places of ``dim`` that index names.

    Example:
        >>> import minillm
        >>> minillm.index_add(minillm.zeros(3), 0, minillm.tensor([0, 0]), minillm.tensor([1.0, 2.0]))
        tensor([3., 0., 0.])
    """
    dim, array = _vector("index_add", input, dim, index)
    needs = (*input.shape[:dim], array.shape[0], *input.shape[dim + 1 :]) if input.ndim else ()
    if source.shape != needs or source.dtype != input.dtype:
        raise OperationError(
            f"index_add: got a source of {source.dtype} {source.shape}; it needs {input.dtype} {needs}"
        )
    source = source if alpha == 1 else source * alpha
    return IndexPut.apply(input, source, (slice(None),) * dim + (array,), True) if input.ndim else input + source


def _vector(name: str, input: Any, dim: int, index: Any) -> tuple[int, Any]:
    """Return the dimension and the index, checked, as a vector."""
    dim, array = _checked(name, input, dim, index)
    if array.ndim > 1:
        raise OperationError(f"{name}: got an index of shape {array.shape}; it needs a vector")
    return dim, array.reshape(-1)
