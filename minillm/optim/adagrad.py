"""``Adagrad``: steps scaled by all squared gradients so far.

s = s + g^2,  p = p - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps).

Source: Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
Optimization", Journal of Machine Learning Research 12 (2011), figure 1.
"""

from __future__ import annotations

from typing import Any

from minillm.backend import Array, xp_of
from minillm.kernels import kernels_of
from minillm.optim.elementwise import ElementwiseOptimizer
from minillm.optim.optimizer import check_number


class Adagrad(ElementwiseOptimizer):
    """Adagrad.

    Args:
        params: tensors, pairs (name, tensor), or groups; see :class:`~minillm.optim.Optimizer`.
        lr: the learning rate.
        lr_decay: how fast the learning rate falls.
        weight_decay: L2 penalty: adds ``weight_decay * p`` to the gradient of ``p``.
        initial_accumulator_value: what the sum of squares starts from.
        eps: keeps the division away from zero.
        foreach: PyTorch's choice of kernels, without effect, as are ``differentiable`` and ``fused``.
        maximize: climb instead of descending.

    The state of a parameter: ``step`` and ``sum``.

    Raises:
        ValueError: a setting that is out of range.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = minillm.optim.Adagrad([x], lr=0.5)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> x
        tensor([ 0.5000, -1.5000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_number("learning rate", lr)
        check_number("lr_decay value", lr_decay)
        check_number("weight_decay value", weight_decay)
        check_number("initial_accumulator_value value", initial_accumulator_value)
        check_number("epsilon value", eps)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:  # as in PyTorch, also for parameters that never get a gradient
            for p in group["params"]:
                self._state_of(group, self._array_names(group), p)

    def _array_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("sum",)

    def _first_array(self, group: dict[str, Any], name: str, param: Array) -> Array:
        return xp_of(param).full_like(param, self.defaults["initial_accumulator_value"])

    def _update(
        self,
        group: dict[str, Any],
        numbers: dict[str, Any],
        first: bool,
        param: Array,
        grad: Array,
        *arrays: Array,
    ) -> None:
        numbers["step"] += 1
        kernels_of(param).adagrad(
            param,
            grad,
            arrays[0],
            lr=float(group["lr"]) / (1 + (numbers["step"] - 1) * group["lr_decay"]),
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )
