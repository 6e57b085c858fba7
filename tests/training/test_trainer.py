from __future__ import annotations

import math
import signal

import numpy as np
import pytest

import minillm
from minillm.backend import Generator
from minillm.data import TokenBatches
from minillm.models.weights import load_weights
from minillm.training.checkpoint import CheckpointError, checkpoints_in, read_state
from minillm.training.evaluation import evaluate
from minillm.training.log import read_log
from minillm.training.progress import Silent
from minillm.training.state import DivergenceError
from minillm.training.stopping import TrainingInterrupted
from minillm.training.trainer import Trainer
from tests.training.conftest import (
    VOCAB,
    assert_same_weights,
    make_config,
    make_model,
    make_tokens,
    mean_loss,
    weights_of,
)

TIMES = {"seconds"}  # the only entry of the log that may differ between two runs


def timeless(records):
    return [{k: v for k, v in record.items() if k not in TIMES} for record in records]


def make_trainer(directory=None, *, model=None, objective=None, progress=None, count=600, **changes):
    tokens = make_tokens(count)
    options = {} if objective is None else {"objective": objective}
    return Trainer(
        model or make_model(),
        tokens[:-60],
        tokens[-60:],
        make_config(**changes),
        directory=directory,
        progress=progress,
        **options,
    )


class Hook(Silent):
    """Calls a function after each step, with the number of the step."""

    def __init__(self, action):
        self.steps, self.action = 0, action

    def start(self, step, steps):
        self.steps = step

    def step(self, loss, tokens):
        self.steps += 1
        self.action(self.steps)


def at_step(number, action):
    return Hook(lambda step: action() if step == number else None)


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


# -- the loop -------------------------------------------------------------------------------------------


def test_it_learns():
    trainer = make_trainer(steps=60)
    result = trainer.train()
    assert result.step == 60
    assert not result.stopped_early
    # 0.50 nats is the entropy of the text, log(11) = 2.4 the loss of guessing.
    assert result.evaluation.loss < 1.0
    assert trainer.history[0]["val_loss"] > 2.2
    assert result.tokens == 60 * 4 * 8
    assert result.seconds > 0
    assert not trainer.model.training


def test_one_step_is_that_of_the_formulas():
    """The loop, written out: batch, mean loss, clipping, the rate of the schedule, AdamW in two groups."""
    model, twin = make_model(dropout=0.0), make_model(dropout=0.0)
    config = make_config(steps=3, eval_interval=0, grad_clip=0.05, weight_decay=0.2)
    tokens = make_tokens()
    Trainer(model, tokens, config=config).train()

    matrices = [p for p in twin.parameters() if p.ndim == 2]
    vectors = [p for p in twin.parameters() if p.ndim == 1]
    optimizer = minillm.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.2}, {"params": vectors, "weight_decay": 0.0}],
        lr=1.0, betas=config.betas,
    )  # fmt: skip
    batches = TokenBatches(tokens, 8, 4)
    for step in range(3):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate(step)
        x, y = batches.batch(step, Generator(config.seed))
        optimizer.zero_grad()
        twin(minillm.tensor(x), targets=minillm.tensor(y)).loss.backward()
        minillm.nn.utils.clip_grad_norm_(list(twin.parameters()), 0.05)
        optimizer.step()
    assert_same_weights(model, twin)


def test_two_runs_are_the_same_and_another_seed_is_not():
    runs = []
    for seed in (3, 3, 4):
        trainer = make_trainer(seed=seed)
        minillm.rand(5)  # draws elsewhere change nothing
        trainer.train()
        runs.append((weights_of(trainer.model), timeless(trainer.history)))
    assert_same_weights(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]
    assert runs[0][1] != runs[2][1]


def test_the_default_generator_is_left_where_it_was():
    minillm.manual_seed(9)
    before = minillm.get_rng_state()
    make_trainer(steps=2).train()
    assert minillm.get_rng_state() == before


def test_it_runs_where_the_model_lies(device):
    trainer = make_trainer(steps=4)
    trainer.train()
    assert trainer.model.embedding.weight.device == minillm.device(device)
    reference = make_trainer(steps=4, model=make_model().to("cpu"))
    reference.train()
    for name, array in weights_of(reference.model).items():
        np.testing.assert_allclose(weights_of(trainer.model)[name], array, rtol=1e-4, atol=1e-5)


