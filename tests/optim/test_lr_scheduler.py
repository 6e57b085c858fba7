"""Every schedule sets PyTorch's learning rates, and its state moves both ways in the middle of a run."""

from __future__ import annotations

import copy
import json
import math
import warnings
from types import SimpleNamespace
from typing import Any

import pytest

import minillm
from minillm import optim
from minillm.optim import lr_scheduler
from minillm.optim.lr_scheduler import LRScheduler
from minillm.testing.cases.optimizers import SCHEDULES

CASES: dict[str, Any] = {
    f"{name.rpartition('.')[2]} {number}": schedule.maker
    for name, schedules in SCHEDULES.items()
    for number, schedule in enumerate(schedules)
    if not schedule.metrics
}


def groups(torch: Any) -> list[dict[str, Any]]:
    def leaf() -> Any:
        return torch.ones(1, requires_grad=True)

    return [{"params": [leaf()]}, {"params": [leaf()], "lr": 0.2}]


def settings(optimizer: Any) -> list[Any]:
    keys = ("lr", "momentum", "betas", "initial_lr")
    return [[group.get(key) for key in keys] for group in optimizer.param_groups]


def assert_close(a: Any, b: Any) -> None:
    for x, y in zip(a, b, strict=True):
        if isinstance(x, (list, tuple)):
            assert_close(x, y)
        elif x is None:
            assert y is None
        else:
            assert x == pytest.approx(y, rel=1e-12, abs=1e-15)


def steps(n: int, *pairs: tuple[Any, Any]) -> None:
    """Step each scheduler n times and compare after each."""
    for _ in range(n):
        for optimizer, scheduler in pairs:
            optimizer.step()
            scheduler.step()
        first, second = pairs
        assert_close(settings(first[0]), settings(second[0]))
        assert_close(first[1].get_last_lr(), second[1].get_last_lr())
        assert first[1].get_last_lr() == [group["lr"] for group in first[0].param_groups]


@pytest.mark.parametrize("way", ["to torch", "from torch", "json"])
@pytest.mark.parametrize("case", CASES)
def test_the_state_moves_both_ways_in_the_middle_of_a_run(case, way):
    torch = pytest.importorskip("torch")
    schedulers = torch.optim.lr_scheduler
    ours = optim.SGD(groups(minillm), lr=0.1, momentum=0.9)
    theirs = torch.optim.SGD(groups(torch), lr=0.1, momentum=0.9)
    a, b = CASES[case](lr_scheduler, ours), CASES[case](schedulers, theirs)
    steps(6, (ours, a), (theirs, b))
    if way == "to torch":
        optimizer_state, state = ours.state_dict(), a.state_dict()
        theirs = torch.optim.SGD(groups(torch), lr=0.3, momentum=0.9)
        b = CASES[case](schedulers, theirs)
        b.load_state_dict(copy.deepcopy(state))
        theirs.load_state_dict(optimizer_state)
    else:
        optimizer_state, state = theirs.state_dict(), b.state_dict()
        if way == "json":
            optimizer_state, state = ours.state_dict(), json.loads(json.dumps(a.state_dict()))
        ours = optim.SGD(groups(minillm), lr=0.3, momentum=0.9)
        a = CASES[case](lr_scheduler, ours)
        a.load_state_dict(state)
        ours.load_state_dict(optimizer_state)
    steps(12, (ours, a), (theirs, b))


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("options", [{}, {"cooldown": 2, "min_lr": [0.05, 0.01]}, {"eps": 0.02}])
def test_a_plateau_lowers_the_learning_rate_as_in_pytorch(mode, threshold_mode, options):
    torch = pytest.importorskip("torch")
    options = {"mode": mode, "threshold_mode": threshold_mode, "factor": 0.5, "patience": 1, **options}
    ours, theirs = optim.SGD(groups(minillm), lr=0.1), torch.optim.SGD(groups(torch), lr=0.1)
    a = lr_scheduler.ReduceLROnPlateau(ours, threshold=0.01, **options)
    b = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, threshold=0.01, **options)
    metrics = [3, 2, 2.5, 1.995, 1.9, 1.9, 1.9, 1.9, 1.0, 2, 3, 4, 5, 6, 7, 7.01, 7.02, 7.03]
    for i, metric in enumerate(metrics):
        a.step(minillm.tensor(metric, dtype="float64"))
        b.step(metric)
        assert_close(settings(ours), settings(theirs))
        assert a.get_last_lr() == [group["lr"] for group in ours.param_groups]
        assert (a.num_bad_epochs, a.best) == (b.num_bad_epochs, pytest.approx(b.best))
        if i == 9:  # continue from PyTorch's state
            a = lr_scheduler.ReduceLROnPlateau(ours, threshold=0.01, **options)
            a.load_state_dict(b.state_dict())


