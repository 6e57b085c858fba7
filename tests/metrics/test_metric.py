from __future__ import annotations

import numpy as np
import pytest

from minillm import metrics
from minillm.metrics.metric import Metric, to_list


def test_a_measure_of_ones_own_must_say_how():
    class Bare(Metric):
        def reset(self) -> None:
            pass

    for call in (Bare().update, Bare().compute, Metric):
        with pytest.raises(NotImplementedError, match="must define"):
            call()


def test_everything_that_is_offered_is_there():
    for name in metrics.__all__:
        assert getattr(metrics, name) is not None
    streaming = [value for value in vars(metrics).values() if isinstance(value, type) and issubclass(value, Metric)]
    assert len(streaming) >= 8


def test_rows_of_any_kind():
    import minillm

    for values in ([1, 2], (1, 2), np.array([1, 2]), minillm.tensor([1, 2]), range(1, 3)):
        assert to_list(values) == [1, 2]
