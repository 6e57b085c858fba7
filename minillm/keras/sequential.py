"""``Sequential``: layers, one after the other, as Keras' class of this name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from minillm.keras.layers import InputLayer, Layer, from_json, to_json
from minillm.keras.layers.layer import Shape, Weight
from minillm.keras.summary import summary_text
from minillm.keras.training import Trainable
from minillm.ops import Tensor


class Sequential(Trainable):
    """A model of layers, each of which takes the output of the one before.

    It is built, its weights drawn, at once where the first layer tells the shape of its input (``Input``,
    ``input_shape``, ``input_length`` of an Embedding, ``input_dim`` of a Dense), else at the first data.

    Args:
        layers: the layers; more can be added.
        trainable: whether ``fit`` moves the weights.
        name: of the model.

    Attributes:
        layers: the layers, without the Input.
        history: of the last ``fit``.
        optimizer: after ``compile``.

    Raises:
        ValueError: two layers of one name.
        TypeError: something that is no layer.

    Example:
        >>> import numpy as np
        >>> from minillm import keras
        >>> model = keras.Sequential([
        ...     keras.layers.Embedding(20, 4, input_length=10),
        ...     keras.layers.LSTM(3),
        ...     keras.layers.Dense(1, activation="sigmoid"),
        ... ])
        >>> model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
        >>> x, y = np.random.default_rng(0).integers(20, size=(8, 10)), np.array([0, 1] * 4)
        >>> sorted(model.fit(x, y, epochs=2, verbose=0).history)
        ['accuracy', 'loss']
        >>> model.predict(x, verbose=0).shape
        (8, 1)
    """

    supports_masking = True
    keras_module = "keras"

    def __init__(self, layers: Iterable[Any] = (), trainable: bool = True, name: str | None = None) -> None:
        super().__init__(name=name, trainable=trainable)
        self._input: InputLayer | None = None
        self.layers: list[Layer] = []
        for layer in layers:
            self.add(layer)

    def add(self, layer: Any) -> None:
        """Put a layer at the end."""
        if not isinstance(layer, Layer):
            hint = f"; call the class: {layer.__name__}(...)" if isinstance(layer, type) else ""
            raise TypeError(f"Sequential: got {layer!r}, which is no layer of minillm.keras.layers{hint}")
        if isinstance(layer, InputLayer):
            if self.layers or self._input:
                raise ValueError(f"Sequential {self.name!r}: an Input needs to be the first layer")
            self._input, self.given_shape = layer, layer.given_shape
            return
        if any(layer.name == other.name for other in self.layers):
            raise ValueError(f"Sequential {self.name!r}: two layers are named {layer.name!r}; give one another name")
        if not self.layers and self.given_shape is None:
            self.given_shape = layer.given_shape
        self.layers.append(layer)
        self.add_module(layer.name, layer)
        self._renew()

    def pop(self) -> Layer:
        """Take the last layer away, and return it."""
        if not self.layers:
            raise IndexError(f"Sequential {self.name!r}: there are no layers")
        layer = self.layers.pop()
        del self._modules[layer.name]
        self.__dict__.pop(layer.name, None)
        self._renew()
        return layer

    def _renew(self) -> None:
        """Build anew after a change of the layers, where the shape of the input is known."""
        shape = self.given_shape or self.build_shape
        self.built = False
        if shape is not None and self.layers:
            self.build(shape)

    # -- building -----------------------------------------------------------------------------------

    @property
    def takes_numbers_of_rows(self) -> bool:  # type: ignore[override]
        """Whether the input is integers."""
        return bool(self.layers) and self.layers[0].takes_numbers_of_rows

    def build(self, input_shape: Sequence[int | None] | None = None) -> None:
        """Make the weights of all layers for inputs of a shape, with the batch in front."""
        input_shape = input_shape or self.given_shape
        if input_shape is None:
            raise ValueError(f"Sequential {self.name!r}: build needs the shape of the input, such as (None, 10)")
        if not self.layers:
            raise ValueError(f"Sequential {self.name!r}: there are no layers to build")
        if self.built and self.build_shape is not None and len(self.build_shape) == len(input_shape):
            return
        self.build_shape = tuple(input_shape)
        for layer, shape in zip(self.layers, self._input_shapes(self.build_shape), strict=True):
            layer.build(shape)
        self.weights = [weight for layer in self.layers for weight in layer.weights]
        self.built = True

    def _input_shapes(self, shape: Shape) -> Iterator[Shape]:
        for layer in self.layers:
            yield shape
            shape = layer.compute_output_shape(shape)

    def output_shapes(self) -> list[Shape | None]:
        """Return the shape of the output of each layer, None before the model is built."""
        if not self.built or self.build_shape is None:
            return [None] * len(self.layers)
        return [*list(self._input_shapes(self.build_shape))[1:], self.output_shape]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    @property
    def input_shape(self) -> Shape:
        """The shape of the input, with None for any size."""
        if self.build_shape is None:
            raise ValueError(f"Sequential {self.name!r} is not built yet, so its input has no shape")
        return self.build_shape

    @property
    def output_shape(self) -> Shape:
        """The shape of the output, with None for any size."""
        return self.compute_output_shape(self.input_shape)

    def _check_input(self, shape: tuple[int, ...]) -> None:
        given = self.given_shape
        if given is not None and (
            len(given) != len(shape) or any(n not in (None, m) for n, m in zip(given[1:], shape[1:], strict=True))
        ):
            raise self.fail(shape, f"{given}, where None stands for any size")

    # -- calling and weights ------------------------------------------------------------------------

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        if not self.layers:
            raise ValueError(f"Sequential {self.name!r}: there are no layers")
        x: Any = inputs
        for layer in self.layers:
            after = layer.compute_mask(x, mask)
            x, mask = layer(x, mask), after
        self.output_mask = mask
        return x

    def compute_mask(self, inputs: Any, mask: Tensor | None = None) -> Tensor | None:
        return None

    @property
    def trainable_weights(self) -> list[Weight]:
        """The weights that ``fit`` moves."""
        return [w for layer in self.layers for w in layer.trainable_weights] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """The others."""
        moved = {id(weight) for weight in self.trainable_weights}
        return [weight for weight in self.weights if id(weight) not in moved]

    @property
    def losses(self) -> list[Tensor]:
        """The penalties on weights, which are added to the loss."""
        return [penalty for layer in self.layers for penalty in layer.losses]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by its name or its place.

        Raises:
            ValueError: there is none.
        """
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"Sequential {self.name!r}: there are {len(self.layers)} layers, and none at {index}")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = ", ".join(layer.name for layer in self.layers)
        raise ValueError(f"Sequential {self.name!r}: there is no layer {name!r}; there are: {names}")

    def summary(self, line_length: int | None = None, print_fn: Any = None) -> None:
        """Print a table of the layers, their outputs and parameters.

        Args:
            line_length: of the table.
            print_fn: takes the text in the place of ``print``.
        """
        text = summary_text(self, line_length)
        print(text, end="") if print_fn is None else print_fn(text)

    # -- files --------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        inputs = [to_json(self._input)] if self._input is not None else []
        layers = inputs + [to_json(layer) for layer in self.layers]
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": "float32", "layers": layers}
        if self.build_shape is not None:
            config["build_input_shape"] = list(self.build_shape)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Sequential:
        """Make a model, with new weights, from what ``get_config`` returned, here or in Keras."""
        model = cls([from_json(record) for record in config["layers"]], name=config.get("name"))
        shape = config.get("build_input_shape")
        if shape and not model.built:
            model.build((None, *shape[1:]))
        return model

    def save(self, filepath: Any, overwrite: bool = True) -> None:
        """Write the model to a ``.keras`` file: see :mod:`~minillm.keras.saving`."""
        from minillm.keras.saving import save_model

        save_model(self, filepath, overwrite)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Write the weights alone to a ``.weights.h5`` or ``.safetensors`` file."""
        from minillm.keras.saving import save_weights

        save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: Any) -> None:
        """Read weights that ``save_weights`` or ``save`` wrote, here or in Keras."""
        from minillm.keras.saving import load_weights

        load_weights(self, filepath)

    def to_json(self, **options: Any) -> str:
        """Return the layers and their settings, without weights, as JSON."""
        import json

        return json.dumps(to_json(self), **options)
