"""Comparing one's own code with PyTorch: what is measured, what a disagreement says, and what does not match."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.testing import Comparison, compare
from minillm.testing.comparison import epsilons

EPS = float(np.finfo("float64").eps)
X = np.linspace(-2, 2, 12).reshape(3, 4)


@pytest.mark.parametrize(
    ("ours", "theirs", "error"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 2.0]), 0),
        (np.array([0.5 + 3 * EPS]), np.array([0.5]), 3),  # absolute below 1
        (np.array([1024 * (1 + 2 * EPS)]), np.array([1024.0]), 2),  # relative above
        (np.array([math.nan, math.inf, -math.inf]), np.array([math.nan, math.inf, -math.inf]), 0),
        (np.array([math.inf]), np.array([1.0]), math.inf),
        (np.array([math.nan]), np.array([1.0]), math.inf),
        (np.array([1, 2]), np.array([1, 2]), 0),
        (np.array([True]), np.array([False]), math.inf),
        (np.ones(2), np.ones(3), math.inf),
        (np.ones(0), np.ones(0), 0),
        (None, None, 0),
        (None, np.ones(1), math.inf),
        (np.array([1.0], "float32") + np.float32(2**-22), np.array([1.0], "float32"), 2),
    ],
)
def test_an_error_is_in_float_epsilons(ours, theirs, error):
    assert epsilons(ours, theirs) == error


def test_functions_agree():
    torch = pytest.importorskip("torch")
    weight = minillm.tensor(X[:, :3].T.copy())
    result = compare(
        lambda x, w: (x @ w.mT).tanh() if hasattr(w, "mT") else None, lambda x, w: (x @ w.mT).tanh(),
        [X[:, :3], torch.tensor(X[:, :3])], name="layer",
    )  # fmt: skip
    assert result.check() is result
    assert max(result.forward, result.gradient, result.second_order) < 100
    assert result.time_ratio > 0
    assert str(result).startswith("layer: error in float epsilons: forward ")
    assert "of PyTorch's" in str(result)
    again = compare(lambda x: x * 2, lambda x: x * 2, weight, rounds=0)
    assert again.time_ratio is None
    assert (again.forward, again.gradient, again.second_order) == (0, 0, 0)


def test_what_is_no_float_tensor_is_passed_on():
    pytest.importorskip("torch")
    result = compare(
        lambda x, n, i, flag=False: x.sum(n)[i] if flag else x, lambda x, n, i, flag=False: x.sum(n)[i] if flag else x,
        [X, 1, np.array([0, 2])], options={"flag": True}, rounds=0,
    )  # fmt: skip
    assert result.check().gradient == 0
    assert compare(lambda x: x > 0, lambda x: x > 0, X, rounds=0).gradient is None


def test_modules_get_the_same_state_and_compare_their_parameters():
    torch = pytest.importorskip("torch")
    ours = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Tanh()).double()
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Tanh()).double()
    result = compare(ours, theirs, X, rounds=0).check()
    assert sum(pair.part == "gradient" for pair in result.pairs) == 10  # of the input and four parameters, twice
    assert result.forward < 100


def test_modules_that_do_not_match_are_named():
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=r"bias is missing in PyTorch's; weight is float32 \(3, 4\), .*\(2, 4\)"):
        compare(nn.Linear(4, 3), torch.nn.Linear(4, 2, bias=False), X)
    with pytest.raises(ValueError, match="of its twin, PyTorch's Linear, do not match: bias is missing in ours"):
        compare(nn.Linear(4, 3, bias=False), torch.nn.Linear(4, 3), X)


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (lambda x: x * 1.001, lambda x: x, r"output 0: 12 of 12 numbers differ, by 0.002 at most, at \(0, 0\)"),
        (lambda x: x.sum(0), lambda x: x.sum(1), r"output 0: shape \(4,\), in PyTorch \(3,\)"),
        (lambda x: x.float(), lambda x: x, "output 0: dtype float32, in PyTorch float64"),
        (lambda x: x.detach(), lambda x: x * 1, "requires_grad=False, in PyTorch True"),
        (lambda x: (x, x), lambda x: x * 1, "results, in PyTorch"),
        (lambda x: x.detach() * x, lambda x: x * x, "gradient of input 0: 12 of 12 numbers differ"),
        (lambda x: x * 1e-9 + x, lambda x: x * 1, None),  # within the tolerance
    ],
)
def test_a_disagreement_says_what_and_where(ours, theirs, message):
    pytest.importorskip("torch")
    result = compare(ours, theirs, X, rounds=0, name="mine")
    if message is None:
        assert result.check() is result
        with pytest.raises(AssertionError, match="rtol=1e-12, atol=0"):
            result.check(rtol=1e-12, atol=0)
        return
    with pytest.raises(AssertionError, match=message) as caught:
        result.check()
    assert str(caught.value).startswith("mine disagrees with PyTorch:")


def test_second_order_alone_may_disagree():
    torch = pytest.importorskip("torch")

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, dy):
            return 2 * ctx.saved_tensors[0].detach() * dy  # forgets that it depends on x

    result = compare(lambda x: x * x, Square.apply, X, rounds=0)
    assert result.gradient == 0
    with pytest.raises(AssertionError, match="second order by input 0"):
        result.check()
    assert compare(lambda x: x * x, Square.apply, X, rounds=0, order=1).check().second_order is None


def test_without_pytorch_it_says_how_to_install_it(monkeypatch):
    import importlib

    real = importlib.import_module

    def missing(name, *args):
        if name == "torch":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"needs PyTorch, which is not installed here: pip install torch"):
        compare(lambda x: x, lambda x: x, X)


def test_the_text_of_a_result():
    assert str(Comparison("f", 1.25, None, None, None)) == (
        "f: error in float epsilons: forward 1.25, gradient -, second order -"
    )
    assert str(Comparison("f", 0, 0, 0, 0.5, ("output 0: shape (), in PyTorch (1,)",))).splitlines()[1].strip() == (
        "output 0: shape (), in PyTorch (1,)"
    )
