"""Running ahead in a thread: order, errors with their place, and no hang whatever happens."""

import gc
import threading
import time
import traceback

import pytest

from minillm.data.prefetch import prefetch


def prefetch_threads():
    return [t for t in threading.enumerate() if t.name == "minillm prefetch"]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    gc.collect()
    deadline = time.monotonic() + 5
    while prefetch_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not prefetch_threads()


@pytest.mark.parametrize("ahead", [1, 2, 100])
def test_items_come_in_order(ahead):
    assert list(prefetch(range(50), ahead)) == list(range(50))
    assert list(prefetch([], ahead)) == []


def test_items_are_computed_in_another_thread_and_no_further_ahead_than_asked():
    made = []

    def items():
        for number in range(100):
            made.append((number, threading.current_thread()))
            yield number

    reader = prefetch(items(), ahead=3)
    assert next(reader) == 0
    time.sleep(0.1)
    assert len(made) <= 1 + 3 + 1  # one handed out, three waiting, one waiting to be put
    assert made[0][1] is not threading.current_thread()
    reader.close()


def test_an_error_comes_at_its_place_with_the_traceback_of_the_thread():
    def items():
        yield 1
        fail_in_dataset()

    def fail_in_dataset():
        raise KeyError("row 7")

    reader = prefetch(items())
    assert next(reader) == 1
    with pytest.raises(KeyError, match="row 7") as caught:
        next(reader)
    assert "fail_in_dataset" in "".join(traceback.format_tb(caught.value.__traceback__))


def test_even_an_exit_in_the_thread_is_heard_of():
    def items():
        yield 1
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        list(prefetch(items()))


@pytest.mark.parametrize("ahead", [1, 4])
def test_leaving_early_ends_the_thread(ahead):
    closed = threading.Event()

    def items():
        try:
            yield from range(10_000)
        finally:
            closed.set()

    for number in prefetch(items(), ahead):
        if number == 2:
            break
    assert closed.wait(5)


def test_an_error_of_the_reader_ends_the_thread():
    def read():
        for number in prefetch(range(10_000)):
            1 / (3 - number)

    with pytest.raises(ZeroDivisionError):
        read()


def test_a_thread_stuck_in_its_dataset_does_not_hold_the_reader():
    release = threading.Event()

    def items():
        yield 1
        release.wait(30)

    reader = prefetch(items())
    assert next(reader) == 1
    begun = time.monotonic()
    reader.close()
    assert time.monotonic() - begun < 5
    release.set()


def test_a_wait_can_be_limited():
    release = threading.Event()

    def items():
        release.wait(30)
        yield 1

    with pytest.raises(RuntimeError, match=r"within timeout=0\.05 seconds"):
        next(prefetch(items(), timeout=0.05))
    release.set()


def test_ahead_must_be_positive():
    with pytest.raises(ValueError, match="ahead must be positive, got 0"):
        prefetch([], ahead=0)
