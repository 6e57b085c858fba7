from __future__ import annotations

import pytest

from minillm import training


def test_every_public_name_is_found_and_none_is_forgotten():
    assert sorted(training.__all__) == sorted(name for names in training._FILES.values() for name in names)
    assert dir(training) == sorted(training.__all__)
    for name in training.__all__:
        assert getattr(training, name).__name__ == name


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match=r"module 'minillm.training' has no attribute 'trainr'"):
        training.trainr  # noqa: B018
