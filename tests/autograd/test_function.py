"""``Function``: users' own operations, in both styles, and what apply does with arguments and results."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import autograd
from minillm.autograd import Function
from minillm.autograd.errors import OperationError, OperationIndexError, OperationTypeError
from minillm.backend import is_array


class Scale(Function):
    """y = x times a number."""

    def forward(self, x, by, *, unused=None):
        self.by = by
        return x * by

    def backward(self, dy):
        return dy * self.by


def leaf(*values: float) -> minillm.Tensor:
    return minillm.tensor(list(values), dtype="float64", requires_grad=True)


def test_forward_and_backward_get_arrays(device):
    seen = []

    class Look(Function):
        def forward(self, x, number, text):
            seen.append((x, number, text))
            return x * number

        def backward(self, dy):
            seen.append(dy)
            return dy * 2.0

    x = leaf(1, 2)
    Look.apply(x, 2.0, "text").backward(minillm.ones(2))
    assert is_array(seen[0][0])
    assert seen[0][1:] == (2.0, "text")
    assert is_array(seen[1])
    autograd.grad(Look.apply(x, 2.0, "").sum(), x, create_graph=True)
    assert isinstance(seen[-1], minillm.Tensor)


def test_arrays_in_arrays_out(device):
    x = leaf(1, 2)
    y = Scale.apply(x.array, 3.0)
    assert type(y) is type(x.array)
    assert y.tolist() == [3, 6]


def test_what_is_recorded(device):
    x = leaf(1)
    y = Scale.apply(x, 2.0)
    assert y.requires_grad
    assert y.grad_fn.name() == "scale"
    assert not Scale.apply(x.detach(), 2.0).requires_grad
    with minillm.no_grad():
        assert not Scale.apply(x, 2.0).requires_grad

    class Flag(Scale):
        differentiable = False

    assert not Flag.apply(x, 2.0).requires_grad


def test_needs(device):
    asked = []

    class Ask(Function):
        def forward(self, a, b, c):
            asked.append((self.needs_input_grad, self.needs(1)))
            return a + b

        def backward(self, dy):
            return dy, dy, None

    Ask.apply(leaf(1), minillm.ones(1), 3)
    Ask.apply(minillm.ones(1), leaf(1), 3)
    with minillm.no_grad():
        Ask.apply(leaf(1), leaf(1), 3)
    assert asked == [((True, False, False), False), ((False, True, False), True), ((False,) * 3, False)]


def test_numbers_from_numpy_become_arrays():
    """Reductions of NumPy give scalars, which cannot be written to."""
    x = leaf(1, 2)

    class Total(Function):
        def forward(self, x):
            return x.sum(), float(x.sum())

        def backward(self, dy, dz):
            return (dy + dz) * minillm.ones(2, dtype="float64").array

    y, z = Total.apply(x)
    for tensor in (y, z, x.sum(), x.detach().sum()):
        assert type(tensor.array) is np.ndarray
        assert tensor.shape == ()
    (y * z).backward()
    assert x.grad.tolist() == [6, 6]


def test_several_outputs_and_unused_ones(device):
    class Parts(Function):
        def forward(self, x):
            return x[:1], x[1:], (x > 0)

        def backward(self, da, db, dmask):
            assert da.shape == (1,)
            assert db.shape == (2,)
            y = minillm.zeros(3, dtype="float64").array
            y[:1], y[1:] = da, db
            return y

    x = leaf(1, 2, 3)
    a, b, mask = Parts.apply(x)
    assert a.requires_grad
    assert not mask.requires_grad
    (b * 2).sum().backward()
    assert x.grad.tolist() == [0, 2, 2]


def test_names():
    class LayerNorm2(Function):
        pass

    class _ReLU(Function):
        pass

    assert LayerNorm2.name() == "layer_norm2"
    assert _ReLU.name() == "re_lu"


def test_methods_that_are_missing(device):
    class Empty(Function):
        pass

    class NoBackward(Function):
        def forward(self, x):
            return x * 2

    with pytest.raises(NotImplementedError, match="Empty needs a method forward"):
        Empty.apply(leaf(1))
    with pytest.raises(NotImplementedError, match="NoBackward needs a method backward"):
        NoBackward.apply(leaf(1)).sum().backward()


@pytest.mark.parametrize(
    ("raised", "kind"),
    [(ValueError, OperationError), (TypeError, OperationTypeError), (IndexError, OperationIndexError)],
)
def test_errors_name_the_operation_and_what_it_got(raised, kind, device):
    class Fail(Function):
        def forward(self, x, by, pieces):
            raise raised("numbers are too odd")

    with pytest.raises(kind, match=r"^fail: got float64 \(2,\), 3, \[float64 \(1,\)\]; numbers are too odd$"):
        Fail.apply(leaf(1, 2), 3, [leaf(1).array])
    assert issubclass(kind, raised)
    assert issubclass(kind, RuntimeError)

    class Explained(Fail):
        @classmethod
        def explain(cls, x, by, pieces):
            return f"it needs even ones, not {by}"

    with pytest.raises(kind, match=r"explained: got .*; it needs even ones, not 3"):
        Explained.apply(leaf(1), 3, [])


def test_two_devices_are_named():
    x = minillm.ones(2)
    y = minillm.ones(2, device="strict")
    with pytest.raises(RuntimeError, match=r"add: .*cpu and strict"):
        x + y
    with pytest.raises(RuntimeError, match=r"matmul: .*strict and cpu"):
        y @ x


# -- PyTorch's style --------------------------------------------------------------------------------


class Cube(Function):
    """Written for PyTorch: static methods and a ctx."""

    @staticmethod
    def forward(ctx, x, scale=1.0):
        assert isinstance(x, minillm.Tensor)
        ctx.save_for_backward(x)
        ctx.scale = scale
        return x * x * x * scale

    @staticmethod
    def backward(ctx, dy):
        assert isinstance(dy, minillm.Tensor)
        (x,) = ctx.saved_tensors
        return 3 * x * x * dy * ctx.scale, None


def test_classes_written_for_pytorch(device):
    x = leaf(1, 2)
    y = Cube.apply(x, 2.0)
    assert y.grad_fn.name() == "cube"
    y.sum().backward()
    assert x.grad.tolist() == [6, 24]
    assert autograd.gradcheck(Cube.apply, x)
    assert autograd.gradgradcheck(Cube.apply, x)
    (dx,) = autograd.grad(Cube.apply(x).sum(), x, create_graph=True)
    (ddx,) = autograd.grad(dx.sum(), x, create_graph=True)
    assert autograd.grad(ddx.sum(), x)[0].tolist() == [6, 6]
    assert not Cube.apply(x.detach()).requires_grad


def test_setup_context(device):
    class Square(Function):
        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            (x,) = inputs
            ctx.save_for_backward(x, output)

        @staticmethod
        def backward(ctx, dy):
            x, y = ctx.saved_tensors
            assert y.tolist() == [9]
            return 2 * x * dy

    x = leaf(3)
    Square.apply(x).sum().backward()
    assert x.grad.tolist() == [6]


def test_outputs_marked_without_gradient(device):
    class Sorted(Function):
        @staticmethod
        def forward(ctx, x):
            order = minillm.tensor([1.0, 0.0])
            ctx.mark_non_differentiable(order)
            return x * 2, order

        @staticmethod
        def backward(ctx, dy, dorder):
            assert dorder.tolist() == [0, 0]
            return dy * 2

    class Alone(Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 1
            ctx.mark_non_differentiable(y)
            return y

    x = leaf(1, 2)
    y, order = Sorted.apply(x)
    assert not order.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [2, 2]
    assert not Alone.apply(x).requires_grad


def test_gradients_that_are_not_materialized(device):
    class Pair(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, da, db):
            assert da is None
            return db * 3

    x = leaf(1)
    Pair.apply(x)[1].sum().backward()
    assert x.grad.tolist() == [3]
    assert autograd.grad(Pair.apply(x)[1].sum(), x, create_graph=True)[0].tolist() == [3]


def test_same_results_as_in_pytorch():
    torch = pytest.importorskip("torch")

    def define(base):
        class LogSumExp(base):
            @staticmethod
            def forward(ctx, x, dim):
                y = x.exp().sum(dim).log()
                ctx.save_for_backward(x, y)
                ctx.dim = dim
                return y

            @staticmethod
            def backward(ctx, dy):
                x, y = ctx.saved_tensors
                assert ctx.needs_input_grad == (True, False)
                return dy.unsqueeze(ctx.dim) * (x - y.unsqueeze(ctx.dim)).exp(), None

        return LogSumExp

    values = np.random.default_rng(0).standard_normal((3, 4))
    found = []
    for library, base in ((minillm, Function), (torch, torch.autograd.Function)):
        x = library.tensor(values, requires_grad=True)
        y = define(base).apply(x, 1)
        (dx,) = library.autograd.grad((y * y).sum(), x, create_graph=True)
        (ddx,) = library.autograd.grad((dx * dx).sum(), x)
        found.append((y.detach().numpy(), dx.detach().numpy(), ddx.numpy()))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)


class ExpWithComposite(Function):
    """y = e^x, with a formula for higher orders."""

    composite = minillm.exp

    def forward(self, x):
        y = np.exp(x)
        self.save_for_backward(x, y)
        return y

    def backward(self, dy):
        return dy * self.saved[1]


@pytest.mark.parametrize(("written", "which"), [(0, "argument 0"), (1, "its output")])
def test_writes_to_what_an_operation_with_a_composite_saved_are_told_apart(written, which):
    x = minillm.ones(2, requires_grad=True)
    a = x * 2
    y = ExpWithComposite.apply(a)
    assert y._edge[0].origins() == [0, 1]
    (a, y)[written].detach().zero_()
    with pytest.raises(OperationError, match=which):
        y.sum().backward()
