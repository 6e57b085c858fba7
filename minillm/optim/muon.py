"""``Muon``: momentum whose steps are made orthogonal, for the matrices inside a network.

B = mu B + (1 - mu) G,  p = (1 - lr weight_decay) p - lr size NS(B), where NS(B) is close to the orthogonal
matrix U V^T of the singular value decomposition B = U S V^T. It is found by five steps of the iteration
X = a X + (b X X^T + c (X X^T)^2) X, whose coefficients push all singular values to about 1.

Sources: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024
(https://kellerjordan.github.io/posts/muon/); the sizes "match_rms_adamw": Liu et al., "Muon is Scalable for
LLM Training", 2025, section 2.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from minillm.autograd.versions import mark_written
from minillm.backend import Array, xp_of
from minillm.ops import Tensor
from minillm.optim.optimizer import Optimizer


def orthogonalized(
    matrix: Array, ns_coefficients: tuple[float, float, float], ns_steps: int, eps: float
) -> Array:
    """Return a matrix near ``matrix`` whose singular values are all about 1, by Newton-Schulz iteration.

    PyTorch iterates in bfloat16; here the dtype of the matrix is kept, float32 at least.

    Args:
        matrix: of shape (n, m).
        ns_coefficients: a, b and c of the iteration.
        ns_steps: how often it runs.
        eps: the least norm that ``matrix`` is divided by.

    Example:
        >>> import numpy as np
        >>> x = orthogonalized(np.diag([3.0, 2.0, 1.0]), (3.4445, -4.7750, 2.0315), 5, 1e-7)
        >>> bool((np.abs(np.diag(x) - 1) < 0.35).all())
        True
    """
    a, b, c = ns_coefficients
    xp = xp_of(matrix)
    x = matrix.astype("float32") if matrix.dtype.itemsize < 4 else matrix
    wide = x.shape[0] <= x.shape[1]
    if not wide:
        x = x.T
    x = x / xp.maximum(xp.sqrt((x * x).sum()), eps)
    for _ in range(ns_steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x if wide else x.T


class Muon(Optimizer):
    """Muon, for parameters of two dimensions; optimize embeddings, biases and gains with :class:`AdamW`.

    Args:
        params: tensors, pairs (name, tensor), or groups; see :class:`~minillm.optim.Optimizer`.
        lr: the learning rate.
        weight_decay: the part of a parameter, times ``lr``, that each step takes away.
        momentum: how much of the running average of the gradients is kept.
        nesterov: look ahead along the momentum.
        ns_coefficients: a, b and c of the iteration.
        eps: the least norm that a step is divided by.
        ns_steps: how often the iteration runs.
        adjust_lr_fn: how ``lr`` is scaled for a parameter of shape (n, m): "original" (None) by
            sqrt(max(1, n / m)); "match_rms_adamw" by 0.2 sqrt(max(n, m)), which lets AdamW's values fit.

    The state of a parameter: ``momentum_buffer``.

    Raises:
        ValueError: a setting that is out of range, or a parameter that has not two dimensions.

    Example:
        >>> import minillm
        >>> weight = minillm.ones(2, 2).requires_grad_()
        >>> optimizer = minillm.optim.Muon([weight], lr=0.1, weight_decay=0)
        >>> (weight * minillm.tensor([[5.0, 0.0], [0.0, 4.0]])).sum().backward()
        >>> optimizer.step()
        >>> bool((weight.detach() < 1.01).all())
        True
    """

    _numbers: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not float(lr) >= 0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not momentum >= 0:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not weight_decay >= 0:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        if ns_steps >= 100:
            raise ValueError(
                f"Number of steps must be less than 100 for computational efficiency, got {ns_steps}"
            )
        if len(ns_coefficients) != 3:
            raise ValueError(f"Coefficients must be a tuple of exactly 3 values: {ns_coefficients}")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters; see :meth:`Optimizer.add_param_group`."""
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            if p.ndim != 2:
                self.param_groups.pop()
                raise ValueError(
                    "Muon only supports 2D parameters whereas we found a parameter with size: "
                    f"{tuple(p.shape)}"
                )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once; those without a gradient stay as they are.

        Args:
            closure: computes the loss anew, with gradients, and returns it.

        Returns:
            What ``closure`` returned, None without one.
        """
        loss = self._loss_of(closure)
        for group in self.param_groups:
            lr, momentum = float(group["lr"]), group["momentum"]
            for p in group["params"]:
                if p._grad is None:
                    continue
                state, grad, param = self.state[p], p._grad.array, p.array
                if "momentum_buffer" not in state:
                    buffer = xp_of(param).zeros_like(param)
                    state["momentum_buffer"] = Tensor(buffer, device=p.device)
                average = state["momentum_buffer"].array
                average += (grad - average) * (1 - momentum)
                update = grad + (average - grad) * momentum if group["nesterov"] else average
                update = orthogonalized(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
                param *= 1 - lr * group["weight_decay"]
                param -= (update * (lr * _size_of(param.shape, group["adjust_lr_fn"]))).astype(param.dtype)
                mark_written((p,))
        return loss

    def _shape_of_state(self, param: Any, key: str) -> tuple[int, ...] | None:
        return tuple(param.shape)


def _size_of(shape: tuple[int, ...], adjust_lr_fn: str | None) -> float:
    """Return the factor of the learning rate for a parameter of this shape."""
    rows, columns = shape
    if adjust_lr_fn == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1, rows / columns))
