"""``minillm finetune RUN``: train a model further, on other text; ``--task`` is in ``finetune_task.py``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from minillm.cli.arguments import (
    UsageError,
    add_run_options,
    add_text_options,
    add_training_options,
    add_validation_options,
    text_source,
    training_settings,
    validation_source,
)

DESCRIPTION = """\
Train the model of a run further, on other text: it keeps its tokenizer and begins with what it
has learnt. Freezing its lower layers keeps more of that, and is faster.

With --task (classify, tag, qa, lm, instruct, translate) it trains a model for a task, on examples:
minillm finetune --task classify --help
"""

EXAMPLES = """\
examples:
  minillm finetune runs/a --text poems.txt --out runs/poems
  minillm finetune runs/a --corpus python --freeze transformer.wte transformer.wpe 'transformer.h.[01]'
  minillm finetune runs/a --out runs/poems --resume    go on after Ctrl-C or a crash, bit for bit
"""

STEPS, RATE = 500, 0.3  # fine-tuning is shorter, and its steps are smaller


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "finetune",
        usage="%(prog)s RUN (--text FILE ... | --corpus NAME) [--freeze PATTERN ...] [--out DIR] [options]",
        help="train a model further, on other text",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_directory", metavar="RUN", help="directory of the run to begin with")
    add_text_options(parser, "files to train on, one after the other", "none: one of --text and --corpus is needed")
    add_validation_options(parser)
    add_training_options(parser, {"steps": STEPS, "lr": f"{RATE} of the run's", "min_lr": "a tenth of --lr",
                                  "warmup": "50", "freeze": "nothing", "eval_interval": 100})  # fmt: skip
    add_run_options(parser, "RUN-finetuned, with a number where that is taken")
    return parser


def run(args: argparse.Namespace) -> None:
    """Fine-tune, or go on fine-tuning."""
    from minillm.backend import manual_seed
    from minillm.cli.running import (
        check_resumable,
        check_same_text,
        check_same_training,
        continue_run,
        report_start,
        train_run,
    )
    from minillm.training.config import TrainingConfig
    from minillm.training.freezing import freeze
    from minillm.training.run_directory import RunDirectory, RunInfo, check_free, free_path
    from minillm.training.text_source import prepare_text
    from minillm.training.trainer import check_block_size

    parent = RunDirectory.open(args.run_directory)
    if args.resume:
        directory = check_resumable(args)
        if directory.info.parent != str(parent.path.resolve()):
            raise UsageError(f"the run in {directory.path} was not fine-tuned from {parent.path}")
        check_same_training(args, directory)
        check_same_text(args, directory)
        continue_run(args, directory)
        return
    source, validation = text_source(args), validation_source(args)
    if source is None:
        raise UsageError("it needs a text to train on: --text FILE or --corpus NAME")
    out = Path(args.out) if args.out else free_path(parent.path.with_name(parent.path.name + "-finetuned"))
    check_free(out)
    training = TrainingConfig(**training_options(args, parent.info.training))
    tokenizer = parent.load_tokenizer()
    model = parent.load_model(tokenizer)
    fraction = 0.1 if args.validation_fraction is None else args.validation_fraction
    text = prepare_text(tokenizer, source, validation, fraction, args.unknown or "error")
    manual_seed(training.seed)
    # Here, so that wrong settings leave no directory behind.
    check_block_size(model, training.block_size)
    freeze(model, training.freeze)
    info = RunInfo(
        training=training,
        text=source,
        validation_text=validation,
        validation_fraction=fraction,
        unknown=args.unknown or "error",
        text_sha256=text.sha256,
        preset=parent.info.preset,
        parent=str(parent.path.resolve()),
        options=parent.info.options,
    )
    directory = RunDirectory.create(out, model, tokenizer, info)
    report_start(args, directory, model, tokenizer, text)
    train_run(args, directory, model, tokenizer, text)


def training_options(args: argparse.Namespace, parent: Any) -> dict[str, Any]:
    """Return the settings of training: what was given, else the parent's, but gentler."""
    given = training_settings(args)
    steps = given.get("steps", STEPS)
    lr = given.get("lr", float(f"{parent.lr * RATE:.3g}"))
    return {
        **parent.to_dict(),
        "steps": steps,
        "lr": lr,
        "min_lr": lr / 10,
        "warmup": min(50, steps // 10),
        "freeze": (),
        "eval_interval": 100,
        "patience": 0,
        **given,
    }
