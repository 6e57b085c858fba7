"""Time of greedy decoding with a KV cache: GPT-2 of 124 M parameters (random weights), batch 1, beside PyTorch.

    python benchmarks/decode.py [--threads 2] [--tokens 64] [--rounds 5] [--small]

Both write the same tokens from the same weights, in turn. PyTorch runs twice: through transformers'
``generate``, and in a plain loop over the same model, its best everyday form. Each token reads all weights
once, 495 MB in float32, so both are bound by the memory; what the script shows is what stands between.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from typing import Any

from timing import in_turn, use_threads


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
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=64, help="tokens to write")
    parser.add_argument("--prompt", type=int, default=16, help="tokens of the prompt")
    parser.add_argument("--rounds", type=int, default=5, help="times that each runs")
    parser.add_argument("--small", action="store_true", help="4 layers, 128 wide: shows the overhead")
    options = parser.parse_args()
    threads = use_threads(options.threads)

    import numpy as np
    import torch
    import transformers

    from minillm.inference import generate
    from minillm.models import GPT2LMHeadModel

    transformers.logging.set_verbosity_error()
    small = {"n_layer": 4, "n_head": 4, "n_embd": 128, "vocab_size": 65} if options.small else {}
    torch.manual_seed(0)
    config = transformers.GPT2Config(bos_token_id=None, eos_token_id=None, **small)
    theirs = transformers.GPT2LMHeadModel(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        ours = GPT2LMHeadModel.from_pretrained(folder)
    prompt = np.random.default_rng(0).integers(0, config.vocab_size, (1, options.prompt))
    ids = torch.tensor(prompt)
    count = options.tokens
    more = {"max_new_tokens": count, "do_sample": False, "pad_token_id": 0}
    ways: dict[str, Callable[[], list[int]]] = {
        "minillm": lambda: generate(ours, prompt, count)[0, options.prompt :].tolist(),
        "torch, a loop": lambda: torch_loop(theirs, ids, count),
        "transformers' generate": lambda: theirs.generate(ids, attention_mask=torch.ones_like(ids), **more)[
            0, options.prompt :
        ].tolist(),
    }
    texts = {name: run() for name, run in ways.items()}
    times = in_turn(ways, rounds=options.rounds, warmup=0)  # the texts were the warm-up
    equal = sum(a == b for a, b in zip(texts["minillm"], texts["torch, a loop"], strict=True))
    print(f"GPT-2, {ours.num_parameters():,} parameters, {threads} threads, batch 1; time a token")
    print(f"{equal} of {count} tokens are equal")
    print(times.table(base="torch, a loop", per=count))


if __name__ == "__main__":
    main()
