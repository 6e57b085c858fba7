from __future__ import annotations

import pytest

import minillm
import minillm.nn.functional as F
from minillm.autograd.errors import OperationError


def test_other_types_are_padded_too(device):
    assert F.pad(minillm.tensor([1, 2]), (0, 1), value=7).tolist() == [1, 2, 7]
    assert F.pad(minillm.tensor([True]), (1, 0), value=0).tolist() == [False, True]
    assert F.pad(minillm.ones(0), (1, 1)).tolist() == [0, 0]
    assert F.pad(minillm.ones(2), ()).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("pad", "options", "message"),
    [
        ((1,), {}, "got 1 widths"),
        ((1, 1) * 3, {}, "got 6 widths"),
        ((0, -4), {}, r"got widths \(0, -4\) for dimension 1 of size 3; they cut off more than there is"),
        ((3, 0), {"mode": "reflect"}, "needs them to be at most 2"),
        ((0, 4), {"mode": "circular"}, "needs them to be at most 3"),
        ((1, 1), {"mode": "mirror"}, "mode='mirror'"),
        ((1, 1), {"mode": "reflect", "value": 1.0}, "a value needs mode='constant'"),
    ],
)
def test_widths_that_do_not_fit_are_named(pad, options, message):
    with pytest.raises(OperationError, match=message):
        F.pad(minillm.ones(2, 3), pad, **options)


def test_nothing_cannot_be_repeated():
    with pytest.raises(OperationError, match="needs them to be at most 0"):
        F.pad(minillm.ones(2, 0), (1, 1), mode="replicate")
