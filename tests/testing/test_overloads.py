"""Names with several signatures, and makers of tensors, called in each way that PyTorch documents."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import minillm
from minillm.testing.derivatives import flat, host_array

torch = pytest.importorskip("torch")

X = np.arange(12.0).reshape(3, 4) % 5
KIND = "dtype=None, device=None, requires_grad=False"
DTYPE = {"dtype": "float64", "device": "cpu"}

# Name -> (signature of the documentation, arguments to call it with). Without `out`, `layout`, `pin_memory` and
# `memory_format`, which minillm has no use for.
FUNCTIONS = {
    "sum": [("input, *, dtype=None", {"dtype": "float32"}),
        ("input, dim, keepdim=False, *, dtype=None", {"dim": 1, "keepdim": True, "dtype": "float32"})],
    "mean": [("input, *, dtype=None", {"dtype": "float32"}),
        ("input, dim, keepdim=False, *, dtype=None", {"dim": (0, 1), "keepdim": True, "dtype": "float32"})],
    "prod": [("input, *, dtype=None", {"dtype": "float32"}),
        ("input, dim, keepdim=False, *, dtype=None", {"dim": 1, "keepdim": True, "dtype": "float32"})],
    "norm": [("input, p='fro', dim=None, keepdim=False, *, dtype=None",
        {"p": 1, "dim": 1, "keepdim": True, "dtype": "float64"})],
    "linalg.norm": [("A, /, ord=None, dim=None, keepdim=False, *, dtype=None",
        {"ord": 1, "dim": 1, "keepdim": True, "dtype": "float64"})],
    **{name: [
        ("input, dim=None, *, correction=1, keepdim=False", {"dim": 1, "correction": 0, "keepdim": True}),
        ("input, dim, unbiased=True, keepdim=False", {"dim": 0, "unbiased": False, "keepdim": True}),
        ("input, unbiased=True", {"unbiased": False}),
    ] for name in ("var", "std")},
    "var_mean": [("input, dim=None, *, correction=1, keepdim=False", {"dim": 1, "correction": 0, "keepdim": True})],
    **{name: [
        ("input", {}), ("input, dim, keepdim=False", {"dim": 1, "keepdim": True}), ("input, other", {"other": X - 1}),
    ] for name in ("max", "min")},
    "median": [("input", {}), ("input, dim=-1, keepdim=False", {"dim": 0, "keepdim": True})],
    **{name: [("input", {}), ("input, dim, keepdim=False", {"dim": 1, "keepdim": True})] for name in ("all", "any")},
    "sort": [("input, dim=-1, descending=False", {"dim": 0, "descending": True}),
        ("input, *, stable, dim=-1, descending=False", {"stable": True, "dim": 0, "descending": True})],
    "unique": [("input, sorted=True, return_inverse=False, return_counts=False, dim=None",
        {"sorted": True, "return_inverse": True, "return_counts": True, "dim": 0})],
    "split": [("tensor, split_size_or_sections, dim=0", {"split_size_or_sections": 3, "dim": 1}),
        ("tensor, split_size_or_sections, dim=0", {"split_size_or_sections": [1, 2], "dim": 0})],
    "squeeze": [("input", {}), ("input, dim", {"dim": 0}), ("input, dim", {"dim": (0, 1)})],
    "scatter": [("input, dim, index, src", {"dim": 0, "index": np.array([[0, 1]]), "src": np.array([[9.0, 8.0]])}),
        ("input, dim, index, value", {"dim": 0, "index": np.array([[0, 1]]), "value": 7.5})],
    "permute": [("input, dims, /", {"dims": (1, 0)})],
    "repeat_interleave": [("input, repeats, dim=None", {"repeats": 2, "dim": 1}),
        ("input, repeats, dim", {"repeats": np.array([1, 0, 2]), "dim": 0})],
    "nonzero": [("input, *, as_tuple=False", {"as_tuple": True})],
    "allclose": [("input, other, rtol=1e-05, atol=1e-08, equal_nan=False",
        {"other": X + 0.1, "rtol": 0.0, "atol": 0.2, "equal_nan": True})],
    "equal": [("input, other", {"other": X})],
    "argsort": [("input, dim=-1, descending=False", {"dim": 0, "descending": True}),
        ("input, *, stable, dim=-1, descending=False", {"stable": True, "dim": 0, "descending": True})],
    # makers: no input
    "tensor": [(f"data, *, {KIND}", {"data": [[1, 2]], **DTYPE, "requires_grad": True})],
    "as_tensor": [("data, *, dtype=None, device=None", {"data": [[1, 2]], **DTYPE})],
    "full": [(f"size, fill_value, *, {KIND}", {"size": (2, 3), "fill_value": 2, **DTYPE, "requires_grad": True})],
    "eye": [(f"n, *, {KIND}", {"n": 3, **DTYPE}), (f"n, m, *, {KIND}", {"n": 3, "m": 2, **DTYPE})],
    "arange": [(f"end, *, {KIND}", {"end": 4, **DTYPE}), (f"start, end, *, {KIND}", {"start": 1, "end": 4, **DTYPE}),
        (f"start, end, step, *, {KIND}", {"start": 1, "end": 4, "step": 2, **DTYPE})],
    "linspace": [(f"start, end, steps, *, {KIND}", {"start": 0, "end": 1, "steps": 3, **DTYPE})],
    **{name: [(f"input, *, {KIND}", {**DTYPE, "requires_grad": True})] for name in ("zeros_like", "ones_like")},
    "full_like": [(f"input, fill_value, *, {KIND}", {"fill_value": 3, **DTYPE, "requires_grad": True})],
}  # fmt: skip
INPUTS = ("input", "tensor", "A")  # what the documentation calls the first tensor

# Methods, whose arguments may stand one by one or as one sequence.
METHODS = {
    "view": ((4, 3),), "reshape": ((2, 6),), "permute": ((1, 0),), "repeat": ((2, 1),), "tile": ((2, 1),),
    "expand": ((2, 3, 4), (2, -1, -1)),
}  # fmt: skip
MAKERS = ("zeros", "ones", "empty", "rand", "randn")


def value(library, key, argument):
    if isinstance(argument, np.ndarray):
        return library.from_numpy(argument.copy())
    return getattr(library, argument) if key == "dtype" else argument


def results(library, name, args, kwargs):
    found = library
    for part in name.split("."):
        found = getattr(found, part)
    made = found(*args, **kwargs)
    return [(host_array(y), str(getattr(y, "dtype", type(y))).rpartition(".")[2]) for y in flat(made)]


def assert_alike(ours, theirs):
    assert len(ours) == len(theirs)
    for (a, kind), (b, other) in zip(ours, theirs, strict=True):
        assert kind == other
        np.testing.assert_allclose(a, b, rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "text", "arguments"),
    [(name, text, arguments) for name, many in FUNCTIONS.items() for text, arguments in many],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_by_position_by_name_and_with_defaults(name, text, arguments):
    parameters = inspect.signature(eval(f"lambda {text}: None")).parameters.values()
    given = {p.name: arguments.get(p.name, X) for p in parameters if p.name in arguments or p.name in INPUTS}
    by_place = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY and p.name in given]
    unnamed = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY]
    needed = [p.name for p in parameters if p.default is p.empty]
    for placed, named in (
        (by_place, [key for key in given if key not in by_place]),
        (unnamed, [key for key in given if key not in unnamed]),
        ([key for key in needed if key in by_place], [key for key in needed if key not in by_place]),
    ):
        here, there = (
            results(
                library, name, [value(library, key, given[key]) for key in placed],
                {key: value(library, key, given[key]) for key in named},
            )
            for library in (minillm, torch)
        )  # fmt: skip
        assert_alike(here, there)


@pytest.mark.parametrize("name", METHODS)
def test_methods_take_numbers_or_a_sequence(name):
    for sizes in METHODS[name]:
        theirs = getattr(torch.from_numpy(X), name)(*sizes).numpy()
        for arguments in (sizes, (sizes,), (list(sizes),)):
            np.testing.assert_array_equal(getattr(minillm.from_numpy(X), name)(*arguments).numpy(), theirs)


@pytest.mark.parametrize("name", MAKERS)
def test_makers_take_numbers_or_a_sequence(name):
    for arguments in ((2, 3), ((2, 3),), ([2, 3],), ((),), (0,)):
        for options in ({}, {"dtype": "float64"}, {"requires_grad": True}):
            ours, theirs = (
                getattr(library, name)(*arguments, **{k: value(library, k, v) for k, v in options.items()})
                for library in (minillm, torch)
            )
            assert tuple(ours.shape) == tuple(theirs.shape)
            assert str(ours.dtype) == str(theirs.dtype).rpartition(".")[2]
            assert ours.requires_grad == theirs.requires_grad


def test_random_makers():
    for arguments, options in (
        ((5, (2, 3)), {}), ((1, 5, (2, 3)), {}), ((), {"low": 1, "high": 5, "size": (2,)}),
        ((), {"high": 5, "size": (2,)}),
    ):  # fmt: skip
        ours, theirs = minillm.randint(*arguments, **options), torch.randint(*arguments, **options)
        assert (tuple(ours.shape), str(ours.dtype)) == (tuple(theirs.shape), "int64")
    assert sorted(minillm.randperm(n=5).tolist()) == sorted(torch.randperm(n=5).tolist()) == list(range(5))


def test_what_no_signature_allows_is_refused():
    for library in (minillm, torch):
        with pytest.raises(TypeError):
            library.arange()
        for options in ({}, {"src": library.ones(1), "value": 2.0}):
            with pytest.raises(TypeError):
                library.scatter(library.ones(2), 0, library.tensor([1]), **options)
