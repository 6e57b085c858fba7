"""The compiled kernels give the same bits on any number of threads."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import minillm
from minillm.models import GPT2Config, GPT2LMHeadModel

pytestmark = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs numba (extra: fast)")


def gradients(number: int) -> list[np.ndarray]:
    minillm.set_num_threads(number)
    minillm.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=65, n_positions=64, n_embd=64, n_layer=2, n_head=2))
    ids = minillm.randint(0, 65, (12, 64))
    model(ids, labels=ids).loss.backward()
    return [parameter.grad.numpy() for parameter in model.parameters()]


def test_a_step_has_the_same_bits_on_any_number_of_threads():
    before = minillm.get_num_threads(), minillm.get_kernels()
    minillm.set_kernels("numba")
    try:
        for one, others in zip(gradients(1), zip(gradients(2), gradients(3), strict=True), strict=True):
            for other in others:
                np.testing.assert_array_equal(other, one)
    finally:
        minillm.set_num_threads(before[0])
        minillm.set_kernels(before[1])
