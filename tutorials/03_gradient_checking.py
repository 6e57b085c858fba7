# %% [markdown]
# # 3. Checking gradients
#
# You will build a detector for wrong derivatives, and catch one that hides well. Whoever writes a new operation needs
# it: a wrong gradient raises no error, the network learns a little worse, and nobody knows why. In the second half,
# derivatives of derivatives find the bottom of a valley in a handful of steps.
#
# *Reading time: about 20 minutes. You need: steps 1 and 2.*

# %%
import math
import os
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minillm
from minillm.testing import exercise

try:
    import torch
except ImportError:
    torch = None  # the comparisons with PyTorch are left out then
    print("PyTorch is not installed; this step runs without it.")

PICTURES = Path(os.environ.get("MINILLM_PICTURES", "pictures"))
PICTURES.mkdir(parents=True, exist_ok=True)
BLUE, ORANGE, GREEN, GREY = "#3b6ea5", "#c8641b", "#3a8a5f", "#8a8f98"

# %% [markdown]
# ## Two ways to a derivative
#
# Step 1 began by nudging: add a small $h$ to the input and see how much the output moves. It is slow, but it knows
# nothing of chain rules and local derivatives, so it cannot contain the same mistake. That makes it a good witness.
# There are two ways to nudge:
#
# $$ \text{forward: } \frac{f(x+h) - f(x)}{h} \qquad\qquad \text{central: } \frac{f(x+h) - f(x-h)}{2h} $$
#
# Taylor's series says how far off each is. The forward difference errs by about $\tfrac12 h f''(x)$. In the central one
# that term stands on both sides and cancels, and $\tfrac16 h^2 f'''(x)$ remains. With $h = 0.001$, that is a thousandth
# against a millionth:

# %%
x, h = 1.0, 0.001
true = math.cos(x)  # the derivative of the sine
forward = (math.sin(x + h) - math.sin(x)) / h
central = (math.sin(x + h) - math.sin(x - h)) / (2 * h)
print(f"forward is off by {abs(forward - true):.1e}, central by {abs(central - true):.1e}")

assert 1e-4 < abs(forward - true) < 1e-3
assert 1e-8 < abs(central - true) < 1e-6

# %% [markdown]
# ## Why not a smaller h?
#
# Because computers round. `float64` keeps about sixteen digits, `float32` about seven. $f(x+h)$ and $f(x-h)$ agree in
# most of their digits when $h$ is small; the subtraction removes those, and what is left is mostly rounding error,
# which is then divided by a tiny $2h$. So the error has two parts: one that **shrinks** with $h$ (Taylor) and one that
# **grows** as $h$ shrinks (rounding, about $10^{-16}/h$ or $10^{-7}/h$). Let us look at both at once.

# %%
sizes = 10.0 ** np.arange(-15, 0.01, 0.25)


def errors(kind, dtype):
    """How far the differences are off at x = 1, for each h."""
    one = dtype(1)
    found = []
    for h in sizes.astype(dtype):
        # A nudge that is smaller than the rounding of 1 may vanish altogether.
        if kind == "forward":
            slope = (np.sin(one + h) - np.sin(one)) / h
        else:
            slope = (np.sin(one + h) - np.sin(one - h)) / (2 * h)
        found.append(abs(float(slope) - true))
    return np.maximum(found, 1e-13)


curves = {
    "forward, float64": (errors("forward", np.float64), GREEN),
    "central, float64": (errors("central", np.float64), BLUE),
    "central, float32": (errors("central", np.float32), ORANGE),
}
for label, (curve, _) in curves.items():
    print(f"{label}: at best off by {curve.min():.0e}, with h = {sizes[curve.argmin()]:.0e}")

assert curves["central, float64"][0].min() < 1e-9
assert curves["central, float32"][0].min() > 1e-8
assert curves["central, float32"][0][(sizes > 1e-7) & (sizes < 1e-6)].max() > 1e-2  # useless there

# %% tags=["drawing"]
figure, axes = plt.subplots(figsize=(8.5, 4.4), layout="constrained")
for label, (curve, color) in curves.items():
    axes.loglog(sizes, curve, color=color, label=label)
