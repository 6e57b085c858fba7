"""The walk back: gradients, what is kept and released, errors, derivatives of any order."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest

import minillm
from minillm import autograd
from minillm.autograd import Function
from minillm.autograd.broadcast import sum_to
from minillm.autograd.errors import AnomalyError, OperationError, OperationTypeError


def leaf(*values: float, dtype: str = "float64") -> minillm.Tensor:
    return minillm.tensor(list(values), dtype=dtype, requires_grad=True)


def close(tensor, expected, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(tensor.detach().cpu().numpy(), expected, rtol=tolerance, atol=tolerance)


# -- backward ---------------------------------------------------------------------------------------


def test_gradients_add_up_over_calls(device):
    x = leaf(1, 2)
    (x * x).sum().backward()
    (x * 3).sum().backward()
    close(x.grad, [5, 7])
    x.grad.zero_()
    x.sum().backward()
    close(x.grad, [1, 1])


def test_the_same_tensor_twice(device):
    x = leaf(2, 3)
    (x + x).sum().backward()
    close(x.grad, [2, 2])
    x.grad = None
    y = x * x
    (y * y).sum().backward()
    close(x.grad, [4 * 8, 4 * 27])
    x.grad = None
    (x @ x).backward()
    close(x.grad, [4, 6])


def test_sums_of_gradients_are_not_written_over_what_others_hold():
    kept, seen = np.array([1.0, 2.0]), []

    class Kept(Function):
        """An operation that gives the same array out again and again."""

        def forward(self, x):
            return x * 1

        def backward(self, dy):
            seen.append((dy, dy.copy()))
            return kept

    x = leaf(1, 2)
    h = x * 1
    h.register_hook(lambda grad: seen.append((grad.array, grad.array.copy())))
    start = minillm.tensor([5.0, 7.0], dtype="float64")
    (Kept.apply(h) + h + Kept.apply(h) + h + Kept.apply(h) * 2).backward(start)
    close(x.grad, 3 * np.array([1, 2]) + 2 * np.array([5, 7]))
    close(start, [5, 7])
    np.testing.assert_array_equal(kept, [1, 2])
    assert len(seen) == 4
    for array, before in seen:
        np.testing.assert_array_equal(array, before)


def test_one_array_in_two_places_of_the_graph(device):
    x = leaf(2.0)
    (dx,) = autograd.grad((x * x.detach()).sum(), x, create_graph=True)
    assert not dx.requires_grad
    (dx,) = autograd.grad((x.detach() * x).sum(), x, create_graph=True)
    assert not dx.requires_grad
    y = x * 1
    (dx,) = autograd.grad((y * y.detach() + y * y).sum(), x, create_graph=True)
    close(autograd.grad(dx.sum(), x)[0], [2])


def test_a_diamond_is_walked_once_and_in_order(device):
    calls = []

    class Count(Function):
        def forward(self, x):
            return x * 2

        def backward(self, dy):
            calls.append(1)
            return dy * 2

    x = leaf(1)
    y = Count.apply(x)
    for _ in range(5):
        y = y + y
    y.sum().backward()
    close(x.grad, [64])
    assert len(calls) == 1


def test_gradient_to_start_from(device):
    x = leaf(1, 2)
    (x * x).backward(minillm.tensor([1.0, 10.0], dtype="float64"))
    close(x.grad, [2, 40])
    x.grad = None
    (x * x).backward(gradient=np.array([1.0, 10.0]) if device == "cpu" else minillm.tensor([1.0, 10.0]))
    close(x.grad, [2, 40])
    with pytest.raises(OperationError, match=r"backward: the output has shape \(2,\); only a single number"):
        (x * x).backward()
    with pytest.raises(OperationError, match=r"gradient has shape \(3,\) and the output \(2,\)"):
        (x * x).backward(minillm.ones(3))
    minillm.ones(1, 1, requires_grad=True).exp().backward()  # one number, whatever its shape


def test_several_outputs(device):
    x = leaf(1, 2)
    autograd.backward([(x * x).sum(), x * 3], [None, minillm.tensor([1.0, 0.0])])
    close(x.grad, [5, 4])
    with pytest.raises(OperationError, match="got 1 gradients for 2 outputs"):
        autograd.backward([x.sum(), x.sum()], [None])


def test_backward_to_some_inputs_alone(device):
    x, w = leaf(1, 2), leaf(3, 4)
    y = x * w
    (y * y).sum().backward(inputs=[x, y])
    close(x.grad, 2 * np.array([3.0, 8.0]) * [3, 4])
    close(y.grad, [6, 16])
    assert w.grad is None
    with pytest.raises(OperationError, match="backward: got no inputs"):
        (x * w).sum().backward(inputs=[])
    with pytest.raises(OperationTypeError, match="input 0 is a float"):
        (x * w).sum().backward(inputs=[1.0])


def test_backward_of_what_needs_no_gradient():
    with pytest.raises(OperationError, match=r"backward: .*does not require grad"):
        minillm.ones(()).backward()


def test_a_leaf_itself(device):
    x = leaf(1)
    x.backward()
    close(x.grad, [1])
    assert autograd.grad(x, x, grad_outputs=minillm.tensor([3.0], dtype="float64"))[0].tolist() == [3]


def test_gradients_are_memory_of_their_own(device):
    """Users write to gradients in place: no two may share memory, nor anything that the graph keeps."""
    x, w, v = leaf(1, 2), leaf(3, 4), leaf(5, 6)
    (x + w).sum().backward()
    x.grad.mul_(10)
    close(w.grad, [1, 1])
    start = minillm.ones(2, dtype="float64")
    v.backward(start)
    v.grad.mul_(10)
    close(start, [1, 1])

    class Keeps(Function):
        def forward(self, x):
            self.slope = x * 2
            self.save_constants(x * 3)
            return x * x

        def backward(self, dy):
            return self.slope if self.first else self.constants[0]

    for Keeps.first in (True, False):
        x.grad = None
        y = Keeps.apply(x).sum()
        y.backward(retain_graph=True)
        kept = x.grad.clone()
        x.grad.mul_(10)
        x.grad = None
        y.backward()
        close(x.grad, kept.cpu().numpy())
    (dx,) = autograd.grad(x.sum(), x)
    dx.mul_(2)  # a broadcast one could not be written to

    seen = []

    class Shows(Function):
        def forward(self, x):
            return x * 2

        def backward(self, dy):
            seen.append(dy * 2)  # and keeps it elsewhere than in the node
            return seen[-1]

    x.grad = None
    Shows.apply(x).sum().backward()
    x.grad.mul_(10)
    close(minillm.Tensor(seen[0]), [2, 2])


def test_gradients_take_dtype_and_shape_of_their_input(device):
    x = minillm.ones(3, 1, dtype="float32", requires_grad=True)
    y = minillm.ones(4, dtype="float64", requires_grad=True)
    (x * y).sum().backward()
    assert (x.grad.dtype, x.grad.shape) == ("float32", (3, 1))
    assert (y.grad.dtype, y.grad.shape) == ("float64", (4,))
    h = minillm.ones(2, dtype="float16", requires_grad=True)
    (h.float() * 3).sum().backward()
    assert h.grad.dtype == "float16"


def test_float16(device):
    x = minillm.tensor([1.0, 2.0], dtype="float16", requires_grad=True)
    y = (x * x + x.exp()).sum()
    y.backward()
    assert x.grad.dtype == "float16"
    close(x.grad.double(), [2 + np.e, 4 + np.e**2], 1e-2)


def test_no_gradient_for_integers(device):
    index = minillm.tensor([1, 0])
    x = leaf(1, 2)
    y = x[index] * index
    y.sum().backward()
    close(x.grad, [0, 1])
    counted = minillm.argmax(x)
    assert not counted.requires_grad
    assert not (x > 1).requires_grad


# -- grad -------------------------------------------------------------------------------------------


def test_grad_touches_no_grad(device):
    x, w = leaf(1, 2), leaf(3, 4)
    dx, dw = autograd.grad((x * w).sum(), [x, w])
    close(dx, [3, 4])
    close(dw, [1, 2])
    assert x.grad is None
    assert w.grad is None
    assert not dx.requires_grad


def test_grad_of_inner_tensors(device):
    x = leaf(1, 2)
    y = x * 2
    z = y * y
    dz, dy, dx = autograd.grad(z.sum(), [z, y, x])
    close(dz, [1, 1])
    close(dy, [4, 8])
    close(dx, [8, 16])
    y = x.exp()
    close(autograd.grad(y, y, minillm.ones(2))[0], [1, 1])


def test_grad_runs_only_what_lies_between(device):
    class Never(Function):
        def forward(self, x):
            return x * 1

        def backward(self, dy):
            raise AssertionError("not on the way")

    x, w = leaf(1), leaf(2)
    y = Never.apply(w) * x
    close(autograd.grad(y.sum(), x)[0], [2])
    middle = Never.apply(x) * 1
    close(autograd.grad((middle * 3).sum(), middle)[0], [3])


def test_unused_inputs(device):
    x, w = leaf(1), leaf(2)
    y = (x * 2).sum()
    with pytest.raises(OperationError, match=r"no output depends on input 1, of shape \(1,\); pass allow_unused"):
        autograd.grad(y, [x, w], retain_graph=True)
    dx, dw = autograd.grad(y, [x, w], allow_unused=True, retain_graph=True)
    close(dx, [2])
    assert dw is None
    for create_graph in (False, True):
        dw = autograd.grad(y, [x, w], materialize_grads=True, retain_graph=True, create_graph=create_graph)[1]
        close(dw, [0])
    with pytest.raises(OperationError, match="allow_unused=False contradicts"):
        autograd.grad(y, [x, w], materialize_grads=True, allow_unused=False)


def test_bad_inputs_of_grad(device):
    x = leaf(1)
    with pytest.raises(OperationError, match="grad: got no inputs"):
        autograd.grad(x.sum(), [])
    with pytest.raises(OperationError, match="grad: input 0 does not require grad"):
        autograd.grad(x.sum(), minillm.ones(1))
    with pytest.raises(OperationError, match=r"grad: .*output.* does not require grad"):
        autograd.grad(minillm.ones(()), x)


# -- what is kept, and what is released -------------------------------------------------------------


def test_a_second_walk_says_what_to_do(device):
    x = leaf(1, 2)
    y = x.exp().sum()
    y.backward()
    with pytest.raises(OperationError, match=r"backward through exp a second time: .*retain_graph=True"):
        y.backward()
    y = x.clamp(0, 1).sum()  # keeps constants alone
    y.backward()
    with pytest.raises(OperationError, match="backward through clamp a second time"):
        y.backward()


def test_retain_graph(device):
    x = leaf(0, 0)
    y = x.exp().sum()
    y.backward(retain_graph=True)
    y.backward()
    close(x.grad, [2, 2])
    (x + x).sum().backward()  # a graph that keeps nothing can be walked again, as in PyTorch


def test_memory_is_released_during_the_walk():
    alive = []

    class Big(Function):
        def forward(self, x):
            y = x + 1
            self.save_for_backward(y)
            references.append(weakref.ref(y))
            return y

        def backward(self, dy):
            alive.append(sum(reference() is not None for reference in references))
            return dy

    references: list = []
    y = leaf(1)
    for _ in range(5):
        y = Big.apply(y)
    total = y.sum()
    del y
    total.backward()
    assert alive == [5, 4, 3, 2, 1]
    assert all(reference() is None for reference in references)


def graph_is_freed(make) -> None:
    """Run ``make``, which returns a weak reference, with the garbage collector off."""
    gc.collect()
    gc.disable()
    try:
        assert make()() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("walk", ["none", "backward", "retain", "double", "hooks", "error"])
def test_no_reference_cycles(walk):
    def make():
        x = leaf(1, 2)
        w = minillm.nn.Parameter(minillm.ones(2, dtype="float64"))
        hidden = (x * w).exp()
        y = (hidden.softmax(0)[0] + hidden.max(0).values).reshape(1)
        if walk == "backward":
            y.sum().backward()
        elif walk == "retain":
            y.sum().backward(retain_graph=True)
        elif walk == "double":
            dxs = autograd.grad(y.sum(), [x, w], create_graph=True)
            autograd.grad(dxs[0].sum(), w)
        elif walk == "hooks":
            y.register_hook(lambda gradient: gradient * 2)
            hidden.retain_grad()
            y.sum().backward()
        elif walk == "error":
            y.sum().backward()
            with pytest.raises(OperationError):
                y.sum().backward()
        return weakref.ref(hidden.grad_fn)

    graph_is_freed(make)


def test_several_outputs_make_no_cycle():
    def make():
        class Two(Function):
            def forward(self, x):
                self.save_for_backward(x)
                return x * 2, x * 3

            def backward(self, da, db):
                return da * 2 + db * 3

        a, b = Two.apply(leaf(1))
        (a + b).sum().backward()
        return weakref.ref(a.grad_fn)

    graph_is_freed(make)


DEEP = """
import sys, threading
import minillm
threading.stack_size(2 * 1024 * 1024)  # a recursion in C would not survive either
def run():
    sys.setrecursionlimit(200)
    x = minillm.ones(1, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y * 1.0
    y.sum().backward(retain_graph=True)
    assert x.grad.item() == 1
    minillm.autograd.grad(y, x, minillm.ones(1), create_graph=True)
    del y
    y = x
    for i in range(100_000):
        y = y[:] if i % 2 else y.reshape(1, 1)[0]
    del y
    print("done")
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def test_a_chain_of_100_000_operations_needs_no_recursion():
    run = subprocess.run([sys.executable, "-c", DEEP], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "done", run.stderr[-2000:]


# -- writing in place -------------------------------------------------------------------------------


def test_a_saved_array_that_was_written_to(device):
    x, w = leaf(1, 2), leaf(3, 4)
    y = x * w
    with minillm.no_grad():
        w.mul_(2)
    with pytest.raises(OperationError, match=r"mul: an array that it saved .* was written to in place since"):
        y.sum().backward()
    y = x.exp()  # saves its output
    y.add_(1)
    with pytest.raises(OperationError, match="exp: an array that it saved"):
        y.sum().backward()
    w = minillm.ones(2, dtype="float64")
    y = x * w
    w[0] = 5.0
    with pytest.raises(OperationError, match="mul: an array that it saved"):
        y.sum().backward()


def test_a_view_shares_the_version_counter(device):
    x = leaf(1, 2)
    w = minillm.ones(4, dtype="float64")
    y = x * w[:2]
    w.reshape(2, 2)[1].mul_(3)  # the memory that a view of a view shares with what was saved
    with pytest.raises(OperationError, match="mul: an array that it saved"):
        y.sum().backward()
    y = x * w[:2]
    w.detach().add_(1)
    with pytest.raises(OperationError, match="mul: an array that it saved"):
        y.sum().backward()


def test_writes_that_hurt_no_one(device):
    x = leaf(1, 2)
    y = x + 1  # saves nothing
    y.mul_(3)
    y[0] = 0.0
    y.sum().backward()
    close(x.grad, [0, 3])


def test_create_graph_uses_what_was_saved_not_what_data_became(device):
    x = leaf(3.0)
    y = (x * x * x).sum()
    x.data = minillm.tensor([100.0], dtype="float64")
    (dx,) = autograd.grad(y, x, create_graph=True)
    close(dx, [27])


def test_composite_of_inputs_that_were_written_to():
    class Fused(Function):
        composite = staticmethod(lambda x: x * x)

        def forward(self, x):
            self.slope = 2 * x
            return x * x

        def backward(self, dy):
            return dy * self.slope

    x = leaf(3.0)
    inner = x * 1
    y = Fused.apply(inner)
    inner.add_(1)
    y.sum().backward(retain_graph=True)  # needs nothing that changed
    close(x.grad, [6])
    with pytest.raises(OperationError, match="fused: an array that it saved"):
        autograd.grad(y.sum(), x, create_graph=True)


# -- hooks ------------------------------------------------------------------------------------------


def test_hooks_see_and_replace_gradients(device):
    x = leaf(1, 2)
    seen = []
    y = x * 2
    first = y.register_hook(lambda gradient: seen.append(gradient.clone()))
    y.register_hook(lambda gradient: gradient * 10)
    y.retain_grad()
    x.register_hook(lambda gradient: gradient + 1)
    (y * y).sum().backward()
    close(seen[0], [4, 8])
    close(y.grad, [40, 80])
    close(x.grad, [81, 161])
    first.remove()
    first.remove()
    x.grad = y.grad = None
    (x * 2).sum().backward()
    close(x.grad, [3, 3])
    assert len(seen) == 1


def test_retain_grad_sees_what_later_hooks_made(device):
    x = leaf(1)
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    y.register_hook(lambda gradient: gradient * 5)
    y.sum().backward(retain_graph=True)
    close(y.grad, [5])
    y.sum().backward()
    close(y.grad, [10])
    x.retain_grad()  # a leaf keeps it anyway
    dead = x * 3
    dead.retain_grad()
    loss = dead.sum()
    del dead
    loss.backward()  # the tensor is gone: nothing to keep


def test_hooks_of_grad_and_under_create_graph(device):
    x = leaf(2)
    with x.register_hook(lambda gradient: gradient * 3):
        close(autograd.grad((x * x).sum(), x)[0], [12])
        (dx,) = autograd.grad((x * x).sum(), x, create_graph=True)
        close(autograd.grad(dx.sum(), x)[0], [18])
    close(autograd.grad((x * x).sum(), x)[0], [4])
    y = x * x
    y.register_hook(lambda gradient: gradient * x)
    (dx,) = autograd.grad(y.sum(), x, create_graph=True)
    close(autograd.grad(dx.sum(), x)[0], [8])


def test_a_hook_on_one_of_several_outputs(device):
    x = leaf(1, 2, 3)
    a, b = x.split([1, 2])
    b.register_hook(lambda gradient: gradient * 7)
    (a.sum() + b.sum()).backward()
    close(x.grad, [1, 7, 7])


def test_hooks_that_cannot_be(device):
    with pytest.raises(OperationError, match="register_hook: this tensor does not require grad"):
        minillm.ones(2).register_hook(print)
    with pytest.raises(OperationError, match="retain_grad: this tensor does not require grad"):
        minillm.ones(2).retain_grad()
    x = leaf(1)
    y = x * 1
    y.register_hook(lambda gradient: minillm.ones(3))
    with pytest.raises(OperationError, match=r"hook returned shape \(3,\) for a gradient of shape \(1,\)"):
        y.sum().backward()


# -- orders -----------------------------------------------------------------------------------------


def test_derivatives_of_any_order(device):
    x = leaf(0.3)
    y = x.sin() * (2 * x).exp()
    terms = []
    for _ in range(4):
        (y,) = autograd.grad(y.sum(), x, create_graph=True)
        terms.append(y)
    # d^n/dx^n e^{2x} sin x = 5^(n/2) e^{2x} sin(x + n atan(1/2))
    for n, term in enumerate(terms, 1):
        close(term, [5 ** (n / 2) * np.exp(0.6) * np.sin(0.3 + n * np.arctan(0.5))], 1e-10)


def test_third_derivative_through_several_inputs(device):
    x, w = leaf(0.5, -1.2), leaf(0.7, 0.1)
    y = ((x * w).tanh() ** 3).sum()
    (dx,) = autograd.grad(y, x, create_graph=True)
    (dw,) = autograd.grad(dx.sum(), w, create_graph=True)
    (third,) = autograd.grad(dw.sum(), x)
    torch = pytest.importorskip("torch")
    tx, tw = (torch.tensor(t.tolist(), dtype=torch.float64, requires_grad=True) for t in (x, w))
    y = ((tx * tw).tanh() ** 3).sum()
    (dx,) = torch.autograd.grad(y, tx, create_graph=True)
    (dw,) = torch.autograd.grad(dx.sum(), tw, create_graph=True)
    close(third, torch.autograd.grad(dw.sum(), tx)[0].numpy(), 1e-10)


def test_backward_with_create_graph_records_the_gradient(device):
    x = leaf(2)
    (x**3).sum().backward(create_graph=True)
    assert x.grad.requires_grad
    close(autograd.grad(x.grad.sum(), x)[0], [12])
    x.grad = x.grad.detach()
    x.sum().backward()
    close(x.grad, [13])


def test_a_recorded_gradient_is_not_written_to(device):
    x = leaf(2)
    (x**3).sum().backward(create_graph=True)
    before = x.grad
    x.sum().backward()
    close(before, [12])
    close(x.grad, [13])
    x.grad = None


def test_an_operation_that_saved_what_has_no_place_in_the_graph(device):
    class Hidden(Function):
        def forward(self, x):
            self.save_for_backward(x * 2)
            return x * x

        def backward(self, dy):
            return dy * self.saved[0]

    x = leaf(3)
    close(autograd.grad(Hidden.apply(x).sum(), x)[0], [6])
    with pytest.raises(OperationError, match="hidden cannot be differentiated twice: it saved an array"):
        autograd.grad(Hidden.apply(x).sum(), x, create_graph=True)


def test_a_fused_operation_is_differentiated_through_its_composite(device):
    class Fused(Function):
        def composite(a, b, power):
            return a**power * b, a + b

        def forward(self, a, b, power):
            self.save_for_backward(a, b)
            self.power = power
            return a**power * b, a + b

        def backward(self, dy, dz):
            a, b = self.saved
            return dy * b * self.power * a ** (self.power - 1) + dz, dy * a**self.power + dz

    a, b = leaf(1.5, 2.0), leaf(0.5, -1.0)
    assert autograd.gradcheck(lambda a, b: Fused.apply(a, b, 3), (a, b))
    assert autograd.gradgradcheck(lambda a, b: Fused.apply(a, b, 3), (a, b))
    assert autograd.gradgradcheck(lambda a: Fused.apply(a, a, 3), a)
    assert autograd.gradgradcheck(lambda a: Fused.apply(a * 2, b.detach(), 3)[1] ** 2, a)


# -- anomalies --------------------------------------------------------------------------------------


def test_anomaly_mode_names_what_first_made_a_nan(device):
    x = minillm.tensor([1.0, 0.0, -1.0], requires_grad=True)
    assert not x.log().isfinite().all()  # without it: no error and no warning
    with autograd.detect_anomaly():
        with pytest.raises(
            AnomalyError, match=r"log made 1 NaN and 1 infinite of its 3 values, out of .*from -2 to 2"
        ):
            (x * 2).log()
        with pytest.raises(AnomalyError, match="div made 0 NaN and 3 infinite"):
            (x * x + 1) / 0.0
        x.exp()
    with autograd.detect_anomaly(False):
        x.log()


def test_anomaly_in_backward(device):
    x = minillm.tensor([4.0, 0.0], requires_grad=True)
    with autograd.detect_anomaly():
        y = x.sqrt()
        with pytest.raises(AnomalyError, match=r"backward of sqrt made 0 NaN and 1 infinite.*argument 0"):
            y.sum().backward()


def test_anomalies_that_came_from_outside(device):
    nan = minillm.tensor([float("nan"), 1.0])
    mask = minillm.tensor([-float("inf"), 0.0])
    empty = minillm.ones(0, 3)
    with autograd.detect_anomaly():
        with pytest.raises(AnomalyError, match="mul passed on 1 NaN"):
            nan * 2
        (minillm.ones(2) + mask).softmax(0)  # infinities that were there before are no error
        empty * 2
        with pytest.raises(AnomalyError, match="div made"):
            minillm.ones(2) / 0
    autograd.set_detect_anomaly(True)
    try:
        with pytest.raises(AnomalyError):
            minillm.zeros(1).log()
    finally:
        autograd.set_detect_anomaly(False)


# -- the pieces -------------------------------------------------------------------------------------


def test_sum_to():
    assert sum_to(np.ones((2, 3)), (3,), "f").tolist() == [2, 2, 2]
    assert sum_to(np.ones((2, 3)), (2, 1), "f").tolist() == [[3], [3]]
    assert sum_to(np.ones((2, 3)), (), "f").tolist() == 6
    assert sum_to(np.ones((0, 3)), (1, 3), "f").tolist() == [[0, 0, 0]]
    for got, shape in [((2, 3), (2,)), ((), (1, 1)), ((3,), (2, 3)), ((1,), (3,))]:
        with pytest.raises(OperationError, match="f: its backward returned a gradient of shape"):
            sum_to(np.ones(got), shape, "f")


def test_backward_that_returns_too_much_or_nonsense(device):
    class Wrong(Function):
        def forward(self, x):
            return x * 2

        def backward(self, dy):
            return wrong(dy)

    x = leaf(1, 2)
    wrong = lambda dy: (dy, dy)  # noqa: E731
    with pytest.raises(OperationError, match="wrong: its backward returned 2 gradients for 1 arguments"):
        Wrong.apply(x).sum().backward()
    wrong = lambda dy: 1.0  # noqa: E731
    with pytest.raises(OperationTypeError, match="wrong: its backward returned a float; it needs"):
        Wrong.apply(x).sum().backward()
    wrong = lambda dy: dy.reshape(2, 1) * minillm.ones(1, 3).array  # noqa: E731
    with pytest.raises(OperationError, match=r"wrong: its backward returned a gradient of shape \(2, 3\)"):
        Wrong.apply(x).sum().backward()
    wrong = lambda dy: None  # noqa: E731
    Wrong.apply(x).sum().backward()
    assert x.grad is None
