"""``minillm eval``: measure how well a trained model predicts a text."""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

from minillm.cli.arguments import add_text_options, text_source

DESCRIPTION = """\
Measure how well the model of a run predicts a text: loss, perplexity, bits per character.
"""

EXAMPLES = """\
what the numbers mean:
  loss                 the mean of -log p(next token), in nats; 0 would be to know each next token
  perplexity           exp(loss): among how many equally likely tokens the model seems to choose
  bits per character   loss for each character instead of each token, in bits: comparable between
                       models with different tokenizers

examples:
  minillm eval runs/a                     on the text that the run was measured on
  minillm eval runs/a --text other.txt
  minillm eval runs/a --corpus python --json
"""


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "eval",
        usage="%(prog)s RUN [--text FILE ... | --corpus NAME] [options]",
        help="measure how well a model predicts a text",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_directory", metavar="RUN", help="directory of the run")
    add_text_options(parser, "files to measure on", "the validation text of the run")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")
    return parser


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    from minillm.cli.threads import use_threads
    from minillm.training.evaluation import evaluate
    from minillm.training.progress import ProgressBar
    from minillm.training.run_directory import RunDirectory
    from minillm.training.text_source import encode_source

    directory = RunDirectory.open(args.run_directory)
    tokenizer = directory.load_tokenizer()
    model = directory.load_model(tokenizer)
    use_threads(args, model)
    source = text_source(args)
    if source is None:
        text = directory.load_text(tokenizer)
        if text.validation is None:
            raise ValueError(f"{directory.path}: this run set no text aside to measure on; give one with --text")
        tokens, characters, name = text.validation, text.validation_characters, "the run's validation text"
    else:
        encoded = encode_source(tokenizer, source, args.unknown or "error")
        tokens, name = encoded.tokens, str(source)
        first = len(tokenizer.decode(tokens[:1].tolist()))
        characters = encoded.characters - first  # the first token is not predicted
    if len(tokens) < 2:
        raise ValueError(f"{name} has {len(tokens)} token, and at least 2 are needed: one to read, one to predict")

    block_size = directory.info.training.block_size
    progress = ProgressBar()
    update = progress.whole_evaluation(-(-(len(tokens) - 1) // block_size))
    result = evaluate(model, tokens, block_size, progress=update)
    progress.close()
    bits = result.bits_per_character(max(characters, 1))
    if args.json:
        figures = {
            "loss": result.loss,
            "perplexity": result.perplexity,
            "bits_per_character": bits,
            "tokens": result.tokens,
            "characters": characters,
        }
        print(json.dumps(figures))
        return
    guess = math.log(tokenizer.vocab_size)
    print(f"{name}: {result.tokens:,} tokens predicted, {characters:,} characters")
    print(f"loss                {result.loss:8.4f} nats a token (a guess: {guess:.2f})")
    print(f"perplexity          {result.perplexity:8.2f} (a guess: {tokenizer.vocab_size})")
    print(f"bits per character  {bits:8.4f}")
