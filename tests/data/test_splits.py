"""Splits: the shares asked for, each class in its share, and nothing in two parts."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.backend import Generator
from minillm.data.splits import describe_duplicates, duplicates_across, split


@given(
    texts=st.lists(st.text(alphabet="abcd", min_size=1, max_size=3), min_size=30, max_size=80),
    seed=st.integers(0, 99),
)
def test_every_example_stands_in_one_part_and_equal_ones_in_the_same(texts, seed):
    examples = [{"text": text, "n": n} for n, text in enumerate(texts)]
    if len(set(texts)) < 12:
        return
    parts = split(examples, [0.5, 0.3, 0.2], key="text", generator=Generator(seed))
    assert sorted(e["n"] for part in parts for e in part) == list(range(len(texts)))
    assert all(part == sorted(part, key=lambda e: e["n"]) for part in parts)
    assert duplicates_across(dict(zip("abc", parts, strict=True)), key="text") == []


@pytest.mark.parametrize("size", [10, 101, 1000])
def test_parts_have_the_sizes_asked_for(size):
    parts = split(range(size), [0.7, 0.2, 0.1])
    for part, share in zip(parts, [0.7, 0.2, 0.1], strict=True):
        assert abs(len(part) - share * size) < 1


def test_the_split_is_the_same_in_every_run_and_another_with_another_seed():
    assert split(range(100)) == split(range(100))
    assert split(range(100), generator=Generator(1)) != split(range(100))


def test_each_class_has_its_share_in_each_part():
    examples = [{"text": str(n), "label": "rare" if n % 10 == 0 else "common"} for n in range(1000)]
    parts = split(examples, [0.8, 0.1, 0.1], stratify="label")
    counts = [Counter(e["label"] for e in part) for part in parts]
    assert [c["rare"] for c in counts] == [80, 10, 10]
    assert [c["common"] for c in counts] == [720, 90, 90]


def test_many_small_classes_still_fill_every_part():
    parts = split(range(100), [0.8, 0.2], stratify=lambda n: n)  # a class for each example
    assert [len(part) for part in parts] == [80, 20]


def test_large_groups_of_equal_examples_stay_whole():
    texts = ["same"] * 40 + [str(n) for n in range(60)]
    train, test = split(texts, [0.6, 0.4])
    assert ("same" in train) != ("same" in test)
    assert [len(train), len(test)] == [60, 40]


def test_examples_of_any_kind_can_be_compared():
    examples = [{"tokens": ["a", "b"], "tags": [n % 2]} for n in range(20)]
    parts = split(examples, [0.5, 0.5], key=lambda e: e["tags"])
    assert all(len({tuple(e["tags"]) for e in part}) == 1 for part in parts)


@pytest.mark.parametrize("fractions", [[], [0.5, 0.4], [1.5, -0.5], [1.0, 0.0], [float("nan")]])
def test_fractions_must_add_up(fractions):
    with pytest.raises(ValueError, match="add up to 1"):
        split(range(10), fractions)


def test_a_part_that_would_be_empty_is_an_error():
    with pytest.raises(ValueError, match="1 different examples do not fill 2 parts"):
        split(["a"] * 50, [0.5, 0.5])
    with pytest.raises(ValueError, match="would be empty"):
        split([], [0.5, 0.5])
    with pytest.raises(KeyError):
        split([{"text": "a"}], [1.0], key="txt")


def test_duplicates_are_found_with_their_places():
    parts = {"train": ["a", "b", "a"], "validation": ["c", "a"], "test": ["d", "b"]}
    found = {d.key: d.places for d in duplicates_across(parts)}
    assert found == {
        "a": {"train": [0, 2], "validation": [1]},
        "b": {"train": [1], "test": [1]},
    }
    report = describe_duplicates(parts).splitlines()
    assert report[0] == (
        "train and validation share 1 example (66.7 % of train, 50.0 % of validation), such as 'a'"
    )
    assert len(report) == 2
    assert describe_duplicates({"a": [1], "b": [2]}) == "no example stands in two parts"