axes.axvline(1e-6, color=GREY, linestyle=":", linewidth=1)
axes.text(1.3e-6, 1e-13, "h = 1e-6", color=GREY, fontsize=9)
axes.set(xlabel="h", ylabel="error of the derivative", title="sin at x = 1: rounding on the left, Taylor on the right")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
figure.savefig(PICTURES / "03_error_by_h.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# Two lessons stand in this picture.
#
# * Central differences in `float64` with $h$ near $10^{-6}$ give nine or ten right digits. That is the tool.
# * In `float32`, the same $h$ gives two digits, if any. **A check in `float32` accuses the innocent**: the gradient is
#   right, and the difference is wrong. Networks train in `float32`; their gradients are checked in `float64`.
#
# ## Off by how much is wrong?
#
# An error of 0.001 is nothing beside 5000 and a lot beside 0.002. So we compare the error with the size of the numbers,
# the **relative error**:
#
# $$ \frac{|a - n|}{\max(|a|, |n|)} $$
#
# with $a$ from the chain rule (*analytic*) and $n$ from nudging (*numeric*). In `float64`, right gradients come out at
# $10^{-7}$ or less, wrong ones mostly at $10^{-2}$ or more. A value of 2 means that the sign is wrong.


# %%
def numeric_gradient(f, x, h=1e-6):
    """The gradient of f, which turns an array into one number, by nudging each number of x in turn."""
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        nudge = np.zeros_like(x)
        nudge[place] = h
        gradient[place] = (f(x + nudge) - f(x - nudge)) / (2 * h)
    return gradient


def relative_error(a, n):
    return np.abs(a - n) / np.maximum(np.maximum(np.abs(a), np.abs(n)), 1e-12)  # no division by zero


# %% [markdown]
# ## A suspect
#
# *Softsign* bends numbers into the range from −1 to 1, a cousin of tanh (Bergstra and others, 2009):
#
# $$ y = \frac{x}{1 + |x|}, \qquad \frac{dy}{dx} = \frac{1}{(1 + |x|)^2} . $$
#
# Somebody wrote its derivative and forgot the square. Would you notice?


# %%
def softsign(x):
    return x / (1 + np.abs(x))


def right_derivative(x):
    return 1 / (1 + np.abs(x)) ** 2


def wrong_derivative(x):
    return 1 / (1 + np.abs(x))


points = np.array([0.0001, 0.01, 0.5, 3.0])
numeric = numeric_gradient(lambda x: softsign(x).sum(), points)
print("         x:", points)
print("right, off:", "  ".join(f"{e:.0e}" for e in relative_error(right_derivative(points), numeric)))
print("wrong, off:", "  ".join(f"{e:.0e}" for e in relative_error(wrong_derivative(points), numeric)))

assert relative_error(right_derivative(points), numeric).max() < 1e-7
assert relative_error(wrong_derivative(points), numeric)[-1] > 0.5

# %% [markdown]
# At $x = 0.0001$ the wrong derivative is off by one part in ten thousand, and a lenient check lets it through. At
# $x = 3$ it is four times too large. **Check at ordinary random points, never only near zero**, where so many formulas
# agree.

# %% tags=["drawing", "cover"]
line = np.linspace(-4, 4, 401)
figure, axes = plt.subplots(figsize=(8.5, 3.8), layout="constrained")
axes.plot(line, right_derivative(line), color=BLUE, linewidth=2, label="1 / (1 + |x|)², right")
axes.plot(line, wrong_derivative(line), color=ORANGE, linewidth=2, label="1 / (1 + |x|), wrong")
some = np.linspace(-4, 4, 33)
measured = numeric_gradient(lambda x: softsign(x).sum(), some)
axes.plot(some, measured, "o", color="black", markersize=3.5, label="measured by nudging")
axes.set(xlabel="x", ylabel="derivative", title="the witness knows")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
figure.savefig(PICTURES / "03_the_witness.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# ## The same in minillm
#
# In minillm an operation is a class with two methods: `forward` computes, and `backward` turns the gradient of the
# result, `dy`, into that of the input, just as the pairs of step 2 did. `save_for_backward` keeps what `backward`
# needs. `Softsign.apply(x)` runs it. Here is the operation with the mistake in it:


# %%
class WrongSoftsign(minillm.autograd.Function):
    """y = x / (1 + |x|)."""

    def forward(self, x):
        self.save_for_backward(x)
        return x / (1 + abs(x))

    def backward(self, dy):
        (x,) = self.saved
        return dy / (1 + abs(x))


class Softsign(WrongSoftsign):
    """y = x / (1 + |x|),  dx = dy / (1 + |x|)^2."""

    def backward(self, dy):
        (x,) = self.saved
        return dy / (1 + abs(x)) ** 2


# %% [markdown]
# `minillm.autograd.gradcheck` is our detector, grown up: it nudges every number of every input, compares with
# `backward`, and says where the worst disagreement is. `minillm.manual_seed` fixes the dice, so that you get the
# numbers that stand here; `minillm.randn` throws them: normally distributed random numbers.

# %%
minillm.manual_seed(0)
x = minillm.randn(3, dtype=minillm.float64, requires_grad=True)
print("right:", minillm.autograd.gradcheck(Softsign.apply, x))
try:
    minillm.autograd.gradcheck(WrongSoftsign.apply, x)
except minillm.autograd.GradcheckError as error:
    message = str(error)
print("wrong:", message)

assert "is wrong" in message

# %% [markdown]
# And in `float32`, the right one is accused, with a warning that says why:

# %%
x32 = x.detach().float().requires_grad_()  # the same numbers with seven digits
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    passed = minillm.autograd.gradcheck(Softsign.apply, x32, raise_exception=False)
print("right, but in float32:", passed)
print(caught[0].message)

assert not passed

# %% [markdown]
# PyTorch has the same detector under the same name; and it can check *our* formula if we write it for PyTorch.

# %%
if torch is not None:

    class TorchSoftsign(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x / (1 + abs(x))

        @staticmethod
        def backward(ctx, dy):
            (x,) = ctx.saved_tensors
            return dy / (1 + abs(x)) ** 2

    tx = torch.tensor(x.tolist(), dtype=torch.float64, requires_grad=True)
    print("PyTorch:", torch.autograd.gradcheck(TorchSoftsign.apply, tx))
    TorchSoftsign.apply(tx).sum().backward()
    Softsign.apply(x).sum().backward()
    assert np.allclose(x.grad.numpy(force=True), tx.grad.numpy(), rtol=1e-12)

# %% [markdown]
# ## One nudge for a million numbers
#
# Nudging each number in turn is hopeless for a large input. But we can move **all at once**, in a random direction $u$.
# The rate along $u$ must be $\sum_i u_i \, \partial f/\partial x_i$, the gradient times the direction. Two evaluations
# check everything; a wrong number can hide only if the random direction happens to be blind to it, which it never is in
# practice. (`gradcheck(..., fast_mode=True)` does this.)

# %%
rng = np.random.default_rng(0)
many = rng.normal(size=1_000_000)
u = rng.normal(size=many.shape)
u /= np.linalg.norm(u)
h = 1e-3  # shared by a million numbers, so each moves by about a millionth
# Differences first, the sum after: two sums of a million terms would lose digits before they are subtracted.
along = ((softsign(many + h * u) - softsign(many - h * u)) / (2 * h)).sum()
good, bad = (u * right_derivative(many)).sum(), (u * wrong_derivative(many)).sum()
print(f"measured {along:.6f}, right {good:.6f}, wrong {bad:.6f}")

assert relative_error(good, along) < 1e-4
assert relative_error(bad, along) > 1e-2

# %% [markdown]
# ## Where no derivative is
#
# ReLU of step 1 has a kink at 0: on the left its slope is 0, on the right 1. A central difference across the kink
# measures the mean of both, 0.5, and every program says 0 or 1. Nobody is wrong; there is no derivative there. If a
# check fails with a numeric value of just one half, look for a kink before you look for a mistake.

# %%
kink = (max(0.0, 1e-6) - max(0.0, -1e-6)) / 2e-6
print("measured at the kink:", kink)

assert abs(kink - 0.5) < 1e-9

# %% [markdown]
# ## The derivative of a derivative
#
# The walk back is itself a computation: multiplications and additions. If it remembers its steps too, it has a
# derivative of its own. `minillm.autograd.grad(y, x)` returns the gradient of `y` by `x` (where `y.backward()` would
# store it in `x.grad`), and `create_graph=True` asks it to remember. Take
#
# $$ f(x) = x^4 - 2x^2, \qquad f'(x) = 4x^3 - 4x, \qquad f''(x) = 12x^2 - 4 . $$


# %%
def valley(x):
    return x**4 - 2 * x**2


def slope_and_curvature(x):
    """f' and f'' of the valley at a plain number x."""
    x = minillm.tensor(x, dtype=minillm.float64, requires_grad=True)
    (first,) = minillm.autograd.grad(valley(x), x, create_graph=True)
    (second,) = minillm.autograd.grad(first, x)
    return first.item(), second.item()


first, second = slope_and_curvature(2.0)
print("at x = 2: slope", first, "and curvature", second)

assert math.isclose(first, 24.0)
assert math.isclose(second, 44.0)

if torch is not None:
    tx = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    (tfirst,) = torch.autograd.grad(valley(tx), tx, create_graph=True)
    (tsecond,) = torch.autograd.grad(tfirst, tx)
    assert (tfirst.item(), tsecond.item()) == (first, second)

# %% [markdown]
# Second derivatives can be wrong while first ones are right. `gradgradcheck` nudges the *gradient* and compares.

# %%
minillm.manual_seed(1)
x = minillm.randn(4, dtype=minillm.float64, requires_grad=True)
print("second order:", minillm.autograd.gradgradcheck(valley, x), minillm.autograd.gradgradcheck(Softsign.apply, x))

# %% [markdown]
# ## Newton's method
#
# Going downhill with the slope alone (step 1, exercise 2) must guess how far to go. The curvature knows: near a point,
# the function looks like a parabola with that slope and curvature, and the bottom of the parabola lies at
#
# $$ x - \frac{f'(x)}{f''(x)} . $$
#
# Go there, and repeat. The same start, both ways:

# %%
newton, downhill = [2.0], [2.0]
for _ in range(7):
    first, second = slope_and_curvature(newton[-1])
    newton.append(newton[-1] - first / second)
for _ in range(150):
    first, _ = slope_and_curvature(downhill[-1])
    downhill.append(downhill[-1] - 0.01 * first)
for step, value in enumerate(newton):
    print(f"Newton, step {step}: x = {value:.15f}")
print(f"downhill, step 150: x = {downhill[-1]:.15f}")

assert abs(newton[-1] - 1) < 1e-12
assert 1e-8 < abs(downhill[-1] - 1) < 1e-3

# %% tags=["drawing"]
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
line = np.linspace(-1.7, 2.1, 200)
left.plot(line, valley(line), color=GREY)
left.plot(newton, [valley(v) for v in newton], "o-", color=BLUE, label="Newton")
left.plot(downhill, [valley(v) for v in downhill], ".", color=ORANGE, markersize=4, label="downhill, rate 0.01")
left.set(xlabel="x", ylabel="f(x)", title="the way down")
left.legend(frameon=False)
away = [np.maximum(np.abs(np.array(path) - 1), 1e-16) for path in (newton, downhill)]
right.semilogy(away[0], "o-", color=BLUE)
right.semilogy(away[1], color=ORANGE)
right.set(xlabel="step", ylabel="distance from the bottom", title="Newton doubles the right digits each step")
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
figure.savefig(PICTURES / "03_newton.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# Why does nobody train networks like this? For $n$ numbers the curvature is a table of $n \times n$; for a small GPT of
# ten million numbers, $10^{14}$ entries. And Newton's method runs to where the slope is zero, be it valley or hilltop:

# %%
x = 0.2
for _ in range(6):
    first, second = slope_and_curvature(x)
    x -= first / second
print(f"started at 0.2, Newton arrives at {abs(x):.6f}, the hilltop between the valleys")

assert abs(x) < 1e-6

# %% [markdown]
# The optimizers of step 4 take a middle way: they guess a good length for each step from the gradients seen so far.
#
# ## Exercises
#
# **Exercise 1.** Write `is_right(f, gradient, x)`: is the array `gradient` the gradient of `f` at `x`? Return `True` or
# `False`. Use one random direction, `numpy` and `float64`; call `f` no more than twice. A part of $10^{-5}$ may be off.


# %%
def is_right(f, gradient, x): ...  # your code here


# %% tags=["solution"]
def is_right_solution(f, gradient, x):
    u = np.random.default_rng(0).normal(size=x.shape)
    h = 1e-6
    measured = (f(x + h * u) - f(x - h * u)) / (2 * h)
    expected = (gradient * u).sum()
    return bool(abs(measured - expected) <= 1e-5 * max(abs(measured), abs(expected)))


# %%
def check_is_right(f):
    x = np.random.default_rng(5).normal(size=(20, 30))
    calls = []

    def total(x):
        calls.append(1)
        return np.tanh(x).sum()

    gradient = 1 - np.tanh(x) ** 2
    assert f(total, gradient, x) is True, "the gradient of tanh is 1 - tanh²: that one is right"
    assert len(calls) <= 2, f"two calls of f are enough; yours made {len(calls)}"
    assert f(total, gradient * 1.01, x) is False, "one percent too large is wrong"
    gradient[3, 7] += 0.1
    assert f(total, gradient, x) is False, "a single wrong number, gradient[3, 7], went unseen"


exercise(is_right, check_is_right, is_right_solution, hint="(f(x + hu) - f(x - hu)) / 2h equals (gradient * u).sum().")

# %% [markdown]
# **Exercise 2.** Write the `backward` of this operation of two inputs, the length of the hypotenuse. It returns two
# gradients, `return da, db`.


# %%
class Hypotenuse(minillm.autograd.Function):
    """y = sqrt(a^2 + b^2)."""

    def forward(self, a, b):
        self.save_for_backward(a, b)
        return (a * a + b * b) ** 0.5

    def backward(self, dy): ...  # your code here; the inputs are in self.saved


# %% tags=["solution"]
class HypotenuseSolution(Hypotenuse):
    """y = sqrt(a^2 + b^2),  da = dy a / y,  db = dy b / y."""

    def backward(self, dy):
        a, b = self.saved
        y = (a * a + b * b) ** 0.5
        return dy * a / y, dy * b / y


# %%
def check_hypotenuse(operation):
    a = minillm.tensor([3.0, 1.0], dtype=minillm.float64, requires_grad=True)
    b = minillm.tensor([4.0, -2.0], dtype=minillm.float64, requires_grad=True)
    da, db = minillm.autograd.grad(operation.apply(a, b).sum(), (a, b))
    assert math.isclose(da[0].item(), 0.6), f"at a = 3, b = 4 the gradient of a is 3/5, yours is {da[0].item():.4f}"
    assert math.isclose(db[0].item(), 0.8), f"at a = 3, b = 4 the gradient of b is 4/5, yours is {db[0].item():.4f}"
    assert minillm.autograd.gradcheck(operation.apply, (a, b))
    assert minillm.autograd.gradgradcheck(operation.apply, (a, b))


exercise(Hypotenuse, check_hypotenuse, HypotenuseSolution, hint="By the chain rule, dy/da = 2a / (2 sqrt(...)).")

# %% [markdown]
# **Exercise 3.** Newton's older use: find where a function is **zero**. The line that touches `f` at `x` crosses zero
# at $x - f(x)/f'(x)$; go there, repeat. Write `find_zero(f, x, steps)` for a function of a minillm tensor and a plain
# number `x`; let minillm take the derivative; return a plain number.


# %%
def find_zero(f, x, steps): ...  # your code here


# %% tags=["solution"]
def find_zero_solution(f, x, steps):
    for _ in range(steps):
        point = minillm.tensor(x, dtype=minillm.float64, requires_grad=True)
        value = f(point)
        (slope,) = minillm.autograd.grad(value, point)
        x = x - value.item() / slope.item()
    return x


# %%
def check_find_zero(find):
    root = find(lambda x: x * x - 2, 1.0, 6)
    assert abs(root - math.sqrt(2)) < 1e-12, f"x² - 2 is zero at {math.sqrt(2):.12f}; yours found {root}"
    root = find(lambda x: x.cos() - x, 1.0, 6)
    assert abs(math.cos(root) - root) < 1e-12, f"cos x = x at 0.739085133215; yours found {root}"


exercise(find_zero, check_find_zero, find_zero_solution, hint="A new tensor in each round, in float64.")

# %% [markdown]
# ## Where to go next
#
# * **Step 4** builds a network, and trusts the gradients from now on.
# * minillm checks every one of its operations like this, first and second order, in its tests:
#   `minillm/autograd/gradcheck.py` is the detector, `tests/ops/` has the table of suspects.
# * Baydin and others, 2018, [arXiv:1502.05767](https://arxiv.org/abs/1502.05767), section 2.1, on differences and their
#   errors.
