"""The preset shakespeare-char beside PyTorch: the same weights to begin with, the same batches, step by step.

    python -m benchmarks.shakespeare_char [--text FILE] [--rounds 150] [--full] [--seed N]

First, 200 steps of both: the losses must agree to 1e-3. Then the times of steps in turn, on the same threads
(OMP_NUM_THREADS, or 1): minillm's trainer, PyTorch with its default AdamW, and with the fused one. The goal is at
most 1.2 times PyTorch's time. With --full, both train all 2000 steps, and the loss on the whole validation text is
printed: nanoGPT documents 1.88 for this setting, the goal is at most 1.89.

The text is tinyshakespeare, from MINILLM_DATA/tinyshakespeare/input.txt by default.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.timing import in_turn, use_threads

THREADS = use_threads()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import minillm  # noqa: E402
from minillm.backend import Generator  # noqa: E402
from minillm.cli.presets import PRESETS  # noqa: E402
from minillm.cli.train import make_model  # noqa: E402
from minillm.data import TokenBatches, read_text, sequential_windows, split_tokens  # noqa: E402
from minillm.tokenizers import CharTokenizer  # noqa: E402
from minillm.training.config import TrainingConfig  # noqa: E402
from minillm.training.evaluation import evaluate  # noqa: E402
from minillm.training.trainer import Trainer  # noqa: E402

PRESET = PRESETS["shakespeare-char"]
CONFIG = TrainingConfig(**PRESET.training)
LAYERS, HEADS, WIDTH = (PRESET.options[name] for name in ("layers", "heads", "width"))


# PyTorch's side, as nanoGPT has it; the names of the parameters are those of minillm's model.
class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c_attn = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.c_proj = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        B, T, C = x.shape
        q, k, v = (part.view(B, T, HEADS, C // HEADS).transpose(1, 2) for part in self.c_attn(x).split(C, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class MLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c_fc = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.c_proj = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.attn, self.mlp = Attention(), MLP()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        parts = {"wte": nn.Embedding(vocab_size, WIDTH), "wpe": nn.Embedding(CONFIG.block_size, WIDTH)}
        blocks = nn.ModuleList([Block() for _ in range(LAYERS)])
        self.transformer = nn.ModuleDict({**parts, "h": blocks, "ln_f": nn.LayerNorm(WIDTH, bias=False)})
        self.lm_head = nn.Linear(WIDTH, vocab_size, bias=False)
        self.lm_head.weight = self.transformer["wte"].weight

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        parts = self.transformer
        hidden = parts["wte"](x) + parts["wpe"](torch.arange(x.shape[1]))
        for block in parts["h"]:
            hidden = block(hidden)
        logits = self.lm_head(parts["ln_f"](hidden))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1))


class TorchTrainer:
    """The same loop in PyTorch."""

    def __init__(self, weights: dict[str, Any], tokens: Any, vocab_size: int, fused: bool) -> None:
        self.model = GPT(vocab_size)
        self.model.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
        self.parameters = list(self.model.parameters())
        groups = [
            {"params": [p for p in self.parameters if p.dim() >= 2], "weight_decay": CONFIG.weight_decay},
            {"params": [p for p in self.parameters if p.dim() < 2], "weight_decay": 0.0},
        ]
        options = {"fused": True} if fused else {}
        self.optimizer = torch.optim.AdamW(groups, lr=CONFIG.lr, betas=CONFIG.betas, **options)
        self.batches = TokenBatches(tokens, CONFIG.block_size, CONFIG.batch_size)
        self.generator = Generator(CONFIG.seed)
        self.done = 0

    def step(self) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = CONFIG.learning_rate(self.done)
        x, y = self.batches.batch(self.done, self.generator)
        loss = self.model(torch.from_numpy(x), torch.from_numpy(y))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, CONFIG.grad_clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1
        return loss.item()

    def evaluate(self, tokens: Any) -> float:
        total = 0.0
        with torch.no_grad():
            for x, y in sequential_windows(tokens, CONFIG.block_size, CONFIG.batch_size):
                total += self.model(torch.from_numpy(x), torch.from_numpy(y)).item() * y.size
        return total / (len(tokens) - 1)


def read(path: str | None) -> tuple[Any, Any, int]:
    """Return training tokens, validation tokens, and the size of the vocabulary."""
    if path is None:
        folder = os.environ.get("MINILLM_DATA")
        path = str(Path(folder, "tinyshakespeare", "input.txt")) if folder else None
    if path is None or not Path(path).exists():
        sys.exit("shakespeare_char: set MINILLM_DATA, or give tinyshakespeare with --text FILE")
    text = read_text(path)
    tokenizer = CharTokenizer.from_text(text)
    train, validation = split_tokens(np.array(tokenizer.encode(text), dtype=np.uint16))
    return train, validation, tokenizer.vocab_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", help="tinyshakespeare")
    parser.add_argument("--rounds", type=int, default=150, help="steps of each that are timed")
    parser.add_argument("--full", action="store_true", help="train all steps and print the validation losses")
    parser.add_argument("--seed", type=int, default=CONFIG.seed, help="of weights and batches (default: %(default)s)")
    options = parser.parse_args()
    CONFIG.seed = options.seed

    tokens, validation, vocab_size = read(options.text)
    minillm.manual_seed(CONFIG.seed)
    model = make_model(PRESET.options, vocab_size, CONFIG.block_size)
    weights = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    trainers = {
        "minillm": Trainer(model, tokens, config=CONFIG),
        "torch": TorchTrainer(weights, tokens, vocab_size, fused=False),
        "torch, fused optimizer": TorchTrainer(weights, tokens, vocab_size, fused=True),
    }
    print(f"shakespeare-char: {model.num_parameters():,} parameters, {THREADS} thread(s)")

    worst = 0.0
    for _ in range(200):
        ours, theirs, _ = (trainer.step() for trainer in trainers.values())
        worst = max(worst, abs(ours - theirs) / theirs)
    print(f"200 steps: the losses differ by at most {worst:.1e} of their value (allowed: 1e-3)")
    if not worst <= 1e-3:
        sys.exit("shakespeare_char: the losses do not agree")

    times = in_turn({name: trainer.step for name, trainer in trainers.items()}, options.rounds)
    print(times.table(base="torch"))
    print(f"a step takes {times.ratio('minillm', 'torch'):.2f} of PyTorch's time (goal: at most 1.2)")

    if options.full:
        while trainers["torch"].done < CONFIG.steps:
            for trainer in trainers.values():
                trainer.step()
        result = evaluate(model, validation, CONFIG.block_size, CONFIG.batch_size)
        losses = {"minillm": result.loss}
        losses.update((name, trainers[name].evaluate(validation)) for name in list(trainers)[1:])
        for name, loss in losses.items():
            print(f"{name:24} validation loss {loss:.4f} after {CONFIG.steps} steps (perplexity {math.exp(loss):.2f})")


if __name__ == "__main__":
    main()
