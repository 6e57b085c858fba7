"""Ways to add rows to a table at places that repeat, as the gradient of an embedding does.

    python -m benchmarks.scatter_add [--rows 2048] [--width 128] [--places 1000]
"""

from __future__ import annotations

import argparse

from benchmarks.timing import in_turn, use_threads

use_threads(1)

import numpy as np  # noqa: E402

from minillm.backend import scatter_add  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2048, help="rows that are added")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--places", type=int, default=1000, help="rows of the table")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    places = rng.integers(0, options.places, options.rows)
    rows = rng.normal(size=(options.rows, options.width)).astype("float32")
    results = {}

    def table() -> np.ndarray:
        return np.zeros((options.places, options.width), "float32")

    def ours() -> None:
        total = results["minillm"] = table()
        scatter_add(total, places, rows)

    def by_rows() -> None:
        total = results["add.at, rows"] = table()
        np.add.at(total, places, rows)

    def sorted_runs() -> None:
        total = results["sort, add.reduceat"] = table()
        order = np.argsort(places, kind="stable")
        ordered = places[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        total[ordered[starts]] = np.add.reduceat(rows[order], starts)

    functions = {"minillm": ours, "add.at, rows": by_rows, "sort, add.reduceat": sorted_runs}
    for function in functions.values():
        function()
    for result in results.values():
        np.testing.assert_allclose(result, results["minillm"], rtol=1e-4, atol=1e-5)
    print(f"{options.rows} rows of {options.width} numbers into {options.places} places, one thread")
    print(in_turn(functions, options.rounds).table("minillm"))


if __name__ == "__main__":
    main()