def test_accumulated_gradients_equal_one_large_batch():
    large = make_trainer(batch_size=12, grad_accumulation=1, model=make_model(dropout=0.0))
    small = make_trainer(batch_size=3, grad_accumulation=4, model=make_model(dropout=0.0))
    assert large.train().tokens == small.train().tokens
    for one, other in zip(large.history, small.history, strict=True):
        assert one.keys() == other.keys()
        for key in ("loss", "val_loss", "grad_norm"):
            if key in one:
                assert one[key] == pytest.approx(other[key], rel=1e-4)
    for name, array in weights_of(large.model).items():
        np.testing.assert_allclose(array, weights_of(small.model)[name], rtol=1e-3, atol=2e-5)


def test_parts_with_ignored_targets_weigh_what_they_count():
    """The mean over all targets that count, not the mean of the parts' means."""

    def objective(model, x, y):
        return mean_loss(model(x).logits, y)

    gradients = []
    for size, parts in ((4, 1), (1, 4)):
        trainer = make_trainer(
            batch_size=size, grad_accumulation=parts, objective=objective, model=make_model(dropout=0.0)
        )
        x, y = trainer._batches.batch(0, Generator(0))
        y[0, 1:] = -100
        y[2] = -100
        y[2, 5] = 4
        loss = trainer._gradients(x, y)
        gradients.append((loss, trainer.model.fc.weight.grad.numpy().copy()))
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-5)
    np.testing.assert_allclose(gradients[0][1], gradients[1][1], rtol=1e-4, atol=1e-7)


def test_frozen_parameters_stay_and_the_others_move(tmp_path):
    model = make_model()
    before = weights_of(model)
    trainer = make_trainer(tmp_path, model=model, freeze=("embedding.*", "norm"))
    trainer.train()
    after = weights_of(model)
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {"fc.weight", "fc.bias"}


def test_clipping_bounds_the_step():
    """With SGD and no momentum, the first step is as long as rate times the clipped norm."""
    model = make_model(dropout=0.0)
    before = weights_of(model)
    config = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "steps": 1, "warmup": 0, "lr": 1.0}
    trainer = Trainer(model, make_tokens(), config=make_config(**config, grad_clip=1e-3))
    trainer.train()
    after = weights_of(model)
    squares = [((after[n] - before[n]) ** 2).sum() for n in before if n != "head.weight"]
    assert math.sqrt(sum(squares)) == pytest.approx(1e-3, rel=1e-2)
    assert trainer.history[0]["grad_norm"] > 0.01


# -- evaluation, patience, the best weights ---------------------------------------------------------------


def test_the_log_tells_each_step_and_evaluation():
    trainer = make_trainer(steps=7, log_interval=3, eval_interval=4)
    result = trainer.train()
    steps = [(r["step"], "val" if "val_loss" in r else "train") for r in trainer.history]
    assert steps == [
        (0, "val"), (3, "train"), (4, "val"), (6, "train"), (7, "train"), (7, "val"), (7, "val"),
    ]  # fmt: skip
    last = trainer.history[-1]
    assert last == {"step": 7, "final": True, "val_loss": last["val_loss"], "kept_step": 7}
    assert last["val_loss"] == pytest.approx(result.evaluation.loss, rel=1e-5)
    line = trainer.history[1]
    assert set(line) == {"step", "loss", "lr", "grad_norm", "tokens", "seconds"}
    assert line["tokens"] == 3 * 4 * 8
    assert line["lr"] == pytest.approx(trainer.config.learning_rate(2), rel=1e-5)


def test_the_last_evaluation_reads_the_whole_text():
    trainer = make_trainer(eval_windows=2)
    result = trainer.train()
    assert result.evaluation.tokens == 59
    assert result.evaluation == evaluate(trainer.model, make_tokens()[-60:], 8, 4)
    assert result.evaluation.loss != pytest.approx(trainer.history[-2]["val_loss"], rel=1e-6)


def test_without_validation_the_last_weights_are_kept(tmp_path):
    trainer = Trainer(make_model(), make_tokens(), config=make_config(), directory=tmp_path)
    result = trainer.train()
    assert result.evaluation is None
    assert result.kept_step == 12
    other = make_model(1)
    load_weights(other, tmp_path / "model.safetensors")
    assert_same_weights(other, trainer.model)
    assert not any("val_loss" in r for r in trainer.history)


def worsening(step_from):
    """An objective whose validation loss rises from the given evaluation on."""
    evaluations = []

    def objective(model, x, y):
        loss = model(x, targets=y).loss
        if not model.training:
            evaluations.append(0)
            if len(evaluations) > step_from * 3:  # 60 tokens are batches of 4 and 3 windows, and the rest
                loss = loss * 0 + len(evaluations)
        return loss

    return objective


