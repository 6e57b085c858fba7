"""Time of LSTM, GRU and RNN beside PyTorch's, forward and backward, on full and on packed batches.

    OMP_NUM_THREADS=1 python -m benchmarks.recurrent [--rounds 15] [--model]

Both start from the same weights; outputs and gradients are compared before they are timed. ``--model`` times a
training step of a whole language model instead: Embedding, recurrent layer, Linear over 10000 words,
cross-entropy, SGD.
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

KINDS = ("LSTM", "GRU", "RNN")
STEPS, WORDS = 64, 10000


def same_weights(theirs: Any, ours: Any) -> None:
    ours.load_state_dict({name: minillm.tensor(p.numpy()) for name, p in theirs.state_dict().items()})


def layer_pass(library: Any, layer: Any, x: np.ndarray, lengths: Any, train: bool) -> Callable[[], Any]:
    """Return a function that runs a layer, and with ``train`` returns the gradient of its input."""
    rnn_utils = library.nn.utils.rnn
    x = library.tensor(x, requires_grad=train)
    dy = library.tensor(np.random.default_rng(1).standard_normal((*x.shape[:2], layer.hidden_size), "f"))

    def forward() -> Any:
        if lengths is None:
            return layer(x)[0]
        packed = rnn_utils.pack_padded_sequence(x, library.tensor(lengths), enforce_sorted=False)
        return rnn_utils.pad_packed_sequence(layer(packed)[0])[0]

    def once() -> Any:
        if not train:
            with library.no_grad():
                return forward()
        layer.zero_grad()
        x.grad = None
        forward().backward(dy)
        return x.grad

    return once


def time_layers(rounds: int) -> None:
    rng = np.random.default_rng(0)
    for kind in KINDS:
        for width, batch in ((512, 32), (64, 16)):
            theirs, ours = (getattr(lib.nn, kind)(width, width) for lib in (torch, minillm))
            same_weights(theirs, ours)
            x = rng.standard_normal((STEPS, batch, width)).astype("f")
            lengths = rng.integers(STEPS // 4, STEPS + 1, batch)
            lengths[0] = STEPS
            for name, train, packed in (
                ("forward and backward", True, None), ("forward", False, None),
                ("forward and backward, lengths 16 to 64", True, lengths),
            ):  # fmt: skip
                passes = {
                    "minillm": layer_pass(minillm, ours, x, packed, train),
                    "torch": layer_pass(torch, theirs, x, packed, train),
                }
                here, there = (np.asarray(run()) for run in passes.values())
                np.testing.assert_allclose(here, there, rtol=1e-3, atol=2e-4)
                print(f"{kind} {width} -> {width}, batch {batch}, {STEPS} steps, {name}, {THREADS} thread(s)")
                print(in_turn(passes, rounds if width > 64 else 10 * rounds).table(base="torch"))
                print()


def training_step(library: Any, kind: str, inputs: np.ndarray, targets: np.ndarray) -> tuple[Any, Callable]:
    """Return a model, and a function that trains it by a step and returns the loss."""
    nn = library.nn

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(WORDS, 512)
            self.layer = getattr(nn, kind)(512, 512, batch_first=True)
            self.head = nn.Linear(512, WORDS)

        def forward(self, ids: Any) -> Any:
            return self.head(self.layer(self.embedding(ids))[0])

    model = Model()
    optimizer = library.optim.SGD(model.parameters(), lr=0.01)
    inputs, targets = library.tensor(inputs), library.tensor(targets)

    def step() -> Any:
        loss = nn.functional.cross_entropy(model(inputs).view(-1, WORDS), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return model, step


def time_models(rounds: int) -> None:
    ids = np.random.default_rng(0).integers(0, WORDS, (32, STEPS + 1))
    for kind in KINDS:
        data = ids[:, :-1], ids[:, 1:].reshape(-1)
        (theirs, step_there), (ours, step_here) = (
            training_step(lib, kind, *data) for lib in (torch, minillm)
        )
        same_weights(theirs, ours)
        for _ in range(3):
            np.testing.assert_allclose(step_here(), step_there(), rtol=1e-4)
        print(f"{kind} language model, vocabulary {WORDS}, 512 wide, batch 32 x {STEPS}, SGD, {THREADS} thread(s)")
        print(in_turn({"minillm": step_here, "torch": step_there}, rounds).table(base="torch"))
        print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="times that each is measured")
    parser.add_argument("--model", action="store_true", help="time a whole language model")
    options = parser.parse_args()
    (time_models if options.model else time_layers)(options.rounds)


if __name__ == "__main__":
    main()
