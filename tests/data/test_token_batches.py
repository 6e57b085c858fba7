"""Next-token windows, drawn at random for training and side by side for evaluation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.backend import Generator
from minillm.data.token_batches import TokenBatches, sequential_windows, split_tokens


def test_targets_are_the_next_tokens():
    tokens = np.arange(100, dtype=np.uint16) * 3
    x, y = TokenBatches(tokens, block_size=8, batch_size=5).batch(0, Generator(1))
    assert x.shape == y.shape == (5, 8)
    assert x.dtype == y.dtype == np.int64
    np.testing.assert_array_equal(y, x + 3)
    assert x.flags.c_contiguous
    assert y.flags.c_contiguous


def test_a_step_draws_the_same_batch_whatever_came_before():
    batches = TokenBatches(np.arange(1000), block_size=4, batch_size=3)
    generator = Generator(7)
    run = [batches.batch(step, generator)[0] for step in range(6)]
    np.testing.assert_array_equal(batches.batch(4, Generator(7))[0], run[4])
    assert not np.array_equal(run[3], run[4])
    assert not np.array_equal(batches.batch(4, Generator(8))[0], run[4])


def test_streams_draw_apart():
    tokens, generator = np.arange(1000), Generator(0)
    one = TokenBatches(tokens, 4, 3, stream="train").batch(0, generator)[0]
    two = TokenBatches(tokens, 4, 3, stream="validation").batch(0, generator)[0]
    assert not np.array_equal(one, two)


def test_every_place_is_drawn_alike():
    tokens = np.arange(12)  # starts 0..7
    batches, generator = TokenBatches(tokens, block_size=4, batch_size=64), Generator(3)
    starts = np.concatenate([batches.batch(step, generator)[0][:, 0] for step in range(100)])
    counts = np.bincount(starts, minlength=8)
    assert len(counts) == 8
    assert counts.min() > 800 * 0.8
    assert counts.max() < 800 * 1.2


def test_the_smallest_text_gives_the_one_window():
    x, y = TokenBatches(np.arange(5), block_size=4, batch_size=2).batch(0, Generator(0))
    assert x.tolist() == [[0, 1, 2, 3]] * 2
    assert y.tolist() == [[1, 2, 3, 4]] * 2


def test_a_memory_map_is_read_window_by_window(tmp_path):
    path = tmp_path / "tokens.bin"
    np.arange(5000, dtype=np.uint16).tofile(path)
    tokens = np.memmap(path, dtype=np.uint16, mode="r")
    x, y = TokenBatches(tokens, block_size=16, batch_size=4).batch(2, Generator(0))
    assert type(x) is np.ndarray
    assert x.dtype == np.int64
    np.testing.assert_array_equal(y, x + 1)


@given(num_tokens=st.integers(2, 200), block_size=st.integers(1, 40), batch_size=st.integers(1, 9))
def test_windows_cover_every_target_once(num_tokens, block_size, batch_size):
    tokens = np.random.default_rng(0).integers(0, 50, num_tokens)
    pairs = list(sequential_windows(tokens, block_size, batch_size))
    assert all(x.shape == y.shape and len(x) <= batch_size for x, y in pairs)
    np.testing.assert_array_equal(np.concatenate([x.ravel() for x, _ in pairs]), tokens[:-1])
    np.testing.assert_array_equal(np.concatenate([y.ravel() for _, y in pairs]), tokens[1:])
    assert all(x.shape[1] == block_size for x, _ in pairs[:-1])
    if num_tokens > block_size:
        assert len(TokenBatches(tokens, block_size, batch_size)) == len(pairs)


def test_a_text_too_short_says_how_many_tokens_are_needed():
    with pytest.raises(ValueError, match=r"it has 64 tokens.*block_size=64 need at least 65"):
        TokenBatches(np.arange(64), block_size=64, batch_size=2)
    with pytest.raises(ValueError, match="at least 2 tokens"):
        sequential_windows(np.arange(1), 4, 4)


def test_tokens_must_be_a_row_of_integers():
    with pytest.raises(TypeError, match="integers, got float64"):
        TokenBatches(np.zeros(9), 2, 2)
    with pytest.raises(ValueError, match=r"got shape \(3, 3\)"):
        TokenBatches(np.zeros((3, 3), dtype=int), 2, 2)
    with pytest.raises(TypeError, match="array of integers, got list"):
        TokenBatches([1, 2, 3, 4], 2, 2)


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0), (-3, 1)])
def test_sizes_must_be_positive(sizes):
    with pytest.raises(ValueError, match="must be at least 1"):
        TokenBatches(np.arange(9), *sizes)


def test_split_keeps_the_order_and_copies_nothing():
    tokens = np.arange(1000)
    train, validation = split_tokens(tokens, 0.1)
    assert len(train) == 900
    assert len(validation) == 100
    np.testing.assert_array_equal(np.concatenate([train, validation]), tokens)
    assert train.base is tokens
    assert validation.base is tokens
    assert len(split_tokens(tokens, 0)[1]) == 0
    for fraction in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="at least 0 and below 1"):
            split_tokens(tokens, fraction)
