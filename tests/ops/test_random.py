"""Random tensors: the same for the same seed, and distributed as they say."""

from __future__ import annotations

import numpy as np
import pytest

import minillm


@pytest.mark.parametrize(
    "draw",
    [
        lambda g: minillm.randn(3, 4, generator=g), lambda g: minillm.rand((3, 4), generator=g),
        lambda g: minillm.randint(9, (3, 4), generator=g), lambda g: minillm.randperm(12, generator=g),
        lambda g: minillm.normal(1.0, 2.0, (3, 4), generator=g),
        lambda g: minillm.multinomial(minillm.ones(12), 12, generator=g),
        lambda g: minillm.randn_like(minillm.ones(12), generator=g),
        lambda g: minillm.rand_like(minillm.ones(12), generator=g),
        lambda g: minillm.multinomial(minillm.ones(3, 4), 12, True, generator=g),
    ],
)  # fmt: skip
def test_the_same_for_the_same_seed_on_every_device(draw, device):
    first, again, other = (draw(minillm.Generator(seed)) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    assert str(first.device) == device
    with minillm.device("cpu"):
        assert draw(minillm.Generator(1)).tolist() == first.tolist()


def test_the_default_generator(device):
    minillm.manual_seed(3)
    first = minillm.randn(4).tolist()
    assert minillm.randn(4).tolist() != first
    minillm.manual_seed(3)
    assert minillm.randn(4).tolist() == first


def test_distributions(device):
    generator = minillm.Generator(0)
    x = minillm.randn(10_000, generator=generator)
    assert abs(x.mean().item()) < 0.05
    assert abs(x.std().item() - 1) < 0.05
    x = minillm.rand(10_000, generator=generator, dtype="float64")
    assert 0 <= x.min().item() < 0.01 < 0.99 < x.max().item() < 1
    x = minillm.randint(2, 5, (1000,), generator=generator)
    assert x.unique().tolist() == [2, 3, 4]
    assert minillm.randint(5, size=(1000,)).max().item() == 4
    assert sorted(minillm.randperm(50, generator=generator).tolist()) == list(range(50))
    x = minillm.normal(5.0, 0.1, size=(1000,), generator=generator)
    assert abs(x.mean().item() - 5) < 0.05
    x = minillm.normal(minillm.tensor([0.0, 100.0]), 0.1, generator=generator)
    assert x[0].item() < 10 < x[1].item()
    x = minillm.normal(7.0, minillm.tensor([0.0, 0.0]), generator=generator)
    assert x.tolist() == [7, 7]
    assert not minillm.normal(minillm.zeros(2, requires_grad=True), 1.0).requires_grad


def test_multinomial(device):
    generator = minillm.Generator(0)
    weights = minillm.tensor([1.0, 0.0, 3.0])
    drawn = minillm.multinomial(weights, 4000, replacement=True, generator=generator).bincount(minlength=3)
    np.testing.assert_allclose(drawn.tolist(), [1000, 0, 3000], atol=150)
    first = [minillm.multinomial(weights, 2, generator=generator).tolist() for _ in range(400)]
    assert all(sorted(pair) == [0, 2] for pair in first)
    assert 250 < sum(pair[0] == 2 for pair in first) < 350  # three quarters
    rows = minillm.multinomial(minillm.tensor([[1.0, 0.0], [0.0, 1.0]]), 1)
    assert rows.tolist() == [[0], [1]]
    assert (rows.dtype, rows.shape) == ("int64", (2, 1))


def test_gradients_can_be_asked_for(device):
    assert minillm.randn(2, requires_grad=True).requires_grad
    assert minillm.rand(2, requires_grad=True).requires_grad
    assert minillm.randn_like(minillm.ones(2, dtype="float64"), requires_grad=True).dtype == "float64"
    assert minillm.rand_like(minillm.ones(2), dtype="float64").dtype == "float64"
