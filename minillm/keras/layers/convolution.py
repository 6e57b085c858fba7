"""Layers on the steps of (batch, time, features): Conv1D and pooling; minillm's own are on (batch, features, time)."""

from __future__ import annotations

from typing import Any

from minillm import nn, ops
from minillm.keras import activations
from minillm.keras.layers.core import check_units
from minillm.keras.layers.layer import Layer, Shape, Weight, transposed
from minillm.keras.regularizers import get as regularizer_of
from minillm.nn import functional as F
from minillm.ops import Tensor


def _number(layer: str, name: str, value: Any) -> int:
    if isinstance(value, (tuple, list)) and len(value) == 1:
        value = value[0]
    return check_units(layer, name, value)


def _steps(length: int | None, size: int, strides: int, padding: str) -> int | None:
    """Return the number of windows over so many steps."""
    if length is None:
        return None
    return -(-length // strides) if padding in ("same", "causal") else (length - size) // strides + 1


def _padded(x: Tensor, size: int, strides: int, padding: str, value: float) -> Tensor:
    """Return (batch, features, time) with what ``padding`` adds at the ends."""
    if padding == "valid":
        return x
    if padding == "causal":
        return F.pad(x, (size - 1, 0), value=value)
    length = x.shape[-1]
    whole = max((-(-length // strides) - 1) * strides + size - length, 0)
    return F.pad(x, (whole // 2, whole - whole // 2), value=value) if whole else x


def _check_padding(layer: str, padding: str, known: tuple[str, ...]) -> str:
    padding = str(padding).lower()
    if padding not in known:
        raise ValueError(f"{layer}: got padding={padding!r}; it needs one of {', '.join(map(repr, known))}")
    return padding


class Conv1D(Layer):
    """A convolution over time: y = activation(x * W + b), with W (kernel_size, in, filters).

    Args:
        filters: features of the output.
        kernel_size: steps in a window.
        strides: the distance of windows.
        padding: ``"valid"``, ``"same"`` (as many steps out as in) or ``"causal"`` (no step sees a later one).
        dilation_rate: the distance of the steps within a window.
        groups: the features are cut into so many parts that do not see each other.
        activation: a name or a function; linear by default.
        use_bias: whether there is b.
        kernel_initializer: of W.
        bias_initializer: of b.
        kernel_regularizer: a penalty on W that is added to the loss.
        bias_regularizer: one on b.
        data_format: ``"channels_last"``, the only one that is offered.
        options: those of :class:`~minillm.keras.layers.Layer`.

    Example:
        >>> import numpy as np
        >>> Conv1D(8, 3)(np.ones((2, 10, 4))).shape
        (2, 8, 8)
    """

    _settings = (
        "filters", "kernel_size", "strides", "padding", "dilation_rate", "groups", "activation", "use_bias",
        "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer",
    )  # fmt: skip

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if data_format not in (None, "channels_last"):
            raise ValueError(f"Conv1D: got data_format={data_format!r}; 'channels_last' is what is offered")
        self.filters = check_units("Conv1D", "filters", filters)
        self.kernel_size = _number("Conv1D", "kernel_size", kernel_size)
        self.strides = _number("Conv1D", "strides", strides)
        self.dilation_rate = _number("Conv1D", "dilation_rate", dilation_rate)
        self.groups = groups
        self.padding = _check_padding("Conv1D", padding, ("valid", "same", "causal"))
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer = regularizer_of(kernel_regularizer)
        self.bias_regularizer = regularizer_of(bias_regularizer)

    def _build(self, shape: Shape) -> None:
        features = self.features_of(shape, 3, "(batch, time, features)")
        with nn.init.skipped():
            self.conv = nn.Conv1d(
                features, self.filters, self.kernel_size, self.strides,
                dilation=self.dilation_rate, groups=self.groups, bias=self.use_bias,
            )  # fmt: skip
        size = (self.kernel_size, features // self.groups, self.filters)
        self.add_drawn(transposed("kernel", self.conv.weight), self.kernel_initializer, size, self.kernel_regularizer)
        if self.conv.bias is not None:
            bias = Weight("bias", self.conv.bias)
            self.add_drawn(bias, self.bias_initializer, (self.filters,), self.bias_regularizer)

    def _window(self) -> int:
        return self.dilation_rate * (self.kernel_size - 1) + 1

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        steps = _steps(input_shape[1], self._window(), self.strides, self.padding)
        if steps is not None and steps < 1:
            raise self.fail(input_shape, f"{self._window()} steps at least")
        return (input_shape[0], steps, self.filters)

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        x = _padded(ops.transpose(inputs, 1, 2), self._window(), self.strides, self.padding, 0.0)
        return self.activation(ops.transpose(self.conv(x), 1, 2))


class MaxPooling1D(Layer):
    """The largest number of each window over time.

    Args:
        pool_size: steps in a window.
        strides: the distance of windows; ``pool_size`` by default.
        padding: ``"valid"`` or ``"same"``.
        data_format: ``"channels_last"``, the only one that is offered.
        options: those of :class:`~minillm.keras.layers.Layer`.

    Example:
        >>> import numpy as np
        >>> MaxPooling1D(2)(np.ones((2, 10, 4))).shape
        (2, 5, 4)
    """

    _settings = ("pool_size", "strides", "padding")

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        kind = type(self).__name__
        if data_format not in (None, "channels_last"):
            raise ValueError(f"{kind}: got data_format={data_format!r}; 'channels_last' is what is offered")
        self.pool_size = _number(kind, "pool_size", pool_size)
        self.strides = self.pool_size if strides is None else _number(kind, "strides", strides)
        self.padding = _check_padding(kind, padding, ("valid", "same"))

    def _build(self, shape: Shape) -> None:
        self.features_of(shape, 3, "(batch, time, features)")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        steps = _steps(input_shape[1], self.pool_size, self.strides, self.padding)
        if steps is not None and steps < 1:
            raise self.fail(input_shape, f"{self.pool_size} steps at least")
        return (input_shape[0], steps, input_shape[2])

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        x = _padded(ops.transpose(inputs, 1, 2), self.pool_size, self.strides, self.padding, float("-inf"))
        return ops.transpose(F.max_pool1d(x, self.pool_size, self.strides), 1, 2)


class AveragePooling1D(MaxPooling1D):
    """The mean of each window over time; the arguments are those of :class:`MaxPooling1D`."""

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        x = ops.transpose(inputs, 1, 2)
        if self.padding == "valid":
            return ops.transpose(F.avg_pool1d(x, self.pool_size, self.strides), 1, 2)
        # What "same" adds at the ends does not count in the mean.
        padded = _padded(x, self.pool_size, self.strides, "same", 0.0)
        there = _padded(ops.ones_like(x), self.pool_size, self.strides, "same", 0.0)
        share = F.avg_pool1d(there, self.pool_size, self.strides)
        return ops.transpose(F.avg_pool1d(padded, self.pool_size, self.strides) / share, 1, 2)


class GlobalMaxPooling1D(Layer):
    """The largest number over all steps: (batch, time, features) to (batch, features)."""

    def _build(self, shape: Shape) -> None:
        self.features_of(shape, 3, "(batch, time, features)")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], input_shape[2])

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        return ops.amax(inputs, 1)


class GlobalAveragePooling1D(GlobalMaxPooling1D):
    """The mean over the steps that count: (batch, time, features) to (batch, features)."""

    supports_masking = True

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor | None:
        return None

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            return ops.mean(inputs, 1)
        counts = ops.unsqueeze(mask.to("float32"), -1)
        return ops.sum(inputs * counts, 1) / ops.sum(counts, 1)
