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


def written(setting: Any, name: str, reverse: bool, **changes: Any) -> dict[str, Any]:
    """Train an LSTM encoder-decoder with attention on nine tenths; return its scores on the rest."""
    examples = shuffled(load_dataset("seq2seq-toy")[name])
    cut = len(examples) // 10
    test, validation, train = examples[:cut], examples[cut : cut + 200], examples[cut + 200 :]
    texts = [example[side] for example in train for side in ("source", "target")]
    tokenizer = CharTokenizer.train_from_iterator([PADDING + START + END, *texts])
    padding, start, end = (tokenizer.encode(character)[0] for character in (PADDING, START, END))
    minillm.manual_seed(0)
    model = LSTMTranslator(
        LSTMTranslatorConfig(
            vocab_size=tokenizer.vocab_size, embedding_dim=32, hidden_size=128, dropout=0.1, pad_token_id=padding,
            decoder_start_token_id=start, eos_token_id=end, initializer_range=0.3,
        )
    )  # fmt: skip
    task = Translate(tokenizer, end=end, max_length=40, reverse=reverse, metric="exact")
    settings = {"weight_decay": 0.0, "warmup": 0.02, **changes}
    config = FineTuningConfig(batch_threads=setting.threads, **settings)
    tuner = FineTuner(model, task, train, validation, config, report=show)
    tuner.train()
    return {
        **tuner.evaluate(test),
        "validation": tuner.state.best_score,
        "settings": changes,
        "examples": {"train": len(train), "test": len(test)},
    }


def dates(setting: Any) -> dict[str, Any]:
    return written(setting, "date", reverse=False, epochs=5, batch_size=32, lr=5e-3)


def additions(setting: Any) -> dict[str, Any]:
    return written(setting, "addition", reverse=True, epochs=30, batch_size=32, lr=5e-3)
