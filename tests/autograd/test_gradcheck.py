"""The checkers themselves: right gradients pass, wrong ones are found and told where."""

from __future__ import annotations

import pytest

import minillm
from minillm.autograd import Function, GradcheckError, gradcheck, gradgradcheck
from minillm.autograd.errors import OperationError


class Wrong(Function):
    """y = x^3, with a wrong factor in the gradient of one element, of the first or second order."""

    first, second = 1.0, 1.0

    def forward(self, x, scale=1.0):
        self.save_for_backward(x)
        return x**3 * scale

    def backward(self, dy):
        (x,) = self.saved
        slope = 3 * x**2 * self.first
        if self.second != 1.0 and isinstance(x, minillm.Tensor):
            slope = slope * self.second + slope.detach() * (1 - self.second)
        return dy * slope


class WrongFirst(Wrong):
    first = 1.01


class WrongSecond(Wrong):
    second = 1.01


def leaf(*shape: int) -> minillm.Tensor:
    values = minillm.Generator(seed=3).normal(shape, dtype="float64", device="cpu")
    return minillm.tensor(values, requires_grad=True)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_right_gradients_pass(device, fast_mode):
    x, w = leaf(2, 3), leaf(3)
    for func in (
        lambda x, w: x * w,
        lambda x, w: (x @ w, x.exp().sum(), x > 0),
        lambda x, w: [x.softmax(-1) * w, w],
    ):
        assert gradcheck(func, (x, w), fast_mode=fast_mode)
        assert gradgradcheck(func, [x, w], fast_mode=fast_mode)
    assert gradcheck(lambda x, by: x * by, (x, 3.0), fast_mode=fast_mode)
    assert gradcheck(lambda a, b: a * b, (x, x), fast_mode=fast_mode)
    assert gradgradcheck(lambda a, b: a * b, (x, x), fast_mode=fast_mode)
    assert gradcheck(minillm.sum, leaf(0, 3), fast_mode=fast_mode)
    assert gradcheck(lambda x, w: x * 2, (x, w), fast_mode=fast_mode)  # an input that is not used


@pytest.mark.parametrize("fast_mode", [False, True])
def test_wrong_gradients_are_found(device, fast_mode):
    x = leaf(2, 3)
    with pytest.raises(GradcheckError, match=r"the gradient of output 1 with respect to input 1 is wrong"):
        gradcheck(lambda w, x: (w, WrongFirst.apply(x)), (leaf(1), x), fast_mode=fast_mode)
    assert not gradcheck(WrongFirst.apply, x, raise_exception=False, fast_mode=fast_mode)
    assert gradcheck(WrongSecond.apply, x, fast_mode=fast_mode)
    with pytest.raises(GradcheckError, match="is wrong"):
        gradgradcheck(WrongSecond.apply, x, fast_mode=fast_mode)
    assert not gradgradcheck(WrongSecond.apply, x, raise_exception=False, fast_mode=fast_mode)


def test_the_place_of_the_worst_is_told(device):
    class Off(Function):
        def forward(self, x):
            return x * 2

        def backward(self, dy):
            dx = dy * 2
            dx[1, 0] = dx[1, 0] * 3
            return dx

    with pytest.raises(
        GradcheckError, match=r"of y\[1, 0\] by x\[1, 0\], the worst of 1 that are wrong\): analytic 6, numeric 2"
    ):
        gradcheck(Off.apply, leaf(2, 2))


def test_a_gradient_that_stops_is_found(device):
    x = leaf(2)
    for fast_mode in (False, True):
        with pytest.raises(GradcheckError, match="analytic 0"):
            gradcheck(lambda x: x.detach() * 2, x, fast_mode=fast_mode)


def test_two_runs_that_differ(device):
    class Dice(Function):
        calls = 0

        def forward(self, x):
            return x * 2

        def backward(self, dy):
            Dice.calls += 1
            return dy * (2 + 1e-7 * Dice.calls)

    x = leaf(2)
    with pytest.raises(GradcheckError, match=r"two runs of backward differ by 1e-07, more than nondet_tol=0"):
        gradcheck(Dice.apply, x)
    assert gradcheck(Dice.apply, x, nondet_tol=1e-3)


def test_tolerances(device):
    x = leaf(2, 3)
    assert gradcheck(WrongFirst.apply, x, rtol=0.1)
    assert gradcheck(WrongFirst.apply, x, atol=1.0)
    assert gradcheck(lambda x: x.exp(), x, eps=1e-4)


def test_what_cannot_be_checked(device):
    with pytest.raises(OperationError, match="gradcheck: no input requires grad"):
        gradcheck(lambda x: x, minillm.ones(2))
    x = minillm.ones(2, requires_grad=True)
    with pytest.warns(UserWarning, match="an input is float32, whose rounding drowns differences"):
        gradcheck(lambda x: x * 2, x, raise_exception=False)
    assert gradcheck(lambda x: x * 2, x, eps=1e-2)


def test_grad_outputs_can_be_given(device):
    x = leaf(2)
    assert gradgradcheck(lambda x: x**3, x, minillm.tensor([1.0, 2.0], dtype="float64", requires_grad=True))
    assert gradgradcheck(lambda x: (x**3, x), x, [minillm.ones(2, dtype="float64"), leaf(2)])


def test_a_linear_function_has_a_second_derivative_of_zero(device):
    assert gradgradcheck(lambda x: x * 2, leaf(2))
    assert gradgradcheck(lambda x: x.detach() * 2, leaf(2))
