"""``Pipeline``: what the pipelines have in common: a model, its tokenizer, and options that a call may change.

Each text is read alone, without padding, so that its answer does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from minillm import ops
from minillm.autograd import no_grad
from minillm.backend import Device, to_numpy
from minillm.inference.context import evaluating
from minillm.models.output import ModelOutput

# What a model reads; the rest of an encoding says where its tokens come from.
_READ = ("input_ids", "token_type_ids", "attention_mask")


class Pipeline:
    """Base of pipelines.

    Args:
        model: in memory, on any device.
        tokenizer: of the model.
        options: those of every call that does not give its own.

    Attributes:
        task: its name.
        offered: the names of its options; None where others check them.
    """

    task: ClassVar[str]
    offered: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, model: Any, tokenizer: Any, **options: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.options = options
        self._settings({})

    def _settings(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options of a call, and those of the pipeline where it does not say.

        Raises:
            TypeError: an option that is not offered.
        """
        if self.offered is not None and (unknown := {**self.options, **options}.keys() - self.offered):
            raise TypeError(
                f"{self.task}: {', '.join(sorted(unknown))} is not offered; known are {', '.join(self.offered)}"
            )
        return {**self.options, **options}

    @property
    def device(self) -> Device:
        """Where the model is."""
        device: Device = next(iter(self.model.parameters())).device
        return device

    def _inputs(self, encoding: Mapping[str, Any], row: int = 0) -> dict[str, Any]:
        """Return what the model reads of one row of an encoding, (1, T) each."""
        return {name: ops.tensor([encoding[name][row]], device=self.device) for name in _READ if name in encoding}

    def _read(self, encoding: Mapping[str, Any], row: int = 0) -> ModelOutput:
        """Return what the model answers to one row of an encoding."""
        with evaluating(self.model), no_grad():
            output: ModelOutput = self.model(**self._inputs(encoding, row), return_dict=True)
        return output


def numbers(scores: Any) -> Any:
    """Return the numbers of a tensor as an array on the host, float32 at least.

    Example:
        >>> numbers(ops.tensor([1.0, 2.0]))
        array([1., 2.], dtype=float32)
    """
    array = to_numpy(scores.array)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def softmax(logits: Any) -> Any:
    """Return probabilities along the last axis of an array.

    Example:
        >>> softmax(np.log([1.0, 3.0])).round(6)
        array([0.25, 0.75])
    """
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
