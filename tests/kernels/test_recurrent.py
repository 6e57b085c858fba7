"""The recurrent kernels: fused equals the step-by-step formula, however the batch and the tiles are cut."""

from __future__ import annotations

import importlib
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minillm
from minillm import ops
from minillm.autograd import grad, gradcheck, gradgradcheck
from minillm.kernels.cpu import repeated_product, steps
from minillm.kernels.cpu.repeated_product import RepeatedProduct, in_order
from minillm.kernels.cpu.steps import Steps, steps_of
from minillm.nn.functional.recurrent import GruLayer, LstmLayer, RnnLayer

BATCHES = {
    "equal": (3, 3, 3, 3),
    "one step": (4,),
    "one sequence": (1, 1, 1),
    "packed": (5, 5, 3, 1, 1),
    "all but one end": (4, 1, 1),
}
INPUT, HIDDEN, PROJ = 3, 4, 2


def draw(*shape: int) -> minillm.Tensor:
    return (ops.randn(*shape, dtype="float64") * 0.5).requires_grad_()


def rnn_case(sizes: tuple[int, ...], reverse: bool, nonlinearity: str = "tanh", bias: bool = True):
    biases = [draw(HIDDEN), draw(HIDDEN)] if bias else [None, None]
    x, h0 = draw(sum(sizes), INPUT), draw(sizes[0], HIDDEN)
    weights = [draw(HIDDEN, INPUT), draw(HIDDEN, HIDDEN)]
    return RnnLayer, [x, h0, *weights, *biases, nonlinearity, sizes, reverse]


def gru_case(sizes: tuple[int, ...], reverse: bool, bias: bool = True):
    biases = [draw(3 * HIDDEN), draw(3 * HIDDEN)] if bias else [None, None]
    x, h0 = draw(sum(sizes), INPUT), draw(sizes[0], HIDDEN)
    weights = [draw(3 * HIDDEN, INPUT), draw(3 * HIDDEN, HIDDEN)]
    return GruLayer, [x, h0, *weights, *biases, sizes, reverse]


def lstm_case(sizes: tuple[int, ...], reverse: bool, bias: bool = True, proj: bool = False):
    features = PROJ if proj else HIDDEN
    biases = [draw(4 * HIDDEN), draw(4 * HIDDEN)] if bias else [None, None]
    x, h0, c0 = draw(sum(sizes), INPUT), draw(sizes[0], features), draw(sizes[0], HIDDEN)
    weights = [draw(4 * HIDDEN, INPUT), draw(4 * HIDDEN, features)]
    w_hr = draw(PROJ, HIDDEN) if proj else None
    return LstmLayer, [x, h0, c0, *weights, *biases, w_hr, sizes, reverse]


CASES = {
    "rnn": rnn_case,
    "rnn relu": lambda *args: rnn_case(*args, nonlinearity="relu"),
    "rnn no bias": lambda *args: rnn_case(*args, bias=False),
    "gru": gru_case,
    "gru no bias": lambda *args: gru_case(*args, bias=False),
    "lstm": lstm_case,
    "lstm no bias": lambda *args: lstm_case(*args, bias=False),
    "lstm proj": lambda *args: lstm_case(*args, proj=True),
}


def assert_close(actual, expected) -> None:
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a.numpy(force=True), b.numpy(force=True), rtol=1e-9, atol=1e-11)


def assert_fused_is_composite(case, sizes: tuple[int, ...], reverse: bool) -> None:
    layer, arguments = case(sizes, reverse)
    inputs = [a for a in arguments if isinstance(a, minillm.Tensor)]
    fused, plain = layer.apply(*arguments), layer.composite(*arguments)
    assert_close(fused, plain)
    dys = [ops.randn(*y.shape, dtype="float64") for y in fused]
    assert_close(grad(list(fused), inputs, dys), grad(list(plain), inputs, dys))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_fused_is_composite(device, case, sizes, reverse):
    assert_fused_is_composite(case, sizes, reverse)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", [(3,) * 12, (5, 5, 3, 3, 2, 2, 2, 2, 1)])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_fused_is_composite_with_swapped_products_and_small_tiles(device, monkeypatch, case, sizes, reverse):
    monkeypatch.setattr(repeated_product, "LARGE", 0)
    monkeypatch.setattr(steps, "TILE", 60)
    steps_of.cache_clear()
    assert_fused_is_composite(case, sizes, reverse)
    steps_of.cache_clear()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_derivatives_agree_with_differences(case):
    layer, arguments = case((2, 2, 1), True)
    inputs = [a for a in arguments if isinstance(a, minillm.Tensor)]

    def function(*inputs):
        given = iter(inputs)
        return layer.apply(*(next(given) if isinstance(a, minillm.Tensor) else a for a in arguments))

    assert gradcheck(function, inputs, fast_mode=True)
    assert gradgradcheck(function, inputs, fast_mode=True)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_only_what_is_asked_for_is_computed(case):
    """With every input but one frozen, the gradient of that one is the same."""
    layer, arguments = case((2, 2), False)
    inputs = [a for a in arguments if isinstance(a, minillm.Tensor)]
    all_gradients = grad(layer.apply(*arguments)[0].sum(), inputs, allow_unused=True)
    for wanted, expected in zip(inputs, all_gradients, strict=True):
        frozen = [a if a is wanted else getattr(a, "detach", lambda a=a: a)() for a in arguments]
        assert_close(grad(layer.apply(*frozen)[0].sum(), wanted), [expected])


