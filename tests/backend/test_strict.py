"""The strict stand-in: NumPy's results under CuPy's rules, and errors where CuPy would fail or be wrong."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from minillm.backend import device_of, to_device, to_numpy, xp_for, xp_of
from minillm.backend.strict import StrictArray, strict_xp
from minillm.backend.strict.signature import Signature
from minillm.backend.strict.tables import CONSTANTS, CREATION, FUNCTIONS, LACKING, LINALG, UFUNCS

xp = strict_xp


def array(*values, dtype=None) -> StrictArray:
    return xp.asarray(list(values), dtype=dtype)


# -- no mixing, no silent copies --------------------------------------------------------------------


def test_arrays_of_two_kinds_do_not_mix():
    x, host = array(1.0, 2.0), np.ones(2)
    for call in (
        lambda: x + host, lambda: host + x, lambda: host * x, lambda: xp.add(x, host),
        lambda: xp.where(x > 0, x, host),
        lambda: xp.concatenate([x, host]), lambda: xp.matmul(x, host), lambda: x @ host,
        lambda: x.dot(host), lambda: x == host,
        lambda: x.__iadd__(host), lambda: xp.exp(host), lambda: xp.sum(host), lambda: divmod(x, host),
        lambda: x.__setitem__(slice(None), host),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=r"Unsupported type|needs an array of the strict device"):
            call()


def test_nothing_is_copied_to_the_host_unasked():
    x = array(1.0, 2.0)
    with pytest.raises(TypeError, match="Implicit conversion to a NumPy array is not allowed"):
        np.asarray(x)
    with pytest.raises(TypeError, match=r"call xp_of\(array\).exp"):
        np.exp(x)
    with pytest.raises(TypeError, match=r"call xp_of\(array\).concatenate"):
        np.concatenate([x, x])
    with pytest.raises(TypeError, match=r"numpy.add was called"):
        np.add(x, x, out=x)
    host = x.get()
    host[0] = 9
    assert x.tolist() == [1, 2]
    assert xp.asnumpy(x).tolist() == [1, 2]
    assert xp.asnumpy([1]).tolist() == [1]


def test_lists_are_no_operands():
    for call in (lambda: array(1).__add__([1]), lambda: xp.add([1], [2]), lambda: xp.sum([1]),
        lambda: array(1) < "a"):
        with pytest.raises(TypeError, match=r"Unsupported type|needs an array"):
            call()


def test_numbers_are_operands_on_either_side():
    x = array(1.0, 2.0, dtype="float32")
    assert (2 + x).tolist() == (x + 2.0).tolist() == [3, 4]
    assert (np.float32(2) * x).tolist() == [2, 4]
    assert type(np.float32(2) * x) is StrictArray
    assert (x ** np.int64(2)).tolist() == [1, 4]
    assert (7 // x).tolist() == [7, 3]
    assert (x > 1).tolist() == [False, True]
    quotient, rest = divmod(x, 2)
    assert (quotient.tolist(), rest.tolist()) == ([0, 1], [1, 0])
    quotient, rest = divmod(5, x)
    assert (quotient.tolist(), rest.tolist()) == ([5, 2], [0, 1])
    x += 1
    x *= 2
    assert x.tolist() == [4, 6]
    assert (-x).tolist() == [-4, -6]
    assert (+x) is x
    assert abs(array(-1)).tolist() == [1]
    assert (~array(True)).tolist() == [False]


def test_a_type_that_wants_to_compute_itself_does():
    class Tensor:
        __array_ufunc__ = None

        def __radd__(self, other):
            return "tensor"

    class Weighty:
        __array_priority__ = 1000

        def __radd__(self, other):
            return "weighty"

    assert array(1) + Tensor() == "tensor"
    assert array(1) + Weighty() == "weighty"


# -- what comes back --------------------------------------------------------------------------------


def test_reductions_and_elements_are_arrays_without_dimensions():
    x = array(1.0, 2.0)
    for y in (x.sum(), xp.sum(x), x[0], x.max(), xp.dot(x, x), x.mean()):
        assert type(y) is StrictArray
        assert y.shape == ()
    assert float(x.sum()) == 3.0
    assert int(x[1]) == 2
    assert bool(x[0])
    assert x[1].item() == 2.0
    assert f"{x[1]:.2f}" == "2.00"
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x)


def test_views_stay_views():
    x = array(1.0, 2.0, 3.0, 4.0)
    for view in (x[1:3], x.reshape(2, 2), x.T, x[None], x[2], xp.reshape(x, (2, 2)), x.view(),
        x.reshape(2, 2).mT):
        assert view.base is x
        assert not view.flags["OWNDATA"]
    x[2][...] = 9.0
    x.reshape(2, 2).diagonal()[...] = 0.0
    assert x.tolist() == [0, 2, 9, 0]
    assert x[[0, 1]].base is None
    assert x.copy().base is None
    assert x.view("int64").dtype == "int64"
    x.shape = (2, 2)
    assert x.shape == (2, 2)
    turned = x.T
    with pytest.raises(AttributeError, match="would have to be copied"):
        turned.shape = (4,)


def test_layout():
    x = xp.zeros((2, 3), "float32")
    assert (x.ndim, x.size, x.itemsize, x.nbytes, x.strides, len(x)) == (2, 6, 4, 24, (12, 4), 2)
    assert x.flags.c_contiguous
    assert not x.flags.f_contiguous
    assert x.T.flags["F_CONTIGUOUS"]
    assert "C_CONTIGUOUS : True" in repr(x.flags)
    with pytest.raises(KeyError, match="CuPy has the flags"):
        x.flags["WRITEABLE"]
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)


def test_text_and_copies():
    x = array(1, 2)
    assert repr(x) == "StrictArray([1, 2], dtype=int64)"
    assert str(x) == "[1 2]"
    for other in (copy.copy(x), copy.deepcopy(x), StrictArray(*x.__reduce__()[1])):
        other[0] = 9
        assert x.tolist() == [1, 2]
    assert [int(part) for part in x] == [1, 2]
    with pytest.raises(TypeError, match="iteration over a 0-d array"):
        iter(x[0])
    assert x.tobytes() == np.array([1, 2]).tobytes()


# -- what CuPy lacks, or does otherwise -------------------------------------------------------------


def test_what_cupy_lacks_is_not_there():
    for name in LACKING.split():
        with pytest.raises(AttributeError, match=f"CuPy has no {name}"):
            getattr(xp, name)
    with pytest.raises(AttributeError, match=r"draw from minillm.backend.Generator"):
        xp.random  # noqa: B018
    with pytest.raises(AttributeError, match=r"add its signature to minillm/backend/strict/tables.py"):
        xp.frobnicate  # noqa: B018
    with pytest.raises(AttributeError, match="has no 'itemset': CuPy's has none either"):
        array(1).itemset  # noqa: B018
    with pytest.raises(TypeError, match="take no where"):
        xp.add(array(1), 1, where=array(True))
    with pytest.raises(TypeError, match="takes no argument 'initial'"):
        xp.sum(array(1), initial=3)
    with pytest.raises(TypeError, match="takes no argument 'where'"):
        array(1).sum(where=array(True))


def test_what_depends_on_the_order_of_threads_is_refused():
    x = array(1.0, 2.0)
    with pytest.raises(NotImplementedError, match=r"use minillm.backend.scatter_add"):
        xp.add.at(x, array(0, 0), 1.0)
    with pytest.raises(NotImplementedError, match=r"use minillm.backend.scatter_add"):
        xp.add.reduceat(x, array(0))
    with pytest.raises(NotImplementedError, match=r"maximum.reduce: CuPy does not support it"):
        xp.maximum.reduce(x)


def test_an_assignment_that_names_a_place_twice():
    x = xp.zeros(3)
    with pytest.raises(ValueError, match="names a place twice"):
        x[array(0, 0)] = array(1.0, 2.0)
    with pytest.raises(ValueError, match="names a place twice"):
        x[[0, 0]] = array(1.0, 2.0)
    x[array(0, 0)] = 1.0  # the same value at both
    x[array(0, 2)] = array(5.0, 6.0)
    x[array(True, False, False)] = array(7.0)
    assert x.tolist() == [7, 0, 6]
    y = xp.zeros((2, 3))
    with pytest.raises(ValueError, match="names a place twice"):
        y[:, array(1, 1)] = xp.ones((2, 2))
    with pytest.raises(ValueError, match="name a place twice"):
        xp.put_along_axis(y, array(0, 0, 1).reshape(1, 3), xp.ones((1, 3)), 1)
    xp.put_along_axis(y, array(0, 2).reshape(1, 2), array(1.0, 2.0).reshape(1, 2), 1)
    assert xp.take_along_axis(y, array(2, 0).reshape(1, 2), 1).tolist()[0] == [2, 1]


def test_an_index_out_of_range():
    x = array(1.0, 2.0)
    for call in (
        lambda: x[array(2)], lambda: x[[5]], lambda: x.__setitem__(array(2), 1.0), lambda: x.take(array(2)),
        lambda: xp.take(x, array(-3)), lambda: xp.take_along_axis(x, array(4), 0),
        lambda: xp.put_along_axis(x, array(4), 1.0, 0),
    ):  # fmt: skip
        with pytest.raises(IndexError, match="CuPy would wrap the index around silently"):
            call()
    with pytest.raises(IndexError, match="too many indices"):
        x[0, 0]
    with pytest.raises(IndexError, match="out of bounds"):
        x[2]


def test_unwritten_memory_shows_itself():
    assert np.isnan(xp.empty(2).get()).all()
    assert (xp.empty(2, "int8").get() == 127).all()
    assert xp.empty(2, bool).get().all()
    assert np.isnan(xp.empty_like(array(1.0)).get()).all()


# -- functions --------------------------------------------------------------------------------------


def test_every_line_of_the_tables_is_there():
    for name in (*CONSTANTS.split(), *UFUNCS.split(), *FUNCTIONS, *CREATION):
        assert getattr(xp, name).__class__
    for name in LINALG:
        assert callable(getattr(xp.linalg, name))
    with pytest.raises(AttributeError, match=r"strict.linalg.expm"):
        xp.linalg.expm  # noqa: B018
    assert repr(xp) == "<array module 'strict'>"
    assert xp.sum.__doc__.startswith("CuPy's sum(a, axis=...")
    assert repr(xp.add) == "<ufunc 'strict_add'>"


def test_same_values_as_numpy():
    host = np.random.default_rng(0).random((3, 4))
    x = to_device(host, "strict")
    for call in (
        lambda m, x: m.exp(x), lambda m, x: m.sum(x, axis=1, keepdims=True), lambda m,
        x: m.where(x > 0.5, x, 0.0), lambda m, x: m.einsum("ij,kj->ik", x, x),
        lambda m, x: m.stack([x, x], axis=1), lambda m, x: m.cumsum(x, axis=0), lambda m,
        x: m.sort(x, axis=1), lambda m, x: m.argsort(x, axis=0), lambda m, x: m.tril(x),
        lambda m, x: m.add.outer(x, x), lambda m, x: m.add.reduce(x, axis=1), lambda m,
        x: m.multiply.accumulate(x, axis=1), lambda m, x: m.broadcast_to(x[0], (2, 4)), lambda m,
        x: m.pad(x, 1),
        lambda m, x: m.linalg.norm(x, axis=1), lambda m, x: m.meshgrid(x[0], x[1])[1], lambda m,
        x: m.broadcast_arrays(x, x[0])[1], lambda m, x: m.full_like(x, 2.0), lambda m, x: x.swapaxes(0, 1),
        lambda m, x: x.astype("float32"), lambda m, x: x.clip(0.2, 0.8), lambda m, x: x.repeat(2, axis=0),
        lambda m, x: x.transpose(1, 0), lambda m, x: x.ravel(), lambda m, x: x.std(axis=0, ddof=1),
        lambda m, x: m.modf(x)[0], lambda m, x: m.unique(x, return_inverse=True)[0], lambda m,
        x: m.atleast_2d(x[0]), lambda m, x: m.atleast_1d(x), lambda m, x: m.ascontiguousarray(x.T),
        lambda m, x: m.take(x, m.asarray([1, 0]), axis=1), lambda m,
        x: x[m.ix_(m.asarray([0, 2]), m.asarray([1, 3]))], lambda m, x: x.argsort(axis=1), lambda m,
        x: m.nonzero(x > 0.5)[1],
        lambda m, x: m.arange(3, 7), lambda m, x: m.linspace(0, 1, 5), lambda m, x: m.eye(2, 3), lambda m,
        x: m.full((2,), 7), lambda m, x: m.array([1, 2]), lambda m, x: m.zeros_like(x), lambda m,
        x: x.nonzero()[0],
    ):  # fmt: skip
        np.testing.assert_array_equal(to_numpy(call(xp, x)), call(np, host))


def test_methods_in_place_and_out():
    x = array(3.0, 1.0, 2.0)
    out = xp.zeros(3)
    assert xp.exp(x, out=out) is out
    assert xp.add(x, 1, out) is out
    assert out.tolist() == [4, 2, 3]
    total = xp.zeros(())
    assert x.sum(out=total) is total
    assert xp.sum(x, out=total) is total
    assert xp.add.reduce(x, out=total) is total
    whole, fraction = xp.zeros(3), xp.zeros(3)
    assert xp.modf(x, (fraction, whole)[0], whole)[1] is whole
    x.sort()
    assert x.tolist() == [1, 2, 3]
    x.fill(5)
    x.partition(1)
    assert float(x.ptp()) == 0
    assert xp.ptp(x, out=total) is total
    xp.copyto(x, 1.0, where=array(True, False, True))
    assert x.tolist() == [1, 5, 1]
    taken = xp.zeros(2)
    assert x.take(array(1, 1), out=taken) is taken
    assert taken.tolist() == [5, 5]
    with pytest.raises(TypeError, match="needs an array of the strict device"):
        xp.exp(x, out=np.zeros(3))


def test_making_arrays():
    x = array(1.0)
    assert xp.asarray(x) is x
    assert xp.array(x, copy=False) is x
    assert xp.array(x) is not x
    assert xp.asarray(x, dtype="float32").dtype == "float32"
    assert xp.array([x, x]).shape == (2, 1)
    assert xp.asarray(np.ones(2)).tolist() == [1, 1]
    with pytest.raises(ValueError, match="Unsupported dtype"):
        xp.array(["a"])


def test_questions_about_arrays():
    x = xp.zeros((2, 3))
    assert (xp.ndim(x), xp.shape(x), xp.size(x), xp.size(x, 1), xp.ndim(3), xp.shape(3)) == (2, (2, 3), 6,
        3, 0, ())
    assert xp.isscalar(3)
    assert not xp.isscalar(x)
    assert xp.may_share_memory(x, x[0])
    assert xp.shares_memory(x, x[0])
    assert not xp.shares_memory(x, x.copy())
    assert xp.result_type(x, "float32") == "float64"
    assert xp.can_cast(x, "float64")
    assert xp.can_cast("int32", "int64")


def test_signatures():
    line = Signature("f(a!, b?=; axis=, tup[]=)")
    assert str(line) == "f(a, b=..., axis=..., tup=...)"
    with pytest.raises(TypeError, match="got 5 arguments"):
        line.bind((1, 2, 3, 4, 5), {}, None, None)
    with pytest.raises(TypeError, match="got its argument 'a' twice"):
        line.bind((1,), {"a": 2}, None, None)
    with pytest.raises(TypeError, match="needs the argument 'a'"):
        line.bind((), {}, None, None)
    for bad in ("f", "f(a-b)"):
        with pytest.raises(ValueError, match="cannot read"):
            Signature(bad)


def test_the_device():
    x = to_device(np.arange(3), "strict")
    assert xp_of(x) is xp_for("strict") is strict_xp
    assert str(device_of(x)) == "strict"
    assert type(to_numpy(x)) is np.ndarray
