"""What an operation costs beside its arithmetic, on three numbers: minillm and PyTorch in turn.

    python -m benchmarks overhead [--rounds 30]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from benchmarks.timing import in_turn, use_threads

REPEATS = 1000


def operations(library: Any) -> dict[str, Callable[[], Any]]:
    """Each does one operation, or one operation and its derivative."""
    x = library.ones(3, requires_grad=True)
    plain = library.ones(3)
    matrix = library.ones(3, 3)

    def backward(run: Callable[[], Any]) -> Callable[[], Any]:
        def both() -> None:
            x.grad = None
            run().backward(plain)

        return both

    return {
        "a + b": lambda: plain + plain,
        "a + b, recorded": lambda: x + plain,
        "a + b, and backward": backward(lambda: x + plain),
        "a * b, recorded": lambda: x * plain,
        "a * b, and backward": backward(lambda: x * plain),
        "tanh, recorded": lambda: x.tanh(),
        "tanh, and backward": backward(lambda: x.tanh()),
        "matmul, recorded": lambda: matrix @ x,
        "matmul, and backward": backward(lambda: matrix @ x),
        "sum, recorded": lambda: x.sum(),
        "x[1], recorded": lambda: x[1],
        "reshape, recorded": lambda: x.reshape(3, 1),
    }


def repeated(run: Callable[[], Any]) -> Callable[[], None]:
    def many() -> None:
        for _ in range(REPEATS):
            run()

    return many


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks overhead", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args(arguments)
    use_threads(1)

    import numpy as np

    import minillm

    libraries = {"minillm": minillm}
    try:
        import torch
    except ImportError:
        print('PyTorch is not installed (pip install "minillm[test]"): minillm alone')
    else:
        libraries["torch"] = torch
    tables = {name: operations(library) for name, library in libraries.items()}
    array = np.ones(3, "float32")
    numpy_time = min(in_turn({"numpy": repeated(lambda: array + array)}, options.rounds).seconds["numpy"])
    print(f"NumPy's own a + b: {numpy_time / REPEATS * 1e9:.0f} ns. Below, nanoseconds, the best of each round:")
    print(f"{'':24}" + "".join(f"{name:>10}" for name in libraries) + ("     ratio" if len(tables) > 1 else ""))
    for label in tables["minillm"]:
        times = in_turn({name: repeated(table[label]) for name, table in tables.items()}, options.rounds)
        best = {name: min(seconds) / REPEATS * 1e9 for name, seconds in times.seconds.items()}
        ratio = f"{best['minillm'] / best['torch']:10.2f}" if "torch" in best else ""
        print(f"{label:24}" + "".join(f"{best[name]:10.0f}" for name in libraries) + ratio)


if __name__ == "__main__":
    main()
