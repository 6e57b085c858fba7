# %% [markdown]
# # 2. Tensors and broadcasting
#
# You will turn the scalar that remembers into a *tensor* that remembers: a table of numbers, on which one operation
# does the work of thousands. And you will see why tables of different shapes may meet, what that means for gradients,
# and how it hides the most common silent mistake in this field.
#
# *Reading time: about 25 minutes. You need: step 1, and to have seen NumPy arrays.*

# %%
import os
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

# %% [markdown]
# ## Shapes, as pictures
#
# A tensor is numbers in a regular arrangement, and its **shape** says how many there are along each direction. The
# shape `(3, 4)` is a table of 3 rows with 4 numbers each. `(2, 3, 4)` is two such tables. `(4,)` is one row of four
# numbers, without rows to speak of; `(1, 4)` is a table that happens to have one row: the same numbers, another shape.
# The next cell draws them (how is not our subject).

# %% tags=["drawing"]
BLUE, ORANGE, GREEN, GREY = "#3b6ea5", "#c8641b", "#3a8a5f", "#8a8f98"


def draw_table(axes, numbers, left, top, color=BLUE, ghosts=None, title="", level=2):
    """Draw numbers as a table of cells; `ghosts` marks those that are only copies."""
    table = np.atleast_2d(numbers)
    ghosts = np.zeros(table.shape, bool) if ghosts is None else ghosts
    for (row, col), number in np.ndenumerate(table):
        ghost = ghosts[row, col]
        axes.add_patch(
            plt.Rectangle(
                (left + col, top - row - 1),
                1,
                1,
                facecolor="white" if ghost else color,
                edgecolor=color if ghost else "white",
                linestyle=":" if ghost else "-",
                linewidth=1.2,
                zorder=level,
            )
        )
        x, y = left + col + 0.5, top - row - 0.5
        style = {"color": color if ghost else "white", "fontsize": 10, "zorder": level + 0.5}
        axes.text(x, y, f"{number:g}", ha="center", va="center", **style)
    axes.text(left + table.shape[1] / 2, top + 0.3, title, ha="center", va="bottom", color=color, fontsize=11)


def finish(figure, axes, file):
    axes.set_aspect("equal")
    axes.axis("off")
    axes.autoscale_view()
    figure.savefig(PICTURES / file, dpi=110, bbox_inches="tight")
    plt.show()
    plt.close(figure)


figure, axes = plt.subplots(figsize=(10, 3), layout="constrained")
draw_table(axes, 7, 0, 0, title="()")
draw_table(axes, np.arange(4), 2.5, 0, title="(4,)")
draw_table(axes, np.arange(3)[:, None], 8, 0, title="(3, 1)")
draw_table(axes, np.arange(12).reshape(3, 4), 10.5, 0, title="(3, 4)")
draw_table(axes, np.arange(12, 24).reshape(3, 4), 17.5, 1, color="#8fb0d3", title="(2, 3, 4)", level=1)
draw_table(axes, np.arange(12).reshape(3, 4), 16.5, 0)
finish(figure, axes, "02_shapes.png")

# %% [markdown]
# In minillm, `minillm.tensor(...)` makes one of nested lists; it has a `.shape`, and a `.dtype` (what kind of numbers:
# `float32` unless you say otherwise, and `int64` for whole numbers).

# %%
table = minillm.tensor([[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0], [8.0, 9.0, 10.0, 11.0]])
print("shape:", table.shape, " dtype:", table.dtype)
print("sum of everything:", table.sum().item())
print("sums down the columns (dimension 0 goes away):", table.sum(0).tolist())
print("sums along the rows (dimension 1 goes away):", table.sum(1).tolist())
print("the same, kept as a column:", table.sum(1, keepdim=True).shape)

assert table.sum(0).tolist() == [12.0, 15.0, 18.0, 21.0]
assert table.sum(1).shape == (3,)
assert table.sum(1, keepdim=True).shape == (3, 1)

# %% [markdown]
# ## Broadcasting
#
# Adding two tables of the same shape adds number to number. If the shapes differ, NumPy, PyTorch and minillm follow one
# rule, *broadcasting* ([NumPy's account](https://numpy.org/doc/stable/user/basics.broadcasting.html)):
#
# 1. Write the shapes below each other, **aligned at the right**. Missing sizes on the left count as 1.
# 2. In each direction, the sizes must be **equal, or one of them 1**.
# 3. Where a size is 1, the tensor acts as if it were copied along that direction. (Nothing is copied in memory.)
#
# ```
#   (3, 1)                  (3, 4)                (3, 4)
#      (4,)                    (4,)                  (3,)
#   ------                  ------                ------
#   (3, 4)                  (3, 4)                4 and 3: an error
# ```

