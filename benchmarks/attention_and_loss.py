"""Time of attention and cross-entropy beside PyTorch's, forward and backward; results are compared first.

    OMP_NUM_THREADS=1 python -m benchmarks.attention_and_loss [--rounds 20]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from benchmarks.timing import in_turn, use_threads

THREADS = use_threads()

import numpy as np  # noqa: E402
import torch  # noqa: E402

import minillm  # noqa: E402

# batch, heads, tokens, size of a head, causal
ATTENTION = ((12, 4, 64, 32, True), (16, 6, 256, 64, True), (4, 12, 1024, 64, True), (32, 12, 64, 32, False))
CROSS_ENTROPY = ((768, 65), (4096, 65), (2048, 10000), (2048, 30522))


def attention(library: Any, arrays: list[np.ndarray], dy: np.ndarray, causal: bool) -> Callable[[], Any]:
    """Return a function that runs attention forward and backward and returns all gradients."""
    leaves = [library.tensor(a, requires_grad=True) for a in arrays]
    gradient = library.tensor(dy)

    def once() -> Any:
        for x in leaves:
            x.grad = None
        q, k, v = (x.transpose(1, 2) for x in leaves)  # (B, T, H, D) -> (B, H, T, D), as in a model
        y = library.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        y.transpose(1, 2).backward(gradient)
        return [x.grad for x in leaves]

    return once


def one_query(library: Any, arrays: list[np.ndarray]) -> Callable[[], Any]:
    """Return a function that runs attention of one query to many keys, as generation does."""
    q, k, v = (library.tensor(a) for a in arrays)

    def once() -> Any:
        with library.no_grad():
            return (library.nn.functional.scaled_dot_product_attention(q, k, v),)

    return once


def cross_entropy(library: Any, logits: np.ndarray, target: np.ndarray) -> Callable[[], Any]:
    """Return a function that computes the loss and the gradient of the logits."""
    x, t = library.tensor(logits, requires_grad=True), library.tensor(target)

    def once() -> Any:
        x.grad = None
        library.nn.functional.cross_entropy(x, t).backward()
        return (x.grad,)

    return once


def compare(name: str, make: Callable[[Any], Callable[[], Any]], rounds: int) -> None:
    ours, theirs = make(minillm), make(torch)
    for a, b in zip(ours(), theirs(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-3, atol=1e-5)
    times = in_turn({"minillm": ours, "torch": theirs}, rounds)
    print(f"\n{name}, {THREADS} thread(s)\n{times.table(base='torch')}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(0)
    for B, H, T, D, causal in ATTENTION:
        arrays = [rng.standard_normal((B, T, H, D), "f") for _ in range(3)]
        dy = rng.standard_normal((B, T, H, D), "f")
        kind = "causal attention" if causal else "attention"
        compare(f"{kind} ({B}, {H}, {T}, {D})", lambda lib: attention(lib, arrays, dy, causal), rounds)  # noqa: B023
    arrays = [rng.standard_normal((1, 12, n, 64), "f") for n in (1, 512, 512)]
    compare("attention of one query to 512 keys", lambda lib: one_query(lib, arrays), rounds * 10)
    for N, C in CROSS_ENTROPY:
        x, target = rng.standard_normal((N, C), "f") * 2, rng.integers(0, C, N)
        compare(f"cross-entropy ({N}, {C})", lambda lib: cross_entropy(lib, x, target), rounds)  # noqa: B023


if __name__ == "__main__":
    main()
