"""What all workloads have in common: contestants that do the same work from the same weights, and the check of that.

A contestant is named after its library and how that runs:

    torch                       PyTorch as it comes, operation by operation; the base of all ratios
    torch, fused                with its fused optimizer
    torch, compiled             by torch.compile
    minillm numpy               minillm with its NumPy kernels
    minillm numba               minillm with its compiled kernels
    minillm numpy, split        with the batch split over threads (training.BatchSplit); so for numba
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

BASE = "torch"
TOLERANCE = 1e-4  # of the largest number of a gradient
LOSS_TOLERANCE = 1e-3  # of the loss, over the steps of training that are compared

Arrays = dict[str, np.ndarray]


class Disagreement(RuntimeError):
    """The contestants do not compute the same: their times would say nothing."""


@dataclasses.dataclass
class Contestant:
    """One way to do the work of a workload.

    Attributes:
        run: does the work once.
        prepare: is called before each turn, not measured.
    """

    run: Callable[[], Any]
    prepare: Callable[[], Any] = lambda: None


class Training(Contestant):
    """A training loop as a user writes it; the libraries differ in the import alone.

    Args:
        model: the module that learns.
        loss: takes what the model reads and what it should predict, and returns the loss.
        batch: both.
        optimizer: of its parameters.
        prepare: see :class:`Contestant`.
    """

    def __init__(
        self,
        model: Any,
        loss: Callable[..., Any],
        batch: tuple[Any, Any],
        optimizer: Any,
        prepare: Callable[[], Any] = lambda: None,
    ) -> None:
        super().__init__(self.step, prepare)
        self.model, self.loss, self.batch, self.optimizer = model, loss, batch, optimizer

    def backward(self) -> float:
        """Compute the gradients, and return the loss."""
        loss = self.loss(*self.batch)
        loss.backward()
        return float(loss.detach())

    def step(self) -> float:
        """Train by a step, and return the loss before it."""
        self.optimizer.zero_grad()
        loss = self.backward()
        self.optimizer.step()
        return loss

    def gradients(self) -> tuple[float, Arrays]:
        """Return the loss, and the gradients by the names of the parameters, and leave no gradient behind."""
        self.optimizer.zero_grad()
        loss = self.backward()
        named = {name: np.array(p.grad.numpy()) for name, p in self.model.named_parameters()}
        self.optimizer.zero_grad()
        return loss, {name.removeprefix("_orig_mod."): grad for name, grad in named.items()}


class SplitTraining(Training):
    """The same with minillm's batches split over as many threads as its matrix products have."""

    def backward(self) -> float:
        from minillm.training import BatchSplit

        if not hasattr(self, "split"):
            self.split = BatchSplit(self.model.parameters())
        return self.split.backward(self.loss, *self.batch)


class Workload:
    """Base of the workloads.

    Attributes:
        title: what is done.
        unit: what one run is.
        per: units in one run of a contestant.
        runs: calls of a contestant in one turn, so that a turn is long enough to be measured.
        rounds: turns of each contestant, unless others are asked for.
        in_process: whether the work is done in this process.
        targets: the wanted ratio to PyTorch, by contestant.
    """

    title: str
    unit: ClassVar[str] = "training step"
    per: int = 1
    runs: int = 1
    rounds: int = 10
    in_process: ClassVar[bool] = True
    targets: dict[str, float]

    def names(self) -> list[str]:
        """Return the names of all contestants, those that run on request included."""
        raise NotImplementedError

    def build(self, name: str, weights: Arrays | None = None) -> Contestant:
        """Return a contestant; from its own initial weights where none are given."""
        raise NotImplementedError

    def weights(self) -> Arrays:
        """Return the weights to begin with, by minillm's names."""
        raise NotImplementedError

    def check(self, contestants: dict[str, Contestant]) -> dict[str, str]:
        """Return in words how closely each contestant agrees with the base.

        Raises:
            Disagreement: one does not.
        """
        raise NotImplementedError

    def floor(self) -> Callable[[], Any] | None:
        """Return what does the least that the work needs: its matrix products, or reading its weights."""
        return None

    def tiny(self) -> Workload:
        """Return the same work on a small size: for tests, and to load code before memory is measured."""
        raise NotImplementedError


def target_of(targets: dict[str, float], name: str) -> float | None:
    """Return the wanted ratio of a contestant; with its batch split it has that of its kernels."""
    return targets.get(name.removesuffix(", split"))


def kernel_set(name: str) -> str:
    """Return the kernel set that a contestant of minillm runs with."""
    return name.split()[1].rstrip(",")


def use_kernels(name: str) -> None:
    """Switch minillm to a kernel set; without a switch there is NumPy's alone."""
    import minillm

    switch = getattr(minillm, "set_kernels", None)
    if switch is not None:
        switch(name)
    elif name != "numpy":
        raise ValueError(f"this minillm has no kernels named {name!r}, only NumPy's")


