from __future__ import annotations

import os

import numpy as np
import pytest

from minillm.backend import get_num_threads, set_num_threads, threads


@pytest.fixture(autouse=True)
def _as_before():
    before = get_num_threads()
    threads._controls.cache_clear()
    yield
    threads._controls.cache_clear()
    set_num_threads(before)


def test_the_number_is_set():
    if threads._controls() is None:
        pytest.skip("NumPy was built with another library than OpenBLAS")
    for number in (2, 1):
        set_num_threads(number)
        assert get_num_threads() == number
    x = np.ones((300, 300), dtype=np.float32)
    assert (x @ x)[0, 0] == 300


@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        (0, ValueError, "set_num_threads: expects a positive number, got 0"),
        (-1, ValueError, "expects a positive number, got -1"),
        (1.5, TypeError, "expects a whole number, got 1.5"),
        (True, TypeError, "expects a whole number, got True"),
        ("2", TypeError, "expects a whole number, got '2'"),
    ],
)
def test_what_is_no_number_of_threads(number, error, message):
    with pytest.raises(error, match=message):
        set_num_threads(number)


class WithoutFunctions:
    def __getitem__(self, name):
        raise AttributeError(name)


@pytest.mark.parametrize("problem", ["no library", "a library that does not load", "a library without the functions"])
def test_without_openblas_nothing_changes(monkeypatch, tmp_path, problem):
    (tmp_path / "numpy").mkdir()
    monkeypatch.setattr(threads.np, "__file__", str(tmp_path / "numpy" / "__init__.py"))
    if problem != "no library":
        (tmp_path / "numpy.libs").mkdir()
        (tmp_path / "numpy.libs" / "libopenblas.so").write_bytes(b"no library")
    if problem == "a library without the functions":
        monkeypatch.setattr(threads.ctypes, "CDLL", lambda path: WithoutFunctions())
    set_num_threads(3)
    assert get_num_threads() == os.cpu_count()
