"""A table with a learned vector for each number: words, positions, classes."""

from __future__ import annotations

from typing import Any

from minillm.autograd import no_grad
from minillm.autograd.errors import OperationError
from minillm.nn import functional as F
from minillm.nn import init
from minillm.nn.functional.embedding import padding_row
from minillm.nn.module import Module
from minillm.ops import Parameter, Tensor, empty


class Embedding(Module):
    """y = W[x]: the row of the table for each number.

    The table starts from the normal distribution, as in PyTorch.

    Args:
        num_embeddings: the number of rows; inputs lie between 0 and num_embeddings - 1.
        embedding_dim: the length of a row.
        padding_idx: a row that starts as zeros and gets no gradient; a negative one counts from the end.
        max_norm: rows that are looked up and longer than this are shortened to it, in place.
        norm_type: the p of the norm that ``max_norm`` compares.
        scale_grad_by_freq: divide the gradient of a row by how often its number stands in the input.
        sparse: not offered; gradients are whole tables.
        device: of the table.
        dtype: of the table.

    Shape:
        integers (...) -> (..., embedding_dim).

    Attributes:
        weight: (num_embeddings, embedding_dim).

    Example:
        >>> import minillm
        >>> table = minillm.nn.Embedding(10, 3)
        >>> table(minillm.tensor([[1, 2, 4, 5]])).shape
        (1, 4, 3)
    """

    weight: Parameter

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False, _weight: Tensor | None = None,
        _freeze: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if num_embeddings < 0 or embedding_dim < 0:
            raise OperationError(f"Embedding: got sizes {num_embeddings} and {embedding_dim}; they may not be negative")
        padding_idx = padding_row("Embedding", num_embeddings, padding_idx, sparse)
        super().__init__()
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        if _weight is None:
            table = empty(num_embeddings, embedding_dim, device=device, dtype=dtype)
            self.weight = Parameter(table, requires_grad=not _freeze)
            self.reset_parameters()
        else:
            if _weight.shape != (num_embeddings, embedding_dim):
                raise OperationError(
                    f"Embedding: got a table of shape {_weight.shape}; it needs ({num_embeddings}, {embedding_dim})"
                )
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    def reset_parameters(self) -> None:
        """Draw the table anew; the padding row becomes zero."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
    ) -> Embedding:  # fmt: skip
        """Return an embedding on a table that is there already, in its memory.

        Args:
            embeddings: (num_embeddings, embedding_dim), floats.
            freeze: keep the table as it is, without a gradient.
            padding_idx: as in :class:`Embedding`, but the row is left as it is.
            max_norm: as in :class:`Embedding`.
            norm_type: as in :class:`Embedding`.
            scale_grad_by_freq: as in :class:`Embedding`.
            sparse: as in :class:`Embedding`.

        Example:
            >>> import minillm
            >>> table = minillm.nn.Embedding.from_pretrained(minillm.tensor([[1.0, 2.3], [4.0, 5.1]]))
            >>> table(minillm.tensor([1]))
            tensor([[4.0000, 5.1000]])
        """
        if embeddings.ndim != 2:
            raise OperationError(
                f"Embedding.from_pretrained: got shape {embeddings.shape}; it needs a matrix, "
                "(num_embeddings, embedding_dim)"
            )
        rows, columns = embeddings.shape
        return cls(
            rows, columns, padding_idx=padding_idx, max_norm=max_norm, norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq, sparse=sparse, _weight=embeddings, _freeze=freeze,
        )  # fmt: skip

    def extra_repr(self) -> str:
        changed = self._changed(padding_idx=None, max_norm=None, norm_type=2, scale_grad_by_freq=False)
        return f"{self.num_embeddings}, {self.embedding_dim}{changed}"
