"""LSTM, GRU and SimpleRNN: minillm's own, with Keras' weights, masks and dropout.

Keras' kernel is (in, gates * units), its recurrent kernel (units, gates * units), and gates stand in the order i f c o
(LSTM) and z r h (GRU). minillm keeps (gates * units, in) and the orders i f g o and r z n, and always two biases: where
Keras has one, the second stays zero and is not trained.

A masked step leaves the state and repeats the output before it. So the steps that count are moved together, run as a
packed batch, and their outputs are spread over the steps again.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from minillm import nn, ops
from minillm.keras import activations
from minillm.keras.layers.core import check_units
from minillm.keras.layers.layer import HostArray, Layer, Shape, Weight
from minillm.keras.layers.recurrent_steps import over_steps
from minillm.keras.regularizers import get as regularizer_of
from minillm.nn import functional as F
from minillm.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from minillm.ops import Tensor


class Recurrent(Layer):
    """What LSTM, GRU and SimpleRNN share.

    Args:
        units: features of the state.
        activation: of the candidate state; tanh.
        recurrent_activation: of the gates; sigmoid. A SimpleRNN has none.
        use_bias: whether there are biases.
        kernel_initializer: of the weights of the input.
        recurrent_initializer: of the weights of the state.
        bias_initializer: of the biases.
        kernel_regularizer: a penalty on the kernel that is added to the loss.
        recurrent_regularizer: one on the recurrent kernel.
        bias_regularizer: one on the biases.
        dropout: of the input's features, the same ones in all steps.
        recurrent_dropout: of the state's features, likewise.
        return_sequences: return the outputs of all steps, not only the last one.
        go_backwards: walk from the end to the beginning.
        seed: without effect: the numbers of dropout come from minillm's generator.
        return_state: not offered.
        stateful: not offered.
        unroll: without effect.
        zero_output_for_mask: the outputs of masked steps are zeros, not those of the step before.
        options: those of :class:`Layer`.
    """

    supports_masking = True
    module: ClassVar[Any]  # the recurrent network of minillm.nn
    order: ClassVar[tuple[int, ...]]  # the place in minillm of each gate of Keras
    two_biases: ClassVar[bool] = False
    _settings: tuple[str, ...] = (
        "units", "activation", "use_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer",
        "kernel_regularizer", "recurrent_regularizer", "bias_regularizer", "dropout", "recurrent_dropout",
        "return_sequences", "go_backwards", "zero_output_for_mask",
    )  # fmt: skip

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        go_backwards: bool = False,
        seed: int | None = None,
        return_state: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        kind = type(self).__name__
        if return_state or stateful:
            asked = "return_state" if return_state else "stateful"
            raise ValueError(f"{kind}: {asked}=True is not offered; a Sequential passes no states on")
        for name, rate in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            if not 0 <= rate < 1:
                raise ValueError(f"{kind}: got {name}={rate!r}; it needs a number from 0 to below 1")
        self.units = check_units(kind, "units", units)
        self.activation = activations.get(activation)
        self.recurrent_activation = activations.sigmoid
        self.use_bias = use_bias
        self.kernel_initializer = kernel_initializer
        self.recurrent_initializer = recurrent_initializer
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = regularizer_of(kernel_regularizer)
        self.recurrent_regularizer = regularizer_of(recurrent_regularizer)
        self.bias_regularizer = regularizer_of(bias_regularizer)
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout
        self.return_sequences, self.go_backwards = return_sequences, go_backwards
        self.zero_output_for_mask = zero_output_for_mask

    # -- weights ------------------------------------------------------------------------------------

    def _gates(self, array: HostArray, order: tuple[int, ...]) -> HostArray:
        """Return the rows of an array with its gates in another order."""
        if len(order) < 3 or order == tuple(range(len(order))):
            return array
        return np.concatenate([array[n * self.units : (n + 1) * self.units] for n in order])

    def _weight(self, name: str, tensor: Tensor, turn: bool) -> Weight:
        back = tuple(int(n) for n in np.argsort(self.order))

        def to_keras(array: HostArray) -> HostArray:
            array = self._gates(array, self.order)
            return array.T if turn else array

        def from_keras(array: HostArray) -> list[HostArray]:
            return [self._gates(array.T if turn else array, back)]

        return Weight(name, tensor, to_keras=to_keras, from_keras=from_keras)

    def _first_bias(self, shape: tuple[int, ...]) -> Any:
        """Return what the biases start as: a name, or a function of their shape."""
        return self.bias_initializer

    def _build(self, shape: Shape) -> None:
        features = self.features_of(shape, 3, "(batch, time, features)")
        width = len(self.order) * self.units
        with nn.init.skipped():
            self.rnn = self.module(features, self.units, bias=self.use_bias, batch_first=True)
        rnn = self.rnn
        kernel = self._weight("kernel", rnn.weight_ih_l0, True)
        recurrent = self._weight("recurrent_kernel", rnn.weight_hh_l0, True)
        self.add_drawn(kernel, self.kernel_initializer, (features, width), self.kernel_regularizer)
        self.add_drawn(recurrent, self.recurrent_initializer, (self.units, width), self.recurrent_regularizer)
        if not self.use_bias:
            return
        bias = self._weight("bias", rnn.bias_ih_l0, False)
        size: tuple[int, ...] = (width,)
        if self.two_biases:
            pair = (bias, self._weight("bias", rnn.bias_hh_l0, False))
            bias = Weight(
                "bias", rnn.bias_ih_l0, rnn.bias_hh_l0,
                to_keras=lambda *_: np.stack([one.numpy() for one in pair]),
                from_keras=lambda array: [part for one, row in zip(pair, array, strict=True)
                                          for part in one.parts(row)],
            )  # fmt: skip
            size = (2, width)
        else:
            nn.init.zeros_(rnn.bias_hh_l0)
            rnn.bias_hh_l0.requires_grad_(False)
        self.add_drawn(bias, self._first_bias(size), size, self.bias_regularizer)

    # -- calling ------------------------------------------------------------------------------------

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:2], self.units) if self.return_sequences else (input_shape[0], self.units)

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor | None:
        return mask if self.return_sequences else None

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        if self.go_backwards:
            inputs = ops.flip(inputs, 1)
            mask = None if mask is None else ops.flip(mask, 1)
        if self.dropout and self.training:  # the same features in all steps
            batch, _, features = inputs.shape
            inputs = inputs * F.dropout(ops.ones((batch, 1, features), device=inputs.device), self.dropout)
        if not self._is_fused():
            y = over_steps(self, inputs, mask)
        else:
            y = self._run(inputs) if mask is None else self._run_masked(inputs, mask)
        if mask is not None and self.return_sequences and self.zero_output_for_mask:
            y = ops.where(ops.unsqueeze(mask, -1), y, 0.0)
        return y

    def _is_fused(self) -> bool:
        """Return whether minillm.nn's network computes this: otherwise it is done step by step."""
        plain = self.activation is activations.tanh and self.recurrent_activation is activations.sigmoid
        return plain and not (self.recurrent_dropout and self.training)

    def _last(self, states: Any) -> Tensor:
        """Return the output of the last step, (batch, units)."""
        return ops.squeeze(states[0] if isinstance(states, tuple) else states, 0)

    def _run(self, inputs: Tensor) -> Tensor:
        outputs, states = self.rnn(inputs)
        return outputs if self.return_sequences else self._last(states)

    def _run_masked(self, inputs: Tensor, mask: Tensor) -> Tensor:
        batch, steps = inputs.shape[:2]
        order = ops.argsort(ops.logical_not(mask).to("int32"), 1, stable=True)  # the steps that count first
        rows = ops.unsqueeze(ops.arange(batch, device=inputs.device), 1)
        lengths = ops.sum(mask.to("int64"), 1)
        packed = pack_padded_sequence(
            inputs[rows, order], ops.clamp(lengths, min=1), batch_first=True, enforce_sorted=False
        )
        outputs, states = self.rnn(packed)
        if not self.return_sequences:
            return ops.where(ops.unsqueeze(lengths > 0, 1), self._last(states), 0.0)
        y, _ = pad_packed_sequence(outputs, batch_first=True, total_length=steps)
        done = ops.cumsum(mask.to("int64"), 1)  # steps that count, up to each one
        y = y[rows, ops.clamp(done - 1, min=0)]
        return ops.where(ops.unsqueeze(done > 0, -1), y, 0.0)


