"""``ElementwiseOptimizer``: the shape that SGD, Adam and their like share.

Such an optimizer treats each number of a parameter alike and apart from all others. Large parameters are
updated one by one; small ones together, in a :class:`~minillm.optim.bundle.Bundle`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from operator import is_
from typing import Any, ClassVar

from minillm.autograd.versions import mark_written
from minillm.backend import Array, device_of, xp_of
from minillm.ops import Tensor
from minillm.optim.bundle import Bundle, is_unshared
from minillm.optim.optimizer import Optimizer

# Numbers in a parameter that is small: gathering its gradient costs less than calls of its own.
SMALL = 16384


class Plan:
    """How the parameters of one group are updated.

    Attributes:
        params: the parameters that the plan is for.
        bundles: those that are updated together.
        singles: those that are updated one by one.
        waiting: those that are in neither, because they had no gradient yet.
    """

    def __init__(self) -> None:
        self.params: list[Any] = []
        self.bundles: list[Bundle] = []
        self.singles: list[Any] = []
        self.waiting: list[Any] = []

    def renew(self, params: list[Any]) -> None:
        """Start anew where the parameters of the group are others than those of the plan."""
        if len(params) != len(self.params) or not all(map(is_, params, self.params)):
            for bundle in self.bundles:
                bundle.dissolve()
            self.params, self.bundles, self.singles, self.waiting = list(params), [], [], list(params)


class ElementwiseOptimizer(Optimizer):
    """Base of optimizers that treat each number of a parameter alike.

    A subclass says what it remembers of a parameter, in ``_array_names`` and ``_first_numbers``, and how a
    step is made, in ``_update``.
    """

    _first_numbers: ClassVar[dict[str, Any]] = {"step": 0}  # the numbers in the state, before the first step
    _plans: list[Plan]
    _state: defaultdict[Any, dict[str, Any]]
    _state_is_out: bool  # others may hold it, and change it at any time

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self._plans = []
        super().__init__(params, defaults)
        self._state_is_out = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        for plan in self.__dict__.get("_plans", []):
            plan.renew([])
        self._plans = []
        super().__setstate__(state)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._state_is_out = False  # it was copied

    load_state_dict.__doc__ = Optimizer.load_state_dict.__doc__

    @property
    def state(self) -> defaultdict[Any, dict[str, Any]]:
        """For each parameter what the optimizer remembers of it.

        As long as no one has asked for it, no one can have changed it. From then on each step looks it over,
        which takes some microseconds.
        """
        self._state_is_out = True
        for plan in self._plans:
            for bundle in plan.bundles:
                bundle.write_numbers()
        return self._state

    @state.setter
    def state(self, value: defaultdict[Any, dict[str, Any]]) -> None:
        self._state_is_out = True
        self._state = value

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._numbers = tuple(cls._first_numbers)

    # -- what a subclass says -----------------------------------------------------------------------

    def _array_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Return the names of the arrays that are remembered of each parameter of the group."""
        raise NotImplementedError

    def _first_array(self, group: dict[str, Any], name: str, param: Array) -> Array:
        """Return such an array as it is before the first step."""
        return xp_of(param).zeros_like(param)

    def _update(
        self,
        group: dict[str, Any],
        numbers: dict[str, Any],
        first: bool,
        param: Array,
        grad: Array,
        *arrays: Array,
    ) -> None:
        """Make a step: change ``param``, ``arrays`` and ``numbers`` in place.

        Args:
            group: the settings.
            numbers: holds those of ``_first_numbers``, as they are before this step.
            first: whether the arrays were made for this step.
            param: the parameter, or several end to end.
            grad: its gradient, of the same shape.
            arrays: those of ``_array_names``, of the same shape.
        """
        raise NotImplementedError

    # -- the step -----------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once; those without a gradient stay as they are.

        Args:
            closure: computes the loss anew, with gradients, and returns it.

        Returns:
            What ``closure`` returned, None without one.
        """
        loss = None if closure is None else self._loss_of(closure)
        if len(self._plans) != len(self.param_groups):
            for plan in self._plans:
                plan.renew([])
            self._plans = [Plan() for _ in self.param_groups]
        for group, plan in zip(self.param_groups, self._plans):  # noqa: B905  (strict takes longer)
            self._step_group(group, plan)
        return loss

    def _step_group(self, group: dict[str, Any], plan: Plan) -> None:
        names = self._array_names(group)
        plan.renew(group["params"])
        state, out = self._state, self._state_is_out
        for bundle in plan.bundles[:]:
            if not (bundle.is_current(names, state, out) and bundle.gather()):
                bundle.dissolve()
                plan.bundles.remove(bundle)
                plan.waiting += bundle.params
        fresh = self._place(group, plan, names) if plan.waiting else ()
        for bundle in plan.bundles:
            if bundle.complete:
                self._update(group, bundle.numbers, bundle.first, bundle.flat, bundle.flat_grad, *bundle.flat_states)
                bundle.after_step(out)
            else:
                for p in bundle.params:
                    self._step_alone(group, names, p, False)
        for p in plan.singles:
            self._step_alone(group, names, p, p in fresh)

    def _step_alone(self, group: dict[str, Any], names: tuple[str, ...], p: Any, fresh: bool) -> None:
        """Update one parameter, if it has a gradient."""
        if p._grad is None:
            return
        state, made = self._state_of(group, names, p)
        arrays = [p.array, p._grad.array, *(state[name].array for name in names)]
        if not p.array.ndim:  # arithmetic on 0-d arrays returns numbers, which cannot be written to
            arrays = [array.reshape(1) for array in arrays]
        self._update(group, state, fresh or made, *arrays)
        mark_written((p,))

    def _state_of(
        self, group: dict[str, Any], names: tuple[str, ...], p: Any
    ) -> tuple[dict[str, Any], bool]:
        """Return the state of a parameter, and whether an array of it had to be made."""
        if not names and not self._numbers:
            return {}, False
        state = self._state[p]
        for number, value in self._first_numbers.items():
            state.setdefault(number, value)
        made = False
        for name in names:
            if state.get(name) is None:
                state[name] = Tensor(self._first_array(group, name, p.array), device=p.device)
                made = True
        return state, made

    def _place(self, group: dict[str, Any], plan: Plan, names: tuple[str, ...]) -> set[Any]:
        """Form bundles of the waiting parameters that have a gradient; return those with a new state."""
        alike: dict[Any, list[Any]] = {}
        waiting, fresh = [], set()
        for p in plan.waiting:
            if p._grad is None:
                waiting.append(p)
                continue
            if not getattr(p.array.flags, "writeable", True):  # as it lies in a file, say
                p.array = p.array.copy()
            state, made = self._state_of(group, names, p)
            if made:
                fresh.add(p)
            if p.array.size <= SMALL and is_unshared(p) and self._fits_together(p, state, names):
                steps = tuple(state[number] for number in self._numbers)
                alike.setdefault((p.array.dtype, device_of(p.array), made, steps), []).append(p)
            else:
                plan.singles.append(p)
        plan.waiting = waiting
        for (_, _, made, _), params in alike.items():
            if len(params) > 1:
                states = [self._state[p] for p in params] if names or self._numbers else []
                plan.bundles.append(Bundle(params, states, names, self._numbers, made))
            else:
                plan.singles += params
        return fresh

    def _fits_together(self, p: Any, state: dict[str, Any], names: tuple[str, ...]) -> bool:
        """Return whether the arrays of a state are like the parameter and can be moved."""
        array = p.array
        return all(
            is_unshared(state[name])
            and state[name].array.dtype == array.dtype
            and state[name].array.shape == array.shape
            and device_of(state[name].array) == device_of(array)
            for name in names
        )

    def _shape_of_state(self, param: Any, key: str) -> tuple[int, ...] | None:
        return tuple(param.shape)
