"""``minillm predict``: let a model that was fine-tuned for a task answer."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from minillm.cli.arguments import LineParser, UsageError, number, whole

DESCRIPTION = """\
Let a model of `minillm finetune --task` answer: labels for texts, tags for words, an answer from a
context, a continuation, a response, or a translation. Texts come as arguments, from a file, or from a pipe.
"""

EXAMPLES = """\
examples:
  minillm predict runs/films "a good film" "a dull plot"
  minillm predict runs/films --file reviews.txt --json > labels.jsonl     a text a line, an object a line
  minillm predict runs/names "Ada moved to London"
  minillm predict runs/qa --context article.txt --question "Who wrote it?"
  minillm predict runs/poems "The moon" --max-new-tokens 60 --temperature 0.8
  minillm predict runs/dates "september 27, 1994"
"""
WIDEST = 5  # labels whose probabilities are shown


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the command and its options."""
    parser: LineParser = commands.add_parser(
        "predict",
        usage="%(prog)s DIR [TEXT ...] [--file FILE] [--json] [options]",
        help="let a model that was fine-tuned for a task answer",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.intermixed = True
    parser.add_argument("directory", metavar="DIR", help="directory that minillm finetune --task wrote")
    parser.add_argument("texts", metavar="TEXT", nargs="*", help="what to answer to")
    parser.add_argument("--file", metavar="FILE", help="with a text a line; - is standard input")
    parser.add_argument("--json", action="store_true", help="write a JSON object a line")
    parser.add_argument("--context", metavar="FILE_OR_TEXT", help="that the answers to questions stand in (qa)")
    parser.add_argument("--question", action="append", default=[], metavar="TEXT", help="another TEXT, for qa")
    parser.add_argument("--input", default="", metavar="TEXT", help="that an instruction works on (instruct)")
    group = parser.add_argument_group("what is written (lm, instruct)")
    group.add_argument("--max-new-tokens", type=whole(1), metavar="N", help="tokens to write (default: 128)")
    group.add_argument(
        "--temperature", type=number(with_low=False), metavar="T",
        help="draw tokens: above 1 for surprises, below 1 for safety (default: always the likeliest)",
    )  # fmt: skip
    group.add_argument("--seed", type=whole(0), metavar="N", help="of the draws (default: another each time)")
    return parser


def run(args: argparse.Namespace) -> None:
    """Answer."""
    from minillm.cli.threads import use_threads
    from minillm.training.task_run import load_task

    task = load_task(args.directory)
    use_threads(args, task.model)
    options = _options(args, task.name)
    texts = _texts(args)
    for start in range(0, len(texts), 256):  # so that a long file shows its first answers soon
        some = texts[start : start + 256]
        for text, found in zip(some, task.predict(some, **options), strict=True):
            if args.json:
                key = {"qa": "question", "instruct": "instruction"}.get(task.name, "text")
                print(json.dumps({key: text, **found}, ensure_ascii=False), flush=True)
            else:
                print(_line(task.name, text, found, len(texts) > 1), flush=True)


def _options(args: argparse.Namespace, task: str) -> dict[str, Any]:
    """Return what the task needs beside texts.

    Raises:
        UsageError: an option of another task, or one that is missing.
    """
    for option, given, fitting in (
        ("--context", args.context, ("qa",)), ("--question", args.question, ("qa",)),
        ("--input", args.input, ("instruct",)), ("--max-new-tokens", args.max_new_tokens, ("lm", "instruct")),
        ("--temperature", args.temperature, ("lm", "instruct")), ("--seed", args.seed, ("lm", "instruct")),
    ):  # fmt: skip
        if given not in (None, "", []) and task not in fitting:
            raise UsageError(f"{option} is for {' and '.join(fitting)}, and {args.directory} is for {task}")
    if task == "qa":
        if not args.context:
            raise UsageError("it needs --context: a file, or the text itself, that the answer stands in")
        return {"context": _text_or_file(args.context)}
    options: dict[str, Any] = {}
    if args.max_new_tokens is not None:
        options["max_new_tokens"] = args.max_new_tokens
    if args.temperature is not None:
        options.update(do_sample=True, temperature=args.temperature, seed=args.seed)
    elif args.seed is not None:
        raise UsageError("--seed is of no use without --temperature, since nothing is drawn")
    if args.input:
        options["input"] = args.input
    return options


def _text_or_file(text: str) -> str:
    from minillm.data.text_files import read_text

    try:
        is_file = Path(text).is_file()
    except (OSError, ValueError):  # too long for a name
        is_file = False
    return read_text(text) if is_file else text


def _texts(args: argparse.Namespace) -> list[str]:
    """Return the texts to answer to.

    Raises:
        UsageError: there is none, or they come from two places.
    """
    from minillm.data.text_files import read_lines

    given = [*args.texts, *args.question]
    if given and args.file:
        raise UsageError("got texts and --file; give one of both")
    if given:
        return given
    if args.file and args.file != "-":
        lines = [line for _, line in read_lines(args.file)]
    elif args.file or not sys.stdin.isatty():
        lines = sys.stdin.read().splitlines()
    else:
        raise UsageError("it needs a text: as an argument, in --file, or from a pipe")
    texts = [line for line in lines if line.strip()]
    if not texts:
        raise UsageError(f"{args.file or 'standard input'} holds no text")
    return texts


def _line(task: str, text: str, found: dict[str, Any], several: bool) -> str:
    """Return an answer for a person to read."""
    if task == "classify":
        likely = sorted(found["probabilities"].items(), key=lambda pair: -pair[1])
        shares = "  ".join(f"{label} {share:.3f}" for label, share in likely[:WIDEST])
        more = "  ..." * (len(likely) > WIDEST)
        return f"{found['label']}\t{shares}{more}" + (f"\t{text}" if several else "")
    if task == "tag":
        pairs = zip(found["tokens"], found["tags"], strict=True)
        return " ".join(word if tag == "O" else f"{word}/{tag}" for word, tag in pairs)
    if task == "lm":
        return f"{text}{found['continuation']}"
    return str(next(iter(found.values())))
