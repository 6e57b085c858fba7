"""Speed of training and encoding with byte-level BPE, beside `tokenizers` and tiktoken.

    MINILLM_DATA=... python -m benchmarks.tokenizer_speed [--rounds 5] [--workers 2]

Each runs in turn (A B A B ...); the median of the rounds is printed. Encoding is that of one long text in one
process, with nothing remembered from the round before. What the three give is checked to be equal.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # one process, one thread

import tiktoken
import tokenizers

from minillm.tokenizers import BPETokenizer
from minillm.tokenizers.byte_alphabet import token_to_bytes
from minillm.tokenizers.split_patterns import GPT2_PATTERN


def medians(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Seconds of each call, the median of `rounds` in turn."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


def bare_bpe(model: Any = None) -> Any:
    """A byte-level BPE of `tokenizers`."""
    made = tokenizers.Tokenizer(model or tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return made


def train_theirs(text: str, vocab_size: int) -> Any:
    """Train the BPE of `tokenizers`."""
    made = bare_bpe()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([text], trainer)
    return made


def training(text: str, rounds: int) -> None:
    """Print the time of training on tinyshakespeare."""
    print(f"training on tinyshakespeare ({len(text) / 1e6:.2f} MB), seconds")
    print(f"{'vocabulary':>12}{'minillm':>10}{'tokenizers':>12}")
    for vocab_size in (1024, 8192):
        ours = BPETokenizer.from_text(text, vocab_size=vocab_size, show_progress=False)
        assert ours.get_vocab() == train_theirs(text, vocab_size).get_vocab(), "the vocabularies differ"

        def train_ours(size: int = vocab_size) -> Any:
            return BPETokenizer.from_text(text, vocab_size=size, show_progress=False)

        def train_other(size: int = vocab_size) -> Any:
            return train_theirs(text, size)

        taken = medians({"ours": train_ours, "theirs": train_other}, rounds)
        print(f"{vocab_size:>12}{taken['ours']:>10.2f}{taken['theirs']:>12.2f}")


def encoding(folder: Path, texts: Iterable[tuple[str, str]], rounds: int, workers: int) -> None:
    """Print the speed of encoding with GPT-2's vocabulary."""
    ours = BPETokenizer.from_pretrained(folder)
    files = [str(folder / name) for name in ("vocab.json", "merges.txt")]
    fast = bare_bpe(tokenizers.models.BPE.from_file(*files))
    ranks = {token_to_bytes(token): i for token, i in ours.get_vocab().items() if token != "<|endoftext|>"}
    tik = tiktoken.Encoding(
        "gpt2", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 50256}
    )

    def encode_ours(text: str) -> list[int]:
        ours._cache.clear()
        return ours.encode(text)

    def encode_fast(text: str) -> list[int]:
        fast.model._clear_cache()
        ids: list[int] = fast.encode(text).ids
        return ids

    print(f"\nencoding with GPT-2's vocabulary, megabytes a second in one process (minillm in {workers})")
    print(f"{'text':>20}{'MB':>7}{'minillm':>10}{'tokenizers':>12}{'tiktoken':>10}{f'in {workers}':>8}")
    for name, text in texts:
        assert encode_ours(text) == encode_fast(text) == tik.encode(text), "the ids differ"
        parts = [text[start : start + 100_000] for start in range(0, len(text), 100_000)] * 8

        def ours_once(text: str = text) -> Any:
            return encode_ours(text)

        def fast_once(text: str = text) -> Any:
            return encode_fast(text)

        def tik_once(text: str = text) -> Any:
            return tik.encode(text)

        def in_processes(parts: list[str] = parts) -> Any:
            ours._cache.clear()
            return ours.encode_batch(parts, num_workers=workers)

        calls = {"ours": ours_once, "fast": fast_once, "tik": tik_once, "processes": in_processes}
        taken = medians(calls, rounds)
        size = len(text.encode()) / 1e6
        print(
            f"{name:>20}{size:>7.2f}{size / taken['ours']:>10.1f}{size / taken['fast']:>12.1f}"
            f"{size / taken['tik']:>10.1f}{8 * size / taken['processes']:>8.1f}"
        )

    print("\none word of a million characters, seconds")
    print(f"{'word':>20}{'minillm':>10}")
    for piece in ("a", "ab", "'", "é", "世"):
        word = piece * (1_000_000 // len(piece))
        start = time.perf_counter()
        encode_ours(word)
        print(f"{piece + piece + piece + '...':>20}{time.perf_counter() - start:>10.2f}")


def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="times that each runs")
    parser.add_argument("--workers", type=int, default=2, help="processes in the last column")
    options = parser.parse_args()
    data = os.environ.get("MINILLM_DATA")
    if not data or not Path(data).is_dir():
        parser.error("set MINILLM_DATA to the folder of data sets (tinyshakespeare, wikitext2, tokenizers)")
    root = Path(data)
    shakespeare = (root / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8")
    training(shakespeare, options.rounds)
    texts = [("tinyshakespeare", shakespeare)]
    for name, path in (("wikitext2", "wikitext2/valid.txt"), ("Tang poems", "tang300/tang300.json")):
        if (root / path).exists():
            texts.append((name, (root / path).read_text(encoding="utf-8")))
    encoding(root / "tokenizers" / "gpt2", texts, options.rounds, options.workers)


if __name__ == "__main__":
    main()
