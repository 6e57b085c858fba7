"""The command line: ``minillm train``, ``finetune``, ``predict``, ``search``, ``generate``, ``eval``, and others.

Each command lies in a file of its own. What goes wrong is one line on standard error; the exit code is 0 when
all went well, 1 after an error, 2 for arguments that make no sense, and 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from minillm.backend import Device, get_num_threads, set_num_threads
from minillm.cli.arguments import LineParser, UsageError, whole

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

DESCRIPTION = """\
Train language models on text, fine-tune them, and let them write.

  minillm demo                                 see it all at work, in about three minutes
  minillm train --text book.txt --out runs/a   train a small GPT on a text of your own
  minillm generate runs/a --prompt "Once "     let it write
  minillm finetune runs/a --text other.txt --freeze 'transformer.h.[01]' --out runs/b
  minillm finetune --task classify --model DIR --data films.tsv --out runs/films   teach a model a task
  minillm predict runs/films "a good film"     let it answer
  minillm search --task classify --model DIR --data films.tsv --space lr=1e-5..1e-3:log --out runs/search
  minillm eval runs/b --text other.txt         measure it
  minillm tokenize --text big.txt --out big.tokens   tokens of a text larger than memory
  minillm parity                               compare all of it with PyTorch
"""

EPILOG = """\
Every command explains its options: minillm train --help
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        argv: the arguments; those of the process by default.

    Example:
        >>> main(["train", "--steps", "0"])
        2
    """
    from minillm.cli.finetune_task import chosen

    parser = build_parser()
    try:
        args = parser.parse_args(chosen(sys.argv[1:] if argv is None else argv))
    except SystemExit as finished:  # --help, --version, or a usage error that was printed
        return int(finished.code or 0)
    threads = get_num_threads()
    try:
        if args.device is None:
            args.run(args)
        else:
            with Device(args.device):
                args.run(args)
    except UsageError as error:
        return _complain(f"{args.command}: {error}; see minillm {args.command} --help", args.debug, USAGE)
    except KeyboardInterrupt as error:
        return _complain(f"{args.command}: {str(error) or 'interrupted'}", args.debug, INTERRUPTED)
    except BrokenPipeError:  # as in minillm generate ... | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (OSError, ValueError, RuntimeError) as error:
        return _complain(f"{args.command}: error: {error}", args.debug, FAILED)
    except MemoryError:
        return _complain(
            f"{args.command}: error: out of memory; try a smaller model, batch or block", args.debug, FAILED
        )
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        return _complain(f"{args.command}: internal error: {what} (--debug shows where)", args.debug, FAILED)
    finally:
        set_num_threads(threads)
    return OK


def _complain(message: str, debug: bool, code: int) -> int:
    """Print an error in one line, after its traceback if that was asked for."""
    if debug:
        traceback.print_exc()
    sys.stdout.flush()
    print("minillm " + " ".join(message.split()), file=sys.stderr)
    return code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    from minillm.cli import (
        demo,
        evaluate,
        finetune,
        finetune_task,
        generate,
        parity,
        predict,
        search,
        tokenize,
        train,
    )

    parser = LineParser(
        prog="minillm",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"minillm {sys.modules['minillm'].__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=LineParser)
    for module in (demo, train, generate, finetune, finetune_task, predict, search, evaluate, tokenize, parity):
        command = module.add_command(commands)
        command.set_defaults(run=module.run)
        group = command.add_argument_group("everywhere")
        group.add_argument(
            "--device",
            metavar="NAME",
            help="where to compute: cpu, or cuda for a GPU (default: the environment variable "
            "MINILLM_DEVICE, else cpu)",
        )
        group.add_argument(
            "--threads", type=whole(1), metavar="N",
            help="for matrix products on the CPU (default: 1 for models less than 256 wide, which more would "
            "slow down; else OpenBLAS's own default)",
        )  # fmt: skip
        group.add_argument("--debug", action="store_true", help="show where in the code an error arose")
    return parser
