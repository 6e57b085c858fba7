"""Loops in parts: each item once, on as many threads as there are parts, also where several ask at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import minillm

pytest.importorskip("numba", reason="needs numba (extra: fast)")

from numba import njit

from minillm.kernels.fast.pool import in_parts, in_ranges, number_of_parts


@njit
def _add_one(x, y, added):
    for i in range(len(x)):
        y[i] += x[i] + added


@njit
def add_one(x, y, added, least):
    in_parts(_add_one, (x, y), (added,), least)


@njit
def _note(part, begin, end, out):
    for i in range(begin, end):
        out[i] = part


@njit
def note(out, count, least):
    in_ranges(_note, (out,), count, least)
    return number_of_parts(count, least)


@njit
def _square_rows(x, y):
    for i in range(len(x)):
        y[i] = x[i] * x[i]


@njit
def _nested(part, begin, end, x, y):
    in_parts(_square_rows, (x[begin:end], y[begin:end]), (), 1)


@njit
def nested(x, y):
    in_ranges(_nested, (x, y), len(x), 1)


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (1000,), (7, 3), (64, 2, 5)])
@pytest.mark.parametrize("least", [1, 3, 1000])
def test_each_item_is_done_once(threads, shape, least):
    x, y = np.random.default_rng(0).random(shape), np.ones(shape)
    for _ in range(50):
        before = y.copy()
        add_one(x, y, 0.5, least)
        np.testing.assert_array_equal(y, before + (x + 0.5))


def test_views_are_cut_along_their_first_dimension(threads):
    x, y = np.arange(60.0).reshape(6, 10), np.zeros((12, 10))
    add_one(x[:, ::2], y[::2, 5:], 1.0, 1)
    np.testing.assert_array_equal(y[::2, 5:], x[:, ::2] + 1)
    assert not y[1::2].any()
    assert not y[:, :5].any()


def test_nothing_is_called_for_no_items(threads):
    add_one(np.empty((0, 3)), np.empty((0, 3)), 1.0, 1)
    assert note(np.empty(0), 0, 1) == 1


def test_the_parts_are_equal_and_their_number_is_what_the_least_allows(threads):
    out = np.empty(90, int)
    assert note(out, 90, 30) == threads
    assert np.bincount(out).tolist() == [90 // threads] * threads
    assert note(out, 90, 46) == 1
    assert not out.any()


def test_the_number_of_threads_changes(threads):
    out = np.empty(60, int)
    for number in (1, 2, 5, 2, threads):
        minillm.set_num_threads(number)
        assert note(out, 60, 1) == number
        assert len(np.unique(out)) == number


def test_threads_that_sleep_are_woken(threads):
    x, y = np.ones(64), np.zeros(64)
    for _ in range(5):
        add_one(x, y, 0.0, 1)
        time.sleep(0.05)  # they look for about a millisecond
    assert (y == 5).all()


def test_a_loop_inside_a_loop_is_done_by_the_thread_that_asks(threads):
    x, y = np.arange(20.0), np.zeros(20)
    for _ in range(100):
        nested(x, y)
    np.testing.assert_array_equal(y, x * x)


def test_loops_of_several_threads_do_not_mix(threads):
    wrong = []

    def work(number):
        x, y = np.full(257, float(number)), np.zeros(257)
        for _ in range(300):
            add_one(x, y, 0.0, 1)
        if not (y == 300.0 * number).all():
            wrong.append(number)

    running = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert not wrong


PROGRAM = """
import os, sys
import numpy as np
import minillm
from minillm.kernels import fast
minillm.set_num_threads(2)
x = np.linspace(-3, 3, 1 << 18, dtype=np.float32)
expected = fast.gelu(x, False)[0]
if sys.argv[1] == "fork":
    pid = os.fork()
    again = fast.gelu(x, False)[0]
    assert (again == expected).all()
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
if sys.argv[1] == "raise":
    raise SystemExit(3)
print("done")
"""


@pytest.mark.parametrize(("way", "code"), [("return", 0), ("raise", 3), ("fork", 0)])
def test_a_process_ends_and_its_children_have_threads_of_their_own(way, code):
    if way == "fork" and not hasattr(os, "fork"):
        pytest.skip("needs fork")
    program = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM, way]
    result = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert result.returncode == code, result.stderr
    assert ("done" in result.stdout) == (code == 0)
