"""Which dtype comes back: PyTorch's, for every pair of operands, or an error as in PyTorch."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

import minillm

torch = pytest.importorskip("torch")

DTYPES = ["float32", "float64", "float16", "uint8", "int8", "int16", "int32", "int64", "bool"]
VALUES = [0, 1, 2, 3]
NUMBERS = [True, 2, 2.5, -1]

BINARY = [
    "add", "sub", "mul", "div", "true_divide", "floor_divide", "remainder", "pow", "maximum", "minimum", "eq",
    "lt", "ge", "logical_and", "logical_xor", "isclose", "lerp", "where", "matmul", "dot", "outer", "clamp",
    "masked_fill", "scatter", "index_add", "equal",
]  # fmt: skip
UNARY = [
    "neg", "abs", "exp", "expm1", "log", "log2", "log1p", "sqrt", "rsqrt", "reciprocal", "square", "sin", "cos",
    "tanh", "sigmoid", "relu", "erf", "sign", "floor", "ceil", "trunc", "round", "isnan", "isinf", "isfinite",
    "logical_not", "sum", "nansum", "mean", "prod", "all", "any", "count_nonzero", "amax", "amin", "max", "min",
    "argmax", "argmin", "median", "sort", "argsort", "unique", "var", "std", "norm", "clone", "nonzero",
]  # fmt: skip
ALONG_A_DIM = [
    "sum", "mean", "prod", "all", "any", "amax", "amin", "max", "min", "argmax", "argmin", "median", "sort",
    "argsort", "cumsum", "logsumexp", "softmax", "log_softmax", "count_nonzero", "var", "std", "norm",
]  # fmt: skip

# Comparing bytes with a negative number goes by value here; PyTorch makes it a byte first. What PyTorch lets
# pass for no elements, or for one odd pair, is refused.
DIFFERENT = {("lt", "uint8", -1), ("ge", "uint8", -1), ("pow", "bool", True)}


def outcome(library, name: str, *arguments, **kwargs):
    """The values and the dtype, or that it was refused."""
    made = [
        library.tensor(a[0], dtype=getattr(library, a[1])) if isinstance(a, tuple) else a for a in arguments
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of too few degrees of freedom
        try:
            if name == "where":
                result = library.where(library.tensor([True, False, True, False]), *made)
            elif name == "masked_fill":
                result = library.masked_fill(made[0], library.tensor([True, False, True, False]), made[1])
            elif name == "scatter":
                result = library.scatter(made[0], 0, library.tensor(VALUES), made[1])
            elif name == "index_add":
                result = library.index_add(made[0], 0, library.tensor(VALUES), made[1])
            elif name == "lerp":
                result = library.lerp(*made, 0.5)
            else:
                result = getattr(library, name)(*made, **kwargs)
        except (RuntimeError, TypeError, IndexError, ValueError):
            return "refused", None
    result = result[0] if isinstance(result, tuple) else result
    if isinstance(result, bool):
        return "a bool", np.array(result)
    return str(result.dtype).removeprefix("torch."), result.detach().numpy().astype("float64")


def assert_alike(label, *call, **kwargs) -> None:
    (got, values), (wanted, expected) = (outcome(library, *call, **kwargs) for library in (minillm, torch))
    assert got == wanted, f"{label}: {got}, in PyTorch {wanted}"
    if values is not None:
        np.testing.assert_allclose(values, expected, rtol=1e-2, atol=1e-3, err_msg=str(label))


@pytest.mark.parametrize("name", BINARY)
def test_two_operands(name):
    for a, b in itertools.product(DTYPES, DTYPES):
        divisor = [1, 1, 1, 1] if b == "bool" else [1, 2, 1, 2]
        assert_alike((name, a, b), name, (VALUES, a), (divisor, b))
        if name not in ("matmul", "dot", "outer", "lerp", "scatter", "index_add", "equal"):
            assert_alike((name, a, b, "0-d"), name, (VALUES, a), (1, b))
            assert_alike((name, "0-d", a, b), name, (1, a), (divisor, b)) if name != "masked_fill" else None


@pytest.mark.parametrize("name", [n for n in BINARY if n not in ("matmul", "dot", "outer", "lerp", "index_add")])
def test_a_tensor_and_a_number(name):
    for a, number in itertools.product(DTYPES, NUMBERS):
        if (name, a, number) not in DIFFERENT and name not in ("isclose", "equal"):
            assert_alike((name, a, number), name, (VALUES, a), number)


@pytest.mark.parametrize("name", UNARY)
def test_one_operand(name):
    for a in DTYPES:
        assert_alike((name, a), name, (VALUES, a))
        assert_alike((name, a, "0-d"), name, (1, a))
        if name != "median":
            assert_alike((name, a, "empty"), name, ([], a))


@pytest.mark.parametrize("name", ALONG_A_DIM)
def test_along_a_dimension(name):
    for a in DTYPES:
        assert_alike((name, a), name, ([[0, 1], [2, 1]], a), dim=0)
        assert_alike((name, a, "0-d"), name, (1, a), dim=0)
        if name not in ("softmax", "log_softmax"):
            assert_alike((name, a, "empty"), name, ([], a), dim=0)
            assert_alike((name, a, "no rows"), name, ([[], []], a), dim=0)


def test_the_default_dtype():
    minillm.set_default_dtype("float64")
    try:
        assert minillm.tensor([1.0]).dtype == "float64"
        assert (minillm.tensor([1]) / 2).dtype == "float64"
        assert minillm.tensor([1]).exp().dtype == "float64"
        assert (minillm.tensor([1]) * 2.5).dtype == "float64"
        assert minillm.zeros(1).dtype == "float64"
    finally:
        minillm.set_default_dtype("float32")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_float_stays_itself(dtype, device):
    x = minillm.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=dtype, requires_grad=True)
    y = (x @ x).softmax(-1) * x.exp() / (x + 1) - x.sum(0) + x.mean() ** 2 + x.var(1, keepdim=True).sqrt()
    z = minillm.where(x > 1, y, 0.0).clamp(-100, 100.0).max(1).values
    assert z.dtype == dtype
    z.sum().backward()
    assert x.grad.dtype == dtype


def test_float16_products_are_summed_in_float32(device):
    x = minillm.full((1, 4096), 1.0, dtype="float16")
    assert (x @ x.T).item() == 4096
    big = minillm.full((1, 1), 60000.0, dtype="float16")
    assert (big @ big).item() == float("inf")