def largest_difference(ours: Arrays, theirs: Arrays) -> tuple[float, str]:
    """Return how far gradients lie apart, and of which parameter.

    The distance is that of the furthest numbers over the largest number of the gradient. What is 0 in exact
    arithmetic (the bias of attention's keys) is measured by a hundredth of the largest number of all gradients.

    Raises:
        Disagreement: names or shapes differ.
    """
    if set(ours) != set(theirs):
        raise Disagreement(f"gradients of other parameters: {sorted(set(ours) ^ set(theirs))}")
    small = max(float(np.abs(grad).max()) for grad in theirs.values()) / 100
    worst, where = 0.0, "none"
    for name, grad in theirs.items():
        if ours[name].shape != grad.shape:
            raise Disagreement(f"{name}: gradients of shapes {ours[name].shape} and {grad.shape}")
        difference = float(np.abs(ours[name] - grad).max()) / max(float(np.abs(grad).max()), small, 1e-30)
        if np.isnan(difference):
            return float("inf"), name
        if difference > worst:
            worst, where = difference, name
    return worst, where


class TrainingWorkload(Workload):
    """A training step: forward, loss, backward, step of the optimizer.

    Subclasses give ``minillm_model``, ``torch_model``, ``batch`` and ``optimizer``.
    """

    #: name of the optimizer, its settings
    optimizer: tuple[str, dict[str, Any]] = ("AdamW", {"lr": 1e-3})
    #: whether the batch is large enough to be split over threads
    splits: ClassVar[bool] = True

    def minillm_model(self) -> Any:
        raise NotImplementedError

    def torch_model(self) -> Any:
        raise NotImplementedError

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what the model reads, and what it should predict."""
        raise NotImplementedError

    def minillm_loss(self, model: Any, x: Any, y: Any) -> Any:
        raise NotImplementedError

    def torch_loss(self, model: Any, x: Any, y: Any) -> Any:
        return model(x, y)

    def torch_names(self, arrays: Arrays) -> Arrays:
        """Return arrays with the names and shapes of PyTorch's model, from those of minillm's."""
        return arrays

    def names(self) -> list[str]:
        names = ["torch", "torch, fused", "torch, compiled", "minillm numpy", "minillm numba"]
        if self.splits:
            names += ["minillm numpy, split", "minillm numba, split"]
        return names

    def weights(self) -> Arrays:
        import minillm

        minillm.manual_seed(0)
        return {name: np.array(p.numpy()) for name, p in self.minillm_model().state_dict().items()}

    def build(self, name: str, weights: Arrays | None = None) -> Training:
        x, y = self.batch()
        kind, settings = self.optimizer
        if not name.startswith("torch"):
            import minillm

            use_kernels(kernel_set(name))
            model = self.minillm_model()
            if weights is not None:
                model.load_state_dict({key: minillm.tensor(array) for key, array in weights.items()})
            return (SplitTraining if name.endswith(", split") else Training)(
                model,
                lambda x, y: self.minillm_loss(model, x, y),
                (minillm.tensor(x), minillm.tensor(y)),
                getattr(minillm.optim, kind)(model.parameters(), **settings),
                prepare=lambda: use_kernels(kernel_set(name)),
            )
        import torch

        module = self.torch_model()
        if weights is not None:
            named = {key: torch.tensor(array) for key, array in self.torch_names(weights).items()}
            module.load_state_dict(named)
        optimizer = getattr(torch.optim, kind)(module.parameters(), **settings, **_fused(name))
        if name == "torch, compiled":
            module = torch.compile(module)
        data = torch.tensor(x), torch.tensor(y)
        return Training(module, lambda x, y: self.torch_loss(module, x, y), data, optimizer)

    def check(self, contestants: dict[str, Contestant]) -> dict[str, str]:
        gradients, losses = {}, {}
        for name, contestant in contestants.items():
            assert isinstance(contestant, Training)
            contestant.prepare()
            loss, grads = contestant.gradients()
            gradients[name] = grads if name.startswith("torch") else self.torch_names(grads)
            losses[name] = [loss, *(contestant.step() for _ in range(3))]
        said = {}
        for name in contestants:
            difference, where = largest_difference(gradients[name], gradients[BASE])
            apart = max(abs(a - b) / abs(b) for a, b in zip(losses[name], losses[BASE], strict=True))
            said[name] = f"gradients within {difference:.1e} ({where}), losses of 3 steps within {apart:.1e}"
            if not (difference <= TOLERANCE and apart <= LOSS_TOLERANCE):
                raise Disagreement(
                    f"{self.title}: {name} and {BASE} disagree: {said[name]}; allowed are {TOLERANCE:.0e} of the "
                    f"largest number of a gradient and {LOSS_TOLERANCE:.0e} of the loss"
                )
        return said


def _fused(name: str) -> dict[str, bool]:
    return {"fused": True} if name == "torch, fused" else {}
