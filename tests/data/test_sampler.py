"""Orders: complete, repeatable, and as likely as they claim."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.backend import Generator
from minillm.data.sampler import (
    BatchSampler,
    BucketBatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


def test_each_epoch_has_its_own_order_whatever_ran_before():
    sampler = RandomSampler(range(50), generator=Generator(1))
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    fresh = RandomSampler(range(50), generator=Generator(1))
    fresh.set_epoch(1)
    assert list(fresh) == second


def test_more_samples_than_examples_go_round_again():
    drawn = list(RandomSampler(range(4), num_samples=10, generator=Generator(0)))
    assert sorted(drawn[:4]) == sorted(drawn[4:8]) == [0, 1, 2, 3]
    assert len(drawn) == 10
    assert len(set(drawn[8:])) == 2


def test_drawing_with_replacement_repeats():
    sampler = RandomSampler(range(10), replacement=True, num_samples=5000, generator=Generator(0))
    counts = np.bincount(list(sampler), minlength=10)
    assert len(sampler) == 5000
    assert counts.min() > 400
    assert counts.max() < 600


def test_no_examples_make_an_empty_order():
    assert list(RandomSampler([])) == []
    assert list(SequentialSampler([])) == []
    with pytest.raises(ValueError, match="from no examples"):
        RandomSampler([], num_samples=3)
    with pytest.raises(ValueError, match="must be positive"):
        RandomSampler(range(3), num_samples=0)


@pytest.mark.parametrize("replacement", [True, False])
def test_weights_are_the_shares_drawn(replacement):
    weights = np.array([0.0, 1.0, 2.0, 5.0])
    sampler = WeightedRandomSampler(weights, 1, replacement, generator=Generator(2))
    drawn = [next(iter(sampler)) for _ in range(4000)]  # each iteration is a new epoch
    shares = np.bincount(drawn, minlength=4) / 4000
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.03)


def test_without_replacement_nothing_comes_twice():
    weights = [1.0, 0.0, 2.0, 3.0]
    for seed in range(20):
        drawn = list(WeightedRandomSampler(weights, 3, replacement=False, generator=Generator(seed)))
        assert sorted(drawn) == [0, 2, 3]


def test_pairs_without_replacement_follow_the_successive_draw():
    weights = np.array([1.0, 2.0, 7.0])
    sampler = WeightedRandomSampler(weights, 2, replacement=False, generator=Generator(3))
    pairs = [tuple(sampler) for _ in range(4000)]
    share = weights / weights.sum()
    for i, j in [(0, 1), (1, 2), (2, 0)]:
        expected = share[i] * share[j] / (1 - share[i])
        assert pairs.count((i, j)) / 4000 == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(([1, -1], 2), "not negative"), (([0, 0], 1), "all weights are zero"),
     (([1, np.nan], 1), "finite"), (([1, 0], 2, False), "as many weights above"),
     (([1], 0), "num_samples"), (([[1.0]], 1), "row")],
)  # fmt: skip
def test_bad_weights_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        WeightedRandomSampler(*arguments)


@given(size=st.integers(0, 40), batch_size=st.integers(1, 12), drop_last=st.booleans())
def test_batches_are_those_of_pytorch(size, batch_size, drop_last):
    torch_data = pytest.importorskip("torch.utils.data")
    ours = BatchSampler(SequentialSampler(range(size)), batch_size, drop_last)
    theirs = torch_data.BatchSampler(range(size), batch_size, drop_last)
    assert list(ours) == list(theirs)
    assert len(ours) == len(theirs)


@given(
    lengths=st.lists(st.integers(1, 100), max_size=120),
    batch_size=st.integers(1, 9),
    shuffle=st.booleans(),
    pool=st.integers(1, 4),
)
def test_buckets_hold_every_example_once(lengths, batch_size, shuffle, pool):
    sampler = BucketBatchSampler(lengths, batch_size, shuffle, pool_batches=pool, generator=Generator(0))
    batches = list(sampler)
    assert len(batches) == len(sampler)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert sum(len(batch) < batch_size for batch in batches) <= 1


def test_buckets_pad_far_less_than_chance():
    lengths = np.random.default_rng(0).integers(1, 200, 5000)

    def padding(batches):
        return sum(max(lengths[b]) * len(b) - sum(lengths[b]) for b in batches) / lengths.sum()

    plain = padding(BatchSampler(RandomSampler(lengths, generator=Generator(0)), 32, False))
    bucketed = padding(BucketBatchSampler(lengths, 32, generator=Generator(0)))
    assert plain > 0.8
    assert bucketed < 0.05


def test_bucket_epochs_differ_and_the_longest_comes_first_unshuffled():
    sampler = BucketBatchSampler(list(range(30)), 4, generator=Generator(0))
    assert list(sampler) != list(sampler)
    plain = BucketBatchSampler([3, 9, 5], 2, shuffle=False, drop_last=True)
    assert list(plain) == [[1, 2]]
    assert len(plain) == 1


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, True])
def test_batch_sizes_must_be_positive_integers(batch_size):
    for make in (BatchSampler, BucketBatchSampler):
        with pytest.raises(ValueError, match="positive integer"):
            make(range(5), batch_size, False)


def test_a_sampler_without_an_order_says_so():
    with pytest.raises(NotImplementedError, match="must define __iter__"):
        iter(Sampler())


def test_some_examples_in_random_order():
    sampler = SubsetRandomSampler([4, 9, 2, 7], generator=Generator(0))
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == [2, 4, 7, 9]
    assert any(list(sampler) != first for _ in range(5))
    assert list(SubsetRandomSampler([4, 9, 2, 7], generator=Generator(0))) == first
    assert list(SubsetRandomSampler([])) == []
