"""``SGD``: stochastic gradient descent, with momentum where it is asked for.

b = momentum b + (1 - dampening) g,  p = p - lr b;  with Nesterov's momentum p = p - lr (g + momentum b).

Source: Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum in deep
learning", ICML 2013, equations 1 to 4; as in PyTorch, the learning rate stays out of the momentum.
"""

from __future__ import annotations

from typing import Any, ClassVar

from minillm.backend import Array
from minillm.kernels import kernels_of
from minillm.optim.elementwise import ElementwiseOptimizer
from minillm.optim.optimizer import check_number


class SGD(ElementwiseOptimizer):
    """Stochastic gradient descent.

    Args:
        params: tensors, pairs (name, tensor), or groups; see :class:`~minillm.optim.Optimizer`.
        lr: the learning rate.
        momentum: how much of the last step is kept.
        dampening: how much of the gradient stays out of the momentum.
        weight_decay: L2 penalty: adds ``weight_decay * p`` to the gradient of ``p``.
        nesterov: look ahead along the momentum.
        maximize: climb instead of descending.
        foreach: PyTorch's choice of kernels, without effect, as are ``differentiable`` and ``fused``.

    The state of a parameter: ``momentum_buffer``, with a momentum.

    Raises:
        ValueError: a setting that is out of range, or Nesterov's momentum without momentum.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([1.0, 2.0], requires_grad=True)
        >>> optimizer = minillm.optim.SGD([x], lr=0.25)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> x
        tensor([0.5000, 1.0000], requires_grad=True)
    """

    _first_numbers: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_number("learning rate", lr)
        check_number("momentum value", momentum)
        check_number("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _array_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] else ()

    def _update(
        self,
        group: dict[str, Any],
        numbers: dict[str, Any],
        first: bool,
        param: Array,
        grad: Array,
        *arrays: Array,
    ) -> None:
        kernels_of(param).sgd(
            param,
            grad,
            arrays[0] if arrays else None,
            lr=float(group["lr"]),
            momentum=group["momentum"],
            dampening=group["dampening"],
            weight_decay=group["weight_decay"],
            nesterov=group["nesterov"],
            maximize=group["maximize"],
            first=first,
        )
