"""Batches of sequences of different lengths: padded to the longest, or packed step by step.

    >>> import minillm
    >>> from minillm.nn.utils.rnn import pack_sequence
    >>> a, b, c = minillm.tensor([1, 2, 3]), minillm.tensor([4, 5]), minillm.tensor([6])
    >>> pack_sequence([a, b, c])
    PackedSequence(data=tensor([1, 4, 6, 2, 5, 3]), batch_sizes=tensor([3, 2, 1]),
                   sorted_indices=None, unsorted_indices=None)

Packed, no step is computed for padding, and a reverse direction begins at each sequence's own end. All
that the packing moves is one gather, of rows ``step * B + sequence`` of the padded batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minillm import ops
from minillm.autograd.errors import OperationError
from minillm.autograd.function import Function, wrap
from minillm.backend import Array, to_numpy, xp_of
from minillm.ops import Tensor


class TakeRows(Function):
    """y = x[places], rows that are taken once at most,  dx = zeros with dy in these places."""

    def forward(self, x: Array, places: Array) -> Array:
        self.rows = len(x)
        self.save_constants(places)
        return x[places]

    def backward(self, dy: Any) -> Any:
        (places,) = self.constants
        return PutRows.apply(dy, places, self.rows, 0.0)


class PutRows(Function):
    """y = ``rows`` rows of one value, but x in some places, each once,  dx = dy[places]."""

    def forward(self, x: Array, places: Array, rows: int, value: float) -> Array:
        self.save_constants(places)
        y = xp_of(x).full((rows, *x.shape[1:]), value, x.dtype)
        y[places] = x
        return y

    def backward(self, dy: Any) -> Any:
        (places,) = self.constants
        return TakeRows.apply(dy, places)


class _PackedFields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_PackedFields):
    """A batch of sequences of different lengths, step by step and without padding.

    Made by :func:`pack_padded_sequence` and :func:`pack_sequence`; the recurrent modules take it and
    return one.

    Attributes:
        data: (N, ...), the rows of step 0, then those of step 1, and so on, the longest sequence first.
        batch_sizes: of each step the number of sequences that are still running; integers on the CPU.
        sorted_indices: the numbers of the sequences in the order of their lengths, or None where they
            were in this order.
        unsorted_indices: the inverse order.

    Example:
        >>> import minillm
        >>> from minillm.nn.utils.rnn import pack_padded_sequence
        >>> padded = minillm.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
        >>> packed = pack_padded_sequence(padded, [2, 1, 3], batch_first=True, enforce_sorted=False)
        >>> packed.data, packed.batch_sizes
        (tensor([4, 1, 3, 5, 2, 6]), tensor([3, 2, 1]))
    """

    __slots__ = ()

    def __new__(
        cls, data: Any, batch_sizes: Tensor | None = None, sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:  # fmt: skip
        if batch_sizes is None:
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise OperationError("PackedSequence: it needs data and batch_sizes")
            data, batch_sizes = data
        if batch_sizes.device.type != "cpu":
            raise OperationError(f"PackedSequence: batch_sizes is on {batch_sizes.device}; it needs to be on the CPU")
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Return the batch with its data on another device or in another dtype; see ``Tensor.to``."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        order, inverse = (
            None if i is None else i.to(data.device) for i in (self.sorted_indices, self.unsorted_indices)
        )
        return PackedSequence(data, self.batch_sizes, order, inverse)

    def cpu(self) -> PackedSequence:
        """Return the batch on the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> PackedSequence:
        """Return the batch on the GPU."""
        return self.to(self.data.cuda(device).device)

    def float(self) -> PackedSequence:
        """Return the batch in float32."""
        return self.to("float32")

    def double(self) -> PackedSequence:
        """Return the batch in float64."""
        return self.to("float64")

    def half(self) -> PackedSequence:
        """Return the batch in float16."""
        return self.to("float16")

    def long(self) -> PackedSequence:
        """Return the batch in int64."""
        return self.to("int64")

    def int(self) -> PackedSequence:
        """Return the batch in int32."""
        return self.to("int32")

    @property
    def is_cuda(self) -> bool:
        """Whether the data is on a GPU."""
        return bool(self.data.device.type == "cuda")


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """Return the order that undoes ``permutation``.

    Example:
        >>> import minillm
        >>> minillm.nn.utils.rnn.invert_permutation(minillm.tensor([2, 0, 1]))
        tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    array = permutation.array
    inverse = xp_of(array).empty_like(array)
    inverse[array] = xp_of(array).arange(len(array), dtype=array.dtype)
    return wrap(inverse)


def _host_integers(name: str, values: Any) -> np.ndarray[Any, Any]:
    """Return lengths, however they were given, as a vector of integers on the host."""
    array = np.asarray(to_numpy(values.array) if isinstance(values, Tensor) else values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise OperationError(
            f"{name}: got lengths of shape {array.shape} and dtype {array.dtype}; it needs one integer for "
            "each sequence"
        )
    return array.astype(np.int64)


def _on_device_of(x: Tensor, values: np.ndarray[Any, Any]) -> Array:
    """Return integers of the host as an array on the device of ``x``."""
    return xp_of(x.array).asarray(values)


def _places(batch_sizes: np.ndarray[Any, Any], order: np.ndarray[Any, Any], batch: int) -> Any:
    """Return for each packed row its row, step * B + sequence, of the padded batch."""
    return np.concatenate([t * batch + order[:n] for t, n in enumerate(batch_sizes)])


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Return a padded batch without its padding.

    Args:
        input: (T, B, ...), or (B, T, ...) with ``batch_first``; what lies behind a sequence's length is
            left out.
        lengths: B integers from 1 to T.
        batch_first: whether the first dimension of ``input`` is the batch.
        enforce_sorted: the sequences come longest first, else it is an error; False sorts them.

    Raises:
        OperationError: lengths that do not fit the input, or are not sorted.

    Example:
        >>> import minillm
        >>> from minillm.nn.utils.rnn import pack_padded_sequence
        >>> padded = minillm.tensor([[1, 2, 3], [4, 5, 0]])
        >>> pack_padded_sequence(padded, [3, 2], batch_first=True).data
        tensor([1, 4, 2, 5, 3])
    """
    name = "pack_padded_sequence"
    if input.ndim < 2:
        raise OperationError(f"{name}: got shape {input.shape}; it needs (T, B, ...) or (B, T, ...)")
    if batch_first:
        input = ops.transpose(input, 0, 1)
    steps, batch = input.shape[:2]
    sizes = _host_integers(name, lengths)
    if len(sizes) != batch:
        raise OperationError(f"{name}: got {len(sizes)} lengths for a batch of {batch} sequences")
    if not batch:
        raise OperationError(f"{name}: got an empty batch; it needs at least one sequence")
    if sizes.min() < 1:
        raise OperationError(f"{name}: got a length of {sizes.min()}; every sequence needs at least one step")
    if sizes.max() > steps:
        raise OperationError(f"{name}: got a length of {sizes.max()}; the input has {steps} steps")
    order = np.arange(batch)
    if not enforce_sorted:
        order = np.argsort(-sizes, kind="stable")
    elif np.any(sizes[1:] > sizes[:-1]):
        raise OperationError(
            f"{name}: got lengths that are not sorted in decreasing order: {sizes.tolist()}; sort the "
            "sequences, or pass enforce_sorted=False"
        )
    batch_sizes = np.count_nonzero(sizes[:, None] > np.arange(sizes.max()), axis=0)
    flat = ops.reshape(input, (steps * batch, *input.shape[2:]))
    data = TakeRows.apply(flat, _on_device_of(input, _places(batch_sizes, order, batch)))
    indices = None if enforce_sorted else wrap(_on_device_of(input, order))
    return PackedSequence(data, wrap(batch_sizes), indices)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return a packed batch with padding, in its original order, and the lengths.

    Args:
        sequence: a packed batch.
        batch_first: return (B, T, ...).
        padding_value: what stands behind the end of a sequence.
        total_length: the number of steps, T; that of the longest sequence by default.

    Returns:
        The batch, (T, B, ...) or (B, T, ...), and B integers on the CPU.

    Raises:
        OperationError: a ``total_length`` below that of the longest sequence.

    Example:
        >>> import minillm
        >>> from minillm.nn.utils.rnn import pack_sequence, pad_packed_sequence
        >>> packed = pack_sequence([minillm.tensor([1, 2]), minillm.tensor([3])])
        >>> pad_packed_sequence(packed, batch_first=True)
        (tensor([[1, 2],
                [3, 0]]), tensor([2, 1]))
    """
    if not isinstance(sequence, PackedSequence):
        raise OperationError(f"pad_packed_sequence: got {type(sequence).__name__}; it needs a PackedSequence")
    data, batch_sizes = sequence.data, to_numpy(sequence.batch_sizes.array)
    batch, steps = int(batch_sizes[0]), len(batch_sizes)
    if total_length is not None:
        if total_length < steps:
            raise OperationError(
                f"pad_packed_sequence: got total_length={total_length}; it needs to be {steps} at least, the "
                "length of the longest sequence"
            )
        steps = total_length
    order = np.arange(batch)
    if sequence.sorted_indices is not None:
        order = to_numpy(sequence.sorted_indices.array)
    places = _on_device_of(data, _places(batch_sizes, order, batch))
    value = padding_value if data.dtype.kind == "f" else int(padding_value)
    padded = ops.reshape(PutRows.apply(data, places, steps * batch, value), (steps, batch, *data.shape[1:]))
    lengths = np.empty(batch, np.int64)
    lengths[order] = np.count_nonzero(batch_sizes[:, None] > np.arange(batch), axis=0)
    return (ops.transpose(padded, 0, 1) if batch_first else padded), wrap(lengths)


def pad_sequence(
    sequences: Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Return sequences of different lengths as one batch, padded to the longest.

    Args:
        sequences: each (L, ...), the sizes but the first equal.
        batch_first: return (B, T, ...).
        padding_value: what stands in the place of the missing steps.
        padding_side: "right", behind the sequence, or "left", before it.

    Returns:
        (T, B, ...) or (B, T, ...).

    Raises:
        OperationError: no sequences, sizes that differ, or an unknown side.

    Example:
        >>> import minillm
        >>> a, b = minillm.tensor([1, 2, 3]), minillm.tensor([4])
        >>> minillm.nn.utils.rnn.pad_sequence([a, b], batch_first=True)
        tensor([[1, 2, 3],
                [4, 0, 0]])
    """
    if not isinstance(sequences, Iterable):
        raise OperationError(f"pad_sequence: got {type(sequences).__name__}; it needs a list of tensors")
    rows = list(sequences)
    if not rows:
        raise OperationError("pad_sequence: got an empty list; it needs at least one tensor")
    if padding_side not in ("right", "left"):
        raise OperationError(f"pad_sequence: got padding_side={padding_side!r}; it needs 'right' or 'left'")
    for i, row in enumerate(rows):
        if not row.ndim or row.shape[1:] != rows[0].shape[1:]:
            raise OperationError(
                f"pad_sequence: sequence {i} has shape {row.shape} and the first {rows[0].shape}; they need "
                "the same sizes but for the first dimension"
            )
    longest = max(len(row) for row in rows)
    padded = []
    for row in rows:
        missing = longest - len(row)
        if missing:
            filler = ops.full((missing, *row.shape[1:]), padding_value, dtype=row.dtype, device=row.device)
            row = ops.cat([row, filler] if padding_side == "right" else [filler, row])
        padded.append(row)
    return ops.stack(padded, dim=0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """Return the sequences of a padded batch, each in its own length.

    Args:
        padded_sequences: (T, B, ...), or (B, T, ...) with ``batch_first``.
        lengths: B integers.
        batch_first: whether the first dimension is the batch.

    Example:
        >>> import minillm
        >>> padded = minillm.tensor([[1, 2], [3, 0]])
        >>> minillm.nn.utils.rnn.unpad_sequence(padded, [2, 1], batch_first=True)
        [tensor([1, 2]), tensor([3])]
    """
    sizes = _host_integers("unpad_sequence", lengths)
    if not batch_first:
        padded_sequences = ops.transpose(padded_sequences, 0, 1)
    if len(sizes) != len(padded_sequences):
        raise OperationError(
            f"unpad_sequence: got {len(sizes)} lengths for a batch of {len(padded_sequences)} sequences"
        )
    return [row[: int(size)] for row, size in zip(padded_sequences, sizes, strict=True)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Return sequences of different lengths as one packed batch.

    Args:
        sequences: each (L, ...), the sizes but the first equal.
        enforce_sorted: the sequences come longest first, else it is an error; False sorts them.

    Example:
        >>> import minillm
        >>> packed = minillm.nn.utils.rnn.pack_sequence([minillm.tensor([1, 2]), minillm.tensor([3])])
        >>> packed.data, packed.batch_sizes
        (tensor([1, 3, 2]), tensor([2, 1]))
    """
    padded = pad_sequence(sequences)
    return pack_padded_sequence(padded, [len(row) for row in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Return the sequences of a packed batch, in their original order.

    Example:
        >>> import minillm
        >>> from minillm.nn.utils.rnn import pack_sequence, unpack_sequence
        >>> unpack_sequence(pack_sequence([minillm.tensor([1, 2]), minillm.tensor([3])]))
        [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
