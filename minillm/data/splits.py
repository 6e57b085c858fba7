"""Splitting examples for training and testing, so that nothing is tested that was trained on."""

from __future__ import annotations

import itertools
import json
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from minillm.backend import Generator

T = TypeVar("T")
Key = str | Callable[[Any], Any]


def split(
    examples: Sequence[T],
    fractions: Sequence[float] = (0.8, 0.1, 0.1),
    *,
    key: Key | None = None,
    stratify: Key | None = None,
    generator: Generator | None = None,
) -> list[list[T]]:
    """Split examples at random into parts, equal examples always into the same part.

    A sentence that stands in a corpus twice must not stand in the training part and in the test
    part: a model that learnt it by heart would seem to have understood it. Examples are equal
    when their keys are.

    Args:
        examples: what to split.
        fractions: the share of each part; they add up to 1.
        key: what makes examples equal: the name of a field of dicts, such as ``"text"``, or a
            function of the example, such as ``lambda e: e["text"].lower()``. By default all of
            the example.
        stratify: a field or function that gives each example's class; each part then holds each
            class in the same share, as far as whole examples allow.
        generator: where the order comes from. By default ``Generator(0)``: a split should stay
            the same from run to run.

    Returns:
        One list a part; inside each, the examples stand in the order they had.

    Raises:
        ValueError: fractions that do not add up to 1 or are not positive, or a part that would
            be empty.
        KeyError: an example lacks the field.

    Example:
        >>> texts = [{"text": t, "label": n % 2} for n, t in enumerate("abcdefgha")]
        >>> train, test = split(texts, [0.75, 0.25], key="text", stratify="label")
        >>> len(train), len(test), {e["text"] for e in train} & {e["text"] for e in test}
        (7, 2, set())
    """
    if not fractions or any(not f > 0 for f in fractions) or not math.isclose(sum(fractions), 1):
        raise ValueError(f"split: fractions must be above 0 and add up to 1, got {list(fractions)}")
    groups = list(_places_by_key(examples, key).values())
    strata: dict[Hashable, list[list[int]]] = defaultdict(list)
    of_class = _function_of(stratify) if stratify is not None else lambda example: None
    for places in groups:
        strata[_hashable(of_class(examples[places[0]]))].append(places)

    draws = (generator or Generator(0)).at("split")
    # How many examples each part still lacks; what one class leaves over, the next makes up for.
    lacking = np.zeros(len(fractions))
    parts: list[list[int]] = [[] for _ in fractions]
    for members in strata.values():
        lacking += np.array(fractions) * sum(map(len, members))
        order = draws.permutation(len(members), device="cpu").tolist()
        for number in sorted(order, key=lambda n: -len(members[n])):  # the large ones fit first
            part = int(np.argmax(lacking))
            parts[part] += members[number]
            lacking[part] -= len(members[number])
    if not all(parts):
        raise ValueError(
            f"split: {len(groups)} different examples do not fill {len(fractions)} parts of "
            f"shares {list(fractions)}: part {parts.index([])} would be empty"
        )
    return [[examples[place] for place in sorted(part)] for part in parts]


@dataclass(frozen=True)
class Duplicate:
    """An example that stands in several parts.

    Attributes:
        key: what is equal.
        places: from the part's name to the numbers of the examples there.
    """

    key: Any
    places: dict[str, list[int]]


def duplicates_across(parts: Mapping[str, Sequence[Any]], key: Key | None = None) -> list[Duplicate]:
    """Return the examples that stand in more than one part: what a test would give away.

    Args:
        parts: from names, such as ``"train"`` and ``"test"``, to examples.
        key: what makes examples equal, as for `split`.

    Raises:
        KeyError: an example lacks the field.

    Example:
        >>> parts = {"train": ["yes", "no", "maybe"], "test": ["never", "no"]}
        >>> for found in duplicates_across(parts):
        ...     print(found.key, found.places)
        no {'train': [1], 'test': [1]}
    """
    by_key: dict[Hashable, Duplicate] = {}
    for name, examples in parts.items():
        for value, places in _places_by_key(examples, key).items():
            by_key.setdefault(value, Duplicate(value, {})).places[name] = places
    return [found for found in by_key.values() if len(found.places) > 1]


def describe_duplicates(parts: Mapping[str, Sequence[Any]], key: Key | None = None) -> str:
    """Return a report of `duplicates_across` in words, a line for each pair of parts.

    Example:
        >>> print(describe_duplicates({"train": ["yes", "no"], "test": ["no", "never"]}))
        train and test share 1 example (50.0 % of train, 50.0 % of test), such as 'no'
    """
    found = duplicates_across(parts, key)
    lines = []
    for one, other in itertools.combinations(parts, 2):
        shared = [d for d in found if one in d.places and other in d.places]
        if not shared:
            continue
        shares = ", ".join(
            f"{sum(len(d.places[name]) for d in shared) / len(parts[name]):.1%} of {name}"
            for name in (one, other)
        ).replace("%", " %")
        count = "1 example" if len(shared) == 1 else f"{len(shared)} examples"
        lines.append(f"{one} and {other} share {count} ({shares}), such as {str(shared[0].key)[:60]!r}")
    return "\n".join(lines) or "no example stands in two parts"


def _places_by_key(examples: Sequence[Any], key: Key | None) -> dict[Hashable, list[int]]:
    key_of = _function_of(key) if key is not None else lambda example: example
    places: dict[Hashable, list[int]] = defaultdict(list)
    for place, example in enumerate(examples):
        places[_hashable(key_of(example))].append(place)
    return places


def _function_of(key: Key) -> Callable[[Any], Any]:
    if callable(key):
        return key
    return lambda example: example[key]


def _hashable(value: Any) -> Hashable:
    """A value that is equal where `value` is, and can be looked up."""
    if isinstance(value, (str, int, float, bool, bytes, type(None))):
        return value
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=repr)
