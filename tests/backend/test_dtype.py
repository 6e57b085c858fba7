from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minillm.backend as backend
from minillm.backend import (
    DTYPES,
    get_default_dtype,
    promote_types,
    result_type,
    set_default_dtype,
    to_device,
    to_dtype,
)

NAMES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


@pytest.fixture(autouse=True)
def default_dtype() -> Iterator[None]:
    before = get_default_dtype()
    yield
    set_default_dtype(before)


def test_names_are_numpy_dtypes() -> None:
    for name, dtype in DTYPES.items():
        assert isinstance(dtype, np.dtype)
        assert getattr(backend, name) is dtype
    assert {dtype.name for dtype in DTYPES.values()} == set(NAMES)


def test_names_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    for name, dtype in DTYPES.items():
        assert str(getattr(torch, name)) == f"torch.{dtype.name}"
        assert to_dtype(getattr(torch, name)) is dtype


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("float32", "float32"),
        ("torch.float16", "float16"),
        ("minillm.int64", "int64"),
        ("float", "float32"),
        ("double", "float64"),
        ("int", "int32"),
        ("long", "int64"),
        ("bool", "bool"),
        ("<f4", "float32"),
        (">f4", "float32"),
        (np.dtype(">i8"), "int64"),
        (np.float16, "float16"),
        (np.dtype("int8"), "int8"),
        (np.bool_, "bool"),
        (np.longlong, "int64"),
        (float, "float64"),
        (int, "int64"),
        (bool, "bool"),
    ],
)
def test_to_dtype(given: object, name: str) -> None:
    dtype = to_dtype(given)
    assert dtype == np.dtype(name)
    assert dtype.isnative


@pytest.mark.parametrize(
    "given",
    [complex, "complex64", object, str, "S4", "datetime64[s]", np.uint16, "uint64", np.longdouble,
     None, 7, [], "bfloat17", "", np.dtype([("a", "f4")])],
)  # fmt: skip
def test_to_dtype_refuses(given: object) -> None:
    with pytest.raises(TypeError, match=r"is not supported.*needs one of float16, float32"):
        to_dtype(given)


def test_bfloat16_is_explained() -> None:
    with pytest.raises(TypeError, match="NumPy has no bfloat16"):
        to_dtype("bfloat16")
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="NumPy has no bfloat16"):
        to_dtype(torch.bfloat16)


def test_default_dtype() -> None:
    assert get_default_dtype() == np.float32
    for name in ("float64", "float16", "float32"):
        set_default_dtype(name)
        assert get_default_dtype() == np.dtype(name)
    for wrong in ("int64", "bool", "complex64"):
        with pytest.raises(TypeError, match="float32"):
            set_default_dtype(wrong)
    assert get_default_dtype() == np.float32


# Operands of every category and type: (what torch gets, what minillm gets).


def operands() -> list[tuple[Any, Any]]:
    torch = pytest.importorskip("torch")
    pairs: list[tuple[Any, Any]] = [(True, True), (2, 2), (2.5, 2.5)]
    for name in NAMES:
        dtype = getattr(torch, name)
        pairs.append((torch.ones((), dtype=dtype), np.ones((), dtype=name)))
        pairs.append((torch.ones(2, dtype=dtype), np.ones(2, dtype=name)))
    return pairs


@pytest.mark.parametrize("default", ["float16", "float32", "float64"])
def test_result_type_is_pytorchs_for_every_pair(default: str) -> None:
    torch = pytest.importorskip("torch")
    set_default_dtype(default)
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, default))
    try:
        for (t1, n1), (t2, n2) in itertools.product(operands(), repeat=2):
            expected = str(torch.result_type(t1, t2)).removeprefix("torch.")
            assert result_type(n1, n2).name == expected, (n1, n2)
    finally:
        torch.set_default_dtype(before)


def test_result_type_is_that_of_pytorchs_arithmetic() -> None:
    for (t1, n1), (t2, n2) in itertools.product(operands(), repeat=2):
        if isinstance(n1, (bool, int, float)) and isinstance(n2, (bool, int, float)):
            continue
        expected = str((t1 * t2).dtype).removeprefix("torch.")
        assert result_type(n1, n2).name == expected, (n1, n2)


def test_promote_types_is_pytorchs_and_symmetric() -> None:
    torch = pytest.importorskip("torch")
    for a, b in itertools.product(NAMES, repeat=2):
        expected = torch.promote_types(getattr(torch, a), getattr(torch, b))
        assert f"torch.{promote_types(a, b).name}" == str(expected), (a, b)
        assert promote_types(a, b) == promote_types(b, a)


def test_result_type_of_many_operands() -> None:
    half, ints = np.ones(3, "float16"), np.arange(3)
    assert result_type(half, ints, 2.5, np.float64(1)) == np.float16
    assert result_type(ints, np.ones(3, bool), 2, True) == np.int64
    assert result_type(ints, np.ones((), "float64"), np.ones((), "float16")) == np.float64
    assert result_type(ints) == np.int64
    assert result_type(True) == np.bool_
    assert result_type(2.5) == np.float32


def test_result_type_of_numpy_scalars_and_other_devices() -> None:
    ones = np.ones(3, "float32")
    assert result_type(ones, np.float64(2)) == np.float32
    assert result_type(np.float64(2), np.float64(3)) == np.float64
    strict = to_device(ones, "strict")
    assert result_type(strict, strict.sum(), 2) == np.float32


def test_result_type_refuses() -> None:
    with pytest.raises(ValueError, match="at least one operand"):
        result_type()
    for wrong in ("2", None, [1.0], 2j):
        with pytest.raises(TypeError, match="needs arrays and Python's numbers"):
            result_type(np.ones(2), wrong)
    for dtype in ("complex64", "uint32", "O"):
        for shape in ((), (2,)):
            with pytest.raises(TypeError, match="is not supported"):
                result_type(np.ones(2), np.ones(shape, dtype=dtype))
