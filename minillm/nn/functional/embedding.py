"""Embedding: the row of a table for each number; and its inverse picture, one-hot vectors.

y = W[i];  dW[i] = the sum of dy over the places where i stood.
"""

from __future__ import annotations

from typing import Any

from minillm import ops
from minillm.autograd import no_grad
from minillm.autograd.errors import OperationError, OperationIndexError, OperationTypeError
from minillm.autograd.function import Function, wrap
from minillm.backend import Array, xp_of
from minillm.kernels import kernels_of
from minillm.ops import Tensor


def embedding_composite(indices: Any, weight: Any, padding_idx: int | None, scale_by_freq: bool) -> Any:
    """Return the rows of the table; what takes no part in the gradient is detached."""
    y = ops.getitem(weight, indices)
    if padding_idx is None and not scale_by_freq:
        return y
    share = ops.ones_like(y[..., :1].detach())
    if scale_by_freq:
        flat = ops.reshape(indices, (-1,))
        same = ops.unsqueeze(flat, 0) == ops.unsqueeze(flat, 1)
        share = share / ops.reshape(ops.sum(same, 1), share.shape)
    if padding_idx is not None:
        share = ops.where(ops.unsqueeze(indices == padding_idx, -1), 0.0, share)
    return y * share + y.detach() * (1 - share)


class Embedding(Function):
    """y = W[i],  dW = dy, added up by i."""

    composite = embedding_composite

    @classmethod
    def explain(cls, indices: Any, weight: Any, *rest: Any) -> str | None:
        if weight.ndim != 2:
            return "the weight needs two dimensions, (num_embeddings, embedding_dim)"
        return None

    def forward(self, indices: Array, weight: Array, padding_idx: int | None, scale_by_freq: bool) -> Array:
        if weight.ndim != 2:
            raise ValueError("the weight is no matrix")
        self.num_embeddings = weight.shape[0]
        self.padding_idx, self.scale_by_freq = padding_idx, scale_by_freq
        self.save_for_backward(indices)
        return kernels_of(weight).embedding(weight, indices)

    def backward(self, dy: Array) -> Any:
        (indices,) = self.saved
        dweight = kernels_of(dy).embedding_backward(
            dy, indices, self.num_embeddings, self.padding_idx, self.scale_by_freq
        )
        return None, dweight


def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """Return weight[input]: the row of the table for each number.

    Args:
        input: integers of any shape (...).
        weight: (num_embeddings, embedding_dim).
        padding_idx: a row that gets no gradient; a negative one counts from the end.
        max_norm: rows that are looked up and longer than this are shortened to it, in place.
        norm_type: the p of the norm that max_norm compares.
        scale_grad_by_freq: divide the gradient of a row by how often its number stands in the input.
        sparse: not offered; gradients are whole tables.

    Returns:
        (..., embedding_dim).

    Raises:
        OperationIndexError: a number that is not in the table.
        OperationTypeError: an input that does not hold integers.

    Example:
        >>> import minillm
        >>> table = minillm.tensor([[0.0, 0.0], [1.0, 10.0], [2.0, 20.0]])
        >>> minillm.nn.functional.embedding(minillm.tensor([2, 1]), table)
        tensor([[ 2., 20.],
                [ 1., 10.]])
    """
    if input.dtype.kind not in "iu":
        raise OperationTypeError(f"embedding: got an input of {input.dtype}; it needs integers: cast with .long()")
    padding_idx = padding_row("embedding", weight.shape[0] if weight.ndim else 0, padding_idx, sparse)
    if max_norm is not None:
        _shorten_rows(weight, input, max_norm, norm_type)
    return Embedding.apply(input, weight, padding_idx, scale_grad_by_freq)


def padding_row(name: str, num_embeddings: int, padding_idx: int | None, sparse: bool) -> int | None:
    """Return the row of padding counted from 0; raise an error if there is no such row, or for sparse gradients."""
    if sparse:
        raise OperationError(f"{name}: got sparse=True, but gradients are whole tables here; leave sparse=False")
    if padding_idx is None:
        return None
    if not -num_embeddings <= padding_idx < num_embeddings:
        raise OperationIndexError(
            f"{name}: got padding_idx={padding_idx}; a table of {num_embeddings} rows needs it to lie "
            f"between {-num_embeddings} and {num_embeddings - 1}"
        )
    return padding_idx % num_embeddings


def _shorten_rows(weight: Any, input: Any, max_norm: float, norm_type: float) -> None:
    """Scale the rows that are looked up and too long to the length ``max_norm``, in place."""
    with no_grad():
        indices = wrap(xp_of(input.array).unique(input.array))
        rows = embedding(indices, weight.detach())
        norms = (rows.abs() ** norm_type).sum(dim=1, keepdim=True) ** (1 / norm_type)
        factor = ops.where(norms > max_norm, max_norm / (norms + 1e-7), 1.0)
        weight.detach()[indices] = rows * factor


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Return vectors of zeros with a one at the place that each number names.

    Args:
        tensor: integers of any shape (...), not negative.
        num_classes: the length of the vectors; -1 for the largest number plus one.

    Returns:
        (..., num_classes), int64.

    Raises:
        OperationError: a number that is negative or too large, or none to tell the length from.

    Example:
        >>> import minillm
        >>> minillm.nn.functional.one_hot(minillm.tensor([0, 2]))
        tensor([[1, 0, 0],
                [0, 0, 1]])
    """
    if tensor.dtype.kind not in "iu":
        raise OperationTypeError(f"one_hot: got {tensor.dtype}; it needs integers")
    if tensor.numel():
        low, high = int(tensor.array.min()), int(tensor.array.max())
        if low < 0 or (num_classes != -1 and high >= num_classes):
            needs = f"between 0 and {num_classes - 1}" if num_classes != -1 else "not negative"
            raise OperationIndexError(f"one_hot: got numbers from {low} to {high}; they need to be {needs}")
        num_classes = high + 1 if num_classes == -1 else num_classes
    elif num_classes <= 0:
        raise OperationError("one_hot: got no numbers; it needs num_classes to tell the length")
    return (ops.unsqueeze(tensor, -1) == ops.arange(num_classes, device=tensor.device)).long()
