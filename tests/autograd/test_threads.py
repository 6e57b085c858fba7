"""Threads that build and walk graphs at once, of their own or on shared leaves: no gradient is lost or mixed up."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import minillm
from minillm import autograd, nn
from minillm.autograd import versions, walk
from minillm.autograd.errors import OperationError
from minillm.autograd.versions import last_write, mark_written, next_number


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    """Let Python change threads every few operations of a step, not every five milliseconds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(work: Callable[[int], None], number: int = 2) -> None:
    """Run ``work(i)`` in threads that start together; raise what one of them raised."""
    start = threading.Barrier(number)
    errors = []

    def run(i: int) -> None:
        start.wait()
        try:
            work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def leaf(*values: float) -> minillm.Tensor:
    return minillm.tensor(list(values), dtype="float64", requires_grad=True)


def network_and_halves() -> tuple[nn.Module, list[tuple[minillm.Tensor, minillm.Tensor]]]:
    minillm.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1)).double()
    x, y = minillm.randn(8, 3, dtype="float64"), minillm.randn(8, 1, dtype="float64")
    return model, [(x[:4], y[:4]), (x[4:], y[4:])]


def test_threads_have_switches_of_their_own_and_graphs_of_their_own():
    results: dict[int, float] = {}
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        x = leaf(float(number))
        for _ in range(50):
            if number % 2:
                with minillm.no_grad():
                    assert not (x * 2).requires_grad
            y = x
            for _ in range(20):
                y = y * x
            x.grad = None
            y.sum().backward()
        results[number] = x.grad.item()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: 21.0 * number**20 for number in range(4)}


def test_one_graph_walked_by_two_threads():
    x = leaf(1.0, 2.0)
    y = x.exp()
    found = []

    def work() -> None:
        found.append(autograd.grad(y.sum(), x, retain_graph=True)[0].tolist())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [y.tolist()] * 4


def test_grad_of_two_half_batches_on_shared_parameters():
    model, halves = network_and_halves()
    parameters = list(model.parameters())

    def gradients(i: int) -> list[np.ndarray]:
        x, y = halves[i]
        loss = nn.functional.mse_loss(model(x), y)
        return [dx.numpy() for dx in autograd.grad(loss, parameters)]

    alone = [gradients(i) for i in range(2)]

    def work(i: int) -> None:
        for _ in range(30):
            for found, wanted in zip(gradients(i), alone[i], strict=True):
                np.testing.assert_array_equal(found, wanted)

    in_threads(work)
    assert all(p.grad is None for p in parameters)


@pytest.mark.parametrize("grad", ["none", "there"])
def test_backward_of_threads_into_the_same_leaf_loses_nothing(grad):
    rounds, walks, threads = 20, 10, 4
    for _ in range(rounds):
        x = leaf(1.0, 2.0)
        if grad == "there":
            x.grad = minillm.zeros(2, dtype="float64")

        def work(i: int, x: minillm.Tensor = x) -> None:
            for _ in range(walks):
                (x * x + x).sum().backward()

        in_threads(work, threads)
        assert x.grad.tolist() == [walks * threads * 3, walks * threads * 5]


@pytest.mark.parametrize("grad", ["none", "there"])
def test_a_gradient_is_added_only_while_no_one_else_adds(grad):
    """The test above finds a lost gradient by luck alone; this one finds a missing lock."""
    x = leaf(1.0, 2.0)
    if grad == "there":
        x.grad = minillm.zeros(2, dtype="float64")
    thread = threading.Thread(target=lambda: (x * x).sum().backward())
    with walk._lock:
        thread.start()
        thread.join(0.05)
        assert thread.is_alive()
        assert x.grad is None or x.grad.tolist() == [0, 0]
    thread.join()
    assert x.grad.tolist() == [2, 4]


def test_backward_of_two_half_batches_adds_up():
    model, halves = network_and_halves()

    def work(i: int) -> None:
        x, y = halves[i]
        for _ in range(20):
            nn.functional.mse_loss(model(x), y).backward()

    for i in range(2):
        work(i)
    wanted = [p.grad.numpy().copy() for p in model.parameters()]
    for p in model.parameters():
        p.grad = None
    in_threads(work)
    for p, gradient in zip(model.parameters(), wanted, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), gradient, rtol=1e-10)


def test_modes_of_one_thread_are_not_those_of_another():
    def work(i: int) -> None:
        x = leaf(0.0)
        for _ in range(200):
            if i == 0:
                with minillm.no_grad():
                    assert not (x + 1).requires_grad
            elif i == 1:
                with autograd.detect_anomaly(), pytest.raises(OperationError, match="log made"):
                    x.log()
            else:
                assert (x + 1).requires_grad
                x.log()

    in_threads(work, 3)


def test_writes_of_threads_never_go_back():
    """A write must be seen by all nodes that are older, whichever thread notes it."""
    tensors = [minillm.ones(1) for _ in range(4)]

    def work(i: int) -> None:
        for _ in range(300):
            node = next_number()
            mark_written([tensors[i]])
            assert last_write[0] > node
            assert tensors[i]._version[0] > node

    in_threads(work, 4)
    assert last_write[0] == max(t._version[0] for t in tensors)
    before = last_write[0]
    thread = threading.Thread(target=mark_written, args=(tensors,))
    with versions._lock:
        thread.start()
        thread.join(0.05)
        assert thread.is_alive()
        assert last_write[0] == before
    thread.join()


def test_a_write_in_another_thread_is_noticed():
    x, w = leaf(1.0, 2.0), minillm.ones(2, dtype="float64")
    y = x * w
    in_threads(lambda i: w.add_(1) if i == 0 else None)
    with pytest.raises(OperationError, match=r"mul: an array that it saved for backward \(argument 1\)"):
        y.sum().backward()
