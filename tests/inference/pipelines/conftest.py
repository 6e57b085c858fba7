"""The same tiny model and tokenizer in both libraries, by way of files."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import transformers
from minillm.tokenizers import WordPieceTokenizer

TEXTS = [
    "the quick brown fox jumped over the lazy dogs again and again.",
    "A fox, a dog and Zoë: who jumped first? Nobody knows!",
    "it isn't over yet",
]


def fill(model, seed=0):
    """Give a model weights that do not depend on how any library draws them, and answers that differ."""
    rng = np.random.default_rng(seed)
    for name, parameter in sorted(model.named_parameters()):
        values = rng.normal(0, 0.8 if parameter.ndim == 2 else 0.1, parameter.shape)
        if parameter.ndim == 1 and name.endswith("weight"):  # of a layer norm
            values += 1
        parameter.data.copy_(minillm.tensor(values, dtype="float32"))
    return model.eval()


def save_bert(folder, head, seed=0, model_max_length=None, **settings):
    """Write a tiny model and the tokenizer of TEXTS into a folder."""
    tokenizer = WordPieceTokenizer.train_from_iterator(
        TEXTS * 4, 90, show_progress=False, model_max_length=model_max_length
    )
    tokenizer.save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=90, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=128, **settings,
    )  # fmt: skip
    fill(getattr(transformers, head)(config), seed).save_pretrained(folder)


def theirs_for(folder, task, head, **options):
    """Return the pipeline of transformers for a folder."""
    pytest.importorskip("torch")
    library = pytest.importorskip("transformers")
    model = getattr(library, head).from_pretrained(folder)
    return library.pipeline(task, model, tokenizer=library.AutoTokenizer.from_pretrained(folder), **options)


def rounded(answers):
    """The same answers, with scores that may differ a little."""
    if isinstance(answers, list):
        return [rounded(answer) for answer in answers]
    return {**answers, "score": pytest.approx(float(answers["score"]), abs=1e-5)}
