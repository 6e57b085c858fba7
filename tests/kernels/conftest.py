"""One table of tests for all sets: a test that asks for ``kernels`` runs with NumPy's and with the compiled ones.

With ``device`` beside it, NumPy's set runs on every device, and the compiled set on the CPU.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from types import ModuleType

import pytest

import minillm

_without_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs numba (extra: fast)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    numba = pytest.param("numba", marks=_without_numba)
    gpu = pytest.mark.gpu
    asked = {"kernels", "device"} & set(metafunc.fixturenames)
    if asked == {"kernels"}:
        metafunc.parametrize("kernels", ["numpy", numba], indirect=True)
    elif asked == {"device"}:
        metafunc.parametrize("device", ["cpu", "strict", pytest.param("cuda", marks=gpu)], indirect=True)
    elif asked:
        places = [
            pytest.param("numpy", "cpu", id="numpy"),
            pytest.param("numpy", "strict", id="strict"),
            pytest.param("numpy", "cuda", id="cuda", marks=gpu),
            pytest.param("numba", "cpu", id="numba", marks=_without_numba),
        ]
        metafunc.parametrize(("kernels", "device"), places, indirect=True)


@pytest.fixture
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """Make new tensors on the device of the test; gives its name."""
    with minillm.device(request.param):
        yield request.param


@pytest.fixture
def kernels(request: pytest.FixtureRequest) -> ModuleType:
    """The set of kernels that is tested."""
    name = "minillm.kernels.cpu" if request.param == "numpy" else "minillm.kernels.fast"
    return importlib.import_module(name)


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run the test on so many threads."""
    before = minillm.get_num_threads()
    minillm.set_num_threads(request.param)
    yield request.param
    minillm.set_num_threads(before)
