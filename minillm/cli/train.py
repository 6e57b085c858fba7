"""``minillm train``: train a language model on text."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from minillm.cli.arguments import (
    UsageError,
    add_run_options,
    add_text_options,
    add_training_options,
    add_validation_options,
    number,
    text_source,
    training_settings,
    validation_source,
    whole,
)
from minillm.cli.presets import DEFAULT, PRESETS, RECURRENT

DESCRIPTION = """\
Train a language model on text: it learns to predict the next token from those before it.
"""

EXAMPLES = """\
presets:
{presets}

examples:
  minillm train                                       a tiny GPT on Python's help texts
  minillm train --preset shakespeare-char --text input.txt --out runs/shakespeare
  minillm train --text a.txt b.txt --tokenizer bpe --vocab-size 2000 --layers 6 --heads 6 --width 192
  minillm train --model gru --text names.txt --patience 5
  minillm train --out runs/shakespeare --resume       go on after Ctrl-C or a crash, bit for bit
  minillm train --out runs/shakespeare --resume --steps 4000   train a finished run further
"""

OPTIONS = ("model", "layers", "heads", "width", "dropout", "bias", "tokenizer", "vocab_size")


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the command and its options."""
    presets = "\n".join(f"  {name:18s}{preset.description}" for name, preset in PRESETS.items())
    parser: argparse.ArgumentParser = commands.add_parser(
        "train",
        usage="%(prog)s [--preset NAME] [--text FILE ...] [--out DIR] [options]",
        help="train a language model on text",
        description=DESCRIPTION,
        epilog=EXAMPLES.format(presets=presets),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_text_options(parser, "files to train on, one after the other", "Python's help texts")
    add_validation_options(parser)
    group = parser.add_argument_group("model (defaults: those of the preset)")
    group.add_argument("--preset", choices=list(PRESETS), help="begin with these settings (default: gpt-nano)")
    group.add_argument("--model", choices=["gpt2", *RECURRENT], help="kind of model")
    group.add_argument("--layers", type=whole(1), metavar="N", help="layers, one on another")
    group.add_argument("--heads", type=whole(1), metavar="N", help="attention heads of each layer (gpt2)")
    group.add_argument("--width", type=whole(1), metavar="N", help="numbers that stand for each token")
    group.add_argument("--dropout", type=number(0, 1), metavar="SHARE", help="of activations that are left out")
    group.add_argument("--bias", action=argparse.BooleanOptionalAction, help="use biases (gpt2)")
    group.add_argument("--tokenizer", choices=["char", "bpe"], help="tokens are characters, or parts of words")
    group.add_argument(
        "--vocab-size", type=whole(256), metavar="N", help="tokens of the bpe tokenizer (default: 1024)"
    )
    add_training_options(parser, {"optimizer": "adamw", "schedule": "cosine", "betas": (0.9, 0.99), "momentum": 0.9,
                                  "freeze": "nothing", "eval_interval": 250, "eval_windows": 256, "patience": 0,
                                  "checkpoint_interval": 500, "log_interval": 10, "seed": 1337,
                                  "grad_accumulation": 1, "grad_clip": 1})  # fmt: skip
    add_run_options(parser, "runs/NAME of the preset, with a number where that is taken")
    return parser


def run(args: argparse.Namespace) -> None:
    """Train, or go on training."""
    from minillm.cli.running import check_resumable, continue_run, report_start, train_run
    from minillm.training.run_directory import RunDirectory, check_free, free_path

    if args.resume:
        directory = check_resumable(args)
        _check_same(args, directory)
        continue_run(args, directory)
        return
    out = Path(args.out) if args.out else free_path(Path("runs") / (args.preset or _preset_name(args)))
    check_free(out)
    tokenizer, model, text, info = prepare(args)
    directory = RunDirectory.create(out, model, tokenizer, info)
    report_start(args, directory, model, tokenizer, text)
    train_run(args, directory, model, tokenizer, text)


def prepare(args: argparse.Namespace) -> tuple[Any, Any, Any, Any]:
    """Return tokenizer, model, text and description of a new run."""
    from minillm.backend import manual_seed
    from minillm.training.config import TrainingConfig
    from minillm.training.freezing import freeze
    from minillm.training.run_directory import RunInfo
    from minillm.training.text_source import TextSource, prepare_text

    preset = args.preset or _preset_name(args)
    options = model_options(args, preset)
    training = TrainingConfig(**training_options(args, preset))
    source, validation = text_source(args) or TextSource(), validation_source(args)
    fraction = 0.1 if args.validation_fraction is None else args.validation_fraction
    tokenizer = make_tokenizer(options, source, validation)
    text = prepare_text(tokenizer, source, validation, fraction, args.unknown or "error")
    if len(text.training) <= training.block_size:
        raise ValueError(
            f"the text is too short: {source} has {len(text.training):,} tokens to train on, and windows of "
            f"--block-size {training.block_size} need at least {training.block_size + 1}; give a longer text "
            "or a smaller --block-size"
        )
    manual_seed(training.seed)
    model = make_model(options, tokenizer.vocab_size, training.block_size)
    freeze(model, training.freeze)  # here, so that a wrong pattern leaves no directory behind
    info = RunInfo(
        training=training,
        text=source,
        validation_text=validation,
        validation_fraction=fraction,
        unknown=args.unknown or "error",
        text_sha256=text.sha256,
        preset=preset,
        options=options,
    )
    return tokenizer, model, text, info


def _preset_name(args: argparse.Namespace) -> str:
    return DEFAULT[args.model or "gpt2"]


def model_options(args: argparse.Namespace, preset: str) -> dict[str, Any]:
    """Return how model and tokenizer are made: the preset's options, and those that were given.

    Raises:
        UsageError: options that do not go together.
    """
    options = dict(PRESETS[preset].options)
    given = {name: getattr(args, name) for name in OPTIONS if getattr(args, name) is not None}
    recurrent = options["model"] in RECURRENT
    if "model" in given and (given["model"] in RECURRENT) != recurrent:
        raise UsageError(f"the preset {preset} is no {given['model']}; leave out --preset or --model")
    if recurrent:
        for name in ("heads", "bias"):
            if name in given:
                raise UsageError(f"--{name} is for gpt2; a {given.get('model', options['model'])} has none")
    options.update(given)
    if options["tokenizer"] == "bpe":
        options["vocab_size"] = options["vocab_size"] or 1024
    elif options["vocab_size"] is not None:
        raise UsageError("--vocab-size is for --tokenizer bpe; a character tokenizer knows those of the text")
    if not recurrent and options["width"] % options["heads"]:
        raise UsageError(f"--width {options['width']} is no multiple of --heads {options['heads']}")
    return options


def training_options(args: argparse.Namespace, preset: str) -> dict[str, Any]:
    """Return the settings of training: the preset's, and those that were given."""
    given = training_settings(args)
    settings = {**PRESETS[preset].training, **given}
    if "lr" in given and "min_lr" not in given:
        settings["min_lr"] = given["lr"] / 10
    if "warmup" not in given:  # of a short run, not all shall be warm-up
        settings["warmup"] = min(settings["warmup"], settings["steps"] // 10)
    if settings.get("optimizer", "adamw") != "adamw" and "weight_decay" not in given:
        settings["weight_decay"] = 0.0  # there it is part of the gradient, and means something else
    return settings


def make_tokenizer(options: dict[str, Any], *sources: Any) -> Any:
    """Return a tokenizer, trained on the texts of sources; those that are None are passed over."""
    from minillm.tokenizers import BPETokenizer, CharTokenizer

    blocks = (block for source in sources if source is not None for block in source.blocks())
    if options["tokenizer"] == "char":
        return CharTokenizer.train_from_iterator(blocks)
    return BPETokenizer.train_from_iterator(
        blocks, options["vocab_size"], show_progress=sys.stderr.isatty()
    )


def make_model(options: dict[str, Any], vocab_size: int, block_size: int) -> Any:
    """Return a model with fresh weights."""
    from minillm.models import GPT2Config, GPT2LMHeadModel, RNNLMConfig, RNNLMHeadModel

    if options["model"] in RECURRENT:
        return RNNLMHeadModel(
            RNNLMConfig(
                vocab_size=vocab_size,
                embedding_dim=options["width"],
                hidden_size=options["width"],
                num_layers=options["layers"],
                cell=options["model"],
                dropout=options["dropout"],
            )
        )
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocab_size,
            n_positions=block_size,
            n_embd=options["width"],
            n_layer=options["layers"],
            n_head=options["heads"],
            resid_pdrop=options["dropout"],
            embd_pdrop=options["dropout"],
            attn_pdrop=options["dropout"],
            bias=options["bias"],
        )
    )


def _check_same(args: argparse.Namespace, directory: Any) -> None:
    """Raise an error if an option says something else than the run that is resumed."""
    from minillm.cli.running import check_same_text, check_same_training

    info = directory.info
    if args.preset not in (None, info.preset):
        raise UsageError(f"the run in {directory.path} has the preset {info.preset}, not {args.preset}")
    for name in OPTIONS:
        value = getattr(args, name)
        if value is not None and value != info.options.get(name):
            option = "--" + name.replace("_", "-")
            raise UsageError(
                f"{option} is {info.options.get(name)} in the run {directory.path} and cannot become {value}"
            )
    check_same_training(args, directory)
    check_same_text(args, directory)
