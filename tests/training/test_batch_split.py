"""Gradients by threads: those of the whole batch, the same bits each time."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.backend import get_num_threads
from minillm.training import BatchSplit, Trainer
from tests.training.conftest import assert_same_weights, make_config, make_model, make_tokens


def make_mlp(dropout=0.0, dtype="float64"):
    minillm.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Dropout(dropout), nn.Linear(7, 1)).to(getattr(minillm, dtype))


def make_batch(count):
    rng = np.random.default_rng(1)
    return minillm.tensor(rng.standard_normal((count, 5))), minillm.tensor(rng.standard_normal((count, 1)))


def gradients(model):
    return {name: p.grad.numpy().copy() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("count", "threads"), [(12, 1), (12, 2), (7, 3), (2, 5), (1, 2)])
def test_gradients_are_those_of_the_whole_batch(count, threads):
    model, (x, y) = make_mlp(), make_batch(count)
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    whole = gradients(model)
    model.zero_grad()
    for repeat in (1, 2):  # they are added to those that are there
        with BatchSplit(model.parameters(), threads) as split:
            got = split.backward(lambda x, y: nn.functional.mse_loss(model(x), y), x, y)
        assert got == pytest.approx(loss.item(), rel=1e-12)
        for name, grad in gradients(model).items():
            np.testing.assert_allclose(grad, repeat * whole[name], rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("threads", [1, 2])
def test_no_gradient_shares_memory_with_another(threads):
    x = minillm.tensor(np.random.default_rng(0).standard_normal((4, 600_000)))
    a, b = (nn.Parameter(minillm.zeros(600_000, dtype=minillm.float64)) for _ in range(2))
    kept = []
    a.register_hook(lambda grad: kept.append((grad, grad.numpy().copy())))
    for repeat in (1, 2):
        with BatchSplit([a, b], threads) as split:
            split.backward(lambda x: ((a + b) * x).sum(1).mean(), x)
        for parameter in (a, b):
            np.testing.assert_allclose(parameter.grad.numpy(), repeat * x.numpy().mean(0), rtol=1e-10, atol=1e-12)
    for grad, before in kept:
        np.testing.assert_array_equal(grad.numpy(), before)
    a.grad += 1
    np.testing.assert_allclose(b.grad.numpy(), 2 * x.numpy().mean(0), rtol=1e-10, atol=1e-12)


def test_arrays_are_cut_too_and_means_are_weighed_by_what_they_count():
    weight = nn.Parameter(minillm.tensor([0.5], dtype=minillm.float64))
    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    counted = np.array([1.0, 0.0, 0.0, 1.0, 1.0])

    def loss_of(x, counted):
        return (minillm.tensor(x) * weight * minillm.tensor(counted)).sum() / max(counted.sum(), 1)

    with BatchSplit([weight], 3) as split:  # the parts count 1, 0 and 2
        loss = split.backward(loss_of, x, counted, count=lambda x, counted: int(counted.sum()), scale=0.25)
    assert loss == pytest.approx(0.5 * (1 + 4 + 5) / 3)
    assert weight.grad.item() == pytest.approx(0.25 * (1 + 4 + 5) / 3)


def test_dropout_repeats_bit_for_bit():
    seen = []
    for seed in (5, 5, 6):
        model, (x, y) = make_mlp(dropout=0.5, dtype="float32"), make_batch(40)
        x, y = x.float(), y.float()
        minillm.manual_seed(seed)
        with BatchSplit(model.parameters(), 2) as split:
            for _ in range(2):
                split.backward(lambda x, y: nn.functional.mse_loss(model(x), y), x, y)  # noqa: B023
        seen.append(gradients(model)["0.weight"].tobytes())
    assert seen[0] == seen[1] != seen[2]


def test_frozen_and_unused_parameters_have_no_gradient_and_none_share_memory():
    a, b, unused, frozen = (nn.Parameter(minillm.ones(3)) for _ in range(4))
    frozen.requires_grad_(False)
    for threads in (1, 2):
        for parameter in (a, b):
            parameter.grad = None
        with BatchSplit([a, b, unused, frozen], threads) as split:
            split.backward(lambda x: ((a + b) * frozen * x).sum() / len(x), minillm.ones(2, 3))
        assert unused.grad is None
        assert frozen.grad is None
        a.grad.mul_(100)
        assert b.grad.tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_errors_arrive_whole_and_leave_everything_as_it_was():
    model, (x, y) = make_mlp(), make_batch(4)
    before = get_num_threads()

    def fails(x, y):
        if x[0, 0].item() == first:
            return nn.functional.mse_loss(model(x), y)
        raise RuntimeError("the second part")

    first = x[0, 0].item()
    with BatchSplit(model.parameters(), 2) as split:
        with pytest.raises(RuntimeError, match="the second part"):
            split.backward(fails, x, y)
        with pytest.raises(ValueError, match="a batch of 0 items; it needs arrays of one length above 0"):
            split.backward(fails, x[:0], y[:0])
        with pytest.raises(ValueError, match="a batch of 3, 4 items"):
            split.backward(fails, x, y[:3])
    assert gradients(model) == {}
    assert get_num_threads() == before
    with pytest.raises(ValueError, match="num_threads is 0"):
        BatchSplit(model.parameters(), 0)


def trained(**changes):
    tokens = make_tokens()
    model = make_model(dropout=changes.pop("dropout", 0.1))
    trainer = Trainer(model, tokens[:-60], tokens[-60:], make_config(**changes))
    trainer.train()
    return trainer.model


def test_the_trainer_repeats_bit_for_bit_and_learns_the_same():
    assert_same_weights(trained(batch_threads=2), trained(batch_threads=2))
    one, two = (trained(batch_threads=n, grad_accumulation=2, dropout=0.0).state_dict() for n in (1, 2))
    for name, weight in one.items():
        np.testing.assert_allclose(two[name].numpy(), weight.numpy(), atol=2e-5, err_msg=name)
