"""``SGD``: stochastic gradient descent with momentum.

b = momentum b + (1 - dampening) g,  p = p - lr b  (Nesterov: p = p - lr (g + momentum b)).

Source: Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum in deep
learning", ICML 2013, in the form of PyTorch, which keeps the learning rate out of the momentum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from minillm.kernels import kernels_of
from minillm.optim.elementwise import ElementwiseOptimizer
from minillm.optim.optimizer import check_number
from minillm.backend import Array


class SGD(ElementwiseOptimizer):
    """Stochastic gradient descent, with momentum where asked for."""

    _numbers: ClassVar[tuple[str, ...]] = ()

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
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once."""
        loss = self._loss_of(closure)
        for group in self.param_groups:
            lr = float(group["lr"])
            momentum = group["momentum"]
            for p in group["params"]:
                if p._grad is None:
                    continue
                grad = -p._grad.array if group["maximize"] else p._grad.array
                if group["weight_decay"]:
                    grad = grad + group["weight_decay"] * p.array
                if momentum:
                    state = self.state[p]
                    if state.get("momentum_buffer") is None:
                        state["momentum_buffer"] = p.detach().clone()
                        buffer = state["momentum_buffer"].array
                        buffer[...] = grad
                    else:
                        buffer = state["momentum_buffer"].array
                        buffer *= momentum
                        buffer += (1 - group["dampening"]) * grad
                    grad = grad + momentum * buffer if group["nesterov"] else buffer
                p.array -= lr * grad
                p._version[0] += 1
        return loss