class LSTM(Recurrent):
    """Long short-term memory; the arguments are those of :class:`Recurrent` and some more.

    Args:
        units: features of the state.
        activation: of the candidate and of the output; tanh.
        recurrent_activation: of the gates; sigmoid.
        unit_forget_bias: the biases of the forget gates start at 1.
        options: those of :class:`Recurrent`.

    Example:
        >>> import numpy as np
        >>> LSTM(4, return_sequences=True)(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    module = nn.LSTM
    order = (0, 1, 2, 3)
    _settings = (*Recurrent._settings, "recurrent_activation", "unit_forget_bias")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        unit_forget_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(units, activation, **options)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    def _first_bias(self, shape: tuple[int, ...]) -> Any:
        if not self.unit_forget_bias:
            return self.bias_initializer
        n = self.units

        def with_open_forget_gates(shape: tuple[int, ...]) -> HostArray:
            bias = np.zeros(shape, np.float32)
            bias[n : 2 * n] = 1.0
            return bias

        return with_open_forget_gates


class GRU(Recurrent):
    """Gated recurrent units; the arguments are those of :class:`Recurrent` and some more.

    Args:
        units: features of the state.
        activation: of the candidate; tanh.
        recurrent_activation: of the gates; sigmoid.
        reset_after: the reset gate acts after the recurrent product, which has a bias of its own.
        options: those of :class:`Recurrent`.

    Example:
        >>> import numpy as np
        >>> GRU(4)(np.ones((2, 5, 3))).shape
        (2, 4)
    """

    module = nn.GRU
    order = (1, 0, 2)
    _settings = (*Recurrent._settings, "recurrent_activation", "reset_after")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        reset_after: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(units, activation, **options)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after

    @property
    def two_biases(self) -> bool:  # type: ignore[override]
        """Whether the recurrent product has a bias of its own."""
        return self.reset_after

    def _is_fused(self) -> bool:
        return self.reset_after and super()._is_fused()


class SimpleRNN(Recurrent):
    """h' = activation(x W + h U + b); the arguments are those of :class:`Recurrent`.

    Example:
        >>> import numpy as np
        >>> SimpleRNN(4)(np.ones((2, 5, 3))).shape
        (2, 4)
    """

    module = nn.RNN
    order = (0,)
