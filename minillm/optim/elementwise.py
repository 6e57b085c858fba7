"""``ElementwiseOptimizer``: the shape that SGD, Adam and their like share.

Such an optimizer treats each number of a parameter alike and apart from all others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from minillm.backend import Array, xp_of
from minillm.ops import Tensor
from minillm.optim.optimizer import Optimizer


class ElementwiseOptimizer(Optimizer):
    """Base of optimizers that treat each number of a parameter alike."""

    _numbers: ClassVar[tuple[str, ...]] = ("step",)

    def _array_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Return the names of the arrays that the state of a parameter in this group holds."""
        raise NotImplementedError

    def _update(self, group: dict[str, Any], numbers: dict[str, Any], param: Array, grad: Array, *arrays: Array) -> None:
        """Update ``param`` and ``arrays`` in place, and the numbers of the state."""
        raise NotImplementedError

    def _shape_of_state(self, param: Any, key: str) -> tuple[int, ...] | None:
        return tuple(param.shape)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once."""
        loss = self._loss_of(closure)
        for group in self.param_groups:
            names = self._array_names(group)
            for p in group["params"]:
                if p._grad is not None:
                    state = self.state[p]
                    for number in self._numbers:
                        state.setdefault(number, 1.0 if number == "mu_product" else 0)
                    for name in names:
                        if state.get(name) is None:
                            state[name] = Tensor(xp_of(p.array).zeros_like(p.array))
                    self._update(group, state, p.array, p._grad.array, *[state[name].array for name in names])
                    p._version[0] += 1
        return loss
