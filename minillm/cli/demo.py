"""``minillm demo``: pretrain, fine-tune and generate, with an explanation of all that happens."""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

from minillm.cli.arguments import whole

DESCRIPTION = """\
Pretrain a small GPT on English text, let it write, fine-tune it on Python source code, and let it
write again; each step is explained. Needs no download and takes about three minutes on two cores.
"""

OPTIONS: dict[str, Any] = {"model": "gpt2", "layers": 4, "heads": 4, "width": 128, "dropout": 0.0, "bias": False,
                           "tokenizer": "bpe", "vocab_size": 1024}  # fmt: skip
PRETRAINING: dict[str, Any] = {"batch_size": 16, "block_size": 64, "lr": 3e-3, "min_lr": 3e-4, "warmup": 50,
                               "eval_interval": 100, "eval_windows": 64, "checkpoint_interval": 200}  # fmt: skip
FINETUNING: dict[str, Any] = {**PRETRAINING, "lr": 3e-3, "min_lr": 3e-4, "warmup": 20, "eval_interval": 50}
FROZEN = ("transformer.h.[01]", "transformer.wpe")
PROMPTS = {"english": "The", "python": "def"}


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "demo",
        usage="%(prog)s [--out DIR] [options]",
        help="see it all at work, in about three minutes",
        description=DESCRIPTION,
    )
    parser.add_argument("--out", metavar="DIR", help="where the two runs are written (default: runs/demo)")
    parser.add_argument(
        "--steps", type=whole(1), default=1000, metavar="N", help="steps of pretraining (default: %(default)s)"
    )
    parser.add_argument(
        "--finetune-steps", type=whole(1), default=400, metavar="N", help="steps of fine-tuning (default: %(default)s)"
    )
    parser.add_argument("--seed", type=whole(0), default=1337, metavar="N", help="of everything random")
    return parser


def run(args: argparse.Namespace) -> None:
    """Show it all."""
    Demo(args).show()