def test_a_second_walk_over_a_kept_graph_gives_the_same(device):
    layer, arguments = lstm_case((3, 2), False)
    y = layer.apply(*arguments)[0].sum()
    first = grad(y, arguments[:2], retain_graph=True)
    assert_close(grad(y, arguments[:2]), first)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_float16_is_computed_in_float32(case):
    layer, arguments = case((3, 3, 2), False)
    single = [a.detach().float().requires_grad_() if hasattr(a, "array") else a for a in arguments]
    half = [a.detach().half().requires_grad_() if hasattr(a, "array") else a for a in arguments]
    results = layer.apply(*half)
    for y16, y32 in zip(results, layer.apply(*single), strict=True):
        assert y16.dtype == minillm.float16
        np.testing.assert_allclose(y16.detach().float().numpy(), y32.detach().numpy(), atol=5e-3)
    gradient16 = grad(results[0].sum(), half[0])[0]
    gradient32 = grad(layer.apply(*single)[0].sum(), single[0])[0]
    assert gradient16.dtype == minillm.float16
    np.testing.assert_allclose(gradient16.float().numpy(), gradient32.numpy(), atol=1e-2)


def test_saturated_gates_stay_finite():
    """Activations of +-1e4 are 0 and 1, without a warning about an overflow."""
    layer, arguments = lstm_case((2, 2), False)
    arguments[0] = (arguments[0].detach().float() * 1e6).requires_grad_()
    arguments = [a.detach().float() if hasattr(a, "array") and i else a for i, a in enumerate(arguments)]
    y = layer.apply(*arguments)[0]
    assert np.isfinite(y.detach().numpy()).all()
    assert np.isfinite(grad(y.sum(), arguments[0])[0].numpy()).all()


# -- the steps of a packed batch ------------------------------------------------------------------------


lengths = st.lists(st.integers(1, 6), min_size=1, max_size=6).map(lambda n: sorted(n, reverse=True))


def sizes_of(lengths: list[int]) -> tuple[int, ...]:
    return tuple(sum(n > t for n in lengths) for t in range(lengths[0]))


@given(lengths, st.booleans())
def test_states_before_and_after_each_step(lengths, reverse):
    """Row by row: what stands before step t of sequence b is its state of the step walked just before."""
    sizes = sizes_of(lengths)
    walked = Steps(sizes, reverse)
    starts = [0, *itertools.accumulate(sizes)]
    initial = -1.0 - np.arange(len(lengths))[:, None]
    states = walked.buffer(initial)
    walked.outputs(states)[:] = np.arange(sum(sizes))[:, None]  # each row holds its own number

    def expected(t: int, b: int) -> float:
        before = t + 1 if reverse else t - 1
        return starts[before] + b if 0 <= before < lengths[b] else initial[b, 0]

    for step in walked.walk:
        t = starts.index(step.rows.start)
        assert walked.before(states, step)[:, 0].tolist() == [expected(t, b) for b in range(step.size)]
    everything = [expected(t, b) for t, n in enumerate(sizes) for b in range(n)]
    assert walked.all_before(states)[:, 0].tolist() == everything
    last = [starts[0 if reverse else n - 1] + b for b, n in enumerate(lengths)]
    assert walked.final(states)[:, 0].tolist() == last
    assert not np.shares_memory(walked.final(states), states)


