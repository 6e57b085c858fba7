from __future__ import annotations

import pytest

from minillm.backend import get_num_threads, set_num_threads
from minillm.cli import threads
from tests.cli.conftest import call


@pytest.fixture
def noted(monkeypatch):
    numbers = []
    monkeypatch.setattr(threads, "set_num_threads", numbers.append)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    return numbers


def generate(trained, *argv):
    assert call("generate", trained, "--max-new-tokens", 1, *argv).code == 0


@pytest.mark.parametrize(("kernels", "number"), [("numpy", [1]), ("numba", [])])
def test_small_models_take_one_thread_with_numpy_and_all_with_compiled_kernels(
    trained, noted, monkeypatch, kernels, number
):
    monkeypatch.setattr(threads, "get_kernels", lambda: kernels)
    generate(trained)
    assert noted == number


def test_large_models_take_what_there_is(trained, noted, monkeypatch):
    monkeypatch.setattr(threads, "get_kernels", lambda: "numpy")
    monkeypatch.setattr(threads, "SMALL", 16)
    generate(trained)
    assert noted == []


def test_the_option_and_the_environment_come_first(trained, noted, monkeypatch):
    generate(trained, "--threads", 3)
    assert noted == [3]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    generate(trained)
    assert noted == [3]


def test_the_process_is_left_as_it_was(trained):
    before = get_num_threads()
    set_num_threads(2)
    try:
        generate(trained, "--threads", 1)
        assert get_num_threads() == 2
    finally:
        set_num_threads(before)
