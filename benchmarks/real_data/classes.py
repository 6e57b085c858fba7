"""Texts that get one label of several: the encoder fine-tuned, and LSTMs from nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

import minillm
from minillm.data import load_dataset
from minillm.models import BertForSequenceClassification, LSTMClassifierConfig, LSTMForSequenceClassification
from minillm.tokenizers import WordTokenizer, from_pretrained
from minillm.training.fine_tuning import FineTuner, FineTuningConfig
from minillm.training.tasks import Classify


def shuffled(examples: list[Any], seed: int = 0) -> list[Any]:
    """Return examples in another order, the same for the same seed."""
    return [examples[i] for i in np.random.default_rng(seed).permutation(len(examples))]


def named(examples: list[Any]) -> list[Any]:
    """Return examples whose labels are texts."""
    return [{"text": example["text"], "label": str(example["label"])} for example in examples]


def held_out(name: str) -> tuple[list[Any], list[Any]]:
    """Return the first 80 % of a shuffle and the rest, for a set without a split of its own."""
    examples = shuffled(named(load_dataset(name)["train"]))
    cut = int(0.8 * len(examples))
    return examples[:cut], examples[cut:]


def show(record: dict[str, Any]) -> None:
    """Print how an epoch went."""
    scores = "  ".join(f"{k} {v:.4f}" for k, v in record.items() if isinstance(v, float) and k != "seconds")
    print(f"    epoch {record['epoch']}: {scores}  ({record['seconds']:.0f} s)", flush=True)


def fine_tuned(
    setting: Any, train: list[Any], test: list[Any], validation: list[Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """Fine-tune the encoder whole, and return its scores on the test examples."""
    labels = sorted({example["label"] for example in train})
    minillm.manual_seed(0)
    model = BertForSequenceClassification.from_pretrained(setting.encoder, num_labels=len(labels))
    task = Classify(from_pretrained(setting.encoder), labels, max_length=128)
    config = FineTuningConfig(**{"batch_threads": setting.threads, **changes})
    tuner = FineTuner(model, task, train, validation or [], config, report=show)
    tuner.train()
    return {**tuner.evaluate(test), "validation": tuner.state.best_score, "settings": changes}


def rt_1000(setting: Any) -> dict[str, Any]:
    examples = shuffled(named(load_dataset("rt-polarity")["train"]))
    return fine_tuned(setting, examples[:1000], examples[1000:2000], epochs=3, batch_size=16, lr=1e-4)


def sst2(setting: Any) -> dict[str, Any]:
    parts = {name: named(part) for name, part in load_dataset("sst2").items()}
    return fine_tuned(setting, parts["train"], parts["test"], parts["validation"], epochs=2, batch_size=32, lr=7e-5)


def trec(setting: Any) -> dict[str, Any]:
    parts = {name: named(part) for name, part in load_dataset("trec").items()}
    return fine_tuned(setting, parts["train"], parts["test"], epochs=4, batch_size=32, lr=1e-4)


def words_of(texts: list[str], characters: bool = False) -> WordTokenizer:
    """Return a tokenizer of the words, or characters, of texts.

    Those that occur once count as unknown, so that the vector of what is unknown is trained.
    """
    tokenizer = WordTokenizer(char_level=characters, oov_token="<oov>")
    tokenizer.fit_on_texts(texts)
    tokenizer.num_words = 2 + sum(count > 1 for count in tokenizer.word_counts.values())
    return tokenizer


def from_nothing(
    setting: Any, train: list[Any], test: list[Any], *, characters: bool = False, sizes: dict[str, Any], **changes: Any
) -> dict[str, Any]:
    """Train an LSTM; a tenth of the training examples chooses the epoch whose weights are kept."""
    tokenizer = words_of([example["text"] for example in train], characters)
    labels = sorted({example["label"] for example in train})
    minillm.manual_seed(0)
    counts: dict[str, Any] = {"vocab_size": tokenizer.num_words, "num_labels": len(labels)}
    model = LSTMForSequenceClassification(LSTMClassifierConfig(**counts, **sizes))
    cut = len(train) // 10
    settings = {"batch_threads": setting.threads, "weight_decay": 0.0, "warmup": 0.0, **changes}
    task = Classify(tokenizer, labels, max_length=200)
    tuner = FineTuner(model, task, train[cut:], train[:cut], FineTuningConfig(**settings), report=show)
    tuner.train()
    return {**tuner.evaluate(test), "validation": tuner.state.best_score, "settings": changes, "sizes": sizes}


def sms(setting: Any) -> dict[str, Any]:
    sizes = {"embedding_dim": 64, "hidden_size": 64, "dropout": 0.3}
    return from_nothing(setting, *held_out("sms"), sizes=sizes, epochs=6, batch_size=32, lr=2e-3)


def rt_lstm(setting: Any) -> dict[str, Any]:
    sizes = {"embedding_dim": 100, "hidden_size": 32, "dropout": 0.8, "pooling": "mean"}
    changes = {"epochs": 8, "batch_size": 32, "lr": 2e-3, "weight_decay": 0.3}
    return from_nothing(setting, *held_out("rt-polarity"), sizes=sizes, **changes)


def chnsenticorp(setting: Any) -> dict[str, Any]:
    sizes = {"embedding_dim": 100, "hidden_size": 64, "dropout": 0.6}
    changes = {"epochs": 10, "batch_size": 16, "lr": 2e-3, "weight_decay": 0.3}
    return from_nothing(setting, *held_out("chnsenticorp"), characters=True, sizes=sizes, **changes)
