"""The names of ``keras.models``."""

from __future__ import annotations

import json

from minillm.keras.saving import load_model, save_model
from minillm.keras.sequential import Sequential


def model_from_json(text: str) -> Sequential:
    """Make a model, with new weights, of what ``to_json`` returned, here or in Keras.

    Example:
        >>> from minillm.keras.layers import Dense
        >>> model_from_json(Sequential([Dense(3, input_shape=(2,))]).to_json()).output_shape
        (None, 3)
    """
    from minillm.keras.saving import model_of_config

    return model_of_config(json.loads(text), "the JSON")


__all__ = ["Sequential", "load_model", "model_from_json", "save_model"]
