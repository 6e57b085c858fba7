"""Errors for people."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.autograd.errors import OperationError, describe


def test_errors_are_those_of_pytorch_and_of_numpy():
    for kind in (RuntimeError, ValueError):
        with pytest.raises(kind):
            minillm.ones(2) + minillm.ones(3)
    with pytest.raises(TypeError):
        minillm.ones(2)[minillm.ones(1)]
    with pytest.raises(IndexError):
        minillm.ones(2)[5]


def test_the_module_is_told():
    error = OperationError("add: no")
    assert str(error) == "add: no"
    error.module_path = "gpt.blocks.3"
    assert str(error) == "add: no (in gpt.blocks.3)"


def test_descriptions():
    assert describe([np.ones(2), 3]) == "[float64 (2,), 3]"
    assert describe("x" * 100) == "'" + "x" * 56 + "..."
    assert describe(None) == "None"
    assert describe([1, 2]) == "[1, 2]"
