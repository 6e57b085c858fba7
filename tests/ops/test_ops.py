"""Every operation beside PyTorch: values, dtypes, gradients of the first and second order, and by differences."""

from __future__ import annotations

import contextlib
import functools

import numpy as np
import pytest

import minillm
from minillm import autograd
from minillm.autograd import Function
from minillm.backend import is_array, to_numpy

from .cases import CASES, CREATION, DRAWN, Case, cases_of

torch = pytest.importorskip("torch")

TOLERANCES = {"float64": 1e-7, "float32": 2e-4}


@contextlib.contextmanager
def about(case: Case):
    """Name the case in the error of a test that goes through many."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"case {case}: {error}") from error


def flat(result) -> list:
    """The tensors (and numbers) of a result, one or several."""
    return list(result) if isinstance(result, (tuple, list)) else [result]


def scattered(array: np.ndarray) -> np.ndarray:
    """The same values, with other elements between them in memory."""
    if not array.ndim:
        return array
    roomy = np.zeros((*array.shape[::-1], 2), array.dtype)
    view = roomy[..., 0].T
    view[...] = array
    return view


def tensors(library, case: Case, arrays: list[np.ndarray], gradients: bool = True) -> list:
    made = []
    for spec, array in zip(case.inputs(), arrays, strict=True):
        wants = gradients and array.dtype.kind == "f" and spec.needs_gradient
        if library is torch:
            x = torch.from_numpy(array)
        elif minillm.get_default_device().type == "cpu":
            x = minillm.from_numpy(array)  # no copy: the layout in memory stays
        else:
            x = minillm.tensor(array)
        made.append(x.requires_grad_(wants) if wants else x)
    return made


def numpy_of(value) -> np.ndarray:
    if isinstance(value, minillm.Tensor):
        return to_numpy(value.array)
    return value.numpy(force=True) if isinstance(value, torch.Tensor) else np.asarray(value)


def assert_same(ours, theirs, tolerance: float, what: str) -> None:
    got, wanted = numpy_of(ours), numpy_of(theirs)
    assert got.shape == wanted.shape, f"{what}: shape {got.shape}, in PyTorch {wanted.shape}"
    assert got.dtype == wanted.dtype, f"{what}: dtype {got.dtype}, in PyTorch {wanted.dtype}"
    if got.dtype.itemsize == 2 and got.dtype.kind == "f":
        tolerance = 2e-3
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance, err_msg=what)


@pytest.mark.parametrize("name", CASES)
def test_values(name, device):
    for case in cases_of(name):
        for dtype, tolerance in TOLERANCES.items():
            for layout in (lambda array: array, scattered):
                if layout is scattered and name in ("view", "contiguous", "take_along_dim"):
                    continue  # a view cannot always be; in the last PyTorch 2.13 itself fails
                with about(case):
                    arrays = [layout(array) for array in case.draw(dtype)]
                    theirs = flat(case.run(torch, tensors(torch, case, arrays)))
                    ours = flat(case.run(minillm, tensors(minillm, case, arrays)))
                    assert len(ours) == len(theirs)
                    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
                        assert_same(a, b, tolerance, f"output {i} in {dtype}")
                        if isinstance(b, torch.Tensor):
                            assert a.requires_grad == b.requires_grad, f"requires_grad of output {i}"
                        else:
                            assert type(a) is type(b)


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_first_and_second_order(name, device):
    for case in cases_of(name):
        for dtype, tolerance in TOLERANCES.items() if case.call.order else ():
            with about(case):
                theirs, ours = (
                    gradients(library, case, tensors(library, case, case.draw(dtype)))
                    for library in (torch, minillm)
                )
                for order, a, b in zip(("first", "second"), ours, theirs):  # noqa: B905
                    for i, (x, y) in enumerate(zip(a, b, strict=True)):
                        what = f"{order} gradient of input {i} in {dtype}"
                        assert_same(x, y, tolerance * (10 if order == "second" else 1), what)


def weighted(library, outputs: list, xs: list, create_graph: bool) -> list | None:
    """The gradients of a weighted sum of outputs, zeros where there is no way; None without any way."""
    outputs = [y for y in outputs if not isinstance(y, (bool, int)) and y.requires_grad]
    wanted = [x for x in xs if x.requires_grad]
    if not outputs or not wanted:
        return None
    weights = [np.random.default_rng(5).uniform(0.5, 1.5,
        tuple(y.shape)).astype(str(y.dtype).split(".")[-1]) for y in outputs]
    make = torch.from_numpy if library is torch else minillm.tensor
    return list(
        library.autograd.grad(
            outputs, wanted, [make(w) for w in weights], create_graph=create_graph, allow_unused=True,
            materialize_grads=True,
        )
    )  # fmt: skip


def gradients(library, case: Case, xs: list) -> list[list]:
    first = weighted(library, flat(case.run(library, xs)), xs, create_graph=case.call.order > 1)
    if first is None:
        return []
    second = weighted(library, first, xs, create_graph=False) if case.call.order > 1 else None
    return [first] if second is None else [first, second]


@pytest.mark.parametrize("name", CASES)
def test_gradients_by_differences(name, device):
    """PyTorch is an oracle, never the only one."""
    for case in cases_of(name):
        xs = tensors(minillm, case, case.draw())
        ys = flat(case.run(minillm, xs)) if case.call.check and case.call.order > 1 else []
        if any(isinstance(y, minillm.Tensor) and y.requires_grad for y in ys):
            with about(case):
                fast_mode = sum(x.numel() for x in xs) > 12
                func = functools.partial(run, case)
                assert autograd.gradcheck(func, xs, fast_mode=fast_mode)
                assert autograd.gradgradcheck(func, xs, fast_mode=fast_mode)


def run(case: Case, *xs: minillm.Tensor):
    return case.run(minillm, list(xs))


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("allclose", "equal", "cast",
    "getitem")])
def test_arrays_in_arrays_out(name, device):
    """``backward`` is written with these functions, so they take arrays as well."""
    for case in cases_of(name):
        xs = tensors(minillm, case, case.draw(), gradients=False)
        if case.call.method or not xs:
            continue
        with about(case):
            wanted = flat(case.run(minillm, xs))
            got = flat(case.run(minillm, [x.array for x in xs]))
            for a, b in zip(got, wanted, strict=True):
                if isinstance(b, minillm.Tensor):
                    assert is_array(a)
                    np.testing.assert_array_equal(to_numpy(a), to_numpy(b.array))


@pytest.mark.parametrize("name", CREATION)
def test_creation(name, device):
    for case in cases_of(name, CREATION):
        with about(case):
            arrays = case.draw("float64")
            ours = case.run(minillm, tensors(minillm, case, arrays, gradients=False))
            theirs = case.run(torch, tensors(torch, case, arrays, gradients=False))
            assert_same(ours, theirs, 1e-6, "values")
            assert ours.requires_grad == theirs.requires_grad
            assert str(ours.device) == device


def test_every_public_name_stands_in_the_table():
    named = {name for name in (*CASES, *CREATION, *DRAWN) if "." not in name}
    offered = set(minillm.ops.__all__) - {"Parameter", "Tensor", "linalg"}
    assert offered - named == set()
    assert named - offered == {"repeat"}  # a method alone
    assert {f"linalg.{name}" for name in ("norm", "vector_norm")} <= set(CASES)


def test_every_function_is_reached_by_the_table(monkeypatch):
    """No operation without a case: each class runs forward, and backward where it has a derivative."""
    classes = [c for c in subclasses(Function) if c.__module__.startswith("minillm.ops") and "forward" in vars(c)]
    seen: set[tuple[type, str]] = set()

    def watch(cls, method):
        original = getattr(cls, method)

        def run(self, *args):
            seen.add((cls, method))
            return original(self, *args)

        monkeypatch.setattr(cls, method, run)

    for cls in classes:
        watch(cls, "forward")
        if cls.differentiable and "backward" in vars(cls):
            watch(cls, "backward")
    for case in (case for name in CASES for case in cases_of(name)):
        gradients(minillm, case, tensors(minillm, case, case.draw()))
    minillm.ones(2, requires_grad=True).to("strict").sum().backward()
    ~minillm.tensor([True]) & True | False ^ True
    minillm.ones(2).view("int32")
    minillm.ones(2, 3, requires_grad=True).t().contiguous().sum().backward()
    missing = [
        f"{cls.__name__}.{method}"
        for cls in classes
        for method in ("forward", "backward")
        if method in vars(cls) and (cls, method) not in seen and (method == "forward" or cls.differentiable)
    ]
    assert missing == []


def subclasses(cls: type) -> set[type]:
    return {cls}.union(*map(subclasses, cls.__subclasses__()))
