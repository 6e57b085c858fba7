"""``RNNCell``, ``GRUCell``, ``LSTMCell``: a single step of a recurrent network, for loops of your own.

A cell is a sequence of one step: the formulas are those of :mod:`minillm.nn.functional.recurrent`.
"""

from __future__ import annotations

import math
from typing import Any

from minillm import ops
from minillm.autograd.errors import OperationError, OperationTypeError
from minillm.nn import init
from minillm.nn.functional.recurrent import GruLayer, LstmLayer, RnnLayer
from minillm.nn.module import Module
from minillm.ops import Parameter, Tensor


class RNNCellBase(Module):
    """Base of the cells.

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        bias: whether there are biases.
        num_chunks: gates.
        device: where the parameters lie.
        dtype: of the parameters.
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        for what, size in {"input_size": input_size, "hidden_size": hidden_size}.items():
            if size < 1:
                raise OperationError(f"{type(self).__name__}: got {what}={size}; it needs to be 1 at least")
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(ops.empty(rows, input_size, dtype=dtype, device=device))
        self.weight_hh = Parameter(ops.empty(rows, hidden_size, dtype=dtype, device=device))
        for name in ("bias_ih", "bias_hh"):
            value = Parameter(ops.empty(rows, dtype=dtype, device=device)) if bias else None
            self.register_parameter(name, value)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew, evenly between -k and k with k = 1 / sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _step(self, layer: Any, input: Any, states: list[Any], *settings: Any) -> Any:
        """Return the states after one step, in the form of the input; ``settings`` follow the biases."""
        name = type(self).__name__
        if not isinstance(input, Tensor) or input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise OperationError(
                f"{name}: got an input of shape {getattr(input, 'shape', type(input).__name__)}; it needs "
                f"(B, {self.input_size}) or ({self.input_size},)"
            )
        batched = input.ndim == 2
        batch = len(input) if batched else 1
        expected = (batch, self.hidden_size) if batched else (self.hidden_size,)
        before = []
        for state in states:
            if state is None:
                state = ops.zeros(batch, self.hidden_size, dtype=input.dtype, device=input.device)
            elif not isinstance(state, Tensor) or state.shape != expected:
                raise OperationError(
                    f"{name}: got a state of shape {getattr(state, 'shape', type(state).__name__)}; it needs {expected}"
                )
            before.append(ops.reshape(state, (batch, self.hidden_size)))
        for what, tensor in (("an input", input), *(("a state", state) for state in before)):
            if tensor.dtype != self.weight_ih.dtype:
                raise OperationError(
                    f"{name}: got {what} of {tensor.dtype}; it needs that of the weights, "
                    f"{self.weight_ih.dtype}: cast it with .to(...)"
                )
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        x = ops.reshape(input, (batch, self.input_size))
        _, *after = layer.apply(x, *before, *weights, *settings, (batch,), False)
        return [ops.reshape(state, expected) for state in after]

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + self._changed(bias=True)


class RNNCell(RNNCellBase):
    """One step of a simple recurrent network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh).

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        bias: whether there are biases.
        nonlinearity: "tanh" or "relu".
        device: where the parameters lie.
        dtype: of the parameters.

    Example:
        >>> import minillm
        >>> minillm.nn.RNNCell(10, 20)(minillm.zeros(3, 10)).shape
        (3, 20)
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        if nonlinearity not in ("tanh", "relu"):
            raise OperationError(f"RNNCell: got nonlinearity={nonlinearity!r}; it needs 'tanh' or 'relu'")
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Return the state after the step.

        Args:
            input: (B, input_size) or (input_size,).
            hx: the state before, (B, hidden_size) or (hidden_size,); zeros by default.
        """
        return self._step(RnnLayer, input, [hx], self.nonlinearity)[0]

    def extra_repr(self) -> str:
        return super().extra_repr() + self._changed(nonlinearity="tanh")


class GRUCell(RNNCellBase):
    """One step of gated recurrent units; see :class:`~minillm.nn.GRU`.

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        bias: whether there are biases.
        device: where the parameters lie.
        dtype: of the parameters.

    Example:
        >>> import minillm
        >>> minillm.nn.GRUCell(10, 20)(minillm.zeros(3, 10)).shape
        (3, 20)
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Return the state after the step.

        Args:
            input: (B, input_size) or (input_size,).
            hx: the state before, (B, hidden_size) or (hidden_size,); zeros by default.
        """
        return self._step(GruLayer, input, [hx])[0]


class LSTMCell(RNNCellBase):
    """One step of a long short-term memory; see :class:`~minillm.nn.LSTM`.

    Args:
        input_size: features of the input.
        hidden_size: features of the states.
        bias: whether there are biases.
        device: where the parameters lie.
        dtype: of the parameters.

    Example:
        >>> import minillm
        >>> h, c = minillm.nn.LSTMCell(10, 20)(minillm.zeros(3, 10))
        >>> h.shape, c.shape
        ((3, 20), (3, 20))
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: Any = None) -> tuple[Tensor, Tensor]:
        """Return the states (h, c) after the step.

        Args:
            input: (B, input_size) or (input_size,).
            hx: the states before, a pair of (B, hidden_size) or (hidden_size,); zeros by default.
        """
        if hx is not None and not (isinstance(hx, (tuple, list)) and len(hx) == 2):
            raise OperationTypeError(f"LSTMCell: got hx of {type(hx).__name__}; it needs a pair (h_0, c_0)")
        h, c = self._step(LstmLayer, input, [None, None] if hx is None else list(hx), None)
        return h, c