def test_a_plateau_knows_a_group_that_came_later():
    optimizer = optim.SGD(groups(minillm), lr=1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    optimizer.add_param_group({"params": [minillm.ones(1)]})
    scheduler.step(1.0)
    scheduler.step(1.0)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.1, 0.02, 0.1])
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.0] * 3)
    optimizer.add_param_group({"params": [minillm.ones(1)]})
    scheduler.step(1.0)
    with pytest.raises(RuntimeError, match=r"\(4\) differs from when .* \(3\)"):
        scheduler.step(1.0)
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(0.5, epoch=7)
    assert scheduler.last_epoch == 7


WARMUPS: dict[str, Any] = {
    "constant": lambda s, o: s.get_constant_schedule(o),
    "constant with warm-up": lambda s, o: s.get_constant_schedule_with_warmup(o, 3),
    "linear": lambda s, o: s.get_linear_schedule_with_warmup(o, 4, 15),
    "linear without warm-up": lambda s, o: s.get_linear_schedule_with_warmup(o, 0, 15),
    "cosine": lambda s, o: s.get_cosine_schedule_with_warmup(o, 4, 20),
    "cosine waves": lambda s, o: s.get_cosine_schedule_with_warmup(o, 4, 20, num_cycles=1.5),
    "cosine to a least": lambda s, o: s.get_cosine_with_min_lr_schedule_with_warmup(o, 4, 20, min_lr=0.01),
    "cosine to a part": lambda s, o: s.get_cosine_with_min_lr_schedule_with_warmup(o, 4, 20, min_lr_rate=0.1),
    "inverse square root": lambda s, o: s.get_inverse_sqrt_schedule(o, 4),
    "inverse square root, slow": lambda s, o: s.get_inverse_sqrt_schedule(o, 4, timescale=50),
    "inverse square root without warm-up": lambda s, o: s.get_inverse_sqrt_schedule(o, 0),
}


@pytest.mark.parametrize("case", WARMUPS)
def test_warm_ups_are_those_of_transformers(case):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers.optimization")
    ours, theirs = optim.SGD(groups(minillm), lr=0.1), torch.optim.SGD(groups(torch), lr=0.1)
    a, b = WARMUPS[case](lr_scheduler, ours), WARMUPS[case](transformers, theirs)
    steps(22, (ours, a), (theirs, b))


def test_a_least_learning_rate_is_given_in_one_way():
    optimizer = optim.SGD(groups(minillm), lr=0.1)
    for options in ({}, {"min_lr": 0.1, "min_lr_rate": 0.1}):
        with pytest.raises(ValueError, match="of min_lr or min_lr_rate should be set"):
            lr_scheduler.get_cosine_with_min_lr_schedule_with_warmup(optimizer, 1, 2, **options)


# -- the base -------------------------------------------------------------------------------------


def test_a_schedule_needs_an_optimizer_and_a_formula():
    with pytest.raises(TypeError, match="int is not an Optimizer"):
        lr_scheduler.StepLR(3, 1)
    with pytest.raises(NotImplementedError, match="LRScheduler needs a method get_lr"):
        LRScheduler(optim.SGD(groups(minillm)))


def test_the_order_of_steps_is_checked_once():
    optimizer = optim.SGD(groups(minillm), lr=0.1)
    scheduler = lr_scheduler.StepLR(optimizer, 2)
    with pytest.warns(UserWarning, match=r"`lr_scheduler.step\(\)` before `optimizer.step\(\)`"):
        scheduler.step()
    scheduler.step()
    optimizer = optim.SGD(groups(minillm), lr=0.1)
    scheduler = lr_scheduler.StepLR(optimizer, 2)
    optimizer.step()
    scheduler.step()


