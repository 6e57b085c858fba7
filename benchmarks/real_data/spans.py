"""Spans of text: slots, entities, answers to questions."""

from __future__ import annotations

from typing import Any

import numpy as np

import minillm
from benchmarks.real_data.classes import show, words_of
from minillm import metrics
from minillm.data import load_dataset
from minillm.models import (
    BertForQuestionAnswering,
    BertForTokenClassification,
    LSTMClassifierConfig,
    LSTMForTokenClassification,
)
from minillm.tokenizers import from_pretrained
from minillm.training.fine_tuning import FineTuner, FineTuningConfig
from minillm.training.tasks import Answer, Tag


def tagged(name: str) -> tuple[dict[str, list[Any]], list[str]]:
    """Return the splits of a set of tagged sentences, and its tags, ``O`` first."""
    parts = load_dataset(name)
    tags = {tag for part in parts.values() for example in part for tag in example["tags"]}
    return parts, sorted(tags, key=lambda tag: (tag != "O", tag))


def fine_tuned(setting: Any, name: str, **changes: Any) -> dict[str, Any]:
    """Fine-tune the encoder on tags, and return its scores on the test split."""
    parts, tags = tagged(name)
    minillm.manual_seed(0)
    model = BertForTokenClassification.from_pretrained(setting.encoder, num_labels=len(tags))
    config = FineTuningConfig(batch_threads=setting.threads, **changes)
    task = Tag(from_pretrained(setting.encoder), tags)
    tuner = FineTuner(model, task, parts["train"], parts["validation"], config, report=show)
    tuner.train()
    return {**tuner.evaluate(parts["test"]), "validation": tuner.state.best_score, "settings": changes}


def snips(setting: Any) -> dict[str, Any]:
    return fine_tuned(setting, "snips", epochs=5, batch_size=16, lr=3e-4)


def wnut17(setting: Any) -> dict[str, Any]:
    return fine_tuned(setting, "wnut17", epochs=3, batch_size=32, lr=3e-4)


def snips_lstm(setting: Any) -> dict[str, Any]:
    parts, tags = tagged("snips")
    tokenizer = words_of([" ".join(example["tokens"]) for example in parts["train"]])
    minillm.manual_seed(0)
    sizes = {"embedding_dim": 100, "hidden_size": 128, "dropout": 0.2}
    counts: dict[str, Any] = {"vocab_size": tokenizer.num_words, "num_labels": len(tags)}
    model = LSTMForTokenClassification(LSTMClassifierConfig(**counts, **sizes))
    changes = {"epochs": 8, "batch_size": 16, "lr": 3e-3, "weight_decay": 0.0, "warmup": 0.0}
    settings = FineTuningConfig(batch_threads=setting.threads, **changes)
    tuner = FineTuner(model, Tag(tokenizer, tags), parts["train"], parts["validation"], settings, report=show)
    tuner.train()
    return {**tuner.evaluate(parts["test"]), "validation": tuner.state.best_score, "settings": changes, "sizes": sizes}


def xquad(setting: Any) -> dict[str, Any]:
    examples = load_dataset("xquad")["test"]
    titles = list(dict.fromkeys(example["title"] for example in examples))
    train = [example for example in examples if example["title"] in titles[:40]]
    test = [example for example in examples if example["title"] in titles[40:]]
    minillm.manual_seed(0)
    model = BertForQuestionAnswering.from_pretrained(setting.encoder)
    changes = {"epochs": 3, "batch_size": 16, "lr": 2e-4}
    task = Answer(from_pretrained(setting.encoder), max_length=256, stride=64)
    tuner = FineTuner(model, task, train, [], FineTuningConfig(batch_threads=setting.threads, **changes), report=show)
    tuner.train()
    return {
        **tuner.evaluate(test),
        "validation": tuner.state.best_score,
        "random_f1": random_spans(test),
        "titles": len(titles),
        "settings": changes,
    }


def random_spans(examples: list[Any]) -> float:
    """Return the F1 of spans of 1 to 5 words at random places of the contexts, the mean of ten draws of each."""
    rng = np.random.default_rng(0)
    scores = []
    for example in examples:
        words = example["context"].split()
        for _ in range(10):
            start, length = int(rng.integers(len(words))), int(rng.integers(1, 6))
            scores.append(metrics.answer_f1(" ".join(words[start : start + length]), example["answers"]["text"]))
    return float(np.mean(scores))
