"""Adam, AdamW, SGD and RMSprop with Keras' arguments and formulas.

They are minillm's optimizers, which are PyTorch's, but for what Keras does otherwise:

- Adam: p = p - lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps). Kingma and Ba's "epsilon hat", at the end of
  their section 2; it is PyTorch's formula with eps / sqrt(1 - b2^t) in the place of eps.
- SGD: the learning rate is part of the momentum, m = momentum m - lr g,  p = p + m.
- RMSprop: epsilon stands below the root, p = p - lr g / sqrt(v + eps).
- A weight decay is the part of a weight, times lr, that each step takes away, whatever the optimizer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from minillm import ops, optim
from minillm.autograd import no_grad
from minillm.backend import Array, xp_of
from minillm.keras.naming import class_and_config, look_up, snake_case
from minillm.nn.utils import clip_grad_value_
from minillm.ops import Tensor
from minillm.optim.elementwise import ElementwiseOptimizer


class _Adam(optim.AdamW):
    """AdamW with Keras' epsilon."""

    def _update(
        self, group: dict[str, Any], numbers: dict[str, Any], first: bool, param: Array, grad: Array, *arrays: Array
    ) -> None:
        eps = group["eps"] / math.sqrt(1 - group["betas"][1] ** (numbers["step"] + 1))
        super()._update({**group, "eps": eps}, numbers, first, param, grad, *arrays)


class _SGD(ElementwiseOptimizer):
    """m = momentum m - lr g,  p = p + m, or with Nesterov's momentum p + momentum m - lr g."""

    def _array_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("momentum",) if group["momentum"] else ()

    def _update(
        self, group: dict[str, Any], numbers: dict[str, Any], first: bool, param: Array, grad: Array, *arrays: Array
    ) -> None:
        numbers["step"] += 1
        lr, momentum = float(group["lr"]), group["momentum"]
        if group["weight_decay"]:
            param *= 1 - lr * group["weight_decay"]
        move = -lr * grad
        if arrays:
            (m,) = arrays
            m *= momentum
            m += move
            move = momentum * m + move if group["nesterov"] else m
        param += move


class _RMSprop(ElementwiseOptimizer):
    """v = rho v + (1 - rho) g^2,  p = p - lr g / sqrt(v + eps); centred, v - mean(g)^2 in the place of v."""

    def _array_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        wanted = {"velocity": True, "momentum": group["momentum"] > 0, "average_gradient": group["centered"]}
        return tuple(name for name, there in wanted.items() if there)

    def _update(
        self, group: dict[str, Any], numbers: dict[str, Any], first: bool, param: Array, grad: Array, *arrays: Array
    ) -> None:
        numbers["step"] += 1
        lr, rho = float(group["lr"]), group["rho"]
        if group["weight_decay"]:
            param *= 1 - lr * group["weight_decay"]
        state = dict(zip(self._array_names(group), arrays, strict=True))
        v = state["velocity"]
        v *= rho
        v += (1 - rho) * grad * grad
        variance = v
        if group["centered"]:
            mean = state["average_gradient"]
            mean *= rho
            mean += (1 - rho) * grad
            variance = v - mean * mean
        move = lr * grad / xp_of(param).sqrt(variance + group["eps"])
        if group["momentum"] > 0:
            m = state["momentum"]
            m *= group["momentum"]
            m += move
            move = m
        param -= move