def test_get_lr_is_not_for_users():
    scheduler = lr_scheduler.StepLR(optim.SGD(groups(minillm), lr=0.1), 2)
    with pytest.warns(UserWarning, match="please use `get_last_lr"):
        scheduler.get_lr()


def test_a_step_may_be_named():
    optimizer = optim.SGD(groups(minillm), lr=0.1)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(3)
    assert scheduler.get_last_lr() == [0.0125, 0.025]
    scheduler = lr_scheduler.LambdaLR(optimizer, lambda step: step)
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(3)
    assert scheduler.get_last_lr() == pytest.approx([0.3, 0.6])


CLOSED = ["StepLR 0", "MultiStepLR 0", "ConstantLR 0", "LinearLR 0", "LinearLR 1", "ExponentialLR 0", "PolynomialLR 0",
    "CosineAnnealingLR 0"]  # fmt: skip


@pytest.mark.parametrize("case", CLOSED)
@pytest.mark.filterwarnings("ignore:The epoch parameter")
def test_named_steps_are_those_of_pytorch(case):
    torch = pytest.importorskip("torch")
    ours, theirs = optim.SGD(groups(minillm), lr=0.1), torch.optim.SGD(groups(torch), lr=0.1)
    a, b = CASES[case](lr_scheduler, ours), CASES[case](torch.optim.lr_scheduler, theirs)
    ours.step()
    theirs.step()
    for epoch in (7, 2, 0, 5, 12):
        a.step(epoch)
        b.step(epoch)
        assert_close(settings(ours), settings(theirs))


def test_a_run_goes_on_from_last_epoch():
    torch = pytest.importorskip("torch")
    ours, theirs = optim.SGD(groups(minillm), lr=0.1), torch.optim.SGD(groups(torch), lr=0.1)
    with pytest.raises(KeyError, match="initial_lr"):
        lr_scheduler.StepLR(ours, 2, last_epoch=4)
    for make in (
        lambda s, o, last: s.CosineAnnealingLR(o, 10, last_epoch=last),
        lambda s, o, last: s.LinearLR(o, total_iters=10, last_epoch=last),
        lambda s, o, last: s.ExponentialLR(o, 0.9, last_epoch=last),
        lambda s, o, last: s.OneCycleLR(o, 0.7, total_steps=20, cycle_momentum=False, last_epoch=last),
    ):
        ours, theirs = optim.SGD(groups(minillm), lr=0.1), torch.optim.SGD(groups(torch), lr=0.1)
        for optimizer, schedulers in ((ours, lr_scheduler), (theirs, torch.optim.lr_scheduler)):
            scheduler = make(schedulers, optimizer, -1)
            for _ in range(4):
                optimizer.step()
                scheduler.step()
        a, b = make(lr_scheduler, ours, 4), make(torch.optim.lr_scheduler, theirs, 4)
        assert_close(settings(ours), settings(theirs))
        steps(4, (ours, a), (theirs, b))


def test_a_learning_rate_that_is_a_tensor_stays_the_tensor():
    lr = minillm.tensor(0.5)
    optimizer = optim.SGD([minillm.ones(1)], lr=lr)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is lr
    assert lr.item() == 0.25
    assert scheduler.get_last_lr() == [0.25]
    assert optimizer.param_groups[0]["initial_lr"].item() == 0.5


def test_the_state_of_a_callable_object_is_kept():
    class Decay:
        def __init__(self, base: float) -> None:
            self.base = base

        def __call__(self, step: int) -> float:
            return self.base**step

    optimizer = optim.SGD([minillm.ones(1)], lr=1.0)
    state = lr_scheduler.LambdaLR(optimizer, Decay(0.5)).state_dict()
    assert state["lr_lambdas"] == [{"base": 0.5}]
    other = lr_scheduler.LambdaLR(optimizer, Decay(0.9))
    other.load_state_dict(state)
    optimizer.step()
    other.step()
    assert other.get_last_lr() == [0.5]


