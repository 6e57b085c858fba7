"""Shapes and dims drawn by hypothesis: broadcasting, reductions, indices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minillm
from minillm import autograd

torch = pytest.importorskip("torch")


def leaf(array: np.ndarray, library=minillm):
    return library.tensor(array, requires_grad=True)


def values(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).uniform(0.5, 2.0, shape))


def assert_same_gradients(run, *arrays: np.ndarray) -> None:
    """Value, gradient and gradient of the gradient are PyTorch's."""
    found = []
    for library in (minillm, torch):
        xs = [leaf(array, library) for array in arrays]
        y = run(library, *xs)
        first = library.autograd.grad((y * y).sum(), xs, create_graph=True)
        total = sum((dx * dx).sum() for dx in first)
        second = library.autograd.grad(total, xs, allow_unused=True, materialize_grads=True)
        found.append([x.detach().numpy() for x in (y, *first, *second)])
    for ours, theirs in zip(*found, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9)


@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3), data=st.data())
def test_binary_operations_broadcast(shapes, data):
    name = data.draw(st.sampled_from(["add", "sub", "mul", "div", "pow", "maximum", "minimum"]))
    a, b = (values(shape, seed) for seed, shape in enumerate(shapes.input_shapes))
    assert_same_gradients(lambda library, x, y: getattr(library, name)(x, y), a, b)


@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3))
def test_where_broadcasts(shapes):
    condition = np.asarray(values(shapes.input_shapes[0]) > 1)
    a, b = (values(shape, seed) for seed, shape in enumerate(shapes.input_shapes[1:]))
    assert_same_gradients(lambda library, x, y: library.where(library.tensor(condition), x, y), a, b)


@given(
    shapes=hnp.mutually_broadcastable_shapes(signature="(n,k),(k,m)->(n,m)", max_dims=2, min_side=0, max_side=3)
)
def test_matrix_products_broadcast(shapes):
    a, b = (values(shape, seed) for seed, shape in enumerate(shapes.input_shapes))
    assert_same_gradients(lambda library, x, y: x @ y, a, b)


@given(data=st.data(), keepdim=st.booleans())
def test_reductions(data, keepdim):
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, max_side=3))
    dims = data.draw(st.lists(st.integers(-len(shape), len(shape) - 1), unique_by=lambda d: d % len(shape))) \
        if shape else []  # fmt: skip
    name = data.draw(st.sampled_from(["sum", "mean", "amax", "amin", "logsumexp", "nansum", "std"]))
    if name == "std" and np.prod([shape[d] for d in dims or range(len(shape))], initial=1) < 2:
        return
    x = np.random.default_rng(1).permutation(np.linspace(0.5, 2, int(np.prod(shape)))).reshape(shape)
    if not dims and name in ("logsumexp", "std"):  # PyTorch's second derivatives fail without dims
        dims = list(range(len(shape)))
    keywords = {"dim": tuple(dims), "keepdim": keepdim}
    assert_same_gradients(lambda library, x: getattr(library, name)(x, **keywords), np.asarray(x))


@given(data=st.data())
def test_indices(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    index = data.draw(
        st.one_of(
            hnp.basic_indices(shape, allow_newaxis=True).filter(_positive_steps),
            hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3)),
            hnp.arrays(bool, shape),
        )
    )
    x = values(shape)

    def take(library, x):
        parts = index if isinstance(index, tuple) else (index,)
        return x[tuple(library.tensor(part) if isinstance(part, np.ndarray) else part for part in parts)]

    assert_same_gradients(take, x)


def _positive_steps(index) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return all(not isinstance(part, slice) or part.step is None or part.step > 0 for part in parts)


@settings(max_examples=30)
@given(data=st.data())
def test_gradient_checks_of_drawn_shapes(data):
    """The full Jacobians of a chain of everyday operations, against differences."""
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=3))
    x, w = leaf(values(shape)), leaf(values((shape[-1], 2), 1))

    def chain(x, w):
        y = (x @ w).tanh()
        return y.softmax(data_dim) * y.transpose(0, -1).transpose(0, -1) - y.mean(-1, keepdim=True)

    data_dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    assert autograd.gradcheck(chain, (x, w))
    assert autograd.gradgradcheck(chain, (x, w), fast_mode=True)
