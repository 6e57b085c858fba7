"""What ``train`` and ``finetune`` do alike: train in a run directory, go on, and say how it went."""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any

from minillm.cli.arguments import UsageError, text_source, training_settings, validation_source
from minillm.cli.threads import use_threads
from minillm.training.progress import ProgressBar, Silent
from minillm.training.run_directory import RunDirectory
from minillm.training.state import TrainingResult
from minillm.training.text_source import TrainingText


def say(args: argparse.Namespace, text: str = "") -> None:
    """Print a line, unless --quiet."""
    if not args.quiet:
        print(text, flush=True)


def check_resumable(args: argparse.Namespace) -> RunDirectory:
    """Return the run that --resume goes on with."""
    if not args.out:
        raise UsageError("--resume needs --out, the directory of the run to go on with")
    return RunDirectory.open(args.out)


def check_same_training(args: argparse.Namespace, directory: RunDirectory) -> None:
    """Raise an error if a training option differs from the run's; more steps are welcome."""
    settings = directory.info.training.to_dict()
    for name, value in training_settings(args).items():
        value = list(value) if isinstance(value, tuple) else value
        if name != "steps" and value != settings[name]:
            option = "--" + name.replace("_", "-")
            raise UsageError(f"{option} is {settings[name]} in the run {directory.path} and cannot become {value}")


def check_same_text(args: argparse.Namespace, directory: RunDirectory) -> None:
    """Raise an error if another text was given than the run's."""
    info = directory.info
    for option, given, its in (
        ("--text", text_source(args), info.text),
        ("--validation", validation_source(args), info.validation_text),
        ("--validation-fraction", args.validation_fraction, info.validation_fraction),
        ("--unknown", args.unknown, info.unknown),
    ):
        if given is not None and given != its:
            raise UsageError(f"{option} is {its} in the run {directory.path} and cannot become {given}")


def continue_run(args: argparse.Namespace, directory: RunDirectory) -> None:
    """Go on with a run where it stopped."""
    tokenizer = directory.load_tokenizer()
    model = directory.load_model(tokenizer)
    text = directory.load_text(tokenizer)
    say(args, f"Going on with the run in {directory.path}")
    train_run(args, directory, model, tokenizer, text, resume=directory.has_checkpoint)


def report_start(
    args: argparse.Namespace, directory: RunDirectory, model: Any, tokenizer: Any, text: TrainingText
) -> None:
    """Say what will be trained on what."""
    info = directory.info
    held_out = 0 if text.validation is None else len(text.validation)
    say(args, f"Text       {info.text}: {text.characters:,} characters, {len(text.training) + held_out:,} tokens")
    if text.skipped:
        say(args, f"           {text.skipped:,} characters that the tokenizer does not know were left out")
    say(args, f"Model      {describe_model(model)}, {model.num_parameters():,} parameters")
    if trained := model.num_parameters(only_trainable=True) - model.num_parameters():
        say(args, f"           {-trained:,} of them are frozen")
    say(
        args,
        f"Loss       a guess among the {tokenizer.vocab_size} tokens would have {math.log(tokenizer.vocab_size):.2f}"
        " nats a token; lower is better",
    )
    say(args, f"Run        {directory.path}  (Ctrl-C saves and stops; --resume goes on)")


def describe_model(model: Any) -> str:
    """Return a model in a few words."""
    config = model.config
    if config.model_type == "gpt2":
        return f"GPT of {config.n_layer} layers, {config.n_head} heads, {config.n_embd} wide"
    return f"{config.cell.upper()} of {config.num_layers} layer(s), {config.hidden_size} wide"


def train_run(
    args: argparse.Namespace,
    directory: RunDirectory,
    model: Any,
    tokenizer: Any,
    text: TrainingText,
    *,
    resume: bool = False,
) -> TrainingResult:
    """Train a run to its end, draw its losses, and say how it went."""
    use_threads(args, model)
    progress = Silent() if args.quiet else ProgressBar()
    trainer = directory.trainer(
        model, text, steps=args.steps if args.resume else None, progress=progress
    )
    try:
        result = trainer.train(resume=resume)
    finally:
        problem = directory.draw_losses(plot_title(directory, model), tokenizer.vocab_size)
    report_end(args, directory, text, result)
    if problem is not None:
        print(f"minillm: {problem}", file=sys.stderr)
    write_sample(args, model, tokenizer)
    say(args, f"\nTry        minillm generate {directory.path} --prompt ... --temperature 0.8")
    return result


def plot_title(directory: RunDirectory, model: Any) -> str:
    """Return what stands above the picture of the losses."""
    return f"{directory.path.name}: {describe_model(model)}, on {directory.info.text}"


def report_end(
    args: argparse.Namespace, directory: RunDirectory, text: TrainingText, result: TrainingResult
) -> None:
    """Say how a run ended."""
    stopped = ", stopped early: the validation loss no longer fell" if result.stopped_early else ""
    say(args, f"Done       {result.step} steps in {result.seconds:.0f} s{stopped}")
    if result.kept_step != result.step:
        say(args, f"           the weights after step {result.kept_step} were the best and are kept")
    if result.evaluation is not None:
        bits = result.evaluation.bits_per_character(text.validation_characters)
        say(
            args,
            f"Validation loss {result.evaluation.loss:.4f} nats a token, perplexity "
            f"{result.evaluation.perplexity:.2f}, {bits:.3f} bits a character (the whole validation text)",
        )


def write_sample(args: argparse.Namespace, model: Any, tokenizer: Any) -> None:
    """Print a short text by the model."""
    if args.quiet or not args.sample:
        return
    from minillm.inference import generate_text

    prompt = first_prompt(tokenizer)
    text = generate_text(model, tokenizer, prompt, args.sample, temperature=0.8, seed=0)
    say(args, f"\nA sample (temperature 0.8):\n\n{(prompt + text).strip()}")


def first_prompt(tokenizer: Any) -> str:
    """Return a text to begin with when none is given: a line end, or else any character."""
    if tokenizer.token_to_id("\n") is None and type(tokenizer).__name__ == "CharTokenizer":
        return str(tokenizer.id_to_token(0))
    return "\n"
