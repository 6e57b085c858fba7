"""``RAdam``: Adam that holds back while its average of squares rests on few gradients.

rho = R - 2 t b2^t / (1 - b2^t)  with  R = 2 / (1 - b2) - 1  is how many gradients stand behind the average.
Up to 5, the step is that of momentum alone, p = p - lr m / (1 - b1^t); above, it is that of Adam times
sqrt((rho - 4) (rho - 2) R / ((R - 4) (R - 2) rho)).

Source: Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", ICLR 2020, algorithm 2.
"""

from __future__ import annotations

import math
from typing import Any

from minillm.backend import Array
from minillm.kernels import kernels_of
from minillm.optim.elementwise import ElementwiseOptimizer
from minillm.optim.optimizer import check_betas, check_number


class RAdam(ElementwiseOptimizer):
    """RAdam, rectified Adam.

    Args:
        params: tensors, pairs (name, tensor), or groups; see :class:`~minillm.optim.Optimizer`.
        lr: the learning rate.
        betas: how much is kept of the running averages of the gradient and of its square.
        eps: keeps the division away from zero.
        weight_decay: L2 penalty: adds ``weight_decay * p`` to the gradient of ``p``.
        decoupled_weight_decay: keep the weight decay out of the running averages, as AdamW does.
        foreach: PyTorch's choice of kernels, without effect, as are ``capturable`` and ``differentiable``.
        maximize: climb instead of descending.

    The state of a parameter: ``step``, ``exp_avg`` and ``exp_avg_sq``.

    Raises:
        ValueError: a setting that is out of range.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = minillm.optim.RAdam([x], lr=0.25)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> x
        tensor([ 0.5000, -1.0000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
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
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _array_names(self, group: dict[str, Any]) -> tuple[str, ...]:
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
        step, lr = numbers["step"], float(group["lr"])
        beta1, beta2 = group["betas"]
        correction2 = 1 - beta2**step
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / correction2
        size = lr / (1 - beta1**step)
        if length > 5:
            rectification = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            size *= math.sqrt(rectification) * math.sqrt(correction2)
        kernels_of(param).radam(
            param,
            grad,
            *arrays,
            size=size,
            rectified=length > 5,
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            lr=lr,
            weight_decay=group["weight_decay"],
            decoupled=group["decoupled_weight_decay"],
            maximize=group["maximize"],
        )
