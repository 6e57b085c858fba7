"""``LSTM``: long short-term memory, c' = f c + i g, h' = o tanh(c').

Sources: Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 1997; Gers et al.,
"Learning to forget", 2000; Sak et al., "Long short-term memory based recurrent neural network
architectures", 2014 (projection).
"""

from __future__ import annotations

from typing import Any

from minillm.nn.functional.recurrent import LstmLayer
from minillm.nn.recurrent import RNNBase


class LSTM(RNNBase):
    """A long short-term memory: c' = f c + i g,  h' = o tanh(c').

    i, f, o = sigmoid(W_i. x + b_i. + W_h. h + b_h.),
    g = tanh(W_ig x + b_ig + W_hg h + b_hg).

    The rows of the weights and biases are those of i, then f, g and o. With a projection h' is
    W_hr (o tanh(c')), of ``proj_size`` features.

    Args:
        input_size: features of the input.
        hidden_size: features of the states.
        num_layers: layers, each on the outputs of the one before.
        bias: whether there are biases.
        batch_first: input and output are (B, T, features), not (T, B, features).
        dropout: while training, between the layers.
        bidirectional: a second direction from the end to the beginning.
        proj_size: features that the hidden state is projected to; 0 for no projection.
        device: where the parameters lie.
        dtype: of the parameters.

    Input, output and parameters: see :class:`~minillm.nn.recurrent.RNNBase` and its ``forward``.

    Example:
        >>> import minillm
        >>> from minillm import nn
        >>> lstm = nn.LSTM(10, 20, num_layers=2)
        >>> output, (h_n, c_n) = lstm(minillm.zeros(7, 5, 10))
        >>> output.shape, h_n.shape, c_n.shape
        ((7, 5, 20), (2, 5, 20), (2, 5, 20))
    """

    layer = LstmLayer

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            proj_size, device, dtype,
        )  # fmt: skip

    def _settings(self, weights: list[Any]) -> tuple[Any, ...]:
        return (weights[-1] if self.proj_size else None,)
