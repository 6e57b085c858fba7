from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.tokenizers.batching import Encoded
from minillm.tokenizers.truncation import share, truncate_pair, windows


def encoded(length):
    return Encoded(list(range(length)), [(i, i + 1) for i in range(length)], list(range(length)), length)


@given(first=st.integers(0, 20), second=st.integers(0, 20), room=st.integers(0, 40))
def test_the_room_is_shared(first, second, room):
    kept = share(first, second, room)
    assert kept[0] <= first or first + second <= room
    if first + second > room:
        assert sum(kept) == room
        shorter = min(first, second)
        assert min(kept) == min(shorter, room // 2)


SIDES = st.sampled_from(["left", "right"])


@given(data=st.data(), length=st.integers(0, 30), size=st.integers(1, 10), side=SIDES)
def test_windows_cover_the_text_and_overlap(data, length, size, side):
    stride = data.draw(st.integers(0, size - 1))
    cut = windows(encoded(length), size, stride, side)
    rows = [window.ids for window in (cut if side == "right" else cut[::-1])]
    assert all(len(row) <= size for row in rows)
    assert sorted(set().union(*rows)) == list(range(length))
    for row, following in pairwise(rows):
        assert row[-1] + 1 - following[0] == stride
    assert [offset[0] for offset in cut[0].offsets] == cut[0].ids == cut[0].word_ids


def test_one_text_alone_can_lose_tokens():
    def lengths(strategy, room, first=5, second=3):
        rows = truncate_pair(encoded(first), encoded(second), room, strategy=strategy)
        return len(rows[0][0].ids), len(rows[0][1].ids)

    assert lengths("only_first", 4) == (1, 3)
    assert lengths("only_second", 6) == (5, 1)
    assert lengths("longest_first", 4) == (2, 2)
    assert lengths("only_first", 8) == (5, 3)
    assert lengths("only_first", 0) == (0, 0)
    with pytest.raises(ValueError, match="'only_first' cannot take 5 tokens from the first text"):
        lengths("only_first", 3)
    with pytest.raises(ValueError, match="'only_second' cannot take 3 tokens from the second text"):
        lengths("only_second", 5)
