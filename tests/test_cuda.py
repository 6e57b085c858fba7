"""The face of the GPU: without one it says so, with one it counts."""

from __future__ import annotations

import pytest

import minillm


def test_without_asking_for_a_gpu():
    assert minillm.cuda.is_available() == (minillm.cuda.device_count() > 0)
    assert minillm.cuda.current_device() == 0


def test_waiting_for_what_is_not_there():
    if minillm.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(RuntimeError, match="device 'cuda' needs"):
        minillm.cuda.synchronize()


@pytest.mark.gpu
def test_waiting_for_a_gpu():
    minillm.cuda.synchronize()
    minillm.cuda.synchronize("cuda:0")
