from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.data import pad_sequences


@given(
    rows=st.lists(st.lists(st.integers(1, 99), max_size=7), max_size=5),
    maxlen=st.none() | st.integers(0, 9),
    padding=st.sampled_from(["pre", "post"]),
    truncating=st.sampled_from(["pre", "post"]),
)
def test_each_row_is_cut_and_filled_up(rows, maxlen, padding, truncating):
    result = pad_sequences(rows, maxlen, padding=padding, truncating=truncating, value=-1)
    length = max(map(len, rows), default=0) if maxlen is None else maxlen
    assert result.shape == (len(rows), length)
    assert result.dtype == np.int32
    for row, padded in zip(rows, result.tolist(), strict=True):
        kept = row[:length] if truncating == "post" else row[len(row) - min(len(row), length) :]
        fill = [-1] * (length - len(kept))
        assert padded == (fill + kept if padding == "pre" else kept + fill)


@pytest.mark.parametrize(
    ("rows", "options", "expected"),
    [
        ([[1], [2, 3], [4, 5, 6]], {}, [[0, 0, 1], [0, 2, 3], [4, 5, 6]]),
        ([[1], [2, 3], [4, 5, 6]], {"maxlen": 2}, [[0, 1], [2, 3], [5, 6]]),
        ([[1], [2, 3], [4, 5, 6]], {"maxlen": 2, "truncating": "post"}, [[0, 1], [2, 3], [4, 5]]),
        ([[1], [2, 3]], {"padding": "post", "value": 9.0}, [[1, 9], [2, 3]]),
        ([[1.7], []], {"dtype": "float64", "maxlen": 2}, [[0, 1.7], [0, 0]]),
        ([["a"], ["b", "c"]], {"dtype": object, "value": ""}, [["", "a"], ["b", "c"]]),
        ([np.array([1, 2]), np.array([3])], {}, [[1, 2], [0, 3]]),
    ],
)
def test_what_keras_gives(rows, options, expected):
    assert pad_sequences(rows, **options).tolist() == expected


def test_rows_of_vectors():
    result = pad_sequences([[[1, 2]], [[3, 4], [5, 6]], []])
    assert result.tolist() == [[[0, 0], [1, 2]], [[3, 4], [5, 6]], [[0, 0], [0, 0]]]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([[1]], {"padding": "left"}, "padding='left' is neither 'pre' nor 'post'"),
        ([[1]], {"truncating": "left"}, "truncating='left' is neither"),
        ([[1], 2], {}, "row 1 is no sequence but 2"),
        (5, {}, "needs a list of rows, got int"),
        ([[1]], {"maxlen": -1}, "maxlen must not be negative, got -1"),
        ([[1]], {"value": "x"}, "the value 'x' needs dtype=object, got int32"),
        ([[[1, 2]], [[1]]], {}, r"elements of row 1 have the shape \(1,\), those before \(2,\)"),
    ],
)
def test_what_cannot_be(rows, options, message):
    with pytest.raises(ValueError, match=message):
        pad_sequences(rows, **options)
