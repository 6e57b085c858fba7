"""Every name of the table beside PyTorch: values, dtypes, gradients of both orders; and checked by differences."""

from __future__ import annotations

import contextlib
import warnings

import pytest

import minillm
from minillm import autograd
from minillm.testing.cases import Case, cases_of, names
from minillm.testing.cases.case import scattered
from minillm.testing.comparison import Comparison, compare_prepared
from minillm.testing.derivatives import flat, is_tensor

DTYPES = ["float64", "float32"]
NAMES = names()
SMOOTH = [name for name in NAMES if any(c.check and c.order > 1 and not c.drawn for c in cases_of(name))]
# A view cannot always be; and in the last two PyTorch 2.13 itself fails.
IN_ORDER = {"view", "Tensor.view_as", "contiguous", "nn.utils.parameters_to_vector", "take_along_dim"}


@contextlib.contextmanager
def about(case: Case):
    """Name the case in the error of a test that goes through many."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"case {case}: {error}") from error


def compared(case: Case, dtype: str, arrays: list, order: int) -> Comparison:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of even kernels and of masks of two kinds
        ours, theirs = (case.prepare(library, arrays, dtype) for library in (minillm, torch))
        return compare_prepared(f"{case} in {dtype}", ours, theirs, order)


@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_are_those_of_pytorch(name, device):
    pytest.importorskip("torch")
    for case in cases_of(name):
        for dtype in DTYPES:
            with about(case):
                result = compared(case, dtype, case.draw(dtype), case.order)
                assert not result.mismatches, result
                if not case.drawn:
                    result.check()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in IN_ORDER])
def test_inputs_need_not_lie_in_order(name, device):
    pytest.importorskip("torch")
    for case in cases_of(name):
        if not case.drawn and any(i.shape for i in case.inputs()):
            with about(case):
                arrays = [scattered(array) for array in case.draw()]
                compared(case, "float64", arrays, order=min(case.order, 1)).check()


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_by_differences(name, device):
    """PyTorch is an oracle, never the only one."""
    for case in cases_of(name):
        if not case.check or case.order < 2 or case.drawn:
            continue
        with about(case):
            prepared = case.prepare(minillm, case.draw())
            ys = flat(prepared.call(*prepared.leaves))
            if prepared.leaves and any(is_tensor(y) and y.requires_grad for y in ys):
                # Few numbers are checked one by one, many along a random direction.
                fast_mode = sum(x.numel() for x in prepared.leaves) > 12
                call = with_outputs_alone(prepared.call)
                assert autograd.gradcheck(call, prepared.leaves, fast_mode=fast_mode)
                assert autograd.gradgradcheck(call, prepared.leaves, fast_mode=fast_mode)


def with_outputs_alone(call):
    return lambda *leaves: [y for y in flat(call(*leaves)) if is_tensor(y)]
