"""Cases of the optimizers, with every combination of their everyday options, and of the schedules."""

from __future__ import annotations

import functools
from typing import Any

from minillm.testing.cases.stepping import O, S, combinations

LARGE = ((3, 4), (5,), (), (0, 2), (2, 3, 4), (601,))
MATRICES = ((3, 4), (6, 2), (5, 5))
DECAYS = [0, 0.1]
SIGNS = [False, True]
GROUPS = ({"lr": 0.3}, {"weight_decay": 0.2})
IN_GROUPS = [O({"lr": 0.1}, groups=GROUPS), O({"lr": 0.1}, move_state=True), O({}, groups=({}, {"lr": 0.01}))]

OPTIMIZERS: dict[str, list[O]] = {
    "SGD": [
        O({"lr": 0.1, **o}, LARGE)
        for o in combinations(momentum=[0, 0.9], dampening=[0, 0.3], weight_decay=DECAYS, nesterov=SIGNS,
            maximize=SIGNS)
        if not o["nesterov"] or (o["momentum"] and not o["dampening"])
    ] + [*IN_GROUPS, O({"lr": 0.1, "momentum": 0.9}, groups=({"momentum": 0.5}, {"nesterov": True}), move_state=True)],
    "Adam": [
        O({"lr": 0.05, **o}, LARGE)
        for o in combinations(weight_decay=DECAYS, amsgrad=SIGNS, maximize=SIGNS, decoupled_weight_decay=SIGNS)
    ] + [*IN_GROUPS, O({"amsgrad": True}, move_state=True)],
    "AdamW": [
        O({"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, **o}, LARGE)
        for o in combinations(weight_decay=DECAYS, amsgrad=SIGNS, maximize=SIGNS)
    ] + [*IN_GROUPS, O({"amsgrad": True}, move_state=True)],
    "RMSprop": [
        O({"lr": 0.05, **o}, LARGE)
        for o in combinations(weight_decay=DECAYS, momentum=[0, 0.9], centered=SIGNS, maximize=SIGNS)
    ] + [*IN_GROUPS, O({"momentum": 0.9, "centered": True, "alpha": 0.8}, move_state=True)],
    "Adagrad": [
        O({"lr": 0.1, **o}, LARGE)
        for o in combinations(lr_decay=DECAYS, weight_decay=DECAYS, initial_accumulator_value=[0, 0.5], maximize=SIGNS)
    ] + IN_GROUPS,
    "NAdam": [
        O({"lr": 0.05, "momentum_decay": 0.1, **o}, LARGE)
        for o in combinations(weight_decay=DECAYS, decoupled_weight_decay=SIGNS, maximize=SIGNS)
    ] + IN_GROUPS,
    "RAdam": [
        O({"lr": 0.05, "betas": (0.9, 0.99), **o}, LARGE)
        for o in combinations(weight_decay=DECAYS, decoupled_weight_decay=SIGNS, maximize=SIGNS)
    ] + IN_GROUPS,
    "Adafactor": [
        O({"lr": 0.05, **o}, ((3, 4), (5,), (), (2, 3, 4), (1, 6)))
        for o in combinations(eps=[(None, 1e-3), (1e-4, 1e-2)], d=[1.0, 2.0], weight_decay=DECAYS, maximize=SIGNS,
                              beta2_decay=[-0.8, -0.5])
    ] + [O({}, ((3, 4), (5,)), GROUPS), O({"lr": 0.1}, ((3, 4), (5,)), move_state=True)],
    "Muon": [
        O({"lr": 0.05, **o}, MATRICES)
        for o in combinations(weight_decay=DECAYS, momentum=[0.0, 0.9], nesterov=SIGNS,
                              adjust_lr_fn=[None, "original", "match_rms_adamw"])
    ] + [O({}, MATRICES, GROUPS), O({"lr": 0.1}, MATRICES, move_state=True)],
}  # fmt: skip
OPTIMIZERS = {f"optim.{name}": calls for name, calls in OPTIMIZERS.items()}



def plateau(schedules: Any, optimizer: Any, **options: Any) -> Any:
    """Return a schedule that waits for a plateau."""
    return schedules.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, threshold=0.01, **options)


METRICS = (3.0, 2.0, 2.5, 1.995, 1.9, 1.9, 1.9, 1.9, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 7.01, 7.02, 7.03)

SCHEDULES: dict[str, list[S]] = {
    "LambdaLR": [
        S(lambda s, o: s.LambdaLR(o, lambda step: 0.9**step)),
        S(lambda s, o: s.LambdaLR(o, [lambda step: 0.9**step, lambda step: 1 / (1 + step)])),
    ],
    "MultiplicativeLR": [S(lambda s, o: s.MultiplicativeLR(o, lambda step: 0.9 + 0.01 * step))],
    "StepLR": [S(lambda s, o: s.StepLR(o, 3, gamma=0.5)), S(lambda s, o: s.StepLR(o, 4))],
    "MultiStepLR": [S(lambda s, o: s.MultiStepLR(o, [2, 5, 5, 9], gamma=0.5))],
    "ConstantLR": [S(lambda s, o: s.ConstantLR(o)), S(lambda s, o: s.ConstantLR(o, factor=0.25, total_iters=3))],
    "LinearLR": [
        S(lambda s, o: s.LinearLR(o)),
        S(lambda s, o: s.LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=8)),
    ],
    "ExponentialLR": [S(lambda s, o: s.ExponentialLR(o, 0.9))],
    "PolynomialLR": [S(lambda s, o: s.PolynomialLR(o, total_iters=8, power=2.0))],
    "CosineAnnealingLR": [
        S(lambda s, o: s.CosineAnnealingLR(o, 5, eta_min=0.01)), S(lambda s, o: s.CosineAnnealingLR(o, 20)),
    ],
    "OneCycleLR": [
        S(lambda s, o: s.OneCycleLR(o, 0.7, total_steps=20)),
        S(lambda s, o: s.OneCycleLR(o, 0.7, total_steps=20), "Adam"),
        S(lambda s, o: s.OneCycleLR(
            o, [0.7, 0.9], epochs=4, steps_per_epoch=5, three_phase=True, anneal_strategy="linear")),
        S(lambda s, o: s.OneCycleLR(o, 0.7, total_steps=20, cycle_momentum=False)),
    ],
    "SequentialLR": [S(lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=4), s.CosineAnnealingLR(o, 6), s.ExponentialLR(o, 0.5)],
        milestones=[4, 10]))],
    "ChainedScheduler": [S(lambda s, o: s.ChainedScheduler(
        [s.ConstantLR(o, 0.5, total_iters=4), s.ExponentialLR(o, 0.9), s.MultiStepLR(o, [6])]))],
    "ReduceLROnPlateau": [
        S(functools.partial(plateau, **options), metrics=METRICS)
        for options in [
            {"mode": mode, "threshold_mode": threshold, **more} for mode in ("min", "max") for threshold in ("rel",
                "abs")
            for more in ({}, {"cooldown": 2, "min_lr": [0.05, 0.01]}, {"eps": 0.02})]
    ],
}  # fmt: skip
SCHEDULES = {f"optim.lr_scheduler.{name}": calls for name, calls in SCHEDULES.items()}
