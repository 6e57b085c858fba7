# %% [markdown]
# # 1. A scalar that remembers
#
# You will build a number that remembers how it was computed, in about sixty lines of Python, and let it work out every
# derivative of a long expression by itself. Everything that learns in the later steps, up to a GPT, learns with this
# one idea; there, the numbers are only more, and arranged in tables.
#
# *Reading time: about 20 minutes. You need: Python, and what a derivative is.*

# %%
import math
import os
from pathlib import Path

import matplotlib.pyplot as plt

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
# ## What learning asks for
#
# A network is a formula with many adjustable numbers. To improve it, we measure how wrong it is (one number, the
# *loss*) and ask of each adjustable number: **if I nudge you up a little, does the loss rise or fall, and how
# fast?** That rate is the derivative. Here is a formula with three adjustable numbers:
#
# $$ y = (a \cdot b + c)^2, \qquad a = 2,\; b = -3,\; c = 10 . $$


# %%
def formula(a, b, c):
    return (a * b + c) ** 2


nudge = 0.0001
y = formula(2, -3, 10)
print("y =", y)
print("nudging a changes y at the rate", round((formula(2 + nudge, -3, 10) - y) / nudge, 2))
print("nudging b changes y at the rate", round((formula(2, -3 + nudge, 10) - y) / nudge, 2))
print("nudging c changes y at the rate", round((formula(2, -3, 10 + nudge) - y) / nudge, 2))

# %% [markdown]
# Nudging works, but it computes the whole formula once more for every number in it. A small GPT has millions of them.
# The chain rule finds all rates in **one** walk through the formula, at about the price of computing it twice more.
#
# ## The chain rule, by hand
#
# Take the formula apart into steps that do one thing each:
#
# $$ d = a \cdot b, \qquad e = d + c, \qquad y = e^2 . $$
#
# Each step alone has a derivative that you know from school, its **local derivative**:
#
# | step | local derivatives |
# | --- | --- |
# | $d = a \cdot b$ | $\partial d/\partial a = b$ and $\partial d/\partial b = a$ |
# | $e = d + c$ | $\partial e/\partial d = 1$ and $\partial e/\partial c = 1$ |
# | $y = e^2$ | $\partial y/\partial e = 2e$ |
#
# The chain rule says: along a chain of steps, **rates multiply**. If $y$ changes 8 times as fast as $e$, and $e$ as
# fast as $c$, then $y$ changes 8 times as fast as $c$. So we start at the end and walk back:

# %%
a, b, c = 2.0, -3.0, 10.0
d = a * b
e = d + c
y = e**2

dy_dy = 1.0  # y changes exactly as fast as itself
dy_de = 2 * e * dy_dy
dy_dd = 1 * dy_de
dy_dc = 1 * dy_de
dy_da = b * dy_dd
dy_db = a * dy_dd
print("dy/da =", dy_da, " dy/db =", dy_db, " dy/dc =", dy_dc)

assert (dy_da, dy_db, dy_dc) == (-24.0, 16.0, 8.0)  # what the nudges measured

# %% [markdown]
# Every line of the second half has the same shape: *local derivative × the rate that has arrived from behind*. A
# computer can write these lines for us, if each number remembers which step made it.
#
# ## A number that remembers
#
# A `Value` holds a number (`data`), its rate (`grad`, filled in later: how fast the final result changes with it), and
# its memory: the values it was made from, each with the local derivative of the step.


# %%
class Value:
    """A number that remembers the step that made it."""

    def __init__(self, data, inputs=(), step=""):
        self.data = data
        self.grad = 0.0
        self.inputs = inputs  # pairs: (the value that went in, the local derivative)
        self.step = step  # a name for the picture: "+", "×", ...

    def __repr__(self):
        return f"Value({self.data:g}, grad={self.grad:g})"


# %% [markdown]
# Now the steps. Addition passes rates on unchanged; multiplication passes them on times the *other* factor; a power
# has the derivative $n\,x^{n-1}$. ReLU, the most used bend in neural networks, keeps positive numbers and turns
# negative ones into zero; its derivative is 1 or 0.


# %%
def as_value(x):
    return x if isinstance(x, Value) else Value(x)


def add(x, y):
    x, y = as_value(x), as_value(y)
    return Value(x.data + y.data, ((x, 1.0), (y, 1.0)), "+")


def multiply(x, y):
    x, y = as_value(x), as_value(y)
    return Value(x.data * y.data, ((x, y.data), (y, x.data)), "×")


def power(x, n):
    return Value(x.data**n, ((x, n * x.data ** (n - 1)),), f"^{n}")


def relu(x):
    return Value(max(x.data, 0.0), ((x, 1.0 if x.data > 0 else 0.0),), "relu")


# %% [markdown]
# Python lets a class say what `+` and `*` mean for it. Subtraction and division need no derivative of their own: they
# are made of the steps that we have. (The names with an `r` serve `2 * x`, where the plain number stands on the left.)

# %%
Value.__add__ = Value.__radd__ = add
Value.__mul__ = Value.__rmul__ = multiply
Value.__pow__ = power
Value.__neg__ = lambda x: multiply(x, -1.0)
Value.__sub__ = lambda x, y: add(x, -as_value(y))
Value.__rsub__ = lambda x, y: add(y, -x)
Value.__truediv__ = lambda x, y: multiply(x, power(as_value(y), -1))
Value.__rtruediv__ = lambda x, y: multiply(y, power(x, -1))
Value.relu = relu

# %% [markdown]
# The same formula as before, now with numbers that remember. `y` knows its inputs, those know theirs: together they
# form a **graph**, from the result back to the numbers it came from.

# %%
a, b, c = Value(2.0), Value(-3.0), Value(10.0)
y = (a * b + c) ** 2
print("y is", y.data, "and was made by the step:", y.step)
print("from", y.inputs[0][0].data, "with the local derivative", y.inputs[0][1])

assert y.data == 16.0
assert y.inputs[0][1] == 8.0  # 2e, with e = 4

# %% [markdown]
# ## The walk back
#
# We visit the values from the result to the beginnings, and hand each input its share. Two things need care:
#
# * **Sharing.** A value may be used more than once. Its rates then **add up** (if both my hands push a cart, the
#   pushes add), so the code says `+=`, not `=`.
# * **Order.** A value may pass its rate on only when *all* of it has arrived, so it must come after everything that
#   used it. An order with this property is called *topological*. We get one by walking into the inputs first and noting
#   a value when all its inputs are noted. We keep our own list of what is left to do, where many textbooks let the
#   function call itself: Python allows about a thousand calls inside each other, and graphs get deeper than that.


# %%
def in_order(result):
    """Every value that `result` was made from, and itself, inputs before what uses them."""
    order, seen = [], set()
    to_do = [(result, False)]
    while to_do:
        value, inputs_are_done = to_do.pop()
        if inputs_are_done:
            order.append(value)
        elif value not in seen:
            seen.add(value)
            to_do.append((value, True))
            to_do.extend((x, False) for x, _ in value.inputs)
    return order


def backward(result):
    """Fill in `grad` of everything that `result` was made from."""
    order = in_order(result)
    for value in order:
        value.grad = 0.0
    result.grad = 1.0
    for value in reversed(order):
        for x, local_derivative in value.inputs:
            x.grad += local_derivative * value.grad


Value.backward = backward

# %%
y.backward()
print("a:", a, "  b:", b, "  c:", c)

assert (a.grad, b.grad, c.grad) == (dy_da, dy_db, dy_dc)  # the lines that we wrote by hand

# %% [markdown]
# That is the whole of it. Published as *reverse-mode automatic differentiation* (Seppo Linnainmaa, 1970), made famous
# for networks as *backpropagation* (Rumelhart, Hinton and Williams, 1986).
#
# ## Look at the graph
#
# The next cell can draw a graph: it places each value in a column to the left of what uses it. How it does that is not
# our subject; skip it if you like. In each box stand the step, the number, and in orange the rate that came back.

# %% tags=["drawing"]
BLUE, ORANGE, GREY = "#3b6ea5", "#c8641b", "#8a8f98"


def draw(result, names, file, size=(9, 3), fontsize=11):
    """Draw the graph of `result`; `names` gives some values a name. Plain constants are left out."""
    order = []
    for value in in_order(result):
        if value in names or any(x in order for x, _ in value.inputs):
            order.append(value)
    users = {v: [u for u in order if any(x is v for x, _ in u.inputs)] for v in order}
    column = {}
    for value in reversed(order):  # each stands just before its first use
        column[value] = min((column[user] for user in users[value]), default=0) - 1
    columns = {}
    for value in order:
        columns.setdefault(column[value], []).append(value)
    height = dict.fromkeys(order, 0.0)
    for _ in range(8):  # let each value drift to the middle of its neighbours, then spread each column out
        for values in columns.values():
            near = {v: [*users[v], *(x for x, _ in v.inputs if x in height)] for v in values}
            middle = {v: sum(height[n] for n in near[v]) / max(len(near[v]), 1) for v in values}
            for place, v in enumerate(sorted(values, key=middle.get)):
                height[v] = place - (len(values) - 1) / 2
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    width, tall = 0.68, 0.78
    for value in order:
        x, y = column[value], height[value]
        for user in users[value]:
            arrow = {"arrowstyle": "-|>", "color": GREY, "shrinkA": 0, "shrinkB": 0, "linewidth": 0.9}
            ends = (column[user] - width / 2, height[user]), (x + width / 2, y)
            axes.annotate("", *ends, arrowprops=arrow, zorder=1)
        edge, face = (GREY, "white") if value.inputs else (BLUE, "#e8f0f9")
        corner = (x - width / 2, y - tall / 2)
        axes.add_patch(plt.Rectangle(corner, width, tall, facecolor=face, edgecolor=edge, zorder=2))
        text = {"ha": "center", "va": "center", "zorder": 3, "fontsize": fontsize}
        color = "black" if value.inputs else BLUE
        axes.text(x, y + tall * 0.29, names.get(value, value.step), color=color, weight="bold", **text)
        axes.text(x, y, f"{value.data:.4g}", **text)
        axes.text(x, y - tall * 0.29, f"{value.grad:.4g}", color=ORANGE, **text)
    axes.axis("off")
    axes.autoscale_view()
    figure.savefig(PICTURES / file, dpi=110)
    plt.show()
    plt.close(figure)