class Demo:
    """The demonstration, a method for each part."""

    def __init__(self, args: argparse.Namespace) -> None:
        from minillm.training.run_directory import check_free, free_path

        self.args = args
        self.out = Path(args.out) if args.out else free_path(Path("runs") / "demo")
        check_free(self.out)
        self.began = time.perf_counter()
        self.losses: dict[str, dict[str, float]] = {}  # of held-back text, by moment and by corpus
        self.bits: dict[str, dict[str, float]] = {}  # the same in bits per character

    def show(self) -> None:
        """Show all parts in order."""
        self.read_texts()
        self.make_model()
        self.pretrain()
        self.finetune()
        self.conclude()

    def read_texts(self) -> None:
        """Prepare the texts and the tokenizer."""
        from minillm.cli.train import make_tokenizer
        from minillm.training.text_source import TextSource, prepare_text

        title("1. Text")
        self.sources = {name: TextSource(corpus=name) for name in ("english", "python")}
        self.tokenizer = make_tokenizer(OPTIONS, *self.sources.values())
        self.texts = {name: prepare_text(self.tokenizer, source) for name, source in self.sources.items()}
        english = self.texts["english"]
        tell(f"""
            Every Python carries its help texts: {english.characters:,} characters of English about
            Python. The model will learn from nine tenths of them. The last tenth is held back, to
            measure the model on text that it has never seen.
        """)
        example = "The for statement is used to iterate over the elements of a sequence"
        pieces = "|".join(self.tokenizer.decode([i]) for i in self.tokenizer.encode(example))
        tell(f"""
            A model reads tokens, not letters. Its {self.tokenizer.vocab_size} tokens are frequent pieces of
            words, found by byte-pair encoding in these texts and in Python source code:
        """)
        quote(pieces)

    def make_model(self) -> None:
        """Make a model with random weights, and show what it writes."""
        from minillm.backend import manual_seed
        from minillm.cli.threads import use_threads
        from minillm.cli.train import make_model

        title("2. A model that knows nothing")
        manual_seed(self.args.seed)
        self.model = make_model(OPTIONS, self.tokenizer.vocab_size, PRETRAINING["block_size"])
        use_threads(self.args, self.model)
        size, guess = self.tokenizer.vocab_size, math.log(self.tokenizer.vocab_size)
        tell(f"""
            A GPT of {OPTIONS["layers"]} layers, {OPTIONS["width"]} wide: the architecture of GPT-2, with
            {self.model.num_parameters():,} numbers to learn instead of 124 million. They are random now, and
            so is what it writes:
        """)
        self.sample("english")
        self.measure("random weights")
        tell(f"""
            How wrong is it? The loss is the mean of -log(p), where p is the probability that it gave to
            the token that really came. A guess among {size} tokens has log({size}) = {guess:.2f}; this
            model has {self.losses["random weights"]["english"]:.2f}. Lower is better, and 0 would be to know
            each next token.
        """)

    def pretrain(self) -> None:
        """Train on English."""
        title("3. Pretraining on English")
        steps, windows, length = self.args.steps, PRETRAINING["batch_size"], PRETRAINING["block_size"]
        tell(f"""
            {steps} steps. In each, the model reads {windows} windows of {length} tokens, predicts every next
            token, and all its numbers move a little in the direction that lowers the loss.
        """)
        result = self.train("pretrained", "english", {**PRETRAINING, "steps": steps})
        loss, perplexity = result.evaluation.loss, result.evaluation.perplexity
        tell(f"""
            The loss on unseen text is now {loss:.2f}: the model is as unsure as if it had to choose among
            {perplexity:.0f} equally likely tokens (that number, exp({loss:.2f}), is called perplexity)
            instead of {self.tokenizer.vocab_size}. It writes:
        """)
        self.sample("english")
        self.measure("after pretraining")

    def finetune(self) -> None:
        """Train further, on Python."""
        title("4. Fine-tuning on Python")
        tell("""
            The same model now learns from source code of Python's standard library. The lower two of its
            four layers are frozen: they keep what they learnt from English, and the upper ones build on
            it. Before fine-tuning, it goes on with "def" like this:
        """)
        self.sample("python")
        steps = self.args.finetune_steps
        self.train("finetuned", "python", {**FINETUNING, "steps": steps, "freeze": FROZEN}, parent="pretrained")
        tell("And after:")
        self.sample("python")
        self.measure("after fine-tuning")

    def conclude(self) -> None:
        """Compare, and say what there is to try."""
        title("5. What came out")
        tell("""
            The losses on unseen text of both kinds. Bits per character are the loss in bits instead of
            nats, for each character instead of each token: how long a file would be if the model
            compressed it. (Plain text has 8.)
        """)
        print(f"    {'':20}{'loss a token':^24}{'bits a character':^24}")
        print(f"    {'':20}{'English':>12}{'Python':>9}{'':3}{'English':>12}{'Python':>9}")
        for moment, loss in self.losses.items():
            bits = self.bits[moment]
            print(f"    {moment:20}{loss['english']:12.2f}{loss['python']:9.2f}{'':3}{bits['english']:12.2f}"
                  f"{bits['python']:9.2f}")  # fmt: skip
        print()
        tell("""
            Fine-tuning made the model better at Python and worse at English: it forgets what it no
            longer sees. With more layers frozen it would forget less, and learn less.
        """)
        tell(f"It took {time.perf_counter() - self.began:.0f} seconds. In {self.out} there are now two runs:")
        print(f"    {self.out}/pretrained    and    {self.out}/finetuned\n")
        tell("""
            each with the model, its tokenizer, checkpoints, a log, and a picture of the losses
            (loss.png). Try:
        """)
        minillm = program()
        for line in (
            f'{minillm} generate {self.out}/pretrained --prompt "A function" --temperature 0.6',
            f'{minillm} generate {self.out}/finetuned --prompt "class" --max-new-tokens 500',
            f"{minillm} train --out {self.out}/pretrained --resume --steps {4 * self.args.steps}    for better text",
            f"{minillm} train --text your_own_text.txt --out runs/mine",
            f"{minillm} --help",
        ):
            print(f"    {line}")

    # -- parts of parts -----------------------------------------------------------------------------

    def train(self, name: str, corpus: str, settings: dict[str, Any], parent: str | None = None) -> Any:
        """Train the model in a run directory of its own; return the result."""
        from minillm.cli.running import plot_title
        from minillm.training.config import TrainingConfig
        from minillm.training.progress import ProgressBar
        from minillm.training.run_directory import RunDirectory, RunInfo

        text = self.texts[corpus]
        settings["warmup"] = min(settings["warmup"], settings["steps"] // 10)
        directory = RunDirectory.create(
            self.out / name,
            self.model,
            self.tokenizer,
            RunInfo(
                training=TrainingConfig(**settings, seed=self.args.seed),
                text=self.sources[corpus],
                text_sha256=text.sha256,
                parent=None if parent is None else str((self.out / parent).resolve()),
                options=OPTIONS,
            ),
        )
        result = directory.trainer(self.model, text, progress=ProgressBar()).train()
        problem = directory.draw_losses(plot_title(directory, self.model), self.tokenizer.vocab_size)
        print(f"    ({problem})\n" if problem else "")
        return result

    def measure(self, moment: str) -> None:
        """Note the loss on both held-back texts."""
        from minillm.training.evaluation import evaluate

        self.losses[moment], self.bits[moment] = {}, {}
        for name, text in self.texts.items():
            assert text.validation is not None
            result = evaluate(self.model, text.validation, PRETRAINING["block_size"])
            self.losses[moment][name] = result.loss
            self.bits[moment][name] = result.bits_per_character(text.validation_characters)

    def sample(self, corpus: str) -> None:
        """Print what the model writes after a prompt."""
        from minillm.inference import generate_text

        prompt = PROMPTS[corpus]
        text = generate_text(self.model, self.tokenizer, prompt, 150, temperature=0.6, seed=self.args.seed)
        quote(prompt + text)


def title(text: str) -> None:
    """Print a title."""
    print(f"\n{text}\n{'-' * len(text)}\n", flush=True)


def tell(text: str) -> None:
    """Print a paragraph."""
    print(textwrap.fill(" ".join(text.split()), width=96), end="\n\n", flush=True)


def quote(text: str) -> None:
    """Print what a model wrote, line by line, set off by a bar; what no terminal should see is left out."""
    text = "".join(char if char == "\n" or char.isprintable() else "\ufffd" for char in text)
    for line in text.rstrip().split("\n"):
        for part in textwrap.wrap(line, 88, drop_whitespace=False) or [""]:
            print(f"    | {part}")
    print(flush=True)


def program() -> str:
    """Return what to type to run minillm: its name where the shell finds it, else as it was started."""
    return sys.argv[0] if Path(sys.argv[0]).name == "minillm" and not shutil.which("minillm") else "minillm"
