"""The runs: what each trains on, with which settings, and what it is measured by."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.real_data import classes, language, spans, writing


@dataclasses.dataclass(frozen=True)
class Setting:
    """Where the encoder lies, and how many threads compute."""

    encoder: Path | None
    threads: int


@dataclasses.dataclass(frozen=True)
class Run:
    """One figure.

    Attributes:
        about: what is trained on what.
        function: trains and measures; returns figures by name.
        metric: the figure that counts.
        bar: what it should reach.
        simple: what simple methods reach.
        needs_encoder: whether it starts from MiniLM.
    """

    about: str
    function: Callable[[Any], dict[str, Any]]
    metric: str
    bar: float | None
    simple: str
    needs_encoder: bool = False


RUNS = {
    "rt-1000": Run("MiniLM on 1,000 sentences of rt-polarity, measured on 1,000 others", classes.rt_1000,
                   "accuracy", 0.78, "logistic regression on its embeddings .716", True),
    "sst2": Run("MiniLM on SST-2", classes.sst2, "accuracy", 0.88, "TF-IDF .813", True),
    "trec": Run("MiniLM on TREC's 6 kinds of questions", classes.trec, "accuracy", 0.955, "TF-IDF .882", True),
    "sms": Run("LSTM from nothing on SMS spam", classes.sms, "accuracy", 0.98, "TF-IDF .986, majority .878"),
    "rt-lstm": Run("LSTM from nothing on rt-polarity", classes.rt_lstm, "accuracy", 0.74, "TF-IDF .776"),
    "chnsenticorp": Run("LSTM from nothing on the characters of Chinese hotel reviews", classes.chnsenticorp,
                        "accuracy", 0.84, "TF-IDF .902"),
    "snips-lstm": Run("LSTM tagger from nothing on the slots of SNIPS", spans.snips_lstm, "f1", 0.80,
                      "dictionary .483"),
    "snips": Run("MiniLM on the slots of SNIPS", spans.snips, "f1", 0.90, "dictionary .483", True),
    "wnut17": Run("MiniLM on the entities of WNUT-17", spans.wnut17, "f1", 0.30, "dictionary .060", True),
    "xquad": Run("MiniLM on 40 articles of XQuAD, measured on the 8 others", spans.xquad, "f1", None,
                 "a random span (random_f1)", True),
    "dates": Run("LSTM with attention writes dates as YYYY-MM-DD", writing.dates, "exact", 0.98, "-"),
    "additions": Run("LSTM with attention adds numbers, read and written from their end", writing.additions,
                     "exact", 0.98, "-"),
    "additions-torch": Run("the same model and settings in PyTorch", writing.additions_torch, "exact", None, "-"),
    "tang": Run("character GPT on 300 Tang poems, bits per character (fewer are better)", language.tang, "bits", None,
                "Witten-Bell 6-gram (ngram_bits) and 2-gram (bigram_bits)"),
    "wikitext2": Run("RNN language model on WikiText-2, beside PyTorch's same run", language.wikitext2,
                     "agreement", 0.99, "-"),
}  # fmt: skip
