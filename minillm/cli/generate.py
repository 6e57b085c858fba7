"""``minillm generate``: let a trained model write."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from minillm.cli.arguments import UsageError, number, whole

EXAMPLES = """\
examples:
  minillm generate runs/a --prompt "The " --max-new-tokens 300
  minillm generate runs/a --temperature 0.5            bolder above 1, safer below
  minillm generate runs/a --top-k 20 --top-p 0.9       draw from the likely tokens alone
  minillm generate runs/a --greedy --stop "." --prompt "A list is"
  minillm generate runs/a --seed 1                     the same text every time
"""


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "generate",
        usage="%(prog)s RUN [--prompt TEXT] [options]",
        help="let a trained model write",
        description="Let the model of a run go on with a text, token by token.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_directory", metavar="RUN", help="directory of the run")
    parser.add_argument("--prompt", metavar="TEXT", help="what the model goes on with (default: a line end)")
    parser.add_argument(
        "--max-new-tokens", type=whole(0), default=300, metavar="N", help="tokens to write (default: %(default)s)"
    )
    parser.add_argument(
        "--temperature", type=number(with_low=False), metavar="T",
        help="above 1 for surprises, below 1 for safety (default: 0.8)",
    )  # fmt: skip
    parser.add_argument("--top-k", type=whole(0), metavar="K", help="draw from the K likeliest tokens; 0 for all")
    parser.add_argument(
        "--top-p", type=number(0, 1, with_low=False, with_high=True), metavar="P",
        help="draw from the fewest tokens that have the probability P together",
    )  # fmt: skip
    parser.add_argument("--greedy", action="store_true", help="always take the likeliest token")
    parser.add_argument("--seed", type=whole(0), metavar="N", help="of the draws (default: another each time)")
    parser.add_argument("--stop", action="append", default=[], metavar="TEXT", help="end before this text; repeatable")
    parser.add_argument("--samples", type=whole(1), default=1, metavar="N", help="texts to write (default: 1)")
    return parser


def run(args: argparse.Namespace) -> None:
    """Write."""
    drawn = {"--temperature": args.temperature, "--top-k": args.top_k, "--top-p": args.top_p}
    if args.greedy and (given := [name for name, value in drawn.items() if value is not None]):
        raise UsageError(f"--greedy draws nothing, so {' and '.join(given)} would do nothing; leave out either")
    if "" in args.stop:
        raise UsageError("--stop got an empty text, which is everywhere")

    from minillm.cli.running import first_prompt
    from minillm.cli.threads import use_threads
    from minillm.inference import stream_text
    from minillm.training.run_directory import RunDirectory

    directory = RunDirectory.open(args.run_directory)
    tokenizer = directory.load_tokenizer()
    model = directory.load_model(tokenizer)
    use_threads(args, model)
    prompt = first_prompt(tokenizer) if args.prompt is None else args.prompt
    if not prompt:
        raise UsageError("--prompt is empty; give the model at least a character to go on with")
    length = len(tokenizer.encode(prompt, disallowed_special=()))
    if model.max_length is not None and length > model.max_length:
        print(
            f"minillm generate: the prompt has {length} tokens, and the model reads the last {model.max_length}",
            file=sys.stderr,
        )
    how: dict[str, Any] = {"do_sample": False}
    if not args.greedy:
        temperature = 0.8 if args.temperature is None else args.temperature
        how = {"temperature": temperature, "top_k": args.top_k, "top_p": args.top_p}
    for sample in range(args.samples):
        if sample:
            sys.stdout.write("\n-----\n")
        seed = None if args.seed is None else args.seed + sample
        sys.stdout.write(prompt)
        for piece in stream_text(
            model, tokenizer, prompt, args.max_new_tokens, stop=args.stop, seed=seed, truncate_prompt=True, **how
        ):
            sys.stdout.write(piece)
            sys.stdout.flush()
    sys.stdout.write("\n")
    sys.stdout.flush()
