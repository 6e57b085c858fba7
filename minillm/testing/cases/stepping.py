"""Cases of optimizers and schedules: a few steps in each library, from the same start with the same gradients."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import numpy as np

from minillm.testing.cases.case import Case, Prepared, tensor_of
from minillm.testing.cases.drawing import HostArray, Input

SHAPES: tuple[tuple[int, ...], ...] = ((3, 4), (5,), (), (0, 2), (2, 3, 4))
STEPS = 9
NUMBERS = {"step", "mu_product"}  # of the state; PyTorch keeps them as tensors of float32
RATES = 19


def combinations(**options: Sequence[Any]) -> list[dict[str, Any]]:
    """Return every combination of the values of options.

    Example:
        >>> combinations(momentum=[0, 0.9], maximize=[True])
        [{'momentum': 0, 'maximize': True}, {'momentum': 0.9, 'maximize': True}]
    """
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())]


@dataclasses.dataclass
class O:  # noqa: E742
    """Steps of an optimizer: its options, and the shapes of the parameters."""

    options: dict[str, Any]
    shapes: tuple[tuple[int, ...], ...] = SHAPES
    groups: tuple[dict[str, Any], ...] = ()  # options of each group; all parameters in one without
    move_state: bool = False  # in the middle, state_dict goes to a new optimizer

    def case(self, name: str, number: int) -> Case:
        """Return the steps with a name."""
        return OptimizerCase(name, number, 0, False, False, self)


@dataclasses.dataclass(frozen=True)
class OptimizerCase(Case):
    """Nine steps; each parameter lacks a gradient now and then. Compared: parameters after each, the last state."""

    steps: O

    def inputs(self) -> Iterator[Input]:
        """None: starts and gradients are drawn when it runs."""
        return iter(())

    def prepare(
        self, library: Any, arrays: Sequence[HostArray], dtype: str = "float64", gradients: bool = True
    ) -> Prepared:
        """Return the call, ready to run."""
        del arrays, gradients
        rng = np.random.default_rng(7)
        start = [np.asarray(rng.normal(size=shape)).astype(dtype) for shape in self.steps.shapes]
        slopes = [[np.asarray(rng.normal(size=x.shape)).astype(dtype) for x in start] for _ in range(STEPS)]
        facts: list[str] = []

        def call() -> list[Any]:
            parameters = [tensor_of(library, x).requires_grad_(True) for x in start]
            optimizer = self.optimizer(library, parameters)
            seen: list[Any] = []
            with in_full_precision(library, dtype):
                for step, gradients in enumerate(slopes):
                    if step == 4 and self.steps.move_state:
                        state, optimizer = optimizer.state_dict(), self.optimizer(library, parameters)
                        optimizer.load_state_dict(state)
                    for i, (p, dy) in enumerate(zip(parameters, gradients, strict=True)):
                        p.grad = tensor_of(library, dy) if (step + i) % 4 else None
                    optimizer.step()
                    seen.extend(p.detach().clone() for p in parameters)
            facts[:] = [f"{i} {key}" for i, p in enumerate(parameters) for key in sorted(optimizer.state[p])]
            state = [(key, optimizer.state[p][key]) for p in parameters for key in sorted(optimizer.state[p])]
            return seen + [np.float32(float(x)) if key in NUMBERS else x for key, x in state]

        return Prepared(library, [], call, facts)

    def optimizer(self, library: Any, parameters: list[Any]) -> Any:
        """Return the optimizer, its parameters in groups where there are some."""
        groups = self.steps.groups
        dealt: Any = [{"params": parameters[i :: len(groups)], **group} for i, group in enumerate(groups)] or parameters
        return getattr(library.optim, self.name.removeprefix("optim."))(dealt, **self.steps.options)


@contextlib.contextmanager
def in_full_precision(library: Any, dtype: str) -> Iterator[None]:
    """Let PyTorch's Muon iterate in the parameters' dtype, not in bfloat16, and NAdam multiply its momenta in it."""
    if library.__name__ != "torch":
        yield
        return
    default = library.get_default_dtype()
    library.set_default_dtype(getattr(library, dtype))
    try:
        with mock.patch.object(library.Tensor, "bfloat16", lambda tensor: tensor.clone()):
            yield
    finally:
        library.set_default_dtype(default)


@dataclasses.dataclass
class S:
    """A schedule: a function of the library's schedules and an optimizer that makes it."""

    maker: Callable[[Any, Any], Any]
    optimizer: str = "SGD"
    metrics: tuple[float, ...] = ()  # what step() is called with

    def case(self, name: str, number: int) -> Case:
        """Return the schedule with a name."""
        return ScheduleCase(name, number, 0, False, False, self)


@dataclasses.dataclass(frozen=True)
class ScheduleCase(Case):
    """Rates and momenta of two groups over nineteen steps."""

    schedule: S

    def inputs(self) -> Iterator[Input]:
        """None."""
        return iter(())

    def prepare(
        self, library: Any, arrays: Sequence[HostArray], dtype: str = "float64", gradients: bool = True
    ) -> Prepared:
        """Return the call, ready to run."""
        del arrays, gradients

        def call() -> HostArray:
            options = {"momentum": 0.9} if self.schedule.optimizer == "SGD" else {}
            groups = [{"params": [library.ones(1, requires_grad=True)], **rate} for rate in ({}, {"lr": 0.2})]
            optimizer = getattr(library.optim, self.schedule.optimizer)(groups, lr=0.1, **options)
            schedule = self.schedule.maker(library.optim.lr_scheduler, optimizer)
            seen = [settings(optimizer)]
            for metric in self.schedule.metrics or [None] * RATES:
                optimizer.step()
                schedule.step(*([] if metric is None else [metric]))
                seen.append(settings(optimizer))
                rates = [group["lr"] for group in optimizer.param_groups]
                assert list(schedule.get_last_lr()) == rates
            return np.array(seen)

        return Prepared(library, [], call)


def settings(optimizer: Any) -> list[float]:
    """Return the rate and the momentum (or first beta) of each group."""
    found = []
    for group in optimizer.param_groups:
        found += [float(group["lr"]), float(group.get("momentum", (group.get("betas") or (0.0,))[0]))]
    return found