# %%
column = np.array([[10.0], [20.0], [30.0]])  # (3, 1)
row = np.array([1.0, 2.0, 3.0, 4.0])  # (4,)
both = column + row
print(both)

assert both.shape == (3, 4)

# %% tags=["drawing"]
figure, axes = plt.subplots(figsize=(10, 3), layout="constrained")
copies = np.ones((3, 4), bool)
first_column, first_row = copies.copy(), copies.copy()
first_column[:, 0], first_row[0] = False, False
draw_table(axes, np.tile(column, 4), 0, 0, ghosts=first_column, title="(3, 1), its copies dotted")
axes.text(5, -1.5, "+", fontsize=20, ha="center", va="center")
draw_table(axes, np.tile(row, (3, 1)), 6, 0, color=GREEN, ghosts=first_row, title="(4,), its copies dotted")
axes.text(11, -1.5, "=", fontsize=20, ha="center", va="center")
draw_table(axes, both, 12, 0, color=GREY, title="(3, 4)")
finish(figure, axes, "02_broadcasting.png")

# %% [markdown]
# When shapes cannot meet, minillm names the operation, what it got, and which direction is the trouble:

# %%
try:
    minillm.zeros(3, 4) + minillm.zeros(3)
except RuntimeError as error:
    message = str(error)
print(message)

assert "(3, 4)" in message
assert "dimension -1" in message

# %% [markdown]
# ## The gradient of a broadcast is a sum
#
# Step 1 had a rule for a number that is used more than once: its rates **add up**. Broadcasting uses one number many
# times. The 10 in our column went into four sums, so four rates come back to it, and its gradient is their sum.
#
# As a rule for shapes: the gradient of an operation arrives in the shape of the *result*. To give it to an input of a
# smaller shape, **sum over each direction in which the input was copied**, until the gradient has the input's shape.


# %%
def sum_to(gradient, shape):
    """Sum a gradient back to the shape of the input that was broadcast."""
    while gradient.ndim > len(shape):  # a direction that the input lacked
        gradient = gradient.sum(axis=0)
    for axis, size in enumerate(shape):
        if size == 1 and gradient.shape[axis] != 1:  # a direction in which it was copied
            gradient = gradient.sum(axis=axis, keepdims=True)
    return gradient


arriving = np.array([[1.0, 2, 3, 4], [0, 1, 0, 1], [5, 5, 5, 5]])  # some gradient for the (3, 4) result
to_column, to_row = sum_to(arriving, (3, 1)), sum_to(arriving, (4,))
print("for the column:", to_column.ravel(), " for the row:", to_row)

assert to_column.tolist() == [[10.0], [2.0], [20.0]]
assert to_row.tolist() == [6.0, 8.0, 8.0, 10.0]

# %% tags=["drawing"]
figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
draw_table(axes, arriving, 0, 0, color=GREY, title="the gradient that arrives, (3, 4)")
draw_table(axes, to_column, 7, 0, title="(3, 1)")
draw_table(axes, to_row, 0, -4.6, color=GREEN)
axes.text(4.3, -5.1, "(4,)", color=GREEN, va="center", fontsize=11)
for height in (-0.5, -1.5, -2.5):
    axes.annotate("", (6.8, height), (4.2, height), arrowprops={"arrowstyle": "-|>", "color": BLUE})
for place in (0.5, 1.5, 2.5, 3.5):
    axes.annotate("", (place, -4.5), (place, -3.1), arrowprops={"arrowstyle": "-|>", "color": GREEN})
axes.text(5.5, -0.1, "sum", color=BLUE, ha="center", fontsize=11)
axes.text(4.2, -3.8, "sum", color=GREEN, va="center", fontsize=11)
finish(figure, axes, "02_sum_back.png")

# %% [markdown]
# ## A tensor that remembers
#
# The class of step 1 barely changes. `data` and `grad` are arrays now. And a local derivative is no longer one number,
# so with each input we keep a *function* that turns the gradient of the result into the gradient of the input; the walk
# back then sums it to the input's shape. That one line serves every operation.