@pytest.mark.parametrize("with_directory", [True, False])
def test_patience_stops_and_the_best_weights_come_back(tmp_path, with_directory):
    directory = tmp_path if with_directory else None
    snapshots = {}
    trainer = make_trainer(
        directory, steps=100, eval_interval=2, eval_windows=8, patience=3, objective=worsening(3)
    )
    trainer.progress = Hook(lambda step: snapshots.setdefault(step, weights_of(trainer.model)))
    result = trainer.train()
    # Evaluations after 0, 2 and 4 steps fall; those after 6, 8 and 10 rise.
    assert (result.step, result.kept_step, result.stopped_early) == (10, 4, True)
    assert_same_weights(trainer.model, snapshots[4])
    if with_directory:
        assert [p.name for p in checkpoints_in(tmp_path / "checkpoints")] == [
            "step-000004", "step-000009", "step-000010",
        ]  # fmt: skip
        other = make_model(1)
        load_weights(other, tmp_path / "model.safetensors")
        assert_same_weights(other, snapshots[4])


def test_resuming_after_patience_has_ended_only_measures_again(tmp_path):
    changes = {"steps": 100, "eval_interval": 2, "eval_windows": 8, "patience": 3}
    first = make_trainer(tmp_path, **changes, objective=worsening(3))
    first.train()
    log = timeless(first.history)
    again = make_trainer(tmp_path, model=make_model(7), **changes)
    result = again.train(resume=True)
    assert (result.step, result.kept_step, result.stopped_early) == (10, 4, True)
    assert_same_weights(again.model, first.model)
    assert timeless(again.history)[:-1] == log[:-1]


# -- stopping and resuming --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    trainer = make_trainer(tmp_path_factory.mktemp("whole"))
    result = trainer.train()
    return trainer, result


def assert_same_run(directory, trainer, result, uninterrupted):
    """Weights, moments, random state, log: all as in the run that was never stopped."""
    whole, its = uninterrupted
    assert (result.step, result.kept_step, result.evaluation, result.tokens) == (
        its.step, its.kept_step, its.evaluation, its.tokens,
    )  # fmt: skip
    assert timeless(read_log(directory / "log.jsonl")) == timeless(whole.history)
    newest, theirs = (checkpoints_in(d / "checkpoints")[-1] for d in (directory, whole.directory))
    assert newest.name == theirs.name
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (newest / name).read_bytes() == (theirs / name).read_bytes()
    assert read_state(newest)["random"] == read_state(theirs)["random"]
    kept, its = (d / "model.safetensors" for d in (directory, whole.directory))
    assert kept.read_bytes() == its.read_bytes()
    assert_same_weights(trainer.model, whole.model)


def test_a_run_writes_what_it_should(uninterrupted):
    whole, result = uninterrupted
    names = {str(p.relative_to(whole.directory)) for p in whole.directory.rglob("*") if p.is_file()}
    places = {p.name for p in checkpoints_in(whole.directory / "checkpoints")}
    assert {"log.jsonl", "model.safetensors"} <= names
    assert {"step-000009", "step-000012"} <= places
    assert f"step-{result.kept_step:06d}" in places


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [1, 4, 7, 11, 12])
def test_ctrl_c_finishes_the_step_and_resuming_repeats_the_run(tmp_path, uninterrupted, step, number):
    trainer = make_trainer(tmp_path, progress=at_step(step, lambda: signal.raise_signal(number)))
    message = rf"stopped after step {step}; everything is saved in"
    with pytest.raises(TrainingInterrupted, match=message) as raised:
        trainer.train()
    assert raised.value.step == step
    assert isinstance(raised.value, KeyboardInterrupt)
    assert checkpoints_in(tmp_path / "checkpoints")[-1].name == f"step-{step:06d}"
    other = make_trainer(tmp_path, model=make_model(seed=99))
    result = other.train(resume=True)
    assert_same_run(tmp_path, other, result, uninterrupted)


def test_a_run_stopped_after_every_step_is_the_same_run(tmp_path, uninterrupted):
    trainer = make_trainer(tmp_path, progress=Hook(lambda step: press_ctrl_c()))
    with pytest.raises(TrainingInterrupted):
        trainer.train()
    for _ in range(11):
        trainer = make_trainer(tmp_path, model=make_model(99), progress=Hook(lambda step: press_ctrl_c()))
        with pytest.raises(TrainingInterrupted):
            trainer.train(resume=True)
    assert trainer.state.step == 12
    trainer = make_trainer(tmp_path, model=make_model(99))
    result = trainer.train(resume=True)
    assert_same_run(tmp_path, trainer, result, uninterrupted)


