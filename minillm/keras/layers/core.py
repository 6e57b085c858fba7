"""The plain layers: Dense, Embedding, Activation, Dropout, Flatten and their like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minillm import nn, ops
from minillm.keras import activations
from minillm.keras.layers.layer import Layer, Shape, Weight, transposed
from minillm.keras.regularizers import Regularizer
from minillm.keras.regularizers import get as regularizer_of
from minillm.nn import functional as F
from minillm.ops import Tensor


def check_units(layer: str, name: str, value: Any) -> int:
    """Return a size as an int.

    Raises:
        ValueError: it is no whole number above zero.
    """
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise ValueError(f"{layer}: got {name}={value!r}; it needs a whole number of 1 at least")
    return int(value)


class InputLayer(Layer):
    """Tells a model the shape of its input.

    Args:
        shape: of one example; None stands for any size.
        batch_size: of a batch; any by default.
        batch_shape: both in one.
        dtype: of the input; without effect, each layer casts what it needs.
        name: of the layer.
        options: those of :class:`Layer`.

    Example:
        >>> from minillm import keras
        >>> keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).output_shape
        (None, 3)
    """

    supports_masking = True

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        batch_shape: Sequence[int | None] | None = None,
        dtype: Any = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        if batch_shape is None and shape is not None:
            batch_shape = (batch_size, *shape)
        super().__init__(name=name, batch_input_shape=batch_shape, **options)
        if self.given_shape is None:
            raise ValueError("Input: got no shape; it needs that of one example, as in Input(shape=(10,))")
        self.batch_shape = self.given_shape

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {"batch_shape": list(self.batch_shape), "dtype": "float32", "name": self.name}


def Input(shape: Sequence[int | None] | None = None, **options: Any) -> InputLayer:
    """Return the :class:`InputLayer` of a shape, to put first in a ``Sequential``.

    Example:
        >>> Input(shape=(10,)).given_shape
        (None, 10)
    """
    return InputLayer(shape, **options)


class Dense(Layer):
    """y = activation(x W + b), with W (in, units).

    Args:
        units: features of the output.
        activation: a name or a function; linear by default.
        use_bias: whether there is b.
        kernel_initializer: of W.
        bias_initializer: of b.
        kernel_regularizer: a penalty on W that is added to the loss.
        bias_regularizer: one on b.
        input_dim: features of the input, where it is the first layer.
        options: those of :class:`Layer`.

    Example:
        >>> import numpy as np
        >>> Dense(3, activation="relu")(np.ones((2, 4))).shape
        (2, 3)
    """

    supports_masking = True
    _settings = (
        "units", "activation", "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer",
        "bias_regularizer",
    )  # fmt: skip

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        *,
        input_dim: int | None = None,
        **options: Any,
    ) -> None:
        if input_dim is not None:
            options["input_shape"] = (input_dim,)
        super().__init__(**options)
        self.units = check_units("Dense", "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer: Regularizer | None = regularizer_of(kernel_regularizer)
        self.bias_regularizer: Regularizer | None = regularizer_of(bias_regularizer)

    def _build(self, shape: Shape) -> None:
        features = self.features_of(shape)
        with nn.init.skipped():
            self.linear = nn.Linear(features, self.units, bias=self.use_bias)
        kernel = transposed("kernel", self.linear.weight)
        self.add_drawn(kernel, self.kernel_initializer, (features, self.units), self.kernel_regularizer)
        if self.linear.bias is not None:
            bias = Weight("bias", self.linear.bias)
            self.add_drawn(bias, self.bias_initializer, (self.units,), self.bias_regularizer)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        return self.activation(self.linear(inputs))


class Embedding(Layer):
    """The row of a table for each number.

    Args:
        input_dim: rows of the table: the highest number plus one.
        output_dim: features of a row.
        embeddings_initializer: of the table.
        embeddings_regularizer: a penalty on the table that is added to the loss.
        mask_zero: 0 is padding: layers after this one that know of masks pass over it.
        input_length: numbers in an example; the model is built at once with it.
        options: those of :class:`Layer`.

    Example:
        >>> import numpy as np
        >>> Embedding(100, 8)(np.array([[1, 2, 3]])).shape
        (1, 3, 8)
    """

    supports_masking = True
    takes_numbers_of_rows = True
    _settings = ("input_dim", "output_dim", "embeddings_initializer", "embeddings_regularizer", "mask_zero")

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        mask_zero: bool = False,
        input_length: int | None = None,
        weights: Any = None,
        **options: Any,
    ) -> None:
        if input_length is not None:
            options.setdefault("input_shape", (input_length,))
        super().__init__(**options)
        self.input_dim = check_units("Embedding", "input_dim", input_dim)
        self.output_dim = check_units("Embedding", "output_dim", output_dim)
        self.embeddings_initializer = embeddings_initializer
        self.embeddings_regularizer: Regularizer | None = regularizer_of(embeddings_regularizer)
        self.mask_zero = mask_zero
        self._first_weights = weights

    def _build(self, shape: Shape) -> None:
        with nn.init.skipped():
            self.embedding = nn.Embedding(self.input_dim, self.output_dim)
        table = Weight("embeddings", self.embedding.weight)
        size = (self.input_dim, self.output_dim)
        self.add_drawn(table, self.embeddings_initializer, size, self.embeddings_regularizer)
        if self._first_weights is not None:  # as in Embedding(..., weights=[matrix], trainable=False)
            self.built = True
            self.set_weights(self._first_weights)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.output_dim)

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor | None:
        return inputs != 0 if self.mask_zero else None

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        return self.embedding(inputs)


class Activation(Layer):
    """An activation function as a layer.

    Args:
        activation: a name or a function.
        options: those of :class:`Layer`.
    """

    supports_masking = True
    _settings = ("activation",)

    def __init__(self, activation: Any, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activations.get(activation)

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        return self.activation(inputs)


class ReLU(Layer):
    """max(0, x) as a layer."""

    supports_masking = True

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        return F.relu(inputs)


class Softmax(Layer):
    """exp(x) / sum exp(x) along an axis, as a layer."""

    supports_masking = True
    _settings = ("axis",)

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        return activations.softmax(inputs, self.axis)


class Dropout(Layer):
    """While training, zeroes numbers at random and scales the others up.

    Args:
        rate: the share that is zeroed.
        noise_shape: 1 where numbers share their fate along a dimension, None where not; None for all.
        seed: without effect: the numbers come from minillm's generator.
        options: those of :class:`Layer`.

    Example:
        >>> import numpy as np
        >>> Dropout(0.5)(np.ones((1, 4))).tolist()
        [[1.0, 1.0, 1.0, 1.0]]
    """

    supports_masking = True
    _settings: tuple[str, ...] = ("rate", "noise_shape")

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        if not 0 <= rate <= 1:
            raise ValueError(f"{type(self).__name__}: got rate={rate!r}; it needs a number from 0 to 1")
        self.rate = rate
        self.noise_shape = noise_shape

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        if self.noise_shape is None or not self.training:
            return F.dropout(inputs, self.rate, self.training)
        shape = [size if given is None else given for size, given in zip(inputs.shape, self.noise_shape, strict=True)]
        return inputs * F.dropout(ops.ones(shape, device=inputs.device), self.rate)


class SpatialDropout1D(Dropout):
    """Dropout of whole features over all steps of (batch, time, features)."""

    _settings = ("rate",)

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(rate, (None, 1, None), seed, **options)


class Flatten(Layer):
    """(batch, ...) to (batch, all of it).

    Example:
        >>> import numpy as np
        >>> Flatten()(np.ones((2, 3, 4))).shape
        (2, 12)
    """

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = [size for size in input_shape[1:] if size is not None]
        return (input_shape[0], math.prod(sizes) if len(sizes) == len(input_shape) - 1 else None)

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        return ops.flatten(inputs, 1) if inputs.ndim > 1 else ops.unsqueeze(inputs, 1)


class Reshape(Layer):
    """(batch, ...) to (batch, *target_shape); -1 stands for what is left.

    Args:
        target_shape: of one example.
        options: those of :class:`Layer`.
    """

    _settings = ("target_shape",)

    def __init__(self, target_shape: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.target_shape = tuple(target_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        rest = input_shape[1:]
        if -1 not in self.target_shape:
            return (input_shape[0], *self.target_shape)
        known = [size for size in rest if size is not None]
        left = math.prod(known) // -math.prod(self.target_shape) if len(known) == len(rest) else None
        return (input_shape[0], *(left if size == -1 else size for size in self.target_shape))

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        return ops.reshape(inputs, (inputs.shape[0], *self.target_shape))


class RepeatVector(Layer):
    """(batch, features) to (batch, n, features).

    Args:
        n: how often.
        options: those of :class:`Layer`.
    """

    _settings = ("n",)

    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        self.n = check_units("RepeatVector", "n", n)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.n, input_shape[1])

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        batch, features = inputs.shape
        return ops.broadcast_to(ops.unsqueeze(inputs, 1), (batch, self.n, features))


class Masking(Layer):
    """Masks the steps whose features are all ``mask_value``, and zeroes them.

    Args:
        mask_value: of padding.
        options: those of :class:`Layer`.
    """

    supports_masking = True
    _settings = ("mask_value",)

    def __init__(self, mask_value: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.mask_value = mask_value

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor | None:
        return ops.any(inputs != self.mask_value, -1)

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        kept = ops.unsqueeze(ops.any(inputs != self.mask_value, -1), -1)
        return ops.where(kept, inputs, 0.0)

