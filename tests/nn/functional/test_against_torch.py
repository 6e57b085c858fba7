"""One table of calls, each run by minillm and by PyTorch, and checked against differences and on each device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minillm
import minillm.nn.functional as F

# A case is a call, given a library (minillm or torch) and tensors, and the shapes of those tensors.
Case = tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]


def case(call: Callable[..., Any], *shapes: tuple[int, ...]) -> Case:
    return call, shapes


TOKENS = [[1, 0, 4], [3, 1, 1]]

CASES: dict[str, Case] = {
    "linear": case(lambda t, x, w, b: t.nn.functional.linear(x, w, b), (3, 4), (5, 4), (5,)),
    "linear without bias": case(lambda t, x, w: t.nn.functional.linear(x, w), (3, 4), (5, 4)),
    "linear of a stack": case(lambda t, x, w, b: t.nn.functional.linear(x, w, b), (2, 3, 4), (5, 4), (5,)),
    "linear of a vector": case(lambda t, x, w, b: t.nn.functional.linear(x, w, b), (4,), (5, 4), (5,)),
    "linear to one": case(lambda t, x, w, b: t.nn.functional.linear(x, w, b), (2, 3, 4), (4,), ()),
    "linear of nothing": case(lambda t, x, w, b: t.nn.functional.linear(x, w, b), (0, 4), (5, 4), (5,)),
    "linear of no features": case(lambda t, x, w, b: t.nn.functional.linear(x, w, b), (2, 3, 0), (5, 0), (5,)),
    "linear to nothing": case(lambda t, x, w, b: t.nn.functional.linear(x, w, b), (3, 4), (0, 4), (0,)),
    "embedding": case(lambda t, w: t.nn.functional.embedding(_tokens(t, w, TOKENS), w), (6, 3)),
    "embedding of one": case(lambda t, w: t.nn.functional.embedding(_tokens(t, w, 2), w), (6, 3)),
    "embedding of nothing": case(lambda t, w: t.nn.functional.embedding(_tokens(t, w, [[], []]), w), (6, 3)),
    "embedding with padding": case(
        lambda t, w: t.nn.functional.embedding(_tokens(t, w, TOKENS), w, padding_idx=-5), (6, 3)
    ),
    "embedding by frequency": case(
        lambda t, w: t.nn.functional.embedding(_tokens(t, w, TOKENS), w, 0, scale_grad_by_freq=True), (6, 3)
    ),
    "layer_norm": case(lambda t, x, w, b: t.nn.functional.layer_norm(x, (5,), w, b), (3, 5), (5,), (5,)),
    "layer_norm of a stack": case(
        lambda t, x, w, b: t.nn.functional.layer_norm(x, (4, 5), w, b, 1e-3), (2, 3, 4, 5), (4, 5), (4, 5)
    ),
    "layer_norm of a vector": case(lambda t, x: t.nn.functional.layer_norm(x, (5,)), (5,)),
    "layer_norm without shift": case(lambda t, x, w: t.nn.functional.layer_norm(x, [5], w), (2, 3, 5), (5,)),
    "layer_norm of nothing": case(lambda t, x, w, b: t.nn.functional.layer_norm(x, (5,), w, b), (0, 5), (5,), (5,)),
    "rms_norm": case(lambda t, x, w: t.nn.functional.rms_norm(x, (5,), w), (3, 5), (5,)),
    "rms_norm of a stack": case(
        lambda t, x, w: t.nn.functional.rms_norm(x, (4, 5), w, 1e-3), (2, 3, 4, 5), (4, 5)
    ),
    "rms_norm without scale": case(lambda t, x: t.nn.functional.rms_norm(x, (5,)), (2, 3, 5)),
    "rms_norm of nothing": case(lambda t, x, w: t.nn.functional.rms_norm(x, (5,), w), (0, 5), (5,)),
    "batch_norm": case(
        lambda t, x, w, b: t.nn.functional.batch_norm(x, None, None, w, b, training=True), (4, 3), (3,), (3,)
    ),
    "batch_norm over time": case(
        lambda t, x, w, b: t.nn.functional.batch_norm(x, None, None, w, b, True, eps=1e-3), (4, 3, 5), (3,), (3,)
    ),
    "batch_norm by running values": case(
        lambda t, x, m, v: t.nn.functional.batch_norm(x, m.detach(), v.detach() ** 2), (4, 3), (3,), (3,)
    ),
    "normalize": case(lambda t, x: t.nn.functional.normalize(x), (3, 5)),
    "normalize along 0": case(lambda t, x: t.nn.functional.normalize(x, dim=0), (3, 5)),
    "normalize by sum": case(lambda t, x: t.nn.functional.normalize(x, p=1.0, dim=-1), (3, 5)),
    "normalize by cubes": case(lambda t, x: t.nn.functional.normalize(x, p=3.0), (3, 5)),
    "normalize by largest": case(lambda t, x: t.nn.functional.normalize(x, p=float("inf")), (3, 5)),
    "relu": case(lambda t, x: t.nn.functional.relu(x), (3, 5)),
    "gelu": case(lambda t, x: t.nn.functional.gelu(x * 2), (3, 5)),
    "gelu by tanh": case(lambda t, x: t.nn.functional.gelu(x * 2, approximate="tanh"), (3, 5)),
    "gelu of nothing": case(lambda t, x: t.nn.functional.gelu(x), (3, 0)),
    "gelu of a number": case(lambda t, x: t.nn.functional.gelu(x), ()),
    "silu": case(lambda t, x: t.nn.functional.silu(x * 2), (3, 5)),
    "softplus": case(lambda t, x: t.nn.functional.softplus(x), (3, 5)),
    "softplus, sharp": case(lambda t, x: t.nn.functional.softplus(x, beta=3, threshold=2), (3, 5)),
    "leaky_relu": case(lambda t, x: t.nn.functional.leaky_relu(x, 0.2), (3, 5)),
    "elu": case(lambda t, x: t.nn.functional.elu(x, 1.5), (3, 5)),
    "logsigmoid": case(lambda t, x: t.nn.functional.logsigmoid(x * 3), (3, 5)),
    "glu": case(lambda t, x: t.nn.functional.glu(x), (3, 4)),
    "glu along 0": case(lambda t, x: t.nn.functional.glu(x, 0), (4, 3)),
    "tanh": case(lambda t, x: t.nn.functional.tanh(x), (3, 5)),
    "sigmoid": case(lambda t, x: t.nn.functional.sigmoid(x), (3, 5)),
    "softmax": case(lambda t, x: t.nn.functional.softmax(x, dim=1), (3, 5)),
    "log_softmax": case(lambda t, x: t.nn.functional.log_softmax(x, dim=-1), (3, 5)),
    "pad": case(lambda t, x: t.nn.functional.pad(x, (1, 2), value=0.5), (3, 4)),
    "pad two dimensions": case(lambda t, x: t.nn.functional.pad(x, (1, 0, 2, 1)), (2, 3, 4)),
    "pad and cut": case(lambda t, x: t.nn.functional.pad(x, (-1, 2, 1, -1)), (2, 3, 4)),
    "pad by reflection": case(lambda t, x: t.nn.functional.pad(x, (3, 2), mode="reflect"), (2, 3, 4)),
    "pad by repetition": case(lambda t, x: t.nn.functional.pad(x, (3, 6), mode="replicate"), (2, 3, 4)),
    "pad in a circle": case(lambda t, x: t.nn.functional.pad(x, (3, 2), mode="circular"), (2, 3, 4)),
}  # fmt: skip

# PyTorch cannot differentiate the first twice, and forgets the frequencies of the second when it does.
NO_SECOND_ORDER = {"embedding of nothing", "embedding by frequency"}
# A row's gradient is not the derivative of the result here: that is what the options are for.
NO_DIFFERENCES = {"batch_norm by running values", "embedding by frequency", "embedding with padding"}


def _tokens(t: Any, like: Any, values: Any) -> Any:
    return t.tensor(values, dtype=t.int64, device=like.device)


def values_of(name: str, dtype: str = "float64") -> list[np.ndarray]:
    """The same inputs each time."""
    rng = np.random.default_rng(list(name.encode()))
    return [rng.standard_normal(shape).astype(dtype) for shape in CASES[name][1]]


def derivatives(t: Any, name: str, values: list[Any], second_order: bool = True) -> list[Any]:
    """The result of a call, its gradients, and gradients of those: in tensors of the library."""
    call = CASES[name][0]
    y = call(t, *values)
    rng = np.random.default_rng(0)
    dy = t.tensor(rng.standard_normal(tuple(y.shape)), dtype=y.dtype, device=y.device, requires_grad=True)
    inputs = [*values, dy]
    first = t.autograd.grad((y * dy).sum(), inputs, create_graph=True, allow_unused=True)
    if not second_order:
        return [y, *first]
    total = sum(
        (dx * t.tensor(rng.standard_normal(tuple(dx.shape)), dtype=dx.dtype, device=dx.device)).sum()
        for dx in first
        if dx is not None
    )
    second = t.autograd.grad(total, inputs, allow_unused=True)
    return [y, *first, *second]


def as_arrays(tensors: list[Any]) -> list[np.ndarray | None]:
    return [None if x is None else np.asarray(x.detach().cpu().numpy()) for x in tensors]


def assert_all_close(got: list[Any], wanted: list[Any], rtol: float, atol: float) -> None:
    assert len(got) == len(wanted)
    for i, (g, w) in enumerate(zip(got, wanted, strict=True)):
        if g is None or w is None:  # PyTorch gives zeros for some of what has no influence
            assert not any(x is not None and x.any() for x in (g, w)), i
            continue
        assert g.dtype == w.dtype
        np.testing.assert_allclose(g, w, rtol=rtol, atol=atol, err_msg=f"derivative {i}")


def tensors(values: list[np.ndarray], device: str | None = None) -> list[minillm.Tensor]:
    return [minillm.tensor(v, device=device, requires_grad=True) for v in values]


@pytest.mark.parametrize(("dtype", "rtol", "atol"), [("float64", 1e-9, 1e-10), ("float32", 2e-5, 2e-5)])
@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives_are_those_of_torch(name, dtype, rtol, atol):
    torch = pytest.importorskip("torch")
    values, twice = values_of(name, dtype), name not in NO_SECOND_ORDER
    theirs = derivatives(torch, name, [torch.tensor(v, requires_grad=True) for v in values], twice)
    ours = derivatives(minillm, name, tensors(values), twice)
    assert_all_close(as_arrays(ours), as_arrays(theirs), rtol, atol)


@pytest.mark.parametrize("name", CASES)
def test_devices_agree(name, device):
    values = values_of(name)
    here = [minillm.tensor(v, device="cpu", requires_grad=True) for v in values]
    there = derivatives(minillm, name, tensors(values, device))
    assert all(x is None or x.device == minillm.device(device) for x in there)
    assert_all_close(as_arrays(there), as_arrays(derivatives(minillm, name, here)), 1e-9, 1e-11)


@pytest.mark.parametrize("name", [name for name in CASES if name not in NO_DIFFERENCES])
def test_gradients_agree_with_differences(name):
    values = tensors(values_of(name))
    call = CASES[name][0]
    minillm.autograd.gradcheck(lambda *xs: call(minillm, *xs), values)
    minillm.autograd.gradgradcheck(lambda *xs: call(minillm, *xs), values)


@pytest.mark.parametrize("name", CASES)
def test_everyday_gradients_are_those_that_can_be_differentiated(name):
    """backward() runs on arrays, by the fused kernels; create_graph=True on tensors, by the formula."""
    call = CASES[name][0]
    values = tensors(values_of(name))
    y = call(minillm, *values)
    dy = minillm.tensor(np.random.default_rng(1).standard_normal(y.shape))
    taped = minillm.autograd.grad(y, values, dy, create_graph=True, allow_unused=True)
    plain = minillm.autograd.grad(y, values, dy, allow_unused=True)
    assert_all_close(as_arrays(list(plain)), as_arrays(list(taped)), 1e-9, 1e-12)


@pytest.mark.parametrize("name", CASES)
def test_inputs_need_not_lie_in_order(name):
    values = values_of(name)
    scattered = []
    for v in values:
        base = np.zeros((*v.shape[::-1], 2))
        base[..., 0] = v.T
        scattered.append(minillm.from_numpy(base[..., 0].T).requires_grad_())
    assert_all_close(
        as_arrays(derivatives(minillm, name, scattered)),
        as_arrays(derivatives(minillm, name, tensors(values))),
        1e-9,
        1e-11,
    )


@pytest.mark.parametrize("name", CASES)
def test_float16_is_computed_as_well_as_it_can_be_stored(name):
    call = CASES[name][0]
    halves = values_of(name, "float16")

    def run(values):
        xs = tensors(values)
        y = call(minillm, *xs)
        assert y.dtype == values[0].dtype
        return [y, *minillm.autograd.grad(y.float().sum(), xs, allow_unused=True)]

    wanted = as_arrays(run([v.astype("float32") for v in halves]))
    for got, exact in zip(as_arrays(run(halves)), wanted, strict=True):
        if exact is not None:
            assert got.dtype == np.float16
            np.testing.assert_allclose(got.astype("float32"), exact, rtol=4e-3, atol=4e-3)


def test_every_function_stands_in_the_table():
    elsewhere = {"dropout", "one_hot"}  # random; integers
    mine = {
        name
        for name in F.__all__
        if getattr(F, name).__module__.rpartition(".")[2]
        in {"activation", "dropout", "embedding", "linear", "normalization", "padding"}
    }
    assert mine - elsewhere == {name.split()[0].strip(",") for name in CASES}