class InterruptedEvaluation:
    """An objective that is interrupted in the evaluation with the given number."""

    def __init__(self, number):
        self.number, self.count, self.training = number, -1, True

    def __call__(self, model, x, y):
        if self.training and not model.training:
            self.count += 1
            if self.count == self.number:
                press_ctrl_c()
        self.training = model.training
        return model(x, targets=y).loss


@pytest.mark.parametrize(("evaluation", "step"), [(0, 0), (1, 4), (3, 12)])
def test_ctrl_c_in_an_evaluation(tmp_path, uninterrupted, evaluation, step):
    trainer = make_trainer(tmp_path, objective=InterruptedEvaluation(evaluation))
    with pytest.raises(TrainingInterrupted, match=f"stopped after step {step};"):
        trainer.train()
    other = make_trainer(tmp_path, model=make_model(99))
    assert_same_run(tmp_path, other, other.train(resume=True), uninterrupted)


def test_ctrl_c_in_the_last_evaluation_of_the_whole_text(tmp_path, uninterrupted):
    trainer = make_trainer(tmp_path)
    trainer.progress = silent = Silent()
    silent.whole_evaluation = lambda windows: lambda done: press_ctrl_c()
    with pytest.raises(TrainingInterrupted, match="stopped after step 12"):
        trainer.train()
    other = make_trainer(tmp_path, model=make_model(99))
    assert_same_run(tmp_path, other, other.train(resume=True), uninterrupted)


class Killed(BaseException):
    pass


def die():
    raise Killed


@pytest.mark.parametrize("step", [1, 2, 5, 6, 9, 10, 12])
def test_a_killed_run_repeats_what_came_after_its_checkpoint(tmp_path, uninterrupted, step):
    with pytest.raises(Killed):
        make_trainer(tmp_path, progress=at_step(step, die)).train()
    with open(tmp_path / "log.jsonl", "ab") as log:
        log.write(b'{"step": 9')  # the line that was being written
    other = make_trainer(tmp_path, model=make_model(99))
    assert_same_run(tmp_path, other, other.train(resume=True), uninterrupted)


@pytest.mark.parametrize("call", range(3))
def test_a_run_killed_between_checkpoint_and_kept_weights(tmp_path, uninterrupted, monkeypatch, call):
    """The weights to use are then older than the best checkpoint; resuming mends that."""
    trainer = make_trainer(tmp_path)
    real, calls = trainer._keep_weights, []

    def keep():
        if len(calls) == call:
            die()
        calls.append(1)
        real()

    monkeypatch.setattr(trainer, "_keep_weights", keep)
    with pytest.raises(Killed):
        trainer.train()
    other = make_trainer(tmp_path, model=make_model(99))
    assert_same_run(tmp_path, other, other.train(resume=True), uninterrupted)


def test_resuming_a_finished_run_changes_nothing(tmp_path, uninterrupted):
    make_trainer(tmp_path).train()
    other = make_trainer(tmp_path, model=make_model(99))
    assert_same_run(tmp_path, other, other.train(resume=True), uninterrupted)


def test_a_finished_run_can_be_trained_further(tmp_path):
    make_trainer(tmp_path).train()
    further = make_trainer(tmp_path, model=make_model(99), steps=20)
    result = further.train(resume=True)
    assert result.step == 20
    steps = [r["step"] for r in further.history]
    assert steps == sorted(steps)
    assert sum("final" in r for r in further.history) == 1


def test_the_same_trainer_can_go_on_after_ctrl_c(tmp_path, uninterrupted):
    trainer = make_trainer(tmp_path, progress=at_step(5, press_ctrl_c))
    with pytest.raises(TrainingInterrupted):
        trainer.train()
    trainer.progress = Silent()
    assert_same_run(tmp_path, trainer, trainer.train(resume=True), uninterrupted)


def test_ctrl_c_without_a_directory_says_that_nothing_is_saved():
    with pytest.raises(TrainingInterrupted, match="nothing is saved: there is no directory"):
        make_trainer(progress=at_step(2, press_ctrl_c)).train()


def test_a_forgotten_best_checkpoint_is_no_obstacle(tmp_path):
    import shutil

    with pytest.raises(Killed):
        make_trainer(tmp_path, progress=at_step(8, die)).train()
    newest = checkpoints_in(tmp_path / "checkpoints")[-1]
    for place in checkpoints_in(tmp_path / "checkpoints"):
        if place != newest:
            shutil.rmtree(place)
    assert make_trainer(tmp_path).train(resume=True).step == 12


