"""What all measures share: they take batches as they come and are asked for the result at the end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minillm.backend import is_array, to_numpy


class Metric:
    """A measure that is fed batch by batch.

    Example:
        >>> from minillm.metrics import Perplexity
        >>> metric = Perplexity()
        >>> metric.update(loss=2.0, num_tokens=3)
        >>> metric.update(loss=1.0, num_tokens=1)
        >>> round(metric.compute(), 4)  # e^(7/4)
        5.7546
    """

    def __init__(self) -> None:
        self.reset()

    def update(self, *args: Any, **options: Any) -> None:
        """Take a batch."""
        raise NotImplementedError(f"{type(self).__name__} must define update")

    def compute(self) -> Any:
        """Return the measure of all batches since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} must define compute")

    def reset(self) -> None:
        """Forget all batches."""
        raise NotImplementedError(f"{type(self).__name__} must define reset")


def to_list(values: Any) -> list[Any]:
    """Return what a tensor, an array on any device, or any other row of values holds as a list."""
    if hasattr(values, "detach"):
        values = values.detach().data
    if is_array(values):
        values = to_numpy(values)
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"metrics: needs a list or an array, got {values!r}")
    return list(values)