@given(lengths, st.booleans(), st.integers(1, 40))
def test_tiles_hold_every_step_once_in_order(lengths, reverse, width):
    walked = Steps(sizes_of(lengths), reverse)
    steps_before, steps.TILE = steps.TILE, 100
    try:
        tiles = walked.tiles(width)
    finally:
        steps.TILE = steps_before
    assert [step for tile in tiles for step in tile.steps] == list(walked.walk)
    for tile in tiles:
        rows = sorted(i for step in tile.steps for i in range(step.rows.start, step.rows.stop))
        assert rows == list(range(tile.rows.start, tile.rows.stop))
        assert len(rows) * width <= 100 or len(tile.steps) == 1
    assert walked.tiles(width) is tiles


def test_equal_lengths_copy_nothing():
    for reverse in (False, True):
        walked = steps_of((2, 2, 2), reverse)
        states = walked.buffer(np.zeros((2, 3)))
        assert np.shares_memory(walked.all_before(states), states)
        assert all(np.shares_memory(walked.before(states, step), states) for step in walked.walk)
    assert steps_of((2, 2, 2), True) is walked


@pytest.mark.parametrize("large", [0, 10**9])
@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("times", [1, 20])
def test_repeated_product(device, monkeypatch, large, contiguous, times):
    monkeypatch.setattr(repeated_product, "LARGE", large)
    weight = ops.randn(70, 130, dtype="float64").array
    weight = weight if contiguous else weight.T.copy().T
    product = RepeatedProduct(weight, 5, times)
    for n in (5, 3, 1):
        x = ops.randn(n, 70, dtype="float64").array
        np.testing.assert_allclose(to_host(product(x)), to_host(x) @ to_host(weight))
        out = ops.zeros(n, 130, dtype="float64").array
        product.write(x, out)
        np.testing.assert_allclose(to_host(out), to_host(x) @ to_host(weight))


@pytest.mark.parametrize("rows", [2, 8, 16, 17, 32, 33])
@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("shape", [(512, 512), (2048, 256), (4096, 64), (4099, 32)])
def test_repeated_product_of_few_rows_in_blocks(monkeypatch, rows, turned, shape):
    monkeypatch.setattr(repeated_product, "has_small_products", lambda: True)
    monkeypatch.setattr(repeated_product, "get_num_threads", lambda: 1)
    rng = np.random.default_rng(0)
    weight = rng.standard_normal(shape, "float32")
    weight = weight.T.copy().T if turned else weight
    product = RepeatedProduct(weight, rows, 8)
    assert (product.blocks is not None) == (rows == 2 or (rows <= 32 and shape[0] % 2 == 0))
    for n in (rows, 1):
        x = rng.standard_normal((n, shape[0]), "float32")
        wanted = x.astype("float64") @ weight
        np.testing.assert_allclose(product(x), wanted, atol=1e-3)
        for out in (np.empty((n, shape[1]), "float32"), np.empty((n, 2 * shape[1]), "float32")[:, ::2]):
            product.write(x, out)
            np.testing.assert_allclose(out, wanted, atol=1e-3)


def to_host(array):
    return minillm.Tensor(array).numpy(force=True)


def test_in_order_is_a_contiguous_copy():
    matrix = np.arange(200.0).reshape(100, 2).T
    copy = in_order(matrix)
    assert copy.flags.c_contiguous
    np.testing.assert_array_equal(copy, matrix)


# -- the sets of kernels -------------------------------------------------------------------------------


@pytest.fixture
def chosen(kernels):
    """Let layers compute with the set of the test."""
    minillm.set_kernels("numba" if kernels.__name__.endswith("fast") else "numpy")
    yield
    minillm.set_kernels(None)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", [*BATCHES.values(), (7,) * 12, (7, 7, 5, 4, 4, 3, 2, 2, 1)])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_set_is_the_composite(chosen, case, sizes, reverse, dtype):
    layer, arguments = case(sizes, reverse)
    exact = [a for a in arguments if isinstance(a, minillm.Tensor)]
    cast = [a.detach().to(dtype).requires_grad_() if isinstance(a, minillm.Tensor) else a for a in arguments]
    inputs = [a for a in cast if isinstance(a, minillm.Tensor)]
    fused, plain = layer.apply(*cast), layer.composite(*arguments)
    dys = [ops.randn(*y.shape, dtype="float64") for y in plain]
    gradients = grad(list(fused), inputs, [dy.to(dtype) for dy in dys])
    close = {"rtol": 1e-9, "atol": 1e-11} if dtype == "float64" else {"rtol": 1e-4, "atol": 2e-5}
    wanted = [*plain, *grad(list(plain), exact, dys)]
    for a, b in zip([*fused, *gradients], wanted, strict=True):
        assert a.dtype == inputs[0].dtype
        np.testing.assert_allclose(a.numpy(force=True), b.numpy(force=True), **close)


