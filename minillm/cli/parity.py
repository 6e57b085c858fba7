"""``minillm parity``: run every name that minillm shares with PyTorch beside PyTorch, and print how they agree."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from minillm.backend import set_num_threads
from minillm.cli.arguments import UsageError

DESCRIPTION = """\
Run every operation, function, module, optimizer and schedule that minillm shares with PyTorch beside the installed
PyTorch, and print how far results, gradients and gradients of gradients are apart, and how long both take.
"""

EXAMPLES = """\
what the numbers mean:
  forward, gradient,   the largest error over all cases of a name, in float epsilons:
  second order         |ours - PyTorch's| / (eps max(1, |PyTorch's|)); rounding alone gives a few
  time                 ours over PyTorch's, forward and backward, at the small sizes of the cases

The exit code is 1 if something disagrees by more than 1e-7 in float64, 2e-4 in float32.

examples:
  minillm parity                              everything, in about two minutes
  minillm parity 'nn.*' --html parity.html    the names of nn, as a page too
  minillm parity optimizers softmax --dtype float32
"""


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "parity",
        usage="%(prog)s [NAME ...] [options]",
        help="compare everything with PyTorch",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="names or families to run, with * and ? (default: all)"
    )
    parser.add_argument("--dtype", choices=["float64", "float32"], default="float64", help="(default: %(default)s)")
    parser.add_argument("--html", metavar="FILE", help="write the report as a page, too")
    return parser


def run(args: argparse.Namespace) -> None:
    """Measure, print and write."""
    from tqdm import tqdm

    from minillm.testing.comparison import import_torch
    from minillm.testing.parity import parity, select

    try:
        torch = import_torch()
        names = select(args.names)
    except (ImportError, ValueError) as error:
        raise UsageError(str(error)) from error
    threads, ours = torch.get_num_threads(), args.threads or 1
    bar = tqdm(total=len(names), unit="name", file=sys.stderr, disable=not sys.stderr.isatty(), leave=False)

    def progress(name: str) -> None:
        bar.set_postfix_str(name, refresh=False)
        bar.update()

    try:
        torch.set_num_threads(ours)
        set_num_threads(ours)
        report = parity(args.names, args.dtype, progress=progress)
    finally:
        torch.set_num_threads(threads)
        bar.close()
    print(report)
    if args.html:
        from minillm.data.whole_files import write_whole
        from minillm.testing.parity_page import page

        with write_whole(args.html) as file:
            file.write(page(report).encode())
    if report.failures:
        raise RuntimeError(f"{len(report.failures)} disagreements with PyTorch, listed above")
