"""Packed and padded batches, against PyTorch and against the sequences themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minillm
from minillm import ops
from minillm.autograd.errors import OperationError
from minillm.nn.utils.rnn import (
    PackedSequence,
    invert_permutation,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)

lengths = st.lists(st.integers(1, 6), min_size=1, max_size=6)


def sequences_of(lengths: list[int], *features: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal((n, *features)) for n in lengths]


def assert_equal(ours, theirs) -> None:
    if theirs is None:
        assert ours is None
        return
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_array_equal(ours.detach().numpy(), theirs.detach().numpy())


@settings(max_examples=30)
@given(lengths, st.booleans(), st.booleans(), st.integers(0, 2))
def test_packing_agrees_with_pytorch(lengths, batch_first, enforce_sorted, ndim):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.utils.rnn
    lengths = sorted(lengths, reverse=True) if enforce_sorted else lengths
    arrays = sequences_of(lengths, *(2, 3)[:ndim])
    padded_t = theirs.pad_sequence([torch.tensor(a) for a in arrays], batch_first, padding_value=-1.0)
    padded_m = pad_sequence([minillm.tensor(a) for a in arrays], batch_first, padding_value=-1.0)
    assert_equal(padded_m, padded_t)
    padded_t.requires_grad_()
    padded_m.requires_grad_()

    packed_t = theirs.pack_padded_sequence(padded_t, torch.tensor(lengths), batch_first, enforce_sorted)
    packed_m = pack_padded_sequence(padded_m, minillm.tensor(lengths), batch_first, enforce_sorted)
    assert_equal(packed_m.batch_sizes, packed_t.batch_sizes)
    # Which of two equally long sequences comes first is not settled by PyTorch.
    if len(set(lengths)) == len(lengths):
        for ours, expected in zip(packed_m, packed_t, strict=True):
            assert_equal(ours, expected)

    for total in (None, max(lengths) + 2):
        for first in (True, False):
            again_t = theirs.pad_packed_sequence(packed_t, first, 0.5, total)
            again_m = pad_packed_sequence(packed_m, first, 0.5, total)
            for ours, expected in zip(again_m, again_t, strict=True):
                assert_equal(ours, expected)
    dy = np.random.default_rng(1).standard_normal(again_t[0].shape)
    again_t[0].backward(torch.tensor(dy))
    again_m[0].backward(minillm.tensor(dy))
    assert_equal(padded_m.grad, padded_t.grad)


@given(lengths)
def test_sequences_survive_packing_and_padding(lengths):
    arrays = sequences_of(lengths, 2)
    tensors = [minillm.tensor(a) for a in arrays]
    for unpacked in (
        unpack_sequence(pack_sequence(tensors, enforce_sorted=False)),
        unpad_sequence(pad_sequence(tensors), lengths),
        unpad_sequence(pad_sequence(tensors, batch_first=True), minillm.tensor(lengths), batch_first=True),
    ):
        for array, tensor in zip(arrays, unpacked, strict=True):
            np.testing.assert_array_equal(tensor.numpy(), array)


def test_padding_on_the_left_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    arrays = sequences_of([2, 4, 1], 3)
    expected = torch.nn.utils.rnn.pad_sequence([torch.tensor(a) for a in arrays], padding_side="left")
    assert_equal(pad_sequence([minillm.tensor(a) for a in arrays], padding_side="left"), expected)


def test_packing_is_differentiable_any_number_of_times():
    x = ops.randn(3, 4, dtype="float64").requires_grad_()

    def function(x):
        packed = pack_padded_sequence(x, [2, 3, 1, 1], enforce_sorted=False)
        return pad_packed_sequence(PackedSequence(packed.data**3, *packed[1:]))[0]

    assert minillm.autograd.gradcheck(function, x)
    assert minillm.autograd.gradgradcheck(function, x)


def test_integers_are_packed_and_padded(device):
    padded = minillm.tensor([[1, 2, 9], [3, 9, 9], [4, 5, 6]])
    packed = pack_padded_sequence(padded, [2, 1, 3], batch_first=True, enforce_sorted=False)
    assert packed.data.tolist() == [4, 1, 3, 5, 2, 6]
    assert packed.batch_sizes.tolist() == [3, 2, 1]
    assert packed.sorted_indices.tolist() == [2, 0, 1]
    assert packed.unsorted_indices.tolist() == [1, 2, 0]
    assert packed.data.device.type == packed.sorted_indices.device.type == device
    assert packed.batch_sizes.device.type == "cpu"
    again, lengths = pad_packed_sequence(packed, batch_first=True, padding_value=-1)
    assert again.tolist() == [[1, 2, -1], [3, -1, -1], [4, 5, 6]]
    assert lengths.tolist() == [2, 1, 3]
    assert lengths.device.type == "cpu"


def test_a_packed_sequence_moves_and_changes_dtype():
    x = minillm.tensor([[1.5], [2.5]])
    packed = pack_sequence([x[:1], x], enforce_sorted=False)
    assert packed.float() is packed
    assert not packed.is_cuda
    for moved, dtype in (
        (packed.double(), "float64"), (packed.half(), "float16"), (packed.long(), "int64"),
        (packed.int(), "int32"), (packed.to("float64"), "float64"),
    ):  # fmt: skip
        assert isinstance(moved, PackedSequence)
        assert str(moved.data.dtype) == dtype
        assert moved.sorted_indices.tolist() == [1, 0]
    away = packed.to("strict")
    assert {t.device.type for t in (away.data, away.sorted_indices, away.unsorted_indices)} == {"strict"}
    assert away.batch_sizes.device.type == "cpu"
    assert away.cpu().data.device.type == "cpu"


@pytest.mark.gpu
def test_a_packed_sequence_moves_to_the_gpu():
    packed = pack_sequence([ops.ones(2, 1)]).cuda()
    assert packed.is_cuda
    assert not packed.cpu().is_cuda


def test_packed_sequences_are_named_tuples():
    data, sizes = ops.ones(3), minillm.tensor([2, 1])
    packed = PackedSequence((data, sizes))
    assert packed.data is data
    assert packed.batch_sizes is sizes
    assert packed._fields == ("data", "batch_sizes", "sorted_indices", "unsorted_indices")
    assert PackedSequence(data, sizes, minillm.tensor([1, 0])).unsorted_indices.tolist() == [1, 0]


def test_invert_permutation(device):
    assert invert_permutation(None) is None
    assert invert_permutation(minillm.tensor([2, 0, 1])).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: pack_padded_sequence(x, [3, 4]), r"not sorted in decreasing order: \[3, 4\].*enforce_sorted"),
        (lambda x: pack_padded_sequence(x, [3, 0]), "got a length of 0; every sequence needs at least one"),
        (lambda x: pack_padded_sequence(x, [3, -1], enforce_sorted=False), "got a length of -1"),
        (lambda x: pack_padded_sequence(x, [6, 1]), "got a length of 6; the input has 5 steps"),
        (lambda x: pack_padded_sequence(x, [3, 2, 1]), "got 3 lengths for a batch of 2"),
        (lambda x: pack_padded_sequence(x, [3, 2], batch_first=True), "got 2 lengths for a batch of 5"),
        (lambda x: pack_padded_sequence(x, [3.0, 2.0]), r"lengths of shape \(2,\) and dtype float64"),
        (lambda x: pack_padded_sequence(x, 3), r"lengths of shape \(\)"),
        (lambda x: pack_padded_sequence(x[0, 0], [1]), r"got shape \(3,\); it needs \(T, B, ...\)"),
        (lambda x: pack_padded_sequence(x[:, :0], []), "got an empty batch"),
        (lambda x: pad_packed_sequence(x), "got Tensor; it needs a PackedSequence"),
        (
            lambda x: pad_packed_sequence(pack_padded_sequence(x, [4, 1]), total_length=3),
            "got total_length=3; it needs to be 4 at least",
        ),
        (lambda x: pad_sequence([]), "got an empty list"),
        (lambda x: pad_sequence(3), "got int; it needs a list of tensors"),
        (lambda x: pad_sequence([x], padding_side="top"), "padding_side='top'; it needs 'right' or 'left'"),
        (lambda x: pad_sequence([x, x[0]]), r"sequence 1 has shape \(2, 3\) and the first \(5, 2, 3\)"),
        (lambda x: unpad_sequence(x, [3]), "got 1 lengths for a batch of 2 sequences"),
        (lambda x: PackedSequence(x), "it needs data and batch_sizes"),
        (
            lambda x: PackedSequence(x, minillm.tensor([1], device="strict")),
            "batch_sizes is on strict; it needs to be on the CPU",
        ),
    ],
)
def test_what_does_not_fit_is_an_error(call, message):
    with pytest.raises(OperationError, match=message):
        call(ops.ones(5, 2, 3))
