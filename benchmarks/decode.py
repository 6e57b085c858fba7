"""Time of greedy decoding with a KV cache: GPT-2 of 124 M parameters (random weights), batch 1, beside PyTorch.

    OMP_NUM_THREADS=2 python benchmarks/decode.py [--tokens 64] [--rounds 5] [--small]

Both write the same tokens from the same weights, in turn (A B A B ...), after a warm-up. PyTorch runs twice:
through transformers' ``generate``, and in a plain loop over the same model, its best everyday form.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np


def torch_loop(model: Any, prompt: Any, count: int) -> list[int]:
    """Greedy decoding with a cache, without what ``generate`` does around it."""
    import torch

    with torch.inference_mode():
        output = model(prompt, use_cache=True, logits_to_keep=1)
        tokens = [output.logits[:, -1].argmax(-1)]
        for _ in range(count - 1):
            output = model(tokens[-1][:, None], past_key_values=output.past_key_values, use_cache=True)
            tokens.append(output.logits[:, -1].argmax(-1))
    return [int(token) for token in tokens]


def main() -> None:
    """Print the time a token of each, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=64, help="tokens to write")
    parser.add_argument("--prompt", type=int, default=16, help="tokens of the prompt")
    parser.add_argument("--rounds", type=int, default=5, help="times that each runs")
    parser.add_argument("--small", action="store_true", help="4 layers, 128 wide: shows the overhead")
    options = parser.parse_args()

    import torch
    import transformers

    from minillm.inference import generate
    from minillm.models import GPT2LMHeadModel

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    small = {"n_layer": 4, "n_head": 4, "n_embd": 128, "vocab_size": 65} if options.small else {}
    torch.manual_seed(0)
    config = transformers.GPT2Config(bos_token_id=None, eos_token_id=None, **small)
    theirs = transformers.GPT2LMHeadModel(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        ours = GPT2LMHeadModel.from_pretrained(folder)
    prompt = np.random.default_rng(0).integers(0, config.vocab_size, (1, options.prompt))
    ids = torch.tensor(prompt)
    ways: dict[str, Callable[[], list[int]]] = {
        "minillm": lambda: generate(ours, prompt, options.tokens)[0, options.prompt :].tolist(),
        "torch loop": lambda: torch_loop(theirs, ids, options.tokens),
        "transformers generate": lambda: theirs.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=options.tokens, do_sample=False, pad_token_id=0
        )[0, options.prompt :].tolist(),
    }  # fmt: skip
    texts = {name: run() for name, run in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    equal = sum(a == b for a, b in zip(texts["minillm"], texts["torch loop"], strict=True))
    print(f"GPT-2, {ours.num_parameters():,} parameters, {os.environ['OMP_NUM_THREADS']} threads, batch 1")
    print(f"{equal} of {options.tokens} tokens are equal")
    for name, values in times.items():
        per_token = 1000 * statistics.median(values) / options.tokens
        ratios = [a / b for a, b in zip(times["minillm"], values, strict=True)]
        print(
            f"{name:<22} {per_token:8.2f} ms a token   minillm / this: median {statistics.median(ratios):.2f}, "
            f"least {min(ratios):.2f}"
        )


if __name__ == "__main__":
    main()
