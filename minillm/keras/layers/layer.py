"""``Layer``: a minillm module that learns the size of its input when it first sees one, as Keras' layers do.

A layer's weights are seen in Keras' layout (kernels are (in, out)) and lie in those of minillm's own modules
((out, in)); a :class:`Weight` turns one into the other.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minillm import nn, ops
from minillm.autograd import no_grad
from minillm.autograd.errors import OperationError
from minillm.backend import get_default_device, is_array, to_device, to_numpy
from minillm.keras import activations, initializers
from minillm.keras.naming import unique_name
from minillm.keras.regularizers import Regularizer
from minillm.ops import Tensor

HostArray = npt.NDArray[Any]
Shape = tuple[int | None, ...]


class Weight:
    """One weight as Keras lays it out, over the tensors of a minillm module.

    Args:
        name: as in Keras: ``kernel``, ``bias``, ...
        tensors: the parameters or buffers that hold it.
        to_keras: makes the weight of their arrays; the array itself by default.
        from_keras: makes their arrays of the weight.
        trainable: False for what training moves by other means than gradients.
    """

    def __init__(
        self,
        name: str,
        *tensors: Tensor,
        to_keras: Callable[..., HostArray] | None = None,
        from_keras: Callable[[HostArray], Sequence[HostArray]] | None = None,
        trainable: bool = True,
    ) -> None:
        self.name, self.tensors, self.trainable = name, tensors, trainable
        self._to_keras: Callable[..., HostArray] = to_keras or (lambda array: array)
        self._from_keras: Callable[[HostArray], Sequence[HostArray]] = from_keras or (lambda array: [array])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in Keras' layout."""
        return self.numpy().shape

    def numpy(self) -> HostArray:
        """Return a copy of the weight in Keras' layout."""
        arrays = [to_numpy(tensor.array) for tensor in self.tensors]
        return np.array(self._to_keras(*arrays), order="C")

    def parts(self, value: HostArray) -> Sequence[HostArray]:
        """Return the arrays that hold a weight in Keras' layout."""
        return self._from_keras(value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> HostArray:
        return self.numpy().astype(dtype or np.float32, copy=False)

    def assign(self, value: Any) -> None:
        """Write a weight in Keras' layout; its shape has been checked."""
        with no_grad():
            parts = self.parts(np.asarray(value, dtype=np.float32))
            for tensor, array in zip(self.tensors, parts, strict=True):
                tensor.copy_(Tensor(to_device(np.ascontiguousarray(array), tensor.device)))

    def __repr__(self) -> str:
        return f"<Weight {self.name}, shape={self.shape}>"


def transposed(name: str, tensor: Tensor, trainable: bool = True) -> Weight:
    """Return a kernel whose dimensions stand the other way round in minillm."""
    turn = np.transpose
    return Weight(name, tensor, to_keras=turn, from_keras=lambda array: [turn(array)], trainable=trainable)


class Layer(nn.Module):
    """Base of all layers.

    Args:
        name: of the layer; ``dense``, ``dense_1``, ... by default.
        trainable: whether ``fit`` moves its weights.
        input_shape: of one example, where it is the first layer of a model; it is built at once then.
        batch_input_shape: the same, with the batch in front.
        dtype: float32, the only one that is offered.

    Attributes:
        built: whether the weights are there.
        weights: those of this layer, in Keras' order.
    """

    supports_masking = False
    takes_numbers_of_rows = False  # an Embedding takes integers, the others floats
    keras_module = "keras.layers"  # where Keras has it, for files
    _settings: tuple[str, ...] = ()  # the names of the arguments, for files

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Sequence[int | None] | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_dtype(type(self).__name__, dtype)
        self.train(False)  # Keras' layers infer unless they are told to train
        self.name = name or unique_name(type(self).__name__)
        self.trainable = trainable
        self.built = False
        self.weights: list[Weight] = []
        self.penalties: list[tuple[Regularizer, Tensor]] = []
        self.given_shape: Shape | None = None
        self.build_shape: Shape | None = None
        if batch_input_shape is not None:
            self.given_shape = tuple(batch_input_shape)
        elif input_shape is not None:
            self.given_shape = (None, *input_shape)

    # -- building -----------------------------------------------------------------------------------

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make the weights for inputs of a shape, in which None stands for any size."""
        if not self.built:
            self.build_shape = tuple(input_shape)
            self._build(self.build_shape)
            self.built = True
            self.train(self.training)

    def _build(self, shape: Shape) -> None:
        """Make the modules and list the weights; layers without any do nothing."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the output for an input of a shape."""
        return input_shape

    def fail(self, got: Any, needs: str) -> OperationError:
        """Return the error that names this layer, the shape it got, and what it needs."""
        return OperationError(
            f"layer {self.name!r} ({type(self).__name__}): got an input of shape {tuple(got)}; it needs {needs}"
        )

    def features_of(self, shape: Shape, ndim: int | None = None, what: str = "(batch, features)") -> int:
        """Return the size of the last dimension of the shape to build for."""
        if (ndim is not None and len(shape) != ndim) or len(shape) < 2 or shape[-1] is None:
            raise self.fail(shape, f"{what} with a known last dimension")
        return shape[-1]

    def _check_input(self, shape: tuple[int, ...]) -> None:
        """Raise an error for inputs that the weights were not made for."""
        built = self.build_shape
        if built is None or not self.weights or self.takes_numbers_of_rows:
            return
        if len(shape) != len(built) or shape[-1] != built[-1]:
            sizes = tuple("any" if n is None else n for n in (None, *built[1:-1], built[-1]))
            raise self.fail(shape, f"{len(built)} dimensions, the last of size {sizes[-1]}")

    # -- calling ------------------------------------------------------------------------------------

    def compute_mask(self, inputs: Any, mask: Tensor | None = None) -> Tensor | None:
        """Return which time steps of the output count, (batch, time), or None where all do."""
        if mask is not None and not self.supports_masking:
            warnings.warn(
                f"Layer '{self.name}' (of type {type(self).__name__}) was passed an input with a mask attached "
                "to it. However, this layer does not support masking and will therefore destroy the mask "
                "information. Downstream layers will not see the mask.",
                stacklevel=2,
            )
        return mask if self.supports_masking else None

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        """Compute the output; every layer writes its own."""
        raise NotImplementedError(f"{type(self).__name__} needs a method call(self, inputs, mask)")

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.call(inputs, mask)

    def __call__(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Tensor:
        x = as_input(inputs, self.takes_numbers_of_rows)
        if not self.built:
            self.build((None, *x.shape[1:]))
        self._check_input(x.shape)
        if mask is not None and not isinstance(mask, Tensor):
            mask = ops.tensor(np.asarray(mask, dtype=bool))
        if training is None or training == self.training:
            return super().__call__(x, mask)
        self.train(training)
        try:
            return super().__call__(x, mask)
        finally:
            self.train(not training)

    # -- weights ------------------------------------------------------------------------------------

    @property
    def trainable_weights(self) -> list[Weight]:
        """The weights that ``fit`` moves."""
        return [weight for weight in self.weights if weight.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """The others."""
        return [weight for weight in self.weights if not weight.trainable or not self.trainable]

    def count_params(self) -> int:
        """Return how many numbers the weights hold."""
        return sum(math.prod(weight.shape) for weight in self.weights)

    def get_weights(self) -> list[HostArray]:
        """Return copies of the weights in Keras' layout.

        Example:
            >>> from minillm.keras.layers import Dense
            >>> dense = Dense(3)
            >>> dense.build((None, 2))
            >>> [weight.shape for weight in dense.get_weights()]
            [(2, 3), (3,)]
        """
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Write the weights, in Keras' layout and order.

        Raises:
            ValueError: others than those of this layer; nothing has been changed then.
        """
        write_weights(f"layer {self.name!r}", self.weights, weights, self.built)

    def add_drawn(
        self, weight: Weight, initializer: Any, shape: tuple[int, ...], regularizer: Regularizer | None = None
    ) -> None:
        """Put a weight after the others and give it its first values."""
        self.weights.append(weight)
        weight.assign(initializers.get(initializer)(shape))
        if regularizer is not None:
            self.penalties += [(regularizer, tensor) for tensor in weight.tensors]

    @property
    def losses(self) -> list[Tensor]:
        """The penalties on weights, which are added to the loss."""
        return [regularizer(tensor) for regularizer, tensor in self.penalties]

    # -- files --------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the settings, as Keras saves them."""
        settings = {name: _for_json(self.name, getattr(self, name)) for name in self._settings}
        return {"name": self.name, "trainable": self.trainable, "dtype": "float32", **settings}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """Make a layer from what ``get_config`` returned, here or in Keras.

        Raises:
            ValueError: a setting that is not offered here.
        """
        known = _arguments_of(cls)
        for key, value in config.items():
            if key not in known and key not in _WITHOUT_EFFECT and value:
                raise ValueError(f"{cls.__name__} {config.get('name')!r}: {key}={value!r} is not offered here")
        return cls(**{key: value for key, value in config.items() if key in known})


_WITHOUT_EFFECT = {
    "data_format", "dtype", "implementation", "moving_mean_initializer", "moving_variance_initializer",
    "renorm_momentum",
}  # fmt: skip


def _arguments_of(cls: type) -> set[str]:
    names: set[str] = set()
    for base in cls.__mro__:
        if "__init__" in base.__dict__ and base is not object:
            names |= set(inspect.signature(base.__init__).parameters)  # type: ignore[misc]
        if base is Layer:
            break
    return names - {"self", "options", "dtype"}


def _for_json(layer: str, value: Any) -> Any:
    if isinstance(value, initializers.Initializer):
        return value.get_config()
    if hasattr(value, "get_config"):
        return value.get_config()
    if callable(value):
        name = activations.name_of(value)
        if name is None:
            raise ValueError(f"layer {layer!r}: the function {value!r} has no name that a file could hold")
        return name
    return list(value) if isinstance(value, tuple) else value


def _check_dtype(layer: str, dtype: Any) -> None:
    if isinstance(dtype, dict):  # a DTypePolicy in a file of Keras
        dtype = dtype.get("config", {}).get("name")
    if dtype is not None and str(getattr(dtype, "name", dtype)) not in ("float32", "int32", "int64"):
        raise ValueError(f"{layer}: got dtype={dtype!r}; float32 is what is offered here")


def as_input(value: Any, integers: bool = False) -> Tensor:
    """Return an input as a tensor of float32, or of integers for an Embedding."""
    if not isinstance(value, Tensor):
        array = value if is_array(value) else np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise OperationError(f"got an input of {array.dtype}; a model needs numbers in rows of equal length")
        if not integers:
            array = array.astype(np.float32, copy=False)
        value = ops.as_tensor(array, device=get_default_device())
    if integers:
        return value if value.dtype.kind in "iu" else value.to("int32")
    return value if value.dtype == np.float32 else value.to("float32")


def write_weights(owner: str, weights: Sequence[Weight], values: Sequence[Any], built: bool) -> None:
    """Write weights in Keras' layout.

    Raises:
        ValueError: their number or a shape differs; nothing has been changed then.
    """
    if not built:
        raise ValueError(f"set_weights: {owner} has no weights yet: build it, or call it on data first")
    arrays = [np.asarray(value) for value in values]
    if len(arrays) != len(weights):
        names = ", ".join(f"{weight.name} {weight.shape}" for weight in weights)
        raise ValueError(f"set_weights: got {len(arrays)} weights; {owner} has {len(weights)}: {names}")
    for place, (weight, array) in enumerate(zip(weights, arrays, strict=True)):
        if weight.shape != array.shape:
            raise ValueError(
                f"set_weights: weight {place} of {owner} is {weight.name} of shape {weight.shape}; got {array.shape}"
            )
    for weight, array in zip(weights, arrays, strict=True):
        weight.assign(array)
