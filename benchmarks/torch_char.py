"""What ``minillm train --preset shakespeare-char`` does, as a script for PyTorch: the other side of workload W6.

    python -m benchmarks.torch_char --text tinyshakespeare.txt --out DIR [--steps 2000] [--threads 2] [--fused]

The same model, batches at random places, schedule, clipping, evaluations and checkpoints; the loss on the whole
validation text is the last line of ``DIR/log.jsonl``.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch

from benchmarks.torch_models import GPT

BLOCK, BATCH, WARMUP, LR, MIN_LR = 64, 12, 100, 1e-3, 1e-4
EVAL_INTERVAL, EVAL_WINDOWS, CHECKPOINT_INTERVAL = 250, 256, 500


def learning_rate(step: int, steps: int) -> float:
    if step < WARMUP:
        return LR * (step + 1) / (WARMUP + 1)
    done = (step - WARMUP) / max(steps - WARMUP, 1)
    return MIN_LR + (LR - MIN_LR) * (1 + math.cos(math.pi * done)) / 2


@torch.no_grad()
def evaluate(model: GPT, tokens: torch.Tensor, windows: int | None = None) -> float:
    """Return the mean loss over the text in windows side by side, or over so many of them."""
    whole = (len(tokens) - 1) // BLOCK
    chosen = range(whole) if windows is None else np.linspace(0, whole - 1, min(whole, windows)).round().astype(int)
    starts = torch.tensor([int(i) * BLOCK for i in chosen])
    total = 0.0
    for first in range(0, len(starts), BATCH):
        places = starts[first : first + BATCH, None] + torch.arange(BLOCK + 1)
        rows = tokens[places]
        total += model(rows[:, :-1], rows[:, 1:]).item() * len(rows)
    return total / len(starts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True)
    parser.add_argument("--out", required=True, help="folder of the checkpoints")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fused", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(3)
    Path(options.out).mkdir(parents=True, exist_ok=True)

    text = Path(options.text).read_text(encoding="utf-8")
    number = {char: i for i, char in enumerate(sorted(set(text)))}
    tokens = torch.tensor([number[char] for char in text])
    cut = len(tokens) - len(tokens) // 10
    train, validation = tokens[:cut], tokens[cut:]

    model = GPT(layers=4, heads=4, width=128, block_size=BLOCK, vocab_size=len(number), bias=False)
    groups = [
        {"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.99), **({"fused": True} if options.fused else {}))
    best = math.inf
    for step in range(options.steps + 1):
        improved = False
        if step % EVAL_INTERVAL == 0 or step == options.steps:
            loss = evaluate(model, validation, EVAL_WINDOWS)
            improved, best = loss < best, min(loss, best)
        if improved or step % CHECKPOINT_INTERVAL == 0:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
            torch.save(state, Path(options.out, "checkpoint.pt"))
        if step == options.steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options.steps)
        starts = torch.randint(len(train) - BLOCK, (BATCH, 1))
        rows = train[starts + torch.arange(BLOCK + 1)]
        model(rows[:, :-1], rows[:, 1:]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    record = {"step": options.steps, "final": True, "val_loss": evaluate(model, validation)}
    Path(options.out, "log.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