# %%
class Tensor:
    """A table of numbers that remembers the step that made it."""

    def __init__(self, data, inputs=()):
        self.data = np.asarray(data, dtype=np.float64)
        self.grad = None
        self.inputs = inputs  # pairs: (the tensor that went in, how its gradient follows from ours)

    def __add__(self, other):
        return Tensor(self.data + other.data, ((self, lambda dy: dy), (other, lambda dy: dy)))

    def __sub__(self, other):
        return Tensor(self.data - other.data, ((self, lambda dy: dy), (other, lambda dy: -dy)))

    def __mul__(self, other):
        pairs = ((self, lambda dy: dy * other.data), (other, lambda dy: dy * self.data))
        return Tensor(self.data * other.data, pairs)

    def sum(self):
        # Every number goes into the sum once: each gets the one gradient there is.
        return Tensor(self.data.sum(), ((self, lambda dy: dy * np.ones(self.data.shape)),))

    def in_order(self):
        order, seen, to_do = [], set(), [(self, False)]
        while to_do:
            tensor, inputs_are_done = to_do.pop()
            if inputs_are_done:
                order.append(tensor)
            elif tensor not in seen:
                seen.add(tensor)
                to_do.append((tensor, True))
                to_do.extend((x, False) for x, _ in tensor.inputs)
        return order

    def backward(self):
        order = self.in_order()
        for tensor in order:
            tensor.grad = np.zeros(tensor.data.shape)
        self.grad = np.ones(self.data.shape)
        for tensor in reversed(order):
            for x, gradient_of_input in tensor.inputs:
                x.grad = x.grad + sum_to(gradient_of_input(tensor.grad), x.data.shape)


# %%
a = Tensor([[10.0], [20.0], [30.0]])
b = Tensor([1.0, 2.0, 3.0, 4.0])
weights = Tensor(arriving)
((a + b) * weights).sum().backward()
print(a.grad.ravel(), b.grad)

assert np.array_equal(a.grad, to_column)
assert np.array_equal(b.grad, to_row)

# %% [markdown]
# ## The matrix product
#
# One more operation carries most of the work in every network. A row $x$ of 3 numbers and a table $W$ of shape `(3, 2)`
# give 2 numbers, each a weighted sum of all three: $y_j = \sum_i x_i W_{ij}$. With $n$ rows at once:
#
# $$ Y = X W, \qquad (n, 3) \cdot (3, 2) \to (n, 2) . $$
#
# For the derivative, look at one product $x_i W_{ij}$ inside: the rate of $x_i$ is $W_{ij}$ times the rate of $y_j$,
# summed over all $j$ that $x_i$ went into. Written for whole tables:
#
# $$ dX = dY\, W^T, \qquad dW = X^T dY . $$
#
# You need not memorise this: **the shapes leave no other choice.** $dX$ must be `(n, 3)`, and from $dY$ `(n, 2)` and
# $W$ `(3, 2)` there is one way to get there.


# %%
def matmul(x, w):
    return Tensor(x.data @ w.data, ((x, lambda dy: dy @ w.data.T), (w, lambda dy: x.data.T @ dy)))


Tensor.__matmul__ = matmul

# %% [markdown]
# Here is everything at once, in a formula that you will meet in step 4 as a *layer*: $XW + b$, with $b$ broadcast over
# all rows. The same numbers go through our class, minillm and PyTorch.

# %%
rng = np.random.default_rng(0)
X, W, bias, target = (rng.normal(size=shape) for shape in [(5, 3), (3, 2), (2,), (5, 2)])


def squared_error(X, W, bias, target):
    difference = X @ W + bias - target
    return (difference * difference).sum()


ours = [Tensor(array) for array in (X, W, bias, target)]
loss = squared_error(*ours)
loss.backward()

theirs = [minillm.tensor(array, requires_grad=True) for array in (X, W, bias, target)]
minillm_loss = squared_error(*theirs)
minillm_loss.backward()
print("loss:", loss.data, "and", minillm_loss.item())
print("gradient of the bias:", ours[2].grad, "and", theirs[2].grad.tolist())

assert np.isclose(loss.data, minillm_loss.item())
for mine, other in zip(ours, theirs, strict=True):
    assert other.grad.shape == other.shape
    # .numpy(force=True) hands the numbers to NumPy, from whichever device they are on.
    assert np.allclose(mine.grad, other.grad.numpy(force=True))