# -- what cannot go well ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_and_leaves_the_checkpoints(tmp_path, value):
    steps = []

    def objective(model, x, y):
        loss = model(x, targets=y).loss
        steps.append(model.training)
        return loss * value if sum(steps) == 8 else loss

    trainer = make_trainer(tmp_path, objective=objective)
    with pytest.raises(
        DivergenceError,
        match=rf"step 8: the loss is {value}, at learning rate 0.01\d*: training has diverged. Try a lower "
        r"learning rate \(lr 0.007\), a longer warm-up \(warmup 100\); the checkpoint .*000006 is intact",
    ):
        trainer.train()
    other = make_trainer(tmp_path, model=make_model(99))
    assert other.train(resume=True).step == 12


def test_gradients_that_are_no_numbers_do_not_reach_the_weights(tmp_path):
    trainer = make_trainer(tmp_path, grad_clip=0.0)
    trainer.model.fc.bias.register_hook(lambda gradient: gradient * math.nan)
    before = weights_of(trainer.model)
    message = r"step 1: the norm of the gradients is nan.*grad_clip 1.*step-000000"
    with pytest.raises(DivergenceError, match=message):
        trainer.train()
    assert_same_weights(trainer.model, before)


def test_a_validation_loss_that_is_no_number_stops(tmp_path):
    def objective(model, x, y):
        loss = model(x, targets=y).loss
        return loss if model.training else loss * math.inf

    with pytest.raises(DivergenceError, match="step 1: the validation loss is inf"):
        make_trainer(tmp_path, objective=objective).train()


def test_a_real_divergence(tmp_path):
    """A rate beyond reason, without clipping."""
    trainer = make_trainer(tmp_path, lr=1e30, min_lr=0, warmup=0, optimizer="sgd", grad_clip=0, steps=50)
    with np.errstate(all="ignore"), pytest.raises((DivergenceError, CheckpointError)):
        trainer.train()
    make_trainer(tmp_path, steps=50).train(resume=True)


def test_a_directory_with_another_run_is_refused(tmp_path):
    make_trainer(tmp_path, steps=2).train()
    with pytest.raises(CheckpointError, match="holds the checkpoint step-000002 of an earlier run"):
        make_trainer(tmp_path).train()


def test_nothing_to_resume_from(tmp_path):
    with pytest.raises(CheckpointError, match="holds no checkpoint to resume from"):
        make_trainer(tmp_path).train(resume=True)
    with pytest.raises(CheckpointError, match="no directory to resume from"):
        make_trainer().train(resume=True)


def test_a_damaged_state_is_named(tmp_path):
    import json

    make_trainer(tmp_path, steps=2).train()
    path = checkpoints_in(tmp_path / "checkpoints")[-1] / "state.json"
    state = json.loads(path.read_text())
    for damage in ({"run": {"stepp": 1}}, {"random": {}}):
        path.write_text(json.dumps({**state, **damage}))
        with pytest.raises(CheckpointError, match=r"step-000002 cannot be read: state.json"):
            make_trainer(tmp_path, steps=2).train(resume=True)


@pytest.mark.parametrize(
    ("tokens", "validation", "error", "message"),
    [
        (make_tokens(8), None, ValueError, "the text is too short: it has 8 tokens"),
        (make_tokens(0), None, ValueError, "the text is too short: it has 0 tokens"),
        (make_tokens(), make_tokens(1), ValueError, "the validation text has 1 tokens and needs at least 2"),
        (make_tokens() + 1, None, ValueError, r"the training text holds the token 11 .*knows 0 to 10"),
        (make_tokens().astype(int) - 1, None, ValueError, "the training text holds the token -1"),
        (make_tokens(), make_tokens() + 1, ValueError, "the validation text holds the token 11"),
        (make_tokens().astype(float), None, TypeError, "tokens must be integers, got float64"),
        ([1, 2, 3], None, TypeError, "tokens must be an array of integers, got list"),
        (make_tokens()[:, None], None, ValueError, r"must be one row, of shape \(num_tokens,\)"),
    ],
)  # fmt: skip
def test_tokens_that_do_not_fit(tokens, validation, error, message):
    with pytest.raises(error, match=message):
        Trainer(make_model(), tokens, validation, make_config())


def test_a_pattern_that_matches_nothing_is_refused_before_training():
    with pytest.raises(ValueError, match=r"no parameter is called 'fd.weight'; close are .*fc.weight"):
        make_trainer(freeze=("fd.weight",))


def test_any_model_can_be_trained_with_an_objective_of_its_own():
    class Plain(minillm.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = minillm.nn.Embedding(VOCAB, VOCAB)

        def forward(self, x):
            return self.table(x)

    def objective(model, x, y):
        return mean_loss(model(x), y)

    trainer = make_trainer(model=Plain(), objective=objective, steps=40, lr=0.3)
    assert trainer.train().evaluation.loss < 1.2
