"""``GRU``: gated recurrent units, h' = (1 - z) n + z h.

Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014.
"""

from __future__ import annotations

from typing import Any

from minillm.nn.functional.recurrent import GruLayer
from minillm.nn.recurrent import RNNBase


class GRU(RNNBase):
    """Gated recurrent units: h' = (1 - z) n + z h.

    r = sigmoid(W_ir x + b_ir + W_hr h + b_hr),
    z = sigmoid(W_iz x + b_iz + W_hz h + b_hz),
    n = tanh(W_in x + b_in + r (W_hn h + b_hn)).

    The rows of the weights and biases are those of r, then z, then n.

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        num_layers: layers, each on the outputs of the one before.
        bias: whether there are biases.
        batch_first: input and output are (B, T, features), not (T, B, features).
        dropout: while training, between the layers.
        bidirectional: a second direction from the end to the beginning.
        device: where the parameters lie.
        dtype: of the parameters.

    Input, output and parameters: see :class:`~minillm.nn.recurrent.RNNBase` and its ``forward``.

    Example:
        >>> import minillm
        >>> from minillm import nn
        >>> gru = nn.GRU(10, 20, bidirectional=True)
        >>> output, h_n = gru(minillm.zeros(7, 5, 10))
        >>> output.shape, h_n.shape
        ((7, 5, 40), (2, 5, 20))
    """

    layer = GruLayer

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            device=device, dtype=dtype,
        )  # fmt: skip
