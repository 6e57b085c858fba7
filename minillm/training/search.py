"""``Search``: settings of fine-tuning are tried, and the best are found, by a grid, at random, or by Bayes' rule.

    search.json    what is searched: plan, space, method, data with SHA-256
    trials.db      all trials, in Optuna's SQLite storage; several processes may work on it
    trials.csv     a table of them, the best first
    trials.png     the score over the trials, and against each setting

A trial that fails or diverges is recorded and does not end the search; one that was interrupted is done again.
Bayesian search is the Tree-structured Parzen Estimator: values are drawn where l(x) / g(x) is large, l the density
of the values of good trials and g that of the others.

Source: Bergstra, Bardenet, Bengio and Kégl, "Algorithms for Hyper-Parameter Optimization" (2011); for random search
Bergstra and Bengio (2012). Needs Optuna, the extra ``search``.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import math
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minillm import viz
from minillm.backend import Generator, get_default_device, get_num_threads, set_default_device, set_num_threads
from minillm.data.json_readers import read_json
from minillm.data.whole_files import write_whole
from minillm.training.fine_tuning import FineTuner
from minillm.training.run_directory import RunError
from minillm.training.search_space import Range, check_space, grid_of, parse_space
from minillm.training.task_data import TaskData, load_data
from minillm.training.task_models import adapt, make_start
from minillm.training.task_plan import TaskPlan
from minillm.training.task_run import OF_THE_LOOP

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FORMAT = "minillm search 1"
SEARCH, DATABASE, TABLE, PLOT = "search.json", "trials.db", "trials.csv", "trials.png"
METHODS = ("grid", "random", "bayes")
MISSING = 'Optuna is not installed; pip install "minillm[search]" brings it'

Report = Callable[[str], object]


class Search:
    """A search in a directory.

    Args:
        path: of the directory; a search that is there goes on, if it is the same one.
        plan: what is fine-tuned; the space replaces some of its settings.
        space: words as in ``lr=1e-5..1e-3:log``; see :mod:`minillm.training.search_space`.
        method: ``grid``, ``random`` or ``bayes``.
        trials: how many in all; None for the whole grid, and 20 otherwise.
        seed: of the draws.

    Attributes:
        config: of the model.
        metric: the score that is compared.
        lower_is_better: whether it is a loss.

    Raises:
        RunError: the directory holds something else, or another search.
        RuntimeError: Optuna is missing; says how to install it.
        OSError, ValueError: the space, the data or the model do not fit.
    """

    def __init__(
        self, path: str | os.PathLike[str], plan: TaskPlan, space: Sequence[str], method: str = "bayes",
        trials: int | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        if method not in METHODS:
            raise ValueError(f"method is {method!r}; there are {', '.join(METHODS)}")
        if importlib.util.find_spec("optuna") is None:
            raise RuntimeError(f"no search: {MISSING}")
        self.path, self.plan, self.method, self.seed = Path(path), plan, method, seed
        self.words, self.space = list(space), parse_space(space)
        check_space(self.space, plan)
        self.grid = grid_of(self.space) if method == "grid" else []
        self.trials = trials or (len(self.grid) if self.grid else 20)
        if self.grid:
            self.trials = min(self.trials, len(self.grid))
        self.data: TaskData | None = None
        self.metric, self.lower_is_better = "", False
        self._study: Any = None
        self._open()

    # -- the directory --------------------------------------------------------------------------------

    def _what(self) -> dict[str, Any]:
        return {"format": FORMAT, "plan": self.plan.to_dict(), "space": self.words, "method": self.method,
                "seed": self.seed}  # fmt: skip

    def _open(self) -> None:
        """Read the data, try the model, and begin the directory or check that it holds this search."""
        what = self._what()
        before: Any = None
        if self.path.is_dir() and any(self.path.iterdir()):
            if not (self.path / SEARCH).is_file():
                raise RunError(f"{self.path} is not empty and holds no search; give another directory (--out)")
            try:
                before = read_json(self.path / SEARCH)
                differing = [name for name, value in what.items() if before[name] != value]
            except (ValueError, KeyError, TypeError) as error:
                raise RunError(f"{self.path / SEARCH} is damaged: {error}") from error
            if differing:
                raise RunError(
                    f"{self.path} holds another search: its {', '.join(differing)} is not what was asked for; give "
                    "another directory (--out)"
                )
        elif self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file; a search needs a directory of its own (--out)")
        self.data = load_data(self.plan)
        if self.data.validation is None:
            raise ValueError("a search needs examples to measure on: --validation, or a --validation-fraction above 0")
        if before is not None and before["data"] != self.data.to_dict():
            raise RunError(f"{self.path}: the data are not those that the search began with; start a new one")
        start = make_start(self.plan, self.data.train.examples)  # so that a wrong model is found before any trial
        self.metric, self.lower_is_better = start.task.metric, start.task.lower_is_better
        self.config = start.model.config
        self.path.mkdir(parents=True, exist_ok=True)
        if before is None:
            what.update(version=sys.modules["minillm"].__version__, metric=self.metric, data=self.data.to_dict())
            with write_whole(self.path / SEARCH) as file:
                file.write((json.dumps(what, indent=2, ensure_ascii=False) + "\n").encode())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """A block in which no other process asks for trials or writes the table."""
        with open(self.path / ".lock", "ab") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """A block in which other processes see that this one is at work; what dead ones left is given up."""
        with open(self.path / ".working", "ab") as file:
            with self._alone():
                if fcntl is not None:
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        self._give_up()
                    except OSError:  # others are at work
                        pass
                    fcntl.flock(file, fcntl.LOCK_SH)
            yield

    # -- trials ---------------------------------------------------------------------------------------

    def study(self) -> Any:
        """Return Optuna's study of the trials."""
        if self._study is not None:
            return self._study
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{self.path.absolute() / DATABASE}", engine_kwargs={"connect_args": {"timeout": 60}}
        )
        self._study = optuna.create_study(
            study_name="search", storage=storage, sampler=optuna.samplers.RandomSampler(self.seed),
            direction="minimize" if self.lower_is_better else "maximize", load_if_exists=True,
        )  # fmt: skip
        return self._study

    def _give_up(self) -> None:
        """Mark trials whose process was killed as interrupted."""
        from optuna.trial import TrialState

        study = self.study()
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)):
            study._storage.set_trial_user_attr(trial._trial_id, "interrupted", True)
            # By the storage, since a trial that no process had taken yet cannot be told of.
            study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    def _ask(self) -> tuple[Any, Any, dict[str, Any]] | None:
        """Return the study, a new trial and its settings; None where there are enough."""
        import optuna

        with self._alone():
            study = self.study()
            before = study.get_trials(deepcopy=False)
            counted = [trial for trial in before if not trial.user_attrs.get("interrupted")]
            if len(counted) >= self.trials:
                return None
            if self.method == "grid":
                done = [trial.user_attrs.get("settings") for trial in counted]
                study.enqueue_trial(next(values for values in self.grid if values not in done))
            elif self.method == "random":
                random = Generator(self.seed).at("trial", len(before))
                study.enqueue_trial({part.name: part.draw(random) for part in self.space})
            else:
                # By the number of the trial, so that two processes never draw alike.
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # constant_liar is called experimental
                    study.sampler = optuna.samplers.TPESampler(
                        seed=self.seed + len(before), constant_liar=True,
                        n_startup_trials=min(10, max(2, self.trials // 3)),
                    )  # fmt: skip
            trial = study.ask()
            values = self._suggested(trial)
            trial.set_user_attr("settings", values)
        return study, trial, values

    def _suggested(self, trial: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for part in self.space:
            if not isinstance(part, Range):
                found[part.name] = trial.suggest_categorical(part.name, part.values)
            elif part.whole:
                found[part.name] = trial.suggest_int(part.name, int(part.low), int(part.high), log=part.logarithmic)
            else:
                found[part.name] = part.rounded(
                    trial.suggest_float(part.name, part.low, part.high, log=part.logarithmic)
                )
        return found

    def run(self, report: Report = lambda line: None, jobs: int = 1) -> None:
        """Do the trials that are left.

        Args:
            report: called with a line for each trial that ends.
            jobs: processes that work on them.

        Raises:
            KeyboardInterrupt: Ctrl-C came; the trial that was under way is done again next time.
            RuntimeError: a process ended by an error.
        """
        with self._at_work():
            if jobs == 1:
                while (asked := self._ask()) is not None:
                    report(self._trial(*asked))
            else:
                self._run_jobs(jobs)
        with self._alone():
            self._write_table()
        self.draw()

    def _run_jobs(self, jobs: int) -> None:
        context = multiprocessing.get_context("spawn")
        arguments = (str(self.path), self.plan, self.words, self.method, self.trials, self.seed)
        place = (max(1, get_num_threads() // jobs), str(get_default_device()))
        processes = [context.Process(target=_work, args=(*place, *arguments)) for _ in range(jobs)]
        for process in processes:
            process.start()
        try:
            for process in processes:
                process.join()
        except KeyboardInterrupt:
            for process in processes:
                process.terminate()
            for process in processes:
                process.join()
            raise
        if codes := [process.exitcode for process in processes if process.exitcode]:
            raise RuntimeError(f"{len(codes)} of {jobs} processes ended by an error; the trials done are kept")

    def _trial(self, study: Any, trial: Any, values: dict[str, Any]) -> str:
        """Do one trial, and return what to say of it."""
        start, settings = time.perf_counter(), " ".join(f"{name}={_shown(value)}" for name, value in values.items())
        try:
            scores, epoch = self._score(values)
            if not math.isfinite(scores[self.metric]):
                raise ValueError(f"{self.metric} is {scores[self.metric]}")
        except KeyboardInterrupt:
            self._record(study, trial, None, interrupted=True)
            raise
        except (ValueError, RuntimeError, ArithmeticError, MemoryError) as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]
            self._record(study, trial, None, error=reason, seconds=time.perf_counter() - start)
            said = f"failed: {error}"
        else:
            kept = {name: float(f"{value:.6g}") for name, value in scores.items()}
            self._record(
                study, trial, scores[self.metric], scores=kept, epoch=epoch, seconds=time.perf_counter() - start
            )
            said = f"{self.metric} {scores[self.metric]:.4f} after epoch {epoch}"
        return f"trial {trial.number}: {settings}: {said} ({time.perf_counter() - start:.0f} s)"

    def _record(self, study: Any, trial: Any, score: float | None, **about: Any) -> None:
        """Write how a trial ended, and the table; None is no score."""
        from optuna.trial import TrialState

        with self._alone():  # SQLite gives up where two processes write at once
            for name, value in about.items():
                trial.set_user_attr(name, value)
            study.tell(trial, score, state=TrialState.FAIL if score is None else None)
            self._write_table()

    def _score(self, values: dict[str, Any]) -> tuple[dict[str, float], int]:
        """Fine-tune with these settings; return the scores of the best epoch, and which it was."""
        assert self.data is not None
        assert self.data.validation is not None
        plan = self.plan.with_values(values)
        start = make_start(plan, self.data.train.examples)
        adapt(plan, start.model, start.new)
        tuner = FineTuner(
            start.model, start.task, self.data.training_examples(plan), self.data.validation.examples, plan.settings
        )
        state = tuner.train()
        best = state.history[state.best_epoch - 1]
        return {k: v for k, v in best.items() if k not in OF_THE_LOOP}, state.best_epoch

    # -- what was found -------------------------------------------------------------------------------

    def table(self) -> list[dict[str, Any]]:
        """Return the trials, the best first, those without a score last; interrupted ones are left out."""
        from optuna.trial import TrialState

        states = {TrialState.COMPLETE: "done", TrialState.FAIL: "failed"}
        rows = []
        for trial in self.study().get_trials(deepcopy=False):
            about = trial.user_attrs
            if about.get("interrupted"):
                continue
            rows.append({
                "trial": trial.number, "state": states.get(trial.state, "running"), "score": trial.value,
                **{part.name: about.get("settings", {}).get(part.name) for part in self.space},
                "scores": about.get("scores", {}), "epoch": about.get("epoch"), "seconds": about.get("seconds"),
                "error": about.get("error", ""),
            })  # fmt: skip
        sign = 1 if self.lower_is_better else -1
        return sorted(rows, key=lambda r: (r["score"] is None, sign * (r["score"] or 0), r["trial"]))

    def best(self) -> dict[str, Any] | None:
        """Return the settings of the best trial; None where none has a score."""
        rows = self.table()
        if not rows or rows[0]["score"] is None:
            return None
        return {part.name: rows[0][part.name] for part in self.space}

    def _write_table(self) -> None:
        rows = self.table()
        scores = list(next((row["scores"] for row in rows if row["scores"]), {self.metric: None}))
        names = ["trial", "state", *(part.name for part in self.space), *scores, "epoch", "seconds", "error"]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            seconds = None if row["seconds"] is None else round(row["seconds"], 1)
            writer.writerow({**row, **row["scores"], "seconds": seconds})
        with write_whole(self.path / TABLE) as file:
            file.write(text.getvalue().encode())

    def draw(self) -> str | None:
        """Draw ``trials.png``; return None, or why it could not be drawn."""
        rows = [row for row in self.table() if row["score"] is not None]
        trials = [(r["trial"], {part.name: r[part.name] for part in self.space}, r["score"]) for r in rows]
        try:
            viz.plot_trials(
                sorted(trials, key=lambda trial: trial[0]), self.path / PLOT, metric=self.metric,
                lower_is_better=self.lower_is_better,
                logarithmic=[part.name for part in self.space if part.logarithmic],
                title=f"{self.path.name}: {self.plan.task} with {self.plan.model_name}, {self.method} search",
            )  # fmt: skip
        except (RuntimeError, ValueError, OSError) as error:
            return str(error)
        return None


def _work(threads: int, device: str, *what: Any) -> None:
    """Do trials in a process of its own until there are enough."""
    set_num_threads(threads)
    set_default_device(device)
    search = Search(*what)
    try:
        while (asked := search._ask()) is not None:
            print(search._trial(*asked), flush=True)
    except KeyboardInterrupt:
        sys.exit(0)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