def large_case(name: str, sizes: tuple[int, ...], reverse: bool, bias: bool, hidden: int):
    """Return a layer with float32 tensors of units in several blocks, and what else it is called with."""
    rng = np.random.default_rng(0)

    def some(*shape: int):
        return minillm.Tensor(rng.uniform(-0.2, 0.2, shape).astype("float32")).requires_grad_()

    layer, gates = {"lstm": (LstmLayer, 4), "gru": (GruLayer, 3)}.get(name, (RnnLayer, 1))
    states = [some(sizes[0], hidden) for _ in range(2 if name == "lstm" else 1)]
    weights = [some(gates * hidden, 19), some(gates * hidden, hidden)]
    biases = [some(gates * hidden) if bias else None for _ in range(2)]
    further = [None] if name == "lstm" else [] if name == "gru" else [name]
    return layer, [some(sum(sizes), 19) * 5, *states, *weights, *biases, *further, sizes, reverse]


def results_of(layer, arguments):
    """Return the results of a layer and its gradients."""
    inputs = [a for a in arguments if isinstance(a, minillm.Tensor)]
    results = layer.apply(*arguments)
    rng = np.random.default_rng(1)
    dys = [minillm.Tensor(rng.standard_normal(y.shape).astype("float32")) for y in results]
    return [a.numpy(force=True) for a in (*results, *grad(list(results), inputs, dys))]


@pytest.mark.parametrize(("reverse", "bias"), [(False, True), (True, True), (True, False)])
@pytest.mark.parametrize(
    ("sizes", "hidden"),  # 230 units are cut into three parts
    [((24,) * 6, 230), ((1,) * 5, 70), ((33,), 70), ((9, 9, 9), 64), ((40, 40, 33, 32, 17, 9, 8, 8, 1, 1), 230)],
    ids=["equal", "one sequence", "one step", "few steps", "packed"],
)
@pytest.mark.parametrize("name", ["tanh", "relu", "gru", "lstm"])
def test_walks_in_parts_are_those_of_the_plain_form(threads, name, sizes, reverse, bias, hidden):
    pytest.importorskip("numba", reason="needs numba (extra: fast)")
    layer, arguments = large_case(name, sizes, reverse, bias, hidden)
    try:
        minillm.set_kernels("numpy")
        plain = results_of(layer, arguments)
        minillm.set_kernels("numba")
        compiled, again = results_of(layer, arguments), results_of(layer, arguments)
    finally:
        minillm.set_kernels(None)
    for a, b, c in zip(compiled, again, plain, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c, rtol=1e-3, atol=1e-4 * abs(c).max())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_infinities_and_nan_stay_in_their_sequence(chosen, case):
    """Gates are 0 and 1 at infinite sums; NaN is not lost."""
    layer, arguments = case((3, 3), False)
    arguments = [a.detach().float() if isinstance(a, minillm.Tensor) else a for a in arguments]
    x = arguments[0].numpy()
    x[0], x[1] = 1e30, np.nan
    y = layer.apply(*arguments)[0].numpy()
    assert not np.isnan(y[0]).any()
    assert np.isnan(y[1]).all()
    assert np.isnan(y[4]).all()
    assert np.isfinite(y[[2, 5]]).all()


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_compiled_tanh_and_sigmoid(name):
    numba = pytest.importorskip("numba")
    hyperbolic = importlib.import_module("minillm.kernels.fast.hyperbolic")
    function = getattr(hyperbolic, name)

    @numba.njit
    def all_of(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    x = np.concatenate([np.linspace(-12, 12, 10001), [0, 1e-30, -1e-30, 1e5, -1e5, np.inf, -np.inf, np.nan]])
    x = x.astype("float32")
    y = np.empty_like(x)
    all_of(x, y)
    exact = np.tanh(x.astype("float64"))
    if name == "sigmoid":
        exact = (np.tanh(x.astype("float64") / 2) + 1) / 2
    np.testing.assert_allclose(y, exact, rtol=4e-7 if name == "tanh" else 0, atol=0 if name == "tanh" else 2e-7)
