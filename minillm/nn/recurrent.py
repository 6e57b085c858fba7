"""``RNNBase``: what RNN, GRU and LSTM share: layers, directions, and batches of every form.

Each layer runs over the whole sequence before the next one begins, in one direction or in both; the
outputs of both stand side by side and are the input of the next layer, with dropout between the layers.
"""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any, ClassVar, NamedTuple

from minillm import ops
from minillm.autograd.errors import OperationError, OperationTypeError
from minillm.autograd.function import Function
from minillm.backend import to_numpy
from minillm.nn import init
from minillm.nn.functional.dropout import dropout
from minillm.nn.module import Module
from minillm.nn.utils.rnn import PackedSequence
from minillm.ops import Parameter, Tensor

GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "GRU": 3, "LSTM": 4}


class Rows(NamedTuple):
    """An input, packed: its rows, the number of them in each step, and the order of the sequences."""

    data: Tensor  # (N, input_size)
    batch_sizes: tuple[int, ...]
    order: Tensor | None  # of the sequences by their lengths, None where they were in this order
    inverse: Tensor | None


class RNNBase(Module):
    """Base of :class:`~minillm.nn.RNN`, :class:`~minillm.nn.GRU` and :class:`~minillm.nn.LSTM`.

    Args:
        mode: "RNN_TANH", "RNN_RELU", "GRU" or "LSTM".
        input_size: features of the input.
        hidden_size: features of the state.
        num_layers: layers, each on the outputs of the one before.
        bias: whether there are biases.
        batch_first: input and output are (B, T, features), not (T, B, features).
        dropout: while training, the probability with which an output of a layer, but the last, is
            zeroed.
        bidirectional: a second direction from the end to the beginning; its outputs stand beside those
            of the first.
        proj_size: features that the LSTM's hidden state is projected to; 0 for none.
        device: where the parameters lie.
        dtype: of the parameters.

    Attributes:
        weight_ih_l0: of layer 0, (gates * hidden_size, features of the layer's input); ``_reverse`` is
            added to the names of the second direction.
        weight_hh_l0: (gates * hidden_size, hidden_size), or (..., proj_size).
        bias_ih_l0: (gates * hidden_size,).
        bias_hh_l0: (gates * hidden_size,).
        weight_hr_l0: with a projection, (proj_size, hidden_size).

    All parameters start evenly distributed between -k and k with k = 1 / sqrt(hidden_size).
    """

    layer: ClassVar[type[Function]] = Function  # one layer in one direction; each network names its own

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if mode not in GATES:
            raise OperationError(f"{self._name()}: got mode {mode!r}; it needs one of {', '.join(GATES)}")
        self._check_settings(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size)
        self.mode, self.input_size, self.hidden_size = mode, input_size, hidden_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout = float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size

        rows, features = GATES[mode] * hidden_size, proj_size or hidden_size
        directions = 2 if bidirectional else 1
        self._names: list[list[str]] = []  # the parameters of each layer and direction
        for layer in range(num_layers):
            for suffix in ("", "_reverse")[:directions]:
                shapes: dict[str, tuple[int, ...]] = {
                    "weight_ih": (rows, input_size if layer == 0 else features * directions),
                    "weight_hh": (rows, features),
                }
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for kind, shape in shapes.items():
                    value = ops.empty(shape, dtype=dtype, device=device)
                    self.register_parameter(f"{kind}_l{layer}{suffix}", Parameter(value))
                self._names.append([f"{kind}_l{layer}{suffix}" for kind in shapes])
        self.reset_parameters()

    def _name(self) -> str:
        return type(self).__name__

    def _check_settings(
        self, input_size: int, hidden_size: int, num_layers: int, bias: bool, batch_first: bool, dropout: float,
        proj_size: int,
    ) -> None:  # fmt: skip
        """Raise an error for settings that make no network."""
        name = self._name()
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        for what, value in (sizes | {"proj_size": proj_size}).items():
            if isinstance(value, bool) or not isinstance(value, numbers.Integral):
                raise OperationTypeError(f"{name}: got {what}={value!r}; it needs an integer")
            if value < (what in sizes):
                raise OperationError(f"{name}: got {what}={value}; it needs to be {int(what in sizes)} at least")
        if proj_size >= hidden_size:
            raise OperationError(
                f"{name}: got proj_size={proj_size}; it needs to be smaller than hidden_size={hidden_size}"
            )
        for what, flag in {"bias": bias, "batch_first": batch_first}.items():
            if not isinstance(flag, bool):
                raise OperationTypeError(f"{name}: got {what}={flag!r}; it needs True or False")
        if isinstance(dropout, bool) or not isinstance(dropout, numbers.Real) or not 0 <= dropout <= 1:
            raise OperationError(f"{name}: got dropout={dropout!r}; it needs a probability from 0 to 1")
        if dropout and num_layers == 1:
            warnings.warn(
                f"{name}: dropout={dropout} does nothing with one layer: it acts between the layers", stacklevel=4
            )

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._names]

    def flatten_parameters(self) -> None:
        """Do nothing: a call that programs for PyTorch make for cuDNN's sake."""

    # -- what goes in -------------------------------------------------------------------------------

    def _pack(self, input: Tensor | PackedSequence) -> Rows:
        """Return the input, of any form, as packed rows."""
        name = self._name()
        features = input.data if isinstance(input, PackedSequence) else input
        if not isinstance(features, Tensor):
            raise OperationTypeError(f"{name}: got {type(input).__name__}; it needs a tensor or a PackedSequence")
        packed = isinstance(input, PackedSequence)
        if features.ndim not in ((2,) if packed else (2, 3)):
            needs = f"({'B, T' if self.batch_first else 'T, B'}, input_size), or (T, input_size) without a batch"
            needs = "(N, input_size) of a packed sequence" if packed else needs
            raise OperationError(f"{name}: got an input of shape {features.shape}; it needs {needs}")
        if features.shape[-1] != self.input_size:
            raise OperationError(
                f"{name}: got an input of shape {features.shape}; its last dimension needs to be "
                f"input_size={self.input_size}"
            )
        dtype = self.weight_ih_l0.dtype
        if features.dtype != dtype:
            raise OperationError(
                f"{name}: got an input of {features.dtype}; it needs that of the weights, {dtype}: cast it "
                "with .to(...)"
            )
        if isinstance(input, PackedSequence):
            sizes = tuple(to_numpy(input.batch_sizes.array).tolist())
            if sum(sizes) != len(features):
                raise OperationError(
                    f"{name}: got a packed sequence of {len(features)} rows whose batch_sizes add up to {sum(sizes)}"
                )
            return Rows(features, sizes, input.sorted_indices, input.unsorted_indices)
        if features.ndim == 2:
            steps, batch = len(features), 1
        else:
            if self.batch_first:
                features = ops.transpose(features, 0, 1)
            steps, batch = features.shape[:2]
        if not steps:
            raise OperationError(f"{name}: got an input of shape {input.shape}; it needs one step at least")
        rows = features if features.ndim == 2 else ops.reshape(features, (steps * batch, self.input_size))
        return Rows(rows, (batch,) * steps, None, None)

    def _states(self, hx: Any, batched: bool, rows: Rows) -> list[Tensor]:
        """Return the initial states, each (layers * directions, B, features), in the order of the rows."""
        sizes = [self.proj_size or self.hidden_size, self.hidden_size]
        names = ["h_0", "c_0"] if self.mode == "LSTM" else ["hx"]
        first = len(self._names)
        batch = rows.batch_sizes[0]
        if hx is None:
            return [
                ops.zeros((first, batch, n), dtype=rows.data.dtype, device=rows.data.device)
                for n in sizes[: len(names)]
            ]
        if self.mode == "LSTM" and not (isinstance(hx, (tuple, list)) and len(hx) == 2):
            raise OperationTypeError(f"LSTM: got hx of {type(hx).__name__}; it needs a pair (h_0, c_0)")
        states = []
        for name, state, n in zip(names, hx if self.mode == "LSTM" else [hx], sizes, strict=False):
            expected = (first, batch, n) if batched else (first, n)
            if not isinstance(state, Tensor) or state.shape != expected:
                raise OperationError(
                    f"{self._name()}: got {name} of shape {getattr(state, 'shape', type(state).__name__)}; "
                    f"it needs {expected}: (layers * directions, {'batch, ' if batched else ''}features)"
                )
            if state.dtype != rows.data.dtype:
                raise OperationError(
                    f"{self._name()}: got {name} of {state.dtype} and an input of {rows.data.dtype}; they "
                    "need the same dtype"
                )
            if not batched:
                state = ops.unsqueeze(state, 1)
            states.append(state if rows.order is None else ops.index_select(state, 1, rows.order))
        return states

    # -- the computation ----------------------------------------------------------------------------

    def _settings(self, weights: list[Any]) -> tuple[Any, ...]:
        """Return what ``layer`` takes between the biases and the batch sizes."""
        return ()

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Run over a sequence.

        Args:
            input: (T, B, input_size), (B, T, input_size) with ``batch_first``, (T, input_size) without a
                batch, or a :class:`~minillm.nn.utils.rnn.PackedSequence`.
            hx: the initial state, (layers * directions, B, features), for the LSTM a pair (h_0, c_0);
                zeros by default. Without B where the input has no batch.

        Returns:
            The outputs of the last layer at every step, in the form of the input, with hidden_size (or
            proj_size) features for each direction, and the last state of every layer and direction, in
            the form of ``hx``.

        Raises:
            OperationError: shapes or dtypes that do not fit.
        """
        rows = self._pack(input)
        batched = isinstance(input, PackedSequence) or input.ndim == 3
        states = self._states(hx, batched, rows)
        directions = 2 if self.bidirectional else 1
        weights = self.all_weights
        y, finals = rows.data, []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                y = dropout(y, self.dropout, self.training)
            outputs = []
            for k in range(layer * directions, (layer + 1) * directions):
                before = [state[k] for state in states]
                biases = weights[k][2:4] if self.bias else (None, None)
                settings = *self._settings(weights[k]), rows.batch_sizes, k % directions == 1
                output, *final = self.layer.apply(y, *before, *weights[k][:2], *biases, *settings)
                outputs.append(output)
                finals.append(final)
            y = outputs[0] if directions == 1 else ops.cat(outputs, dim=1)

        if len(finals) == 1:  # a view is cheaper, and this is the step of every generation
            last = [ops.unsqueeze(state, 0) for state in finals[0]]
        else:
            last = [ops.stack(list(states)) for states in zip(*finals, strict=True)]
        if rows.inverse is not None:
            last = [ops.index_select(state, 1, rows.inverse) for state in last]
        if not batched:
            last = [ops.squeeze(state, 1) for state in last]
        hidden = tuple(last) if self.mode == "LSTM" else last[0]
        if isinstance(input, PackedSequence):
            return PackedSequence(y, input.batch_sizes, input.sorted_indices, input.unsorted_indices), hidden
        if batched:
            y = ops.reshape(y, (len(rows.batch_sizes), rows.batch_sizes[0], y.shape[1]))
            if self.batch_first:
                y = ops.transpose(y, 0, 1)
        return y, hidden

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + self._changed(
            proj_size=0, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False
        )
