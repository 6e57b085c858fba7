"""``minillm search``: find good settings for fine-tuning."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from minillm.cli.arguments import UsageError, whole
from minillm.cli.task_arguments import add_task_options, plan_of

DESCRIPTION = """\
Fine-tune with many settings, and find out which are the best on the validation examples: all of a grid,
random ones, or by Bayes' rule, which learns from the trials before. Needs Optuna: pip install "minillm[search]".
"""

EXAMPLES = """\
space:
  lr=1e-5..1e-3:log      any value between, on a logarithmic scale
  dropout=0..0.5         any value between
  lr=1e-5..1e-3:log:4    for a grid: 4 values
  batch_size=8,16,32     one of these

examples:
  minillm search --task classify --model models/minilm --data films.tsv --trials 30 --out runs/search \\
      --space lr=1e-5..1e-3:log batch_size=8,16,32 dropout=0..0.5
  minillm search --task tag --model lstm --data wnut17 --method grid --out runs/grid \\
      --space hidden_size=64,128 lr=1e-3,3e-3

The same command goes on with a search that was stopped; several at once, or --jobs, share the trials.
"""


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "search",
        usage="%(prog)s --task TASK --model DIR --data FILE --space NAME=VALUES ... --out DIR [options]",
        help="find good settings for fine-tuning",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_argument_group("search")
    group.add_argument("--space", nargs="+", action="extend", metavar="NAME=VALUES", help="what is tried; see below")
    group.add_argument(
        "--method", choices=["grid", "random", "bayes"], default="bayes", help="how (default: %(default)s)"
    )
    group.add_argument("--trials", type=whole(1), metavar="N", help="in all (default: 20; the whole grid)")
    group.add_argument("--search-seed", type=whole(0), default=0, metavar="N", help="of the draws (default: 0)")
    group.add_argument("--jobs", type=whole(1), default=1, metavar="N", help="processes (default: 1)")
    group.add_argument("--out", metavar="DIR", help="directory of the search; one that is there goes on")
    group.add_argument("--quiet", action="store_true", help="show the result alone")
    add_task_options(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Search."""
    from minillm.cli.running import say
    from minillm.cli.threads import use_threads
    from minillm.training.search import PLOT, TABLE, Search

    if not args.out:
        raise UsageError("it needs --out: the directory of the search")
    if not args.space:
        raise UsageError("it needs --space: what is tried, as in lr=1e-5..1e-3:log")
    if args.test:
        raise UsageError("a search does not look at --test: give it to the finetune command that it prints")
    search = Search(args.out, plan_of(args), args.space, args.method, args.trials, args.search_seed)
    use_threads(args, search)
    done = len(search.table())
    say(args, f"Search     {args.method}, {search.trials} trials{f', {done} of them done' if done else ''}; "
              f"{'lowest' if search.lower_is_better else 'highest'} {search.metric}")  # fmt: skip
    search.run(report=lambda line: say(args, line), jobs=args.jobs)
    rows = search.table()
    print(_table(rows, [part.name for part in search.space], search.metric))
    best = search.best()
    if best is None:
        reason = rows[0]["error"] if rows else "there is none"
        raise RuntimeError(f"no trial has a score; the first: {reason}")
    print(f"\nTable      {search.path / TABLE}")
    if (search.path / PLOT).exists():
        print(f"Picture    {search.path / PLOT}")
    out = Path(args.out)
    print(f"Best       {search.plan.with_values(best).command(str(out.with_name(out.name + '-best')))}")


def _table(rows: list[dict[str, Any]], names: list[str], metric: str) -> str:
    """Return the trials as a table, the best first."""
    lines = [["trial", *names, metric, "epoch", "seconds", ""]]
    for row in rows:
        settings = [_cell(row[name]) for name in names]
        note = row["error"] if row["state"] == "failed" else "" if row["state"] == "done" else row["state"]
        lines.append([str(row["trial"]), *settings, _cell(row["score"]), _cell(row["epoch"]),
                      "" if row["seconds"] is None else f"{row['seconds']:.1f}", note[:60]])  # fmt: skip
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line[:-1], widths, strict=False)) + f"  {line[-1]}".rstrip()
        for line in lines
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
