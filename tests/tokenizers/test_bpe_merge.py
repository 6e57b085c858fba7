from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.tokenizers import bpe_merge
from minillm.tokenizers.bpe_merge import LONG, merge, merge_long, merge_short


@st.composite
def merge_tables(draw):
    """A table of merges over the tokens 0 to 3: each merge joins two tokens known before it."""
    known = 4
    ranks, merged = {}, []
    for rank in range(draw(st.integers(0, 8))):
        pair = draw(st.tuples(st.integers(0, known - 1), st.integers(0, known - 1)))
        if pair not in ranks:
            ranks[pair] = len(merged)
            merged.append(known)
            known += rank % 3 != 2  # now and then two merges make the same token
    return ranks, [min(token, known - 1) for token in merged]


def merge_by_the_definition(ids, ranks, merged):
    """Sennrich's words: as long as a pair is in the table, join the leftmost of lowest rank."""
    ids = list(ids)
    while True:
        places = [(ranks[pair], place) for place, pair in enumerate(pairwise(ids)) if pair in ranks]
        if not places:
            return ids
        rank, place = min(places)
        ids[place : place + 2] = [merged[rank]]


@given(table=merge_tables(), ids=st.lists(st.integers(0, 3), max_size=40))
def test_both_ways_give_what_the_definition_says(table, ids):
    expected = merge_by_the_definition(ids, *table)
    assert merge_short(list(ids), *table) == expected
    assert merge_long(list(ids), *table) == expected


def test_two_merges_of_one_rank_go_from_the_left():
    # tiktoken's ranks are those of tokens, so two pairs can have the same.
    ranks, merged = {(0, 1): 5, (1, 0): 5}, range(9)
    for way in (merge_short, merge_long):
        assert way([1, 0, 1, 0, 1], ranks, merged) == [5, 5, 1]


@pytest.mark.parametrize("ids", [[], [7]])
def test_nothing_to_merge(ids):
    assert merge(list(ids), {(7, 7): 0}, [8]) == ids


class Counting(dict):
    """A table that counts how often it is asked."""

    asked = 0

    def get(self, *args):
        self.asked += 1
        return super().get(*args)


@pytest.mark.parametrize("pair", [(0, 0), (0, 1)])
def test_a_long_word_costs_its_length(pair):
    # The pair makes 2, two of these make 3, two of those 4 ...: as many merges as characters.
    ranks = Counting({pair: 0} | {(token, token): token - 1 for token in range(2, 20)})
    ids = list(pair) * 10_000
    assert len(merge(ids, ranks, range(2, 21))) < 20
    assert ranks.asked <= 8 * 20_000


def test_short_pieces_take_the_short_way(monkeypatch):
    taken = Counter()
    monkeypatch.setattr(bpe_merge, "merge_short", lambda *args: taken.update(["short"]))
    monkeypatch.setattr(bpe_merge, "merge_long", lambda *args: taken.update(["long"]))
    merge([0] * LONG, {}, [])
    merge([0] * (LONG + 1), {}, [])
    assert taken == {"short": 1, "long": 1}
