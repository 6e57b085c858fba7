"""Real Keras, with PyTorch below it, as the oracle: these tests skip where it is missing."""

from __future__ import annotations

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")


@pytest.fixture(scope="session")
def real():
    """The module `keras`."""
    pytest.importorskip("torch")
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "torch":
        pytest.skip("Keras runs on another backend than PyTorch")
    return keras


@pytest.fixture
def both(real):
    """minillm's Keras and the real one, whose first weights are the same in each run."""
    from minillm import keras

    real.utils.set_random_seed(0)
    return keras, real


@pytest.fixture
def draw():
    """Numbers that are the same in each run."""
    return np.random.default_rng(0)
