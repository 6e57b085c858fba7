"""``Adafactor``: Adam's scaling with a memory of a row and a column in the place of a matrix.

For a matrix G of gradients, R and C are running averages of the means of G^2 over each row and each column,
and V = R C / mean(R) stands for the average of G^2 itself. The step is U = G / sqrt(V), held down where its
root mean square exceeds d, and scaled by that of the parameter.

Source: Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", ICML 2018,
algorithms 4 and 5; as in PyTorch, ``lr`` bounds the relative step and scales the weight decay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from minillm.autograd.versions import mark_written
from minillm.backend import Array, xp_of
from minillm.ops import Tensor
from minillm.optim.optimizer import Optimizer


class Adafactor(Optimizer):
    """Adafactor.

    Args:
        params: tensors, pairs (name, tensor), or groups; see :class:`~minillm.optim.Optimizer`.
        lr: the largest relative step, and the scale of the weight decay.
        beta2_decay: the exponent of the decay: at step t, t^beta2_decay of the averages is new.
        eps: lower bounds: of the averages (None for the precision of the dtype), and of the parameter's size.
        d: the root mean square of a step above which it is held down.
        weight_decay: the part of a parameter, times ``lr``, that each step takes away.
        foreach: PyTorch's choice of kernels, without effect.
        maximize: climb instead of descending.

    The state of a parameter of shape (..., n, m): ``step``, ``row_var`` of shape (..., n, 1) and ``col_var``
    of shape (..., 1, m); of one with fewer dimensions: ``step`` and ``variance``.

    Raises:
        ValueError: a setting that is out of range.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([[1.0, -2.0]], requires_grad=True)
        >>> optimizer = minillm.optim.Adafactor([x], lr=0.5)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> x
        tensor([[ 0.2094, -1.2094]], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not float(lr) >= 0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not beta2_decay <= 0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not eps[0] >= 0:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not eps[1] >= 0:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not d >= 1:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not weight_decay >= 0:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once; those without a gradient stay as they are.

        Args:
            closure: computes the loss anew, with gradients, and returns it.

        Returns:
            What ``closure`` returned, None without one.
        """
        loss = self._loss_of(closure)
        for group in self.param_groups:
            for p in group["params"]:
                if p._grad is not None:
                    self._step_alone(group, p)
                    mark_written((p,))
        return loss

    def _step_alone(self, group: dict[str, Any], p: Any) -> None:
        state = self.state[p]
        if not state:
            state["step"] = 0
            for name in ("row_var", "col_var") if p.ndim > 1 else ("variance",):
                shape = self._shape_of_state(p, name)
                state[name] = Tensor(xp_of(p.array).zeros(shape, p.array.dtype), device=p.device)
        state["step"] += 1
        step, lr = state["step"], float(group["lr"])
        xp, param = xp_of(p.array), p.array
        grad = -p._grad.array if group["maximize"] else p._grad.array
        eps1, eps2 = group["eps"]
        if eps1 is None:
            eps1 = float(xp.finfo(param.dtype).eps)

        new = step ** group["beta2_decay"]  # how much of the running averages is new
        size = max(eps2, _root_mean_square(param)) * min(lr, 1 / math.sqrt(step))
        if group["weight_decay"]:
            param *= 1 - lr * group["weight_decay"]
        squared = grad * grad
        if param.ndim > 1:
            rows, columns = state["row_var"].array, state["col_var"].array
            _move_towards(rows, squared.mean(axis=-1, keepdims=True), new)
            _move_towards(columns, squared.mean(axis=-2, keepdims=True), new)
            variance = xp.matmul(rows, columns)
            variance /= xp.maximum(rows.mean(axis=-2, keepdims=True), eps1)
        else:
            _move_towards(state["variance"].array, squared, new)
            variance = state["variance"].array
        update = grad / xp.sqrt(xp.maximum(variance, eps1 * eps1))
        update *= size / max(1.0, _root_mean_square(update) / group["d"])
        param -= update

    def _shape_of_state(self, param: Any, key: str) -> tuple[int, ...] | None:
        shape = tuple(param.shape)
        if key == "row_var":
            return (*shape[:-1], 1)
        if key == "col_var":
            return (*shape[:-2], 1, *shape[-1:])
        return shape


def _root_mean_square(x: Array) -> float:
    flat = x.reshape(-1)
    return math.sqrt(float(xp_of(x).dot(flat, flat)) / max(1, x.size))


def _move_towards(average: Array, value: Array, new: float) -> None:
    """Set ``average`` to (1 - new) average + new value, in place."""
    average *= 1 - new
    average += value * new
