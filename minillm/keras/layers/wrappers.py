"""Bidirectional and TimeDistributed: layers around another layer."""

from __future__ import annotations

from typing import Any

from minillm import ops
from minillm.keras.layers.layer import Layer, Shape
from minillm.keras.layers.recurrent import Recurrent
from minillm.ops import Tensor

MERGE_MODES = ("concat", "sum", "mul", "ave", None)


class Bidirectional(Layer):
    """A recurrent layer forwards and another one backwards, side by side.

    Args:
        layer: the LSTM, GRU or SimpleRNN that walks forwards; its settings are those of the other one too.
        merge_mode: ``"concat"``, ``"sum"``, ``"mul"`` or ``"ave"`` of the two outputs.
        backward_layer: the other one, with ``go_backwards=True``.
        options: those of :class:`~minillm.keras.layers.Layer`.

    Example:
        >>> import numpy as np
        >>> from minillm.keras.layers import LSTM
        >>> Bidirectional(LSTM(4))(np.ones((2, 5, 3))).shape
        (2, 8)
    """

    supports_masking = True

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        backward_layer: Any = None,
        **options: Any,
    ) -> None:
        from minillm.keras.layers import from_json

        if isinstance(layer, dict):
            layer = from_json(layer)
        if isinstance(backward_layer, dict):
            backward_layer = from_json(backward_layer)
        if not isinstance(layer, Recurrent):
            raise ValueError(f"Bidirectional: got {layer!r}; it needs an LSTM, a GRU or a SimpleRNN")
        if merge_mode not in MERGE_MODES[:-1]:
            raise ValueError(f"Bidirectional: got merge_mode={merge_mode!r}; it needs 'concat', 'sum', 'mul' or 'ave'")
        if options.get("input_shape") is None and layer.given_shape is not None:
            options["batch_input_shape"] = layer.given_shape
        super().__init__(**options)
        config = layer.get_config()
        if backward_layer is None:
            backward_layer = type(layer).from_config(
                {**config, "go_backwards": not layer.go_backwards, "name": f"backward_{_bare(layer.name)}"}
            )
        self.forward_layer = type(layer).from_config({**config, "name": f"forward_{_bare(layer.name)}"})
        self.backward_layer = backward_layer
        self.merge_mode = merge_mode
        self.return_sequences = layer.return_sequences
        for one in (self.forward_layer, self.backward_layer):
            one.zero_output_for_mask = self.return_sequences  # as in Keras

    def _build(self, shape: Shape) -> None:
        self.forward_layer.build(shape)
        self.backward_layer.build(shape)
        self.weights = [*self.forward_layer.weights, *self.backward_layer.weights]
        self.penalties = [*self.forward_layer.penalties, *self.backward_layer.penalties]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        *rest, units = self.forward_layer.compute_output_shape(input_shape)
        return (*rest, units * 2 if self.merge_mode == "concat" and units else units)

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor | None:
        return mask if self.return_sequences else None

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        forwards = self.forward_layer(inputs, mask)
        backwards = self.backward_layer(inputs, mask)
        if self.return_sequences:
            backwards = ops.flip(backwards, 1)
        if self.merge_mode == "concat":
            return ops.cat([forwards, backwards], dim=-1)
        if self.merge_mode == "mul":
            return forwards * backwards
        total = forwards + backwards
        return total / 2 if self.merge_mode == "ave" else total

    def get_config(self) -> dict[str, Any]:
        from minillm.keras.layers import to_json

        layers = {"layer": to_json(self.forward_layer), "backward_layer": to_json(self.backward_layer)}
        return {**super().get_config(), "merge_mode": self.merge_mode, **layers}


class TimeDistributed(Layer):
    """A layer on each time step of (batch, time, ...).

    Args:
        layer: such as a Dense.
        options: those of :class:`~minillm.keras.layers.Layer`.

    Example:
        >>> import numpy as np
        >>> from minillm.keras.layers import Dense
        >>> TimeDistributed(Dense(2))(np.ones((2, 5, 3))).shape
        (2, 5, 2)
    """

    supports_masking = True

    def __init__(self, layer: Any, **options: Any) -> None:
        from minillm.keras.layers import from_json

        super().__init__(**options)
        self.layer = from_json(layer) if isinstance(layer, dict) else layer
        self.takes_numbers_of_rows = self.layer.takes_numbers_of_rows

    def _build(self, shape: Shape) -> None:
        if len(shape) < 3:
            raise self.fail(shape, "(batch, time, ...)")
        self.layer.build((shape[0], *shape[2:]))
        self.weights, self.penalties = list(self.layer.weights), self.layer.penalties

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        inner = self.layer.compute_output_shape((input_shape[0], *input_shape[2:]))
        return (input_shape[0], input_shape[1], *inner[1:])

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        batch, steps = inputs.shape[:2]
        y = self.layer(ops.reshape(inputs, (batch * steps, *inputs.shape[2:])))
        return ops.reshape(y, (batch, steps, *y.shape[1:]))

    def get_config(self) -> dict[str, Any]:
        from minillm.keras.layers import to_json

        return {**super().get_config(), "layer": to_json(self.layer)}


def _bare(name: str) -> str:
    return name.removeprefix("forward_").removeprefix("backward_")


