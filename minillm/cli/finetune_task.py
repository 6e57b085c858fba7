"""``minillm finetune --task``: train a model for a task, on examples."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from minillm.cli.arguments import UsageError
from minillm.cli.task_arguments import add_task_options, given_values, plan_of

DESCRIPTION = """\
Train a model for a task on examples: texts with labels (classify), words with tags (tag), questions with
answers (qa), texts (lm), instructions (instruct), or texts and what they become (translate).
"""

EXAMPLES = """\
data:
  classify   .tsv, .csv, .jsonl with text and label (text_b for pairs)   sst2, rt-polarity, trec, sms, snips, ...
  tag        .conll, .txt, .bio, .tsv: a word and its tag a line; .jsonl with tokens and tags     snips, wnut17
  qa         .json as SQuAD's                                                                     xquad/test
  lm         .txt with paragraphs, .jsonl with text                                     tinyshakespeare, names, ...
  instruct   .json, .jsonl as Alpaca's                                                            instruct1100
  translate  .tsv, .csv, .jsonl with source and target                        tatoeba-en-zh, seq2seq-toy/date

examples:
  minillm finetune --task classify --model models/minilm --data films.tsv --test other.tsv --lr 1e-4 --out runs/films
  minillm finetune --task classify --model lstm --data sst2 --epochs 8 --lr 1e-3 --out runs/sst2
  minillm finetune --task tag --model models/bert --data wnut17 --train-last 2 --out runs/names
  minillm finetune --task lm --model models/gpt2 --data poems.txt --lora 8 --out runs/poems
  minillm finetune --task translate --model lstm --tokenizer char --data seq2seq-toy/date --reverse --metric exact \\
      --epochs 10 --lr 8e-3 --batch-size 32 --out runs/dates
  minillm finetune --task classify --resume --out runs/films      go on after Ctrl-C or a crash
"""

HIDDEN = "finetune-task"  # the name of this form among the commands


def chosen(argv: Sequence[str]) -> list[str]:
    """Return the arguments, with this form's own name if they ask for it.

    Example:
        >>> chosen(["finetune", "--task", "tag"]), chosen(["finetune", "runs/a"])
        (['finetune-task', '--task', 'tag'], ['finetune', 'runs/a'])
    """
    words = list(argv)
    if words[:1] == ["finetune"] and any(word == "--task" or word.startswith("--task=") for word in words):
        words[0] = HIDDEN
    return words


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the command and its options; the list of commands names ``finetune`` once."""
    parser: argparse.ArgumentParser = commands.add_parser(
        HIDDEN,
        prog="minillm finetune",
        usage="%(prog)s --task TASK --model DIR --data FILE --out DIR [options]",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_task_options(parser)
    group = parser.add_argument_group("run")
    group.add_argument("--out", metavar="DIR", help="directory of the run")
    group.add_argument("--resume", action="store_true", help="go on with the run in --out where it stopped")
    group.add_argument("--quiet", action="store_true", help="show no progress")
    parser.set_defaults(command="finetune")
    return parser


def run(args: argparse.Namespace) -> None:
    """Fine-tune, or go on with it."""
    from minillm.cli.running import say
    from minillm.training.task_run import TaskRun

    if not args.out:
        raise UsageError("it needs --out: the directory of the run")
    if args.resume:
        task_run = TaskRun.open(args.out)
        _check_same(args, task_run)
        say(args, f"Going on with the run in {task_run.path}")
    else:
        task_run = TaskRun.create(args.out, plan_of(args))
        _report_start(args, task_run)
    _train(args, task_run)


def _check_same(args: argparse.Namespace, task_run: Any) -> None:
    """Raise an error if an option differs from the run's."""
    plan = task_run.plan
    for name, value in given_values(args).items():
        its = getattr(plan, name) if hasattr(plan, name) else getattr(plan.settings, name)
        if value != its:
            option = "--lora" if name == "lora_r" else "--" + name.replace("_", "-")
            raise UsageError(f"{option} is {its} in the run {task_run.path} and cannot become {value}")


def _report_start(args: argparse.Namespace, task_run: Any) -> None:
    """Say what will be trained on what."""
    from minillm.cli.running import say

    plan, info = task_run.plan, task_run.info
    for name, part in info["data"].items():
        if part is not None:
            say(args, f"{name.capitalize():<10} {part['source']}: {part['examples']:,} examples")
    if info["labels"]:
        shown = ", ".join(info["labels"][:10]) + ", ..." * (len(info["labels"]) > 10)
        say(args, f"Labels     {len(info['labels'])}: {shown}")
    model = "LSTM from scratch" if plan.model == "lstm" else plan.model
    say(args, f"Model      {model}, {info['parameters']:,} parameters")
    for note in info["notes"]:
        say(args, f"           {note}")
    say(args, f"Run        {task_run.path}  (Ctrl-C saves and stops; --resume goes on)")


def _train(args: argparse.Namespace, task_run: Any) -> None:
    """Train to the end, and say how it went."""
    from minillm.cli.running import say
    from minillm.cli.task_progress import EpochBar, scores_line
    from minillm.cli.threads import use_threads
    from minillm.training.task_run import CONFUSION

    plan = task_run.plan
    if not task_run.finished:
        use_threads(args, task_run.load_model())
    bar = EpochBar(task_run.metric, plan.settings.epochs)
    try:
        if args.quiet:
            state = task_run.train()
        else:
            state = task_run.train(report=bar.epoch, progress=bar.done)
    finally:
        bar.close()
    info = task_run.info
    early = ", stopped early: the score no longer rose" if state.epoch < plan.settings.epochs else ""
    say(args, f"Done       {state.step} steps in {state.seconds:.0f} s{early}")
    if state.best_epoch != state.epoch:
        say(args, f"           the weights after epoch {state.best_epoch} were the best and are kept")
    for name, scores in info["scores"].items():
        say(args, f"{name.capitalize():<10} {scores_line(scores)}")
    if (task_run.path / CONFUSION).exists():
        say(args, f"Confusion  {task_run.path / CONFUSION}")
    say(args, f"\nTry        minillm predict {task_run.path} {_TRY[plan.task]}")


_TRY = {
    "classify": '"a text"', "tag": '"the words of a sentence"', "qa": '--context FILE --question "..."',
    "lm": '"a beginning"', "instruct": '"an instruction"', "translate": '"a text"',
}  # fmt: skip
