"""Targets that are written for sources: dates in one form, sums of numbers."""

from __future__ import annotations

from typing import Any

import minillm
from benchmarks.real_data.classes import show, shuffled
from minillm.data import load_dataset
from minillm.models import LSTMTranslator, LSTMTranslatorConfig
from minillm.tokenizers import CharTokenizer
from minillm.training.fine_tuning import FineTuner, FineTuningConfig
from minillm.training.tasks import Translate

PADDING, START, END = "\x00", "\x02", "\x03"  # characters that no text holds


def parts_of(examples: list[Any], validation: int) -> dict[str, list[Any]]:
    """Return a tenth of shuffled examples to test on, so many to choose by, and the rest to train on."""
    examples, cut = shuffled(examples), len(examples) // 10
    return {
        "train": examples[cut + validation :], "validation": examples[cut : cut + validation], "test": examples[:cut]
    }  # fmt: skip


def backwards(examples: list[Any]) -> list[Any]:
    """Return examples whose targets are written from their end: of a sum the ones first, where carrying begins.

    Example:
        >>> backwards([{"source": "16+75", "target": "91"}])
        [{'source': '16+75', 'target': '19'}]
    """
    return [{**example, "target": example["target"][::-1]} for example in examples]


def either_way(examples: list[Any]) -> list[Any]:
    """Return additions as they are, and with their two numbers in the other order.

    Example:
        >>> either_way([{"source": "16+75", "target": "91"}])
        [{'source': '16+75', 'target': '91'}, {'source': '75+16', 'target': '91'}]
    """
    return examples + [{**example, "source": "+".join(example["source"].split("+")[::-1])} for example in examples]


def new_model(train: list[Any], reverse: bool, dropout: float) -> tuple[LSTMTranslator, Translate]:
    """Return an LSTM encoder-decoder with attention that knows the characters of examples, and its task."""
    texts = [example[side] for example in train for side in ("source", "target")]
    tokenizer = CharTokenizer.train_from_iterator([PADDING + START + END, *texts])
    padding, start, end = (tokenizer.encode(character)[0] for character in (PADDING, START, END))
    minillm.manual_seed(0)
    model = LSTMTranslator(
        LSTMTranslatorConfig(
            vocab_size=tokenizer.vocab_size, embedding_dim=32, hidden_size=128, dropout=dropout, pad_token_id=padding,
            decoder_start_token_id=start, eos_token_id=end, initializer_range=0.3,
        )
    )  # fmt: skip
    return model, Translate(tokenizer, end=end, max_length=40, reverse=reverse, metric="exact")


def settings_of(setting: Any, changes: dict[str, Any]) -> FineTuningConfig:
    return FineTuningConfig(**{"batch_threads": setting.threads, "weight_decay": 0.0, "warmup": 0.02, **changes})


def written(setting: Any, parts: dict[str, list[Any]], reverse: bool, dropout: float, **changes: Any) -> dict[str, Any]:
    """Train a model; return its scores on the test examples."""
    model, task = new_model(parts["train"], reverse, dropout)
    config = settings_of(setting, changes)
    tuner = FineTuner(model, task, parts["train"], parts["validation"], config, report=show)
    tuner.train()
    return {
        **tuner.evaluate(parts["test"]),
        "validation": tuner.state.best_score,
        "settings": {"dropout": dropout, **changes},
        "examples": {name: len(part) for name, part in parts.items()},
    }


def dates(setting: Any) -> dict[str, Any]:
    parts = parts_of(load_dataset("seq2seq-toy")["date"], validation=200)
    return written(setting, parts, reverse=False, dropout=0.1, epochs=5, batch_size=32, lr=5e-3)


ADDITIONS: dict[str, Any] = {"reverse": True, "dropout": 0.3}
ADDITIONS_SETTINGS: dict[str, Any] = {"epochs": 20, "batch_size": 32, "lr": 5e-3}


def sums() -> dict[str, list[Any]]:
    """Return additions whose sums are written from their end; each of the training part comes either way round."""
    parts = parts_of(backwards(load_dataset("seq2seq-toy")["addition"]), validation=300)
    return {**parts, "train": either_way(parts["train"])}


def additions(setting: Any) -> dict[str, Any]:
    return written(setting, sums(), **ADDITIONS, **ADDITIONS_SETTINGS)


def additions_torch(setting: Any) -> dict[str, Any]:
    """Train the same model from the same weights on the same batches in PyTorch."""
    from benchmarks.real_data.torch_translator import trained_in_torch

    parts = sums()
    model, task = new_model(parts["train"], **ADDITIONS)
    scores = trained_in_torch(model, task, parts, settings_of(setting, ADDITIONS_SETTINGS))
    return {"exact": scores["test"], "validation": scores["validation"]}
