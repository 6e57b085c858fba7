"""``RNN``: the simple recurrent network, h' = tanh(W_ih x + b_ih + W_hh h + b_hh).

Source: Elman, "Finding structure in time", Cognitive Science 1990.
"""

from __future__ import annotations

from typing import Any

from minillm.autograd.errors import OperationError
from minillm.nn.functional.recurrent import RnnLayer
from minillm.nn.recurrent import RNNBase


class RNN(RNNBase):
    """A simple recurrent network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu in the place of tanh.

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        num_layers: layers, each on the outputs of the one before.
        nonlinearity: "tanh" or "relu".
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
        >>> rnn = nn.RNN(10, 20, num_layers=2, batch_first=True)
        >>> output, h_n = rnn(minillm.zeros(5, 7, 10))
        >>> output.shape, h_n.shape
        ((5, 7, 20), (2, 5, 20))
    """

    layer = RnnLayer

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise OperationError(f"RNN: got nonlinearity={nonlinearity!r}; it needs 'tanh' or 'relu'")
        self.nonlinearity = nonlinearity
        mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(
            mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            device=device, dtype=dtype,
        )  # fmt: skip

    def _settings(self, weights: list[Any]) -> tuple[Any, ...]:
        return (self.nonlinearity,)
