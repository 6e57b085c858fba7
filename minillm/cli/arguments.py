"""Arguments that several commands share, and how their values are checked."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable
from typing import Any, NoReturn

from minillm.training.config import OPTIMIZERS, SCHEDULES, TrainingConfig
from minillm.training.text_source import CORPORA, TextSource


class UsageError(Exception):
    """Arguments that do not go together."""


class LineParser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong.

    Attributes:
        intermixed: whether options may stand between the arguments, as in ``predict DIR --json TEXT``.
    """

    intermixed = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return the arguments that are known, and the others; see the class of argparse."""
        if not self.intermixed:
            return super().parse_known_args(args, namespace)
        self.intermixed = False  # as the method below may call this one
        try:
            return super().parse_known_intermixed_args(args, namespace)
        finally:
            self.intermixed = True

    def error(self, message: str) -> NoReturn:
        """Print the error and leave with the code 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def whole(least: int) -> Callable[[str], int]:
    """Return a converter to whole numbers of at least ``least``.

    Example:
        >>> whole(1)("12")
        12
    """

    def convert(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"got {text}; it needs a whole number, {least} or more")
        return number

    return convert


def number(
    low: float = 0.0, high: float = math.inf, *, with_low: bool = True, with_high: bool = False
) -> Callable[[str], float]:
    """Return a converter to finite numbers from ``low`` to ``high``.

    Example:
        >>> number()("1e-3")
        0.001
    """
    bounds = f"{low:g} or more" if with_low else f"more than {low:g}"
    if high < math.inf:
        bounds += f", and {high:g} or less" if with_high else f", and less than {high:g}"

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        above = value >= low if with_low else value > low
        below = value <= high if with_high else value < high
        if not (above and below and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"got {text}; it needs a number, {bounds}")
        return value

    return convert


def add_text_options(parser: argparse.ArgumentParser, what: str, default: str) -> None:
    """Add the options that say which text is read."""
    group = parser.add_argument_group("text")
    source = group.add_mutually_exclusive_group()
    source.add_argument("--text", nargs="+", metavar="FILE", help=f"{what} (default: {default})")
    source.add_argument(
        "--corpus",
        choices=list(CORPORA),
        help="a text that comes with Python: its help texts, or source code of its standard library",
    )
    group.add_argument("--encoding", help="of the files, as in latin-1 (default: utf-8)")
    group.add_argument(
        "--unknown",
        choices=["error", "skip"],
        help="what to do with characters that a character tokenizer does not know (default: error)",
    )


def add_validation_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say on which text a run is measured."""
    group = parser.add_argument_group("validation")
    group.add_argument(
        "--validation", nargs="+", metavar="FILE", help="a text to measure on (default: the end of the text)"
    )
    group.add_argument(
        "--validation-fraction",
        type=number(0, 1),
        metavar="SHARE",
        help="of the text that is set aside to measure on; 0 for none (default: 0.1)",
    )


def text_source(args: argparse.Namespace) -> TextSource | None:
    """Return the text that was asked for; None where none was."""
    encoding = args.encoding or "utf-8"
    if args.text:
        return TextSource.of_files(args.text, encoding)
    return TextSource(corpus=args.corpus) if args.corpus else None


def validation_source(args: argparse.Namespace) -> TextSource | None:
    """Return the text to measure on that was asked for; None for the end of the text."""
    if not args.validation:
        return None
    if args.validation_fraction is not None:
        raise UsageError("got --validation and --validation-fraction; give one of both")
    return TextSource.of_files(args.validation, args.encoding or "utf-8")


_TRAINING_OPTIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("--steps", "optimizer steps", {"type": whole(1), "metavar": "N"}),
    ("--batch-size", "windows of text in a batch", {"type": whole(1), "metavar": "N"}),
    ("--block-size", "tokens in a window: how far the model looks back", {"type": whole(1), "metavar": "N"}),
    ("--grad-accumulation", "batches in each step: the gradient of a large batch in the memory of a small one",
     {"type": whole(1), "metavar": "N"}),
    ("--batch-threads", "threads that share each batch, a core each; a run repeats bit for bit with the same number",
     {"type": whole(1), "metavar": "N"}),
    ("--optimizer", "how weights are updated", {"choices": OPTIMIZERS}),
    ("--lr", "highest learning rate", {"type": number(with_low=False), "metavar": "RATE"}),
    ("--min-lr", "rate that the schedule ends at", {"type": number(), "metavar": "RATE"}),
    ("--schedule", "how the rate falls", {"choices": SCHEDULES}),
    ("--warmup", "steps over which the rate rises", {"type": whole(0), "metavar": "N"}),
    ("--betas", "decay of the two moments of adam and adamw",
     {"type": number(0, 1), "nargs": 2, "metavar": "BETA"}),
    ("--momentum", "of sgd", {"type": number(), "metavar": "SHARE"}),
    ("--weight-decay", "of matrices; vectors have none", {"type": number(), "metavar": "RATE"}),
    ("--grad-clip", "largest norm of the gradients; 0 for no clipping", {"type": number(), "metavar": "NORM"}),
    ("--freeze", "names of parameters that stay as they are, as in 'transformer.h.[01].*'; the name of a part "
     "stands for all in it", {"nargs": "+", "action": "extend", "metavar": "PATTERN"}),
    ("--eval-interval", "steps between evaluations; 0 for none but the last", {"type": whole(0), "metavar": "N"}),
    ("--eval-windows", "windows that each evaluation reads; after the last step it is the whole text",
     {"type": whole(1), "metavar": "N"}),
    ("--patience", "stop after so many evaluations without a lower loss; 0 for never",
     {"type": whole(0), "metavar": "N"}),
    ("--checkpoint-interval", "steps between checkpoints; 0 for none but the first, the best and the last",
     {"type": whole(0), "metavar": "N"}),
    ("--log-interval", "steps between lines of the log", {"type": whole(1), "metavar": "N"}),
    ("--seed", "of everything random: the same seed gives the same run", {"type": whole(0), "metavar": "N"}),
]  # fmt: skip


def add_training_options(parser: argparse.ArgumentParser, defaults: dict[str, Any]) -> None:
    """Add an option for each setting of :class:`TrainingConfig`.

    Args:
        parser: of a command.
        defaults: for the help; a string explains where the value comes from.
    """
    group = parser.add_argument_group("training")
    for option, text, extra in _TRAINING_OPTIONS:
        value = defaults.get(option.strip("-").replace("-", "_"))
        value = " ".join(map(str, value)) if isinstance(value, tuple) else value
        group.add_argument(option, help=text + ("" if value in (None, "") else f" (default: {value})"), **extra)


def training_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of training that were given."""
    names = {field.name for field in dataclasses.fields(TrainingConfig)}
    given = {name: getattr(args, name) for name in names if getattr(args, name, None) is not None}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def add_run_options(parser: argparse.ArgumentParser, out: str) -> None:
    """Add the options that say where a run is written and what it shows."""
    group = parser.add_argument_group("run")
    group.add_argument("--out", metavar="DIR", help=f"directory of the run (default: {out})")
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in --out where it stopped; with --steps, train it further",
    )
    group.add_argument(
        "--sample", type=whole(0), default=200, metavar="N",
        help="tokens to write when training has ended (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--quiet", action="store_true", help="show neither progress nor samples")