class Optimizer:
    """What the optimizers share.

    Args:
        learning_rate: a number, or a schedule: a function of the steps done.
        weight_decay: the part of each weight, times the learning rate, that a step takes away.
        clipnorm: shorten the gradient of each weight to this length.
        clipvalue: cut the numbers of gradients to between its negative and it.
        global_clipnorm: shorten all gradients together to this length.
        name: of the optimizer.

    Attributes:
        iterations: steps done.
        learning_rate: may be set at any time.
    """

    settings: tuple[str, ...] = ()

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
    ) -> None:
        kind = type(self).__name__
        if sum(value is not None for value in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(f"{kind}: give one of clipnorm, clipvalue and global_clipnorm")
        self.name = name or snake_case(kind)
        self._rate = learning_rate
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.iterations = 0
        self.inner: Any = None  # the optimizer of minillm, once there are weights
        self._weights: list[tuple[Tensor, ...]] = []
        if not callable(learning_rate) and not float(learning_rate) >= 0:
            raise ValueError(f"{kind}: got learning_rate={learning_rate!r}; it needs to be 0 or more")

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the next step."""
        return float(self._rate(self.iterations)) if callable(self._rate) else self._rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._rate = value if callable(value) else float(value)

    lr = learning_rate

    def _make(self, tensors: list[Tensor]) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a method _make(self, tensors)")

    def build(self, weights: Sequence[Any]) -> None:
        """Begin to optimize weights, each as Keras lays it out; nothing happens where they are those of before."""
        groups = [tuple(t for t in weight.tensors if t.requires_grad) for weight in weights]
        if self.inner is None or [id(t) for g in groups for t in g] != [id(t) for g in self._weights for t in g]:
            self._weights = groups
            self.inner = self._make([tensor for group in groups for tensor in group])

    def step(self) -> None:
        """Clip the gradients, and move the weights."""
        tensors = [tensor for group in self._weights for tensor in group if tensor.grad is not None]
        if self.clipvalue:
            clip_grad_value_(tensors, self.clipvalue)
        elif self.global_clipnorm:
            _shorten(tensors, self.global_clipnorm)
        elif self.clipnorm:
            for group in self._weights:
                _shorten([tensor for tensor in group if tensor.grad is not None], self.clipnorm)
        for group in self.inner.param_groups:
            group["lr"] = self.learning_rate
        self.inner.step()
        self.iterations += 1

    def count_params(self) -> int:
        """Return how many numbers the state holds, those of steps and learning rate included, as Keras counts."""
        if self.inner is None:
            return 0
        names = self.inner._array_names(self.inner.param_groups[0])
        return 2 + len(names) * sum(tensor.numel() for group in self._weights for tensor in group)

    def get_config(self) -> dict[str, Any]:
        """Return the settings, as Keras saves them.

        Raises:
            ValueError: the learning rate is a function, which a file cannot hold.
        """
        if callable(self._rate):
            raise ValueError(f"optimizer {self.name!r}: its learning rate is a function, which a file cannot hold")
        shared = ("name", "learning_rate", "weight_decay", "clipnorm", "global_clipnorm", "clipvalue")
        return {name: getattr(self, name) for name in (*shared, *self.settings)}


@no_grad()
def _shorten(tensors: list[Tensor], most: float) -> None:
    """Scale gradients together to the length ``most`` where they are longer."""
    if not tensors:
        return
    length = math.sqrt(sum(float(ops.sum(t.grad * t.grad)) for t in tensors if t.grad is not None))
    if not length <= most:
        for tensor in tensors:
            if tensor.grad is not None:
                tensor.grad.mul_(most / length)


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015); arguments as :class:`Optimizer` and some more.

    Args:
        learning_rate: a number or a schedule.
        beta_1: how much of the running average of gradients is kept.
        beta_2: how much of that of their squares.
        epsilon: keeps the division away from zero.
        amsgrad: divide by the largest average of squares so far.
        options: those of :class:`Optimizer`.

    Example:
        >>> Adam(learning_rate=0.01).learning_rate
        0.01
    """

    settings = ("beta_1", "beta_2", "epsilon", "amsgrad")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad

    def _make(self, tensors: list[Tensor]) -> Any:
        betas = (self.beta_1, self.beta_2)
        return _Adam(tensors, self.learning_rate, betas, self.epsilon, self.weight_decay or 0.0, self.amsgrad)


class AdamW(Adam):
    """Adam with a weight decay of 0.004 by default; the arguments are those of :class:`Adam`."""

    def __init__(self, learning_rate: Any = 0.001, weight_decay: float = 0.004, *args: Any, **options: Any) -> None:
        super().__init__(learning_rate, *args, weight_decay=weight_decay, **options)


class SGD(Optimizer):
    """Gradient descent; arguments as :class:`Optimizer` and some more.

    Args:
        learning_rate: a number or a schedule.
        momentum: how much of the last move is kept.
        nesterov: look ahead along the momentum.
        options: those of :class:`Optimizer`.
    """

    settings = ("momentum", "nesterov")

    def __init__(
        self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **options: Any
    ) -> None:
        super().__init__(learning_rate, **options)
        if not 0 <= momentum <= 1:
            raise ValueError(f"SGD: got momentum={momentum!r}; it needs a number from 0 to 1")
        self.momentum, self.nesterov = momentum, nesterov

    def _make(self, tensors: list[Tensor]) -> Any:
        names = {"momentum": self.momentum, "nesterov": self.nesterov, "weight_decay": self.weight_decay or 0.0}
        return _SGD(tensors, {"lr": self.learning_rate, **names})


class RMSprop(Optimizer):
    """RMSprop (Hinton's lecture 6e); arguments as :class:`Optimizer` and some more.

    Args:
        learning_rate: a number or a schedule.
        rho: how much of the running average of squares is kept.
        momentum: how much of the last move is kept.
        epsilon: keeps the division away from zero.
        centered: divide by the deviation of the gradient from its running average.
        options: those of :class:`Optimizer`.
    """

    settings = ("rho", "momentum", "epsilon", "centered")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    def _make(self, tensors: list[Tensor]) -> Any:
        settings = {"rho": self.rho, "momentum": self.momentum, "eps": self.epsilon, "centered": self.centered}
        return _RMSprop(tensors, {"lr": self.learning_rate, "weight_decay": self.weight_decay or 0.0, **settings})


_KNOWN: dict[str, Callable[..., Optimizer]] = {"adam": Adam, "adamw": AdamW, "rmsprop": RMSprop, "sgd": SGD}
_WITHOUT_EFFECT = {"use_ema", "ema_momentum", "ema_overwrite_frequency", "loss_scale_factor", "jit_compile"}


def get(identifier: Any) -> Optimizer:
    """Return an optimizer by its name, or from what Keras saves of one.

    Raises:
        ValueError: an unknown name; the message lists the known ones.

    Example:
        >>> get("rmsprop").learning_rate
        0.001
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        return look_up("optimizer", identifier.lower(), _KNOWN)()
    name, config = class_and_config("an optimizer", identifier)
    config = {key: value for key, value in config.items() if key not in _WITHOUT_EFFECT}
    if config.pop("gradient_accumulation_steps", None):
        raise ValueError(f"optimizer {name}: gradient_accumulation_steps is not offered here")
    return look_up("optimizer", name.lower(), _KNOWN)(**config)