if torch is not None:
    torches = [torch.tensor(array, requires_grad=True) for array in (X, W, bias, target)]
    squared_error(*torches).backward()
    for mine, other in zip(ours, torches, strict=True):
        assert np.allclose(mine.grad, other.grad.numpy())
    print("PyTorch agrees on all four gradients.")

# %% [markdown]
# ## The bug that broadcasting hides: `[n, 1]` against `[n]`
#
# Let us learn a line. There are 40 points near $t = 2x - 1$. The prediction is $p = xw + b$ with `x` of shape
# `(40, 1)`, so `p` is `(40, 1)` too. The targets came from a file, as a list of 40 numbers: shape `(40,)`. And then
# somebody writes `p - t`.
#
# Aligned at the right, `(40, 1)` and `(40,)` are allowed. The result is `(40, 40)`: **every** prediction minus
# **every** target. No error, and the mean of the squares still goes down while we train:

# %%
rng = np.random.default_rng(1)
x = rng.uniform(-2, 2, size=(40, 1))
t = 2 * x[:, 0] - 1 + rng.normal(scale=0.3, size=40)  # (40,)
print("shape of p - t:", (x - t).shape)


def fit_line(x, t, steps=300, rate=0.1):
    """Fit w and b by walking downhill, as in the exercise of step 1."""
    w, b = Tensor(np.zeros((1, 1))), Tensor(np.zeros(1))
    losses = []
    for _ in range(steps):
        difference = Tensor(x) @ w + b - Tensor(t)
        count = Tensor(1.0 / difference.data.size)
        loss = (difference * difference).sum() * count  # the mean of the squares
        loss.backward()
        w = Tensor(w.data - rate * w.grad)
        b = Tensor(b.data - rate * b.grad)
        losses.append(float(loss.data))
    return w.data.item(), b.data.item(), losses


w_wrong, b_wrong, losses_wrong = fit_line(x, t)  # (40, 1) against (40,)
w_right, b_right, losses_right = fit_line(x, t[:, None])  # (40, 1) against (40, 1)
print(f"with the bug: w = {abs(w_wrong):.3f}, b = {b_wrong:.3f}, loss {losses_wrong[0]:.2f} -> {losses_wrong[-1]:.2f}")
print(f"without it:   w = {w_right:.3f}, b = {b_right:.3f}, loss {losses_right[0]:.2f} -> {losses_right[-1]:.2f}")

assert abs(w_wrong) < 1e-6
assert abs(b_wrong - t.mean()) < 1e-6
assert 1.9 < w_right < 2.1
assert -1.2 < b_right < -0.8
assert losses_wrong[-1] < losses_wrong[0]  # it looks as if it learned!

