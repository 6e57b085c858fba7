"""The switches: recording on and off, as blocks, as decorators, as a setting."""

from __future__ import annotations

import threading

import pytest

import minillm
from minillm import autograd


@pytest.mark.parametrize("mode", [minillm.no_grad, minillm.inference_mode, autograd.no_grad])
def test_no_grad(mode):
    x = minillm.ones(2, requires_grad=True)
    with mode():
        assert not minillm.is_grad_enabled()
        assert not (x * 2).requires_grad
        with minillm.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert minillm.is_grad_enabled()


def test_one_object_many_blocks():
    off = minillm.no_grad()
    with off, off:
        with off:
            pass
        assert not minillm.is_grad_enabled()
    assert minillm.is_grad_enabled()


def test_decorators():
    x = minillm.ones(2, requires_grad=True)

    @minillm.no_grad()
    def double(x, depth=0):
        return double(x, depth - 1) if depth else x * 2

    @minillm.enable_grad()
    def record(x):
        return x * 2

    assert not double(x, 3).requires_grad
    with minillm.no_grad():
        assert record(x).requires_grad
    assert minillm.is_grad_enabled()


def test_decorated_generators():
    """The mode holds inside the generator, and not for who takes items from it."""

    @minillm.no_grad()
    def steps():
        got = []
        try:
            while len(got) < 2:
                assert not minillm.is_grad_enabled()
                try:
                    got.append((yield len(got)))
                except KeyError:
                    got.append("error")
        finally:
            closed.append(minillm.is_grad_enabled())
        return got

    closed: list[bool] = []
    generator = steps()
    assert next(generator) == 0
    assert minillm.is_grad_enabled()
    assert generator.send("a") == 1
    with pytest.raises(StopIteration) as stop:
        generator.throw(KeyError())
    assert stop.value.value == ["a", "error"]
    generator = steps()
    next(generator)
    generator.close()
    assert closed == [False, False]
    assert minillm.is_grad_enabled()


def test_an_error_leaves_the_switch_as_it_was():
    with pytest.raises(KeyError), minillm.no_grad():
        raise KeyError
    assert minillm.is_grad_enabled()


def test_set_grad_enabled_as_block_call_and_decorator():
    with minillm.set_grad_enabled(False):
        assert not minillm.is_grad_enabled()
        with minillm.set_grad_enabled(True):
            assert minillm.is_grad_enabled()
        assert not minillm.is_grad_enabled()
    assert minillm.is_grad_enabled()
    minillm.set_grad_enabled(False)
    try:
        assert not minillm.is_grad_enabled()
    finally:
        minillm.set_grad_enabled(True)

    @minillm.set_grad_enabled(False)
    def evaluate():
        return minillm.is_grad_enabled()

    assert minillm.is_grad_enabled()
    assert [evaluate(), minillm.is_grad_enabled()] == [False, True]


def test_each_thread_has_its_own():
    seen = []
    with minillm.no_grad():
        thread = threading.Thread(target=lambda: seen.append(minillm.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_backward_works_inside_no_grad():
    x = minillm.ones(2, requires_grad=True)
    y, z = (x * x).sum(), (x * x).sum()
    with minillm.no_grad():
        y.backward()
        (dx,) = autograd.grad(z, x, create_graph=True)
        assert not minillm.is_grad_enabled()
    assert x.grad.tolist() == [2, 2]
    assert dx.requires_grad


def test_tensors_made_inside_no_grad_may_ask_for_gradients():
    with minillm.no_grad():
        x = minillm.ones(2, requires_grad=True)
    assert x.requires_grad
    assert (x * 2).requires_grad
