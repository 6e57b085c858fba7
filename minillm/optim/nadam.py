"""``NAdam``: Adam with Nesterov's momentum, which grows over the first steps.

u_t = b1 (1 - 0.96^(t momentum_decay) / 2),  U_t = u_1 u_2 ... u_t,
p = p - lr (u_{t+1} m / (1 - U_{t+1}) + (1 - u_t) g / (1 - U_t)) / (sqrt(v / (1 - b2^t)) + eps).

Source: Dozat, "Incorporating Nesterov Momentum into Adam", ICLR workshop 2016, algorithm 2.
"""

from __future__ import annotations

from typing import Any, ClassVar

from minillm.backend import Array
from minillm.kernels import kernels_of
from minillm.optim.elementwise import ElementwiseOptimizer
from minillm.optim.optimizer import check_betas, check_number


class NAdam(ElementwiseOptimizer):
    """NAdam.

    Args:
        params: tensors, pairs (name, tensor), or groups; see :class:`~minillm.optim.Optimizer`.
        lr: the learning rate.
        betas: how much is kept of the running averages of the gradient and of its square.
        eps: keeps the division away from zero.
        weight_decay: L2 penalty: adds ``weight_decay * p`` to the gradient of ``p``.
        momentum_decay: how fast the momentum reaches its full size.
        decoupled_weight_decay: keep the weight decay out of the running averages, as AdamW does.
        foreach: PyTorch's choice of kernels, without effect, as are ``capturable`` and ``differentiable``.
        maximize: climb instead of descending.

    The state of a parameter: ``step``, ``mu_product`` (U above), ``exp_avg`` and ``exp_avg_sq``.

    Raises:
        ValueError: a setting that is out of range.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = minillm.optim.NAdam([x], lr=0.5)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> x
        tensor([ 0.4718, -1.4718], requires_grad=True)
    """

    _first_numbers: ClassVar[dict[str, Any]] = {"step": 0, "mu_product": 1.0}

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
        check_number("momentum_decay value", momentum_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
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
        momentum = beta1 * (1 - 0.5 * 0.96 ** (step * group["momentum_decay"]))
        momentum_next = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * group["momentum_decay"]))
        product = numbers["mu_product"] * momentum
        numbers["mu_product"] = product
        kernels_of(param).nadam(
            param,
            grad,
            *arrays,
            correction2=1 - beta2**step,
            grad_size=lr * (1 - momentum) / (1 - product),
            momentum_size=lr * momentum_next / (1 - product * momentum_next),
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            lr=lr,
            weight_decay=group["weight_decay"],
            decoupled=group["decoupled_weight_decay"],
            maximize=group["maximize"],
        )
