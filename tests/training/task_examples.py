"""Tiny examples of each task, and tiny models to fine-tune for them, in a directory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import minillm
from minillm.models import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, MarianConfig, MarianMTModel
from minillm.tokenizers import CharTokenizer, WordPieceTokenizer

GOOD, BAD, REST = ["good", "fine", "great"], ["bad", "poor", "dull"], ["a", "film", "the", "story", "plot"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TAGGED = ["fly", "to", "from", "paris", "london", "city", "of", "who", "where", "is", "lives", "in", "?", "anna", "bob"]

#: Options of a run that takes a second.
FAST = ("--epochs", "2", "--batch-size", "8", "--lr", "0.01")
SMALL_LSTM = ("--model", "lstm", "--embedding-dim", "16", "--hidden-size", "12")


def texts(count: int, seed: int = 0) -> list[tuple[str, str]]:
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        words = [*rng.choice(REST, rng.integers(2, 6)), rng.choice(GOOD if i % 2 else BAD)]
        rng.shuffle(words)
        found.append((" ".join(words), "pos" if i % 2 else "neg"))
    return found


def write_texts(path: Path, count: int, seed: int = 0) -> Path:
    path.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in texts(count, seed)))
    return path


def write_tags(path: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(count):
        city, before = rng.choice(["paris", "london"]), rng.choice(["to", "from"])
        lines.append(f"fly O\n{before} O\n{city} {'B-GOAL' if before == 'to' else 'O'}\n{rng.choice(REST)} O\n\n")
    path.write_text("".join(lines))
    return path


def write_squad(path: Path, count: int) -> Path:
    paragraphs = []
    for i in range(count):
        name, city = ["anna", "bob"][i % 2], ["paris", "london"][i // 2 % 2]
        context = f"{name} lives in {city} in the city of {'good' if i % 3 else 'bad'} story"
        answer = {"text": city, "answer_start": context.index(city)}
        paragraphs.append({"context": context, "qas": [{"id": str(i), "question": "where ?", "answers": [answer]}]})
    path.write_text(json.dumps({"data": [{"title": "t", "paragraphs": paragraphs}]}))
    return path


def make_bert(directory: Path, **changes: object) -> Path:
    """Write a small BERT with its tokenizer and no head for a task."""
    vocab = {word: i for i, word in enumerate([*SPECIAL, *GOOD, *BAD, *REST, *TAGGED])}
    WordPieceTokenizer(vocab).save_pretrained(directory)
    minillm.manual_seed(0)
    settings = {
        "vocab_size": len(vocab), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 16, "max_position_embeddings": 40,
    }  # fmt: skip
    BertForMaskedLM(BertConfig(**{**settings, **changes})).save_pretrained(directory)
    return directory


def make_gpt(directory: Path) -> Path:
    """Write a small GPT of characters."""
    tokenizer = CharTokenizer.train_from_iterator(
        ["".join(map(chr, range(32, 127))) + "\n"], special_names={"eos_token": "<end>"}
    )
    tokenizer.save_pretrained(directory)
    minillm.manual_seed(0)
    size = {"n_positions": 256, "n_embd": 16, "n_layer": 1, "n_head": 2}
    GPT2LMHeadModel(GPT2Config(vocab_size=tokenizer.vocab_size, **size)).save_pretrained(directory)
    return directory


def make_marian(directory: Path) -> Path:
    """Write a small Marian of characters."""
    tokenizer = CharTokenizer.train_from_iterator(
        ["abcdefgh "], special_names={"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    )
    tokenizer.save_pretrained(directory)
    minillm.manual_seed(0)
    config = MarianConfig(
        vocab_size=tokenizer.vocab_size, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=32,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    MarianMTModel(config).save_pretrained(directory)
    return directory
