"""Keras' layers over minillm's modules."""

from __future__ import annotations

from typing import Any

from minillm.keras.layers.convolution import (
    AveragePooling1D,
    Conv1D,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    MaxPooling1D,
)
from minillm.keras.layers.core import (
    Activation,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Input,
    InputLayer,
    Masking,
    ReLU,
    RepeatVector,
    Reshape,
    Softmax,
    SpatialDropout1D,
)
from minillm.keras.layers.layer import Layer
from minillm.keras.layers.normalization import BatchNormalization, LayerNormalization
from minillm.keras.layers.recurrent import GRU, LSTM, SimpleRNN
from minillm.keras.layers.wrappers import Bidirectional, TimeDistributed
from minillm.keras.naming import class_and_config, look_up

MaxPool1D, AvgPool1D = MaxPooling1D, AveragePooling1D
GlobalMaxPool1D, GlobalAvgPool1D = GlobalMaxPooling1D, GlobalAveragePooling1D

_KNOWN: dict[str, type[Layer]] = {
    layer.__name__: layer
    for layer in (
        Activation, AveragePooling1D, BatchNormalization, Bidirectional, Conv1D, Dense, Dropout, Embedding, Flatten,
        GRU, GlobalAveragePooling1D, GlobalMaxPooling1D, InputLayer, LSTM, LayerNormalization, Masking, MaxPooling1D,
        ReLU, RepeatVector, Reshape, SimpleRNN, Softmax, SpatialDropout1D, TimeDistributed,
    )
}  # fmt: skip


def to_json(layer: Layer) -> dict[str, Any]:
    """Return a layer as Keras writes it into JSON.

    Example:
        >>> to_json(Flatten(name="flat"))["class_name"]
        'Flatten'
    """
    record = {
        "module": layer.keras_module,
        "class_name": type(layer).__name__,
        "config": layer.get_config(),
        "registered_name": None,
    }
    if layer.build_shape is not None:
        record["build_config"] = {"input_shape": list(layer.build_shape)}
    return record


def from_json(record: Any) -> Layer:
    """Make a layer of JSON that :func:`to_json` or Keras wrote.

    Raises:
        ValueError: a layer, or a setting of one, that is not offered here.

    Example:
        >>> from_json(to_json(Dense(3))).units
        3
    """
    name, config = class_and_config("a layer", record)
    return look_up("layer", name, _KNOWN).from_config(config)


__all__ = [
    "GRU",
    "LSTM",
    "Activation",
    "AveragePooling1D",
    "AvgPool1D",
    "BatchNormalization",
    "Bidirectional",
    "Conv1D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePooling1D",
    "GlobalAvgPool1D",
    "GlobalMaxPool1D",
    "GlobalMaxPooling1D",
    "Input",
    "InputLayer",
    "Layer",
    "LayerNormalization",
    "Masking",
    "MaxPool1D",
    "MaxPooling1D",
    "ReLU",
    "RepeatVector",
    "Reshape",
    "SimpleRNN",
    "Softmax",
    "SpatialDropout1D",
    "TimeDistributed",
    "from_json",
    "to_json",
]
