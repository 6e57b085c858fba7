"""Keras' names over minillm: an everyday program runs when only its import lines change.

``from tensorflow.keras.layers import LSTM`` (or ``from keras.layers ...``) becomes ``from minillm.keras.layers import
LSTM``, and so on for models, optimizers, losses, metrics, callbacks, preprocessing and utils. Layers, gradients and
optimizers are minillm's own; weights go in and out in Keras' layouts, so they can be compared and exchanged.

Example:
    >>> import numpy as np
    >>> from minillm import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    >>> history = model.fit(np.eye(2), np.array([1.0, 2.0]), epochs=50, batch_size=2, verbose=0)
    >>> history.history["loss"][-1] < 0.1
    True
"""

from __future__ import annotations

from minillm.keras import (
    activations,
    backend,
    callbacks,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    preprocessing,
    regularizers,
    saving,
    utils,
)
from minillm.keras.layers import Input
from minillm.keras.sequential import Sequential

__all__ = [
    "Input",
    "Sequential",
    "activations",
    "backend",
    "callbacks",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "preprocessing",
    "regularizers",
    "saving",
    "utils",
]
