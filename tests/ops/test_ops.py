"""What holds for operations beyond the table of cases: arrays in, arrays out; new tensors lie on the default device."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.backend import is_array, to_numpy
from minillm.testing.cases import FAMILIES, cases_of
from minillm.testing.derivatives import flat

NAMES = [name for family in ("Arithmetic", "Comparison", "Reductions", "Products", "Indexing", "Shape")
    for name in FAMILIES[family] if name not in ("allclose", "equal", "cast", "getitem")]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_arrays_in_arrays_out(name, device):
    """``backward`` is written with these functions, so they take arrays as well."""
    for case in cases_of(name):
        xs = case.tensors(minillm, case.draw(), gradients=False)
        if case.call.method or not xs:
            continue
        wanted = flat(case.run(minillm, xs))
        got = flat(case.run(minillm, [x.array for x in xs]))
        for a, b in zip(got, wanted, strict=True):
            if isinstance(b, minillm.Tensor):
                assert is_array(a), case
                np.testing.assert_array_equal(to_numpy(a), to_numpy(b.array), err_msg=str(case))


@pytest.mark.parametrize("name", [name for name in FAMILIES["Creation"] if name != "from_numpy"])
def test_new_tensors_lie_on_the_default_device(name, device):
    for case in cases_of(name):
        assert str(case.run(minillm, case.tensors(minillm, case.draw(), gradients=False)).device) == device
