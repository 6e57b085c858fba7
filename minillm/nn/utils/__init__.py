"""Gradient clipping, parameters as one vector, packed sequences, checkpointing; the name is PyTorch's."""

from __future__ import annotations

from minillm.nn.utils import rnn
from minillm.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from minillm.nn.utils.parameters import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm", "parameters_to_vector", "rnn",
    "vector_to_parameters",
]  # fmt: skip
