from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.tokenizers.bpe_training import count_pieces, learn_merges


def learn_by_the_definition(words, tokens, vocab_size, min_frequency):
    """Count all pairs anew before each merge; of the most frequent take the one of lowest ids."""
    tokens, merges = list(tokens), []
    while len(tokens) < vocab_size:
        counts = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                counts[pair] += count
        # A pair that was merged before can stand in `aaa` again; it is not counted a second time.
        for pair in merges:
            counts.pop(pair, None)
        if not counts:
            break
        pair, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
        if count < max(1, min_frequency):
            break
        spelling = tokens[pair[0]] + tokens[pair[1]]
        if spelling not in tokens:
            tokens.append(spelling)
        new = tokens.index(spelling)
        merges.append(pair)
        merged = Counter()
        for word, count in words.items():
            result, place = [], 0
            while place < len(word):
                if word[place : place + 2] == pair:
                    result.append(new)
                    place += 2
                else:
                    result.append(word[place])
                    place += 1
            merged[tuple(result)] += count
        words = merged
    return tokens, merges


@given(
    words=st.dictionaries(
        st.lists(st.integers(0, 2), min_size=1, max_size=9).map(tuple), st.integers(1, 5), max_size=8
    ),
    vocab_size=st.integers(3, 20),
    min_frequency=st.integers(0, 4),
)
def test_learns_what_the_definition_says(words, vocab_size, min_frequency):
    tokens = ["a", "b", "c"]
    expected = learn_by_the_definition(words, tokens, vocab_size, min_frequency)
    merges = learn_merges(words, tokens, vocab_size, min_frequency=min_frequency, show_progress=False)
    assert (tokens, merges) == expected


def test_two_ways_to_one_spelling_are_two_merges_of_one_token():
    tokens = ["a", "b", "c"]
    words = {(0, 1): 9, (1, 2): 8, (0, 1, 2): 1, (2, 0, 1, 2): 1}
    merges = learn_merges(words, tokens, 6, show_progress=False)
    assert tokens[:5] == ["a", "b", "c", "ab", "bc"]
    assert len(merges) >= 3


def test_pieces_are_counted_text_by_text():
    counts = count_pieces(["a b a", "b"], str.split, show_progress=False)
    assert counts == {"a": 2, "b": 2}


@pytest.mark.parametrize("shown", [True, False])
def test_progress_is_shown_when_it_takes_long(shown, monkeypatch, capsys):
    import tqdm

    class Shown(tqdm.tqdm):
        def __init__(self, *args, **options):
            options["delay"] = 0  # as if a second had gone by
            super().__init__(*args, **options)

    monkeypatch.setattr("tqdm.tqdm", Shown)
    counts = count_pieces(["low low lower"], str.split, show_progress=shown)
    learn_merges({(0, 1): 2}, ["l", "o"], 3, show_progress=shown)
    assert counts["low"] == 2
    err = capsys.readouterr().err
    assert ("Counting words" in err, "Learning merges" in err) == (shown, shown)
