"""``RMSprop``: steps scaled by the running average of the squared gradient.

v = alpha v + (1 - alpha) g^2,  p = p - lr g / (sqrt(v) + eps).

Sources: Hinton, "Neural Networks for Machine Learning", lecture 6e; the centred form, which takes the
variance of the gradient in the place of v: Graves, "Generating Sequences With Recurrent Neural Networks",
arXiv:1308.0850, equations 38 to 45.
"""

from __future__ import annotations

from typing import Any

from minillm.backend import Array
from minillm.kernels import kernels_of
from minillm.optim.elementwise import ElementwiseOptimizer
from minillm.optim.optimizer import check_number


class RMSprop(ElementwiseOptimizer):
    """RMSprop.

    Args:
        params: tensors, pairs (name, tensor), or groups; see :class:`~minillm.optim.Optimizer`.
        lr: the learning rate.
        alpha: how much of the running average is kept.
        eps: keeps the division away from zero.
        weight_decay: L2 penalty: adds ``weight_decay * p`` to the gradient of ``p``.
        momentum: how much of the last step is kept.
        centered: divide by the deviation of the gradient from its running average.
        capturable: PyTorch's choice of kernels, without effect, as are ``foreach`` and ``differentiable``.
        maximize: climb instead of descending.

    The state of a parameter: ``step`` and ``square_avg``; with a momentum ``momentum_buffer``; centred
    ``grad_avg``.

    Raises:
        ValueError: a setting that is out of range.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = minillm.optim.RMSprop([x], lr=0.05)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> x
        tensor([ 0.5000, -1.5000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_number("learning rate", lr)
        check_number("epsilon value", eps)
        check_number("momentum value", momentum)
        check_number("weight_decay value", weight_decay)
        check_number("alpha value", alpha)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _array_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        names = ["square_avg"]
        if group["momentum"] > 0:
            names.append("momentum_buffer")
        if group["centered"]:
            names.append("grad_avg")
        return tuple(names)

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
        kernels_of(param).rmsprop(
            param,
            grad,
            arrays[0],
            arrays[1] if group["momentum"] > 0 else None,
            arrays[-1] if group["centered"] else None,
            lr=float(group["lr"]),
            alpha=group["alpha"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            maximize=group["maximize"],
        )