def test_a_state_is_a_copy():
    optimizer = optim.SGD([minillm.ones(1)], lr=1.0)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    state = scheduler.state_dict()
    optimizer.step()
    scheduler.step()
    assert (state["last_epoch"], state["_last_lr"], "optimizer" in state) == (0, [1.0], False)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda s, o: s.LambdaLR(o, [abs]), ValueError, "Expected 2 lr_lambdas, but got 1"),
        (lambda s, o: s.MultiplicativeLR(o, 3), TypeError, "should be a function, but got int"),
        (lambda s, o: s.StepLR(o, 0), ValueError, "step_size needs to be at least 1"),
        (lambda s, o: s.ConstantLR(o, factor=2), ValueError, "between 0 and 1"),
        (lambda s, o: s.LinearLR(o, start_factor=0), ValueError, "Starting multiplicative factor"),
        (lambda s, o: s.LinearLR(o, end_factor=2), ValueError, "Ending multiplicative factor"),
        (lambda s, o: s.SequentialLR(o, [], []), ValueError, "at least one scheduler"),
        (lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [1]), ValueError, "number of schedulers 1"),
        (lambda s, o: s.SequentialLR(o, [3], []), TypeError, "at index 0 should have `optimizer`"),
        (
            lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []),
            ValueError,
            "does not support `ReduceLROnPlateau`",
        ),
        (
            lambda s, o: s.SequentialLR(o, [s.StepLR(optim.SGD([minillm.ones(1)]), 1)], []),
            ValueError,
            "belong to the same optimizer",
        ),
        (lambda s, o: s.ChainedScheduler([]), ValueError, "at least one scheduler to be chained"),
        (lambda s, o: s.ChainedScheduler([3]), TypeError, "at index 0 should have `optimizer`"),
        (lambda s, o: s.ReduceLROnPlateau(o, factor=1.0), ValueError, "Factor should be < 1.0"),
        (lambda s, o: s.ReduceLROnPlateau(o, mode="up"), ValueError, "mode up is unknown"),
        (lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "threshold mode x is unknown"),
        (lambda s, o: s.ReduceLROnPlateau(o, min_lr=[1]), ValueError, "expected 2 min_lrs, got 1"),
        (lambda s, o: s.OneCycleLR(o, 1.0), ValueError, "define either total_steps OR"),
        (lambda s, o: s.OneCycleLR(o, 1.0, total_steps=0), ValueError, "integer total_steps, but got 0"),
        (
            lambda s, o: s.OneCycleLR(o, 1.0, epochs=1, steps_per_epoch=1.5),
            ValueError,
            "steps_per_epoch, but got 1.5",
        ),
        (lambda s, o: s.OneCycleLR(o, 1.0, total_steps=9, pct_start=2.0), ValueError, "pct_start"),
        (lambda s, o: s.OneCycleLR(o, 1.0, total_steps=9, anneal_strategy="x"), ValueError, "'cos' or"),
        (lambda s, o: s.OneCycleLR(o, [1.0], total_steps=9), ValueError, "max_lr has 1 values"),
        (
            lambda s, o: s.OneCycleLR(optim.Adagrad([minillm.ones(1)]), 1.0, total_steps=9),
            ValueError,
            "support momentum or beta1",
        ),
    ],
)
def test_what_makes_no_schedule_is_an_error(make, error, message):
    optimizer = optim.SGD(groups(minillm), lr=0.1)
    with pytest.raises(error, match=message):
        make(SimpleNamespace(**vars(lr_scheduler)), optimizer)


def test_one_cycle_ends():
    optimizer = optim.Adam(groups(minillm))
    scheduler = lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=3)
    optimizer.step()
    for _ in range(3):
        scheduler.step()
    with pytest.raises(ValueError, match="Tried to step 4 times"):
        scheduler.step()


def test_no_learning_rate_is_nan():
    for make in CASES.values():
        optimizer = optim.SGD(groups(minillm), lr=0.1, momentum=0.9)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scheduler = make(lr_scheduler, optimizer)
            for _ in range(19):
                optimizer.step()
                scheduler.step()
        assert all(math.isfinite(lr) for lr in scheduler.get_last_lr())