# %% tags=["drawing", "cover"]
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
ends = np.array([-2, 2])
left.scatter(x[:, 0], t, s=14, color=GREY, label="the points")
left.plot(ends, w_right * ends + b_right, color=BLUE, label="(40, 1) against (40, 1)")
left.plot(ends, w_wrong * ends + b_wrong, color=ORANGE, label="(40, 1) against (40,)")
left.set(xlabel="x", ylabel="t", title="what was learned")
left.legend(frameon=False)
right.plot(losses_right[:60], color=BLUE)
right.plot(losses_wrong[:60], color=ORANGE)
right.set(xlabel="step", ylabel="loss", title="both losses fall", ylim=(0, None))
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
figure.savefig(PICTURES / "02_silent_bug.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# The line is flat, and that is exact: if every prediction must please *all* targets alike, the best it can do is to
# say their mean. (Set the derivative of $\sum_{ij}(p_i - t_j)^2$ by $p_i$ to zero and you find $p_i = \bar t$.) A
# network of a million numbers, trained like this, also learns the mean; and its loss falls.
#
# `minus` cannot know what you meant, since the same broadcast is often wanted. A loss function can: predictions and
# targets belong together one by one. `minillm.nn.functional.mse_loss` is the mean of squared errors (step 4 has more of
# it), and it refuses, says what would have happened, and how to mend it:

# %%
p = minillm.tensor(x)
targets = minillm.tensor(t)
try:
    minillm.nn.functional.mse_loss(p, targets)
except RuntimeError as error:
    message = str(error)
print(message)

assert "(40, 1)" in message
assert "(40,)" in message
assert "squeeze" in message

mended = minillm.nn.functional.mse_loss(p.squeeze(-1), targets)
print("mended:", round(mended.item(), 4))
assert np.isclose(mended.item(), np.mean((x[:, 0] - t) ** 2))

# %% [markdown]
# PyTorch warns at this place and goes on; many have overlooked the warning.
#
# Two habits keep you safe: write the shape behind each line that changes it, as in `# (40, 1) -> (40,)`, and assert the
# shape where two tensors meet.
#
# ## Exercises
#
# **Exercise 1.** Write the broadcasting rule. `broadcast_shape(a, b)` gets two shapes (tuples) and returns the shape of
# the result; where the shapes cannot meet, it raises a `ValueError`.


# %%
def broadcast_shape(a, b): ...  # your code here


# %% tags=["solution"]
def broadcast_shape_solution(a, b):
    length = max(len(a), len(b))
    a = (1,) * (length - len(a)) + a
    b = (1,) * (length - len(b)) + b
    for m, n in zip(a, b, strict=True):
        if m != n and 1 not in (m, n):
            raise ValueError(f"sizes {m} and {n} cannot meet")
    return tuple(n if m == 1 else m for m, n in zip(a, b, strict=True))


# %%
def check_broadcast_shape(f):
    for a, b in [((3, 1), (4,)), ((4,), (3, 1)), ((2, 3, 4), (3, 1)), ((), (5, 2)), ((5, 1), (1, 6)), ((0, 1), (3,))]:
        right = np.broadcast_shapes(a, b)
        assert f(a, b) == right, f"{a} and {b} give {right}; yours gives {f(a, b)}"
    try:
        result = f((3, 4), (3,))
    except ValueError:
        return
    raise AssertionError(f"(3, 4) and (3,) cannot meet: 4 and 3; yours gives {result}, not a ValueError")


exercise(broadcast_shape, check_broadcast_shape, broadcast_shape_solution, "Fill the shorter one with 1 at the left.")

# %% [markdown]
# **Exercise 2.** Give our `Tensor` the mean of each column: `column_means(x)` turns `(n, m)` into `(m,)`, and knows how
# the gradient goes back. The walk back calls your function with `dy` of shape `(m,)` and needs `(n, m)`.


# %%
def column_means(x): ...  # your code here


# %% tags=["solution"]
def column_means_solution(x):
    n = x.data.shape[0]
    return Tensor(x.data.mean(axis=0), ((x, lambda dy: np.ones(x.data.shape) * dy / n),))


# %%
def check_column_means(f):
    x = Tensor([[1.0, 2.0], [3.0, 6.0], [5.0, 1.0]])
    means = f(x)
    assert np.allclose(means.data, [3, 3]), f"the means are 3 and 3, yours are {means.data}"
    (means * Tensor([6.0, 9.0])).sum().backward()
    right = [[2.0, 3.0]] * 3
    assert np.allclose(x.grad, right), f"each number counts a third: the gradient is {right}, not {x.grad.tolist()}"


exercise(column_means, check_column_means, column_means_solution, "Every number of a column gets the same share.")

# %% [markdown]
# **Exercise 3.** Subtract from each **row** of a minillm tensor the mean of that row, as layer normalisation will do in
# step 8. Beware: for a square table, a forgotten `keepdim` raises no error. You know by now what it does instead.


# %%
def center_rows(x): ...  # your code here


# %% tags=["solution"]
def center_rows_solution(x):
    return x - x.mean(1, keepdim=True)  # (n, m) - (n, 1)


# %%
def check_center_rows(f):
    square = f(minillm.tensor([[1.0, 3.0], [10.0, 30.0]])).tolist()
    right = [[-1.0, 1.0], [-10.0, 10.0]]
    assert square == right, f"[[1, 3], [10, 30]] becomes {right}, yours gives {square}"
    assert f(minillm.ones(2, 5)).shape == (2, 5), "the shape stays"


exercise(center_rows, check_center_rows, center_rows_solution, "x.mean(1, keepdim=True) has the shape (n, 1).")

# %% [markdown]
# ## Where to go next
#
# * **Step 3** asks how we know that a gradient is right, and catches one that is not.
# * In minillm, `sum_to` stands in `minillm/autograd/engine.py`, and the operations in `minillm/ops/`, one idea a file:
#   `matmul.py` is a good one to read first.
# * Harris and others, *Array programming with NumPy*, Nature 585, 2020,
#   [arXiv:2006.10256](https://arxiv.org/abs/2006.10256).
