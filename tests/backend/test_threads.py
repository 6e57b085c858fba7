from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from minillm.backend import get_num_threads, in_parts, set_num_threads, threads


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
    assert get_num_threads() == 3  # of the compiled loops


def test_parts_cover_everything_once_and_run_beside_each_other():
    if threads._controls() is None:
        pytest.skip("the number of threads cannot be set")
    set_num_threads(3)
    counts = np.zeros(100, dtype=int)
    names = set()
    together = threading.Barrier(3, timeout=60)

    def work(part):
        counts[part] += 1
        names.add(threading.current_thread().name)
        together.wait()

    in_parts(work, 100, least=10)
    assert (counts == 1).all()
    assert len(names) == 3


def test_few_items_no_items_and_parts_of_parts_stay_in_one_piece():
    set_num_threads(2)
    parts = []
    in_parts(parts.append, 10, least=6)
    in_parts(parts.append, 0, least=6)
    in_parts(lambda part: in_parts(parts.append, part.stop - part.start, 1), 2, least=1)
    assert sorted(parts, key=lambda part: part.stop)[-1] == slice(0, 10)
    assert len(parts) == 3 or threads._controls() is None


def test_an_error_of_another_thread_arrives_when_all_have_ended():
    if threads._controls() is None:
        pytest.skip("the number of threads cannot be set")
    set_num_threads(2)
    done = []

    def work(part):
        if part.start:
            raise ValueError("the second part")
        done.append(part)

    with pytest.raises(ValueError, match="the second part"):
        in_parts(work, 2, least=1)
    assert done == [slice(0, 1)]
    with np.errstate(all="ignore"):  # NumPy's settings of this thread hold in the others
        in_parts(lambda part: np.log(np.zeros(2)[part]), 2, least=1)


def test_products_inside_parts_take_one_thread_and_afterwards_as_many_as_before():
    controls = threads._controls()
    if controls is None:
        pytest.skip("the number of threads cannot be set")
    set_num_threads(2)
    seen = []

    def work(part):
        seen.append((int(controls[0]()), get_num_threads()))
        if part.start:
            set_num_threads(3)  # counts from the end of the parts on
            raise ValueError("the second part")

    with pytest.raises(ValueError, match="the second part"):
        in_parts(work, 2, least=1)
    assert [blas for blas, _ in seen] == [1, 1]
    assert {number for _, number in seen} <= {2, 3}
    assert int(controls[0]()) == get_num_threads() == 3


def test_calls_from_several_threads_leave_the_number_as_it_was():
    controls = threads._controls()
    if controls is None:
        pytest.skip("the number of threads cannot be set")
    set_num_threads(2)
    together = threading.Barrier(2, timeout=60)
    seen = []

    def work(part):
        seen.append(int(controls[0]()))

    def call():
        together.wait()
        for _ in range(50):
            in_parts(work, 2, least=1)

    callers = [threading.Thread(target=call) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert seen == [1] * 200
    assert int(controls[0]()) == get_num_threads() == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_child_process_starts_with_threads_of_its_own():
    if threads._controls() is None:
        pytest.skip("the number of threads cannot be set")
    set_num_threads(2)
    counts = np.zeros(2, dtype=int)

    def work(part):
        counts[part] += 1

    in_parts(work, 2, least=1)
    child = os.fork()
    if not child:
        in_parts(work, 2, least=1)
        os._exit(0 if (counts == 2).all() and get_num_threads() == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
