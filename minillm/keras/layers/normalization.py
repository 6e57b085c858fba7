"""BatchNormalization and LayerNormalization, over the last dimension, with Keras' constants."""

from __future__ import annotations

from typing import Any

from minillm import ops
from minillm.autograd import no_grad
from minillm.keras.layers.layer import Layer, Shape, Weight
from minillm.nn import functional as F
from minillm.ops import Parameter, Tensor


class _Normalization(Layer):
    supports_masking = True

    def __init__(
        self,
        axis: Any,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        options: dict[str, Any],
    ) -> None:
        super().__init__(**options)
        self.axis = axis[0] if isinstance(axis, (tuple, list)) and len(axis) == 1 else axis
        self.epsilon, self.center, self.scale = epsilon, center, scale
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.gamma: Parameter | None = None
        self.beta: Parameter | None = None

    def _build(self, shape: Shape) -> None:
        features = self.features_of(shape)
        if self.axis not in (-1, len(shape) - 1):
            raise ValueError(f"layer {self.name!r}: got axis={self.axis!r}; the last one, -1, is what is offered")
        if self.scale:
            self.gamma = Parameter(ops.empty((features,)))
            self.add_drawn(Weight("gamma", self.gamma), self.gamma_initializer, (features,))
        if self.center:
            self.beta = Parameter(ops.empty((features,)))
            self.add_drawn(Weight("beta", self.beta), self.beta_initializer, (features,))


class BatchNormalization(_Normalization):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, with the batch's mean and variance of each feature.

    While training, moving values follow those of the batch; otherwise, and where ``trainable`` is False, they take
    their place.

    Args:
        axis: -1, the only one that is offered.
        momentum: how much of the moving values is kept.
        epsilon: added to the variance.
        center: whether there is beta.
        scale: whether there is gamma.
        beta_initializer: of beta.
        gamma_initializer: of gamma.
        options: those of :class:`~minillm.keras.layers.Layer`.

    Example:
        >>> import numpy as np
        >>> BatchNormalization()(np.array([[1.0], [3.0]]), training=True).tolist()
        [[-0.99950..., [0.99950...]
    """

    _settings = ("axis", "momentum", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer")

    def __init__(
        self,
        axis: Any = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        **options: Any,
    ) -> None:
        super().__init__(axis, epsilon, center, scale, beta_initializer, gamma_initializer, options)
        self.momentum = momentum

    def _build(self, shape: Shape) -> None:
        super()._build(shape)
        features = self.features_of(shape)
        self.register_buffer("moving_mean", ops.empty((features,)))
        self.register_buffer("moving_variance", ops.empty((features,)))
        self.add_drawn(Weight("moving_mean", self.moving_mean, trainable=False), "zeros", (features,))
        self.add_drawn(Weight("moving_variance", self.moving_variance, trainable=False), "ones", (features,))

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        mean, variance = self.moving_mean, self.moving_variance
        if self.training and self.trainable:
            mean, variance = self._moments(inputs, mask)
            with no_grad():  # Keras' variance is that of the batch, PyTorch's an estimate: n / (n - 1) of it
                for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                    moving.mul_(self.momentum).add_(value.detach(), alpha=1 - self.momentum)
        y = (inputs - mean) / ops.sqrt(variance + self.epsilon)
        if self.gamma is not None:
            y = y * self.gamma
        return y if self.beta is None else y + self.beta

    def _moments(self, inputs: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return mean and variance of each feature over the batch, and the steps that count."""
        dims = tuple(range(inputs.ndim - 1))
        if mask is None:
            mean = ops.mean(inputs, dims)
            return mean, ops.mean((inputs - mean) ** 2, dims)
        counts = ops.unsqueeze(mask.to("float32"), -1)
        total = ops.sum(counts)
        mean = ops.sum(inputs * counts, dims) / total
        return mean, ops.sum((inputs - mean) ** 2 * counts, dims) / total


class LayerNormalization(_Normalization):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, with mean and variance of each example's features.

    Args:
        axis: -1, the only one that is offered.
        epsilon: added to the variance.
        center: whether there is beta.
        scale: whether there is gamma.
        beta_initializer: of beta.
        gamma_initializer: of gamma.
        options: those of :class:`~minillm.keras.layers.Layer`.

    Example:
        >>> import numpy as np
        >>> LayerNormalization()(np.array([[1.0, 3.0]])).tolist()
        [[-0.99950..., 0.99950...]]
    """

    _settings = ("axis", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer")

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        **options: Any,
    ) -> None:
        super().__init__(axis, epsilon, center, scale, beta_initializer, gamma_initializer, options)

    def call(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        return F.layer_norm(inputs, (inputs.shape[-1],), self.gamma, self.beta, self.epsilon)


