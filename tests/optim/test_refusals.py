"""Settings that PyTorch's optimizers and schedules refuse are refused, with an error that says which and why."""

from __future__ import annotations

import pytest

import minillm

torch = pytest.importorskip("torch")


def parameter(library, *shape):
    return library.ones(shape or (2,), requires_grad=True)


def scheduled(name, *args, **options):
    """Return a function that makes a schedule of a library."""
    return lambda t: getattr(t.optim.lr_scheduler, name)(t.optim.SGD([parameter(t)], lr=0.1), *args, **options)


COMMON = [{"lr": -0.1}, {"weight_decay": -1.0}]
BETAS = [{"betas": (1.0, 0.9)}, {"betas": (0.9, 1.0)}, {"betas": (-0.1, 0.9)}, {"eps": -1e-8}]
SETTINGS = {
    "SGD": [*COMMON, {"momentum": -0.5}, {"nesterov": True}, {"momentum": 0.9, "dampening": 0.1, "nesterov": True}],
    "Adam": [*COMMON, *BETAS],
    "AdamW": [*COMMON, *BETAS],
    "NAdam": [*COMMON, *BETAS, {"momentum_decay": -0.1}],
    "RAdam": [*COMMON, *BETAS],
    "RMSprop": [*COMMON, {"alpha": -0.1}, {"momentum": -0.1}, {"eps": -1e-8}],
    "Adagrad": [*COMMON, {"lr_decay": -0.1}, {"initial_accumulator_value": -0.1}, {"eps": -1e-8}],
    "Adafactor": [*COMMON, {"beta2_decay": 0.1}, {"eps": (-1.0, 1e-3)}, {"eps": (None, -1e-3)}, {"d": 0.5}],
    "Muon": [*COMMON, {"momentum": -0.1}, {"adjust_lr_fn": "other"}],
}  # fmt: skip
# What the message calls a setting.
CALLED = {
    "lr": "earning rate", "betas": "beta", "eps": "psilon", "weight_decay": "weight.decay",
    "nesterov": "Nesterov", "d": "Clipping threshold d", "adjust_lr_fn": "Adjust learning rate function",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name, many in SETTINGS.items() for options in many], ids=str
)
def test_settings_out_of_range(name, options):
    last = list(options)[-1]
    shape = (2, 2) if name == "Muon" else (2,)
    for library, words in ((torch, None), (minillm, CALLED.get(last, last))):
        with pytest.raises(ValueError, match=words):
            getattr(library.optim, name)([parameter(library, *shape)], **options)


def linear(t):
    return t.optim.lr_scheduler.LinearLR(t.optim.SGD([parameter(t)], lr=0.1))


# Words of the message -> calls.
REFUSED = {
    # parameters
    "empty parameter list": [lambda t: t.optim.SGD([], lr=0.1), lambda t: t.optim.Adam(iter([]))],
    "iterable of Tensors": [lambda t: t.optim.SGD(parameter(t), lr=0.1)],
    "int": [lambda t: t.optim.SGD([1], lr=0.1)],
    "non-leaf": [lambda t: t.optim.SGD([parameter(t) * 2], lr=0.1)],
    "more than one parameter group": [lambda t: shared(t)],
    "only supports 2D": [lambda t: t.optim.Muon([parameter(t)])],
    "[Ss]teps": [lambda t: orthogonalised(t, ns_steps=100)],  # PyTorch sees these in the first step alone
    "Coefficients": [lambda t: orthogonalised(t, ns_coefficients=(1.0, 2.0))],
    "1-element": [lambda t: t.optim.SGD([parameter(t)], lr=t.ones(2))],
    "different number of parameter groups|parameter groups": [lambda t: loaded(t, 2, 1)],
    "size of optimizer's group|parameters": [lambda t: loaded(t, 1, 2)],
    # schedules
    "not an Optimizer": [lambda t: t.optim.lr_scheduler.StepLR(3, 2)],
    "lr_lambdas": [scheduled("LambdaLR", [lambda step: 1.0] * 2),
        scheduled("MultiplicativeLR", [lambda step: 1.0] * 2)],
    "total_iters|factor": [scheduled("ConstantLR", factor=1.5), scheduled("ConstantLR", factor=-0.5)],
    "multiplicative factor|factor": [scheduled("LinearLR", start_factor=0.0), scheduled("LinearLR", end_factor=1.5),
        scheduled("LinearLR", start_factor=1.5)],
    "total_steps": [scheduled("OneCycleLR", 0.7), scheduled("OneCycleLR", 0.7, total_steps=-1)],
    "epochs": [scheduled("OneCycleLR", 0.7, epochs=-1, steps_per_epoch=2)],
    "pct_start": [scheduled("OneCycleLR", 0.7, total_steps=9, pct_start=1.5)],
    "anneal_strategy": [scheduled("OneCycleLR", 0.7, total_steps=9, anneal_strategy="square")],
    "max_lr": [scheduled("OneCycleLR", [0.7, 0.8], total_steps=9)],
    "Factor": [scheduled("ReduceLROnPlateau", factor=1.0)],
    "mode least": [scheduled("ReduceLROnPlateau", mode="least")],
    "threshold mode": [scheduled("ReduceLROnPlateau", threshold_mode="part")],
    "min_lrs": [scheduled("ReduceLROnPlateau", min_lr=[0.1, 0.2])],
    "milestones|[Ss]chedulers": [
        lambda t: t.optim.lr_scheduler.SequentialLR(linear(t).optimizer, [linear(t)], milestones=[]),
        lambda t: (lambda s: t.optim.lr_scheduler.SequentialLR(s.optimizer, [s, s], milestones=[1, 2]))(linear(t))],
    "optimizer": [lambda t: t.optim.lr_scheduler.ChainedScheduler([linear(t), linear(t)])],
    "scheduler": [lambda t: t.optim.lr_scheduler.ChainedScheduler([])],
}  # fmt: skip


def shared(t):
    p = parameter(t)
    return t.optim.SGD([{"params": [p]}, {"params": [p]}], lr=0.1)


def orthogonalised(t, **options):
    matrix = parameter(t, 2, 2)
    optimizer = t.optim.Muon([matrix], **options)
    matrix.sum().backward()
    optimizer.step()


def loaded(t, groups, parameters):
    """Load the state of an optimizer of one group and one parameter into one of other numbers."""
    optimizer = t.optim.SGD([{"params": [parameter(t) for _ in range(parameters)]} for _ in range(groups)], lr=0.1)
    optimizer.load_state_dict(t.optim.SGD([parameter(t)], lr=0.1).state_dict())


@pytest.mark.parametrize("words", REFUSED)
def test_refused(words):
    for call in REFUSED[words]:
        with pytest.raises(Exception):  # noqa: B017, PT011
            call(torch)
        with pytest.raises((ValueError, TypeError, IndexError), match=words) as caught:
            call(minillm)
        assert len(str(caught.value)) > 20
