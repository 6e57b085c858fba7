"""``Adam`` and ``AdamW``: steps scaled by running averages of the gradient and of its square.

m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,
p = p - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps).

Sources: Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1;
Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2 (AdamW);
Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond", ICLR 2018, algorithm 2 (AMSGrad).
"""

from __future__ import annotations

from typing import Any

from minillm.backend import Array, xp_of
from minillm.kernels import kernels_of
from minillm.optim.elementwise import ElementwiseOptimizer
from minillm.optim.optimizer import check_betas, check_number


def adamw_formula(
    param: Array,
    grad: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    *,
    step: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
) -> tuple[Array, Array, Array]:
    """Return ``param``, ``exp_avg`` and ``exp_avg_sq`` after a step of AdamW, as the paper writes it.

    The plain form of what :class:`AdamW` does in place: its documentation, and the oracle of its tests.

    Args:
        param: the parameter.
        grad: its gradient, of the same shape.
        exp_avg: the running average of the gradients, zeros at first.
        exp_avg_sq: the running average of their squares, zeros at first.
        step: the number of this step, from 1.
        lr: the learning rate.
        beta1: how much of ``exp_avg`` is kept.
        beta2: how much of ``exp_avg_sq`` is kept.
        eps: keeps the division away from zero.
        weight_decay: the part of ``param``, times ``lr``, that is taken away.

    Example:
        >>> import numpy as np
        >>> param, m, v = adamw_formula(np.ones(1), np.ones(1), np.zeros(1), np.zeros(1), step=1, lr=0.1)
        >>> float(param[0].round(3)), float(m[0].round(3)), float(v[0].round(3))
        (0.899, 0.1, 0.001)
    """
    param = param - lr * weight_decay * param
    exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad**2
    mean = exp_avg / (1 - beta1**step)
    deviation = xp_of(param).sqrt(exp_avg_sq / (1 - beta2**step))
    return param - lr * mean / (deviation + eps), exp_avg, exp_avg_sq


class Adam(ElementwiseOptimizer):
    """Adam: adaptive moment estimation.

    Args:
        params: tensors, pairs (name, tensor), or groups; see :class:`~minillm.optim.Optimizer`.
        lr: the learning rate.
        betas: how much is kept of the running averages of the gradient and of its square.
        eps: keeps the division away from zero.
        weight_decay: L2 penalty: adds ``weight_decay * p`` to the gradient of ``p``.
        amsgrad: divide by the largest average of squares so far.
        foreach: PyTorch's choice of kernels, without effect, as are ``capturable``, ``differentiable`` and
            ``fused``.
        maximize: climb instead of descending.
        decoupled_weight_decay: keep the weight decay out of the running averages, as :class:`AdamW` does.

    The state of a parameter: ``step``, ``exp_avg``, ``exp_avg_sq``, and with AMSGrad ``max_exp_avg_sq``.

    Raises:
        ValueError: a setting that is out of range.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = minillm.optim.Adam([x], lr=0.5)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> x
        tensor([ 0.5000, -1.5000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_number("learning rate", lr)
        check_number("epsilon value", eps)
        betas = check_betas(betas)
        check_number("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _array_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        if group["amsgrad"]:
            return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
        return ("exp_avg", "exp_avg_sq")

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
        beta1, beta2 = group["betas"]
        kernels_of(param).adam(
            param,
            grad,
            arrays[0],
            arrays[1],
            arrays[2] if group["amsgrad"] else None,
            step=numbers["step"],
            lr=float(group["lr"]),
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            decoupled=group["decoupled_weight_decay"],
            maximize=group["maximize"],
        )


class AdamW(Adam):
    """Adam with a weight decay that does not pass through the running averages.

    Args:
        params: tensors, pairs (name, tensor), or groups; see :class:`~minillm.optim.Optimizer`.
        lr: the learning rate.
        betas: how much is kept of the running averages of the gradient and of its square.
        eps: keeps the division away from zero.
        weight_decay: the part of a parameter, times ``lr``, that each step takes away.
        amsgrad: divide by the largest average of squares so far.
        maximize: climb instead of descending.
        foreach: PyTorch's choice of kernels, without effect, as are ``capturable``, ``differentiable`` and
            ``fused``.

    The state of a parameter: ``step``, ``exp_avg``, ``exp_avg_sq``, and with AMSGrad ``max_exp_avg_sq``.

    Raises:
        ValueError: a setting that is out of range.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = minillm.optim.AdamW([x], lr=0.5, weight_decay=0.1)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> x
        tensor([ 0.4500, -1.4000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # whatever was loaded
            group["decoupled_weight_decay"] = True