# %%
draw(y, {a: "a", b: "b", c: "c"}, "01_small_graph.png")

# %% [markdown]
# Read it from left to right for the numbers (black), and from right to left for the rates (orange): 1 at the result, 8
# before the square, 8 on both sides of the plus, and then each factor gets 8 times the other one.
#
# ## Where sharing matters
#
# $x \cdot x$ uses one value twice. Each use gives $x$, together $2x$, as school says. Without `+=` the second use would
# overwrite the first and half the derivative would be lost.

# %%
x = Value(3.0)
square = x * x
square.backward()
print("d(x·x)/dx at x = 3:", x.grad)

assert x.grad == 6.0

# %% [markdown]
# And a graph that is deep: one added twenty thousand times. Functions that call themselves would end in a
# `RecursionError` here.

# %%
start = Value(0.0)
total = start
for _ in range(20_000):
    total = total + 1.0
total.backward()
print(total.data, "after 20 000 additions; the rate at the start is", start.grad)

assert (total.data, start.grad) == (20_000.0, 1.0)

# %% [markdown]
# ## The expression of micrograd
#
# Andrej Karpathy's [micrograd](https://github.com/karpathy/micrograd) made this idea fit on one page. Its README ends
# with a winding expression and three numbers. We type it in as it stands there; the function takes any kind of number,
# and we will hand it three kinds.


# %%
def winding(a, b):
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    return g


a, b = Value(-4.0), Value(2.0)
g = winding(a, b)
g.backward()
print(f"g = {g.data:.4f}, dg/da = {a.grad:.4f}, dg/db = {b.grad:.4f}")

assert f"{g.data:.4f}" == "24.7041"
assert f"{a.grad:.4f}" == "138.8338"
assert f"{b.grad:.4f}" == "645.5773"

# %% tags=["cover"]
draw(g, {a: "a", b: "b", g: "g"}, "01_winding_graph.png", size=(14, 5), fontsize=9)
print(len(in_order(g)), "values, one walk back, every rate")

# %% [markdown]
# ## The same in minillm
#
# `minillm.tensor` makes a number (or, from the next step on, a table of numbers) on which the framework computes.
# `requires_grad=True` asks it to remember. `.backward()` and `.grad` are what you have built; `.item()` takes the plain
# Python number out. minillm computes in `float32`, numbers of about seven digits, unless told otherwise; we tell it
# `float64`, the sixteen digits that Python's own numbers have, so that all three agree to the last digits.

# %%
ma = minillm.tensor(-4.0, dtype=minillm.float64, requires_grad=True)
mb = minillm.tensor(2.0, dtype=minillm.float64, requires_grad=True)
mg = winding(ma, mb)
mg.backward()
print(f"minillm: g = {mg.item():.4f}, dg/da = {ma.grad.item():.4f}, dg/db = {mb.grad.item():.4f}")
print("the step that made g is remembered in mg.grad_fn:", type(mg.grad_fn).__name__)

assert math.isclose(mg.item(), g.data, rel_tol=1e-12)
assert math.isclose(ma.grad.item(), a.grad, rel_tol=1e-12)
assert math.isclose(mb.grad.item(), b.grad, rel_tol=1e-12)

# %% [markdown]
# PyTorch has the same names, on purpose: what you learn here you can use there.

# %%
if torch is not None:
    ta = torch.tensor(-4.0, dtype=torch.float64, requires_grad=True)
    tb = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    tg = winding(ta, tb)
    tg.backward()
    print(f"PyTorch: g = {tg.item():.4f}, dg/da = {ta.grad.item():.4f}, dg/db = {tb.grad.item():.4f}")
    assert math.isclose(ta.grad.item(), a.grad, rel_tol=1e-12)
    assert math.isclose(tb.grad.item(), b.grad, rel_tol=1e-12)

# %% [markdown]
# One difference you will meet: minillm and PyTorch **keep** what is in `.grad` and add to it when you call `backward`
# again, so that a loss may come in pieces. Our `backward` starts from zero each time. In step 4, a line that sets the
# rates back to zero will stand in every training loop, and this is why.

# %%
twice = ma * 1.0
twice.backward()
print("138.8338 was there already, and 1 was added:", round(ma.grad.item(), 4))

assert math.isclose(ma.grad.item(), a.grad + 1, rel_tol=1e-12)

# %% [markdown]
# ## Exercises
#
# Write into the function whose body is `...`, run the cell, and the cell below it tells you how you did. Each has a
# solution, folded away.
#
# **Exercise 1.** The hyperbolic tangent is a step that every old recurrent network uses. Its derivative is
# $1 - \tanh^2 x$. Write `tanh(x)` for our `Value`, as `relu` above is written.


# %%
def tanh(x): ...  # your code here


# %% tags=["solution"]
def tanh_solution(x):
    t = math.tanh(x.data)
    return Value(t, ((x, 1 - t * t),), "tanh")


# %%
def check_tanh(f):
    x = Value(0.5)
    y = f(x * 2.0)
    assert math.isclose(y.data, math.tanh(1.0)), f"tanh(1) is {math.tanh(1.0):.6f}, yours is {y.data:.6f}"
    y.backward()
    right = 2 * (1 - math.tanh(1.0) ** 2)
    assert math.isclose(x.grad, right), f"d tanh(2x)/dx at 0.5 is {right:.6f}, yours is {x.grad:.6f}"


exercise(tanh, check_tanh, tanh_solution, hint="The local derivative needs the result, so compute that first.")

# %% [markdown]
# **Exercise 2.** Now learn something. Find the $x$ that makes $(x - 3)^2 + 1$ smallest, by going downhill: compute the
# expression, call `backward`, move `x` against its rate by `rate * grad`, and do so `steps` times. Return the last
# number (a plain one, not a `Value`).


# %%
def go_downhill(x, rate, steps): ...  # your code here


# %% tags=["solution"]
def go_downhill_solution(x, rate, steps):
    for _ in range(steps):
        value = Value(x)
        loss = (value - 3) ** 2 + 1
        loss.backward()
        x = x - rate * value.grad
    return x


# %%
def check_downhill(f):
    one = f(0.0, 0.1, 1)
    assert math.isclose(one, 0.6), f"one step from 0 with rate 0.1 leads to 0.6 (the rate there is -6), not to {one}"
    end = f(0.0, 0.1, 100)
    assert abs(end - 3) < 1e-6, f"after 100 steps x should be 3 to six digits, and is {end}"


exercise(go_downhill, check_downhill, go_downhill_solution, hint="Make a new Value from x in every round.")

# %% [markdown]
# **Exercise 3.** There is a second way to see the chain rule: the derivative of a result by an input is the **sum over
# all paths** from one to the other of the **product of local derivatives** along the path. Write
# `sum_over_paths(result, x)` with that sentence and nothing else (a function that calls itself is right here). Then
# think about why `backward` does better: after thirty rounds of `x = x + x` there are $2^{30}$ paths, a billion, and
# only 31 values.


# %%
def sum_over_paths(result, x): ...  # your code here


# %% tags=["solution"]
def sum_over_paths_solution(result, x):
    if result is x:
        return 1.0  # the path with no steps
    return sum(derivative * sum_over_paths_solution(value, x) for value, derivative in result.inputs)


# %%
def check_paths(f):
    p, q = Value(-4.0), Value(2.0)
    assert f(p, p) == 1.0, "from a value to itself there is one path, without steps: its product is 1"
    assert f(p * q, p) == 2.0, f"d(p·q)/dp is q = 2, yours is {f(p * q, p)}"
    assert f(p * p, p) == -8.0, f"two paths lead from p·p to p, each with -4; yours gives {f(p * p, p)}"
    result = winding(p, q)
    assert abs(f(result, p) - 138.8338) < 1e-4, f"winding by a is 138.8338, yours is {f(result, p):.4f}"


exercise(sum_over_paths, check_paths, sum_over_paths_solution, hint="How do paths from `result` go on from its inputs?")

# %% [markdown]
# ## Where to go next
#
# * **Step 2** puts tables of numbers where the scalars were: the same graph, thousands of numbers in each box.
# * In minillm, `minillm/autograd/function.py` is our `Value` and its steps, and `minillm/autograd/engine.py` our
#   `in_order` and `backward`. Both can be read in a sitting.
# * Baydin, Pearlmutter, Radul and Siskind, *Automatic differentiation in machine learning: a survey*, 2018,
#   [arXiv:1502.05767](https://arxiv.org/abs/1502.05767).
