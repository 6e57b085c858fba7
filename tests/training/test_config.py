from __future__ import annotations

import json
import math

import pytest

from minillm.training.config import TrainingConfig


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("steps", 0, "steps is 0; it needs a whole number, 1 or more"),
        ("steps", -3, "steps is -3"),
        ("steps", 1.5, "steps is 1.5"),
        ("steps", True, "steps is True"),
        ("batch_size", -1, "batch_size is -1"),
        ("block_size", 0, "block_size is 0"),
        ("grad_accumulation", 0, "grad_accumulation is 0"),
        ("log_interval", 0, "log_interval is 0"),
        ("eval_windows", 0, "eval_windows is 0"),
        ("warmup", -1, "warmup is -1; it needs a whole number, 0 or more"),
        ("patience", -1, "patience is -1"),
        ("seed", -1, "seed is -1"),
        ("lr", 0, "lr is 0; it needs to be positive"),
        ("lr", -1e-3, "lr is -0.001; it needs a finite number, 0 or more"),
        ("lr", math.nan, "lr is nan"),
        ("lr", "fast", "lr is 'fast'"),
        ("weight_decay", math.inf, "weight_decay is inf"),
        ("grad_clip", -1, "grad_clip is -1"),
        ("momentum", None, "momentum is None"),
        ("schedule", "cosin", "schedule is 'cosin'; known are cosine, linear, step, constant"),
        ("optimizer", "lion", "optimizer is 'lion'; known are adamw, adam, sgd"),
        ("betas", (0.9, 1.0), r"betas are \(0.9, 1.0\); they need to lie in \[0, 1\)"),
        ("betas", (0.9,), "betas are .* two numbers"),
        ("betas", 0.9, "betas are 0.9; they need to be two numbers"),
        ("betas", ("a", 0.9), "a beta is 'a'"),
        ("freeze", "h.0.*", "freeze is 'h.0.*'; it needs a list"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(setting, value, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**{setting: value})


def test_settings_survive_json():
    config = TrainingConfig(freeze=("a.*", "b"), betas=(0.8, 0.95), steps=7)
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_unknown_settings_are_named():
    with pytest.raises(ValueError, match="unknown names sped, stepz"):
        TrainingConfig.from_dict({"stepz": 3, "sped": 1})


@pytest.mark.parametrize("schedule", ["cosine", "linear", "step", "constant"])
def test_rates_rise_then_fall_between_their_bounds(schedule):
    config = TrainingConfig(steps=90, warmup=9, lr=1.0, min_lr=0.1, schedule=schedule)
    rates = [config.learning_rate(step) for step in range(91)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[:10] == sorted(rates[:10])
    assert rates[9] == 1.0
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert min(rates[9:]) >= 0.1
    assert rates[90] == pytest.approx(1.0 if schedule == "constant" else 0.1)


def test_the_cosine_schedule_is_nanogpts():
    """The function get_lr of nanoGPT's train.py, for the shakespeare-char settings."""
    config = TrainingConfig(steps=2000, warmup=100, lr=1e-3, min_lr=1e-4)
    for step in (0, 50, 99, 100, 777, 1999, 2000):
        if step < 100:
            expected = 1e-3 * (step + 1) / 101
        else:
            coefficient = 0.5 * (1.0 + math.cos(math.pi * (step - 100) / 1900))
            expected = 1e-4 + coefficient * (1e-3 - 1e-4)
        assert config.learning_rate(step) == pytest.approx(expected, rel=1e-12)


def test_step_schedule_falls_to_a_tenth_after_each_third():
    config = TrainingConfig(steps=30, warmup=0, lr=1.0, min_lr=0.0, schedule="step")
    assert [config.learning_rate(s) for s in (0, 9, 10, 19, 20, 29)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )


def test_a_warm_up_longer_than_the_run_only_rises():
    config = TrainingConfig(steps=5, warmup=100)
    rates = [config.learning_rate(step) for step in range(5)]
    assert rates == sorted(rates)
    assert rates[-1] < config.lr


def test_min_lr_above_lr_does_not_let_the_rate_rise():
    config = TrainingConfig(steps=10, warmup=0, lr=1e-5, min_lr=1e-4)
    assert {config.learning_rate(step) for step in range(10)} == {1e-5}
