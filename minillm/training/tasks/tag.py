"""Tagging: each word of a sentence gets a tag, as in named-entity recognition and slot filling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minillm import metrics
from minillm.autograd import no_grad
from minillm.training.tasks.task import IGNORED, Features, Scores, Task, device_of


class Tag(Task):
    """Examples are ``{"tokens": [...], "tags": [...]}``, with tags such as ``B-PER``, ``I-PER``, ``O``.

    The first part of each word bears its tag, and its other parts none (Devlin et al., "BERT", 2019, section 5.3). A
    word beyond ``max_length`` is given ``O``.

    Args:
        tokenizer: of the model.
        labels: the tags, in the order of the model's outputs.
        max_length: the longest sentence, in tokens.

    Example:
        >>> from minillm.tokenizers import WordTokenizer
        >>> tokenizer = WordTokenizer(oov_token="<oov>")
        >>> tokenizer.fit_on_texts(["to paris"])
        >>> task = Tag(tokenizer, ["O", "B-CITY"])
        >>> task.features([{"tokens": ["to", "Paris"], "tags": ["O", "B-CITY"]}])[0]["labels"]
        [0, 1]
    """

    name = "tag"
    metric = "f1"

    def __init__(self, tokenizer: Any, labels: Sequence[str], max_length: int | None = 128) -> None:
        self.tokenizer, self.labels, self.max_length = tokenizer, list(labels), max_length
        self.number = {label: i for i, label in enumerate(self.labels)}
        padding = tokenizer.pad_token_id
        self.fillers = {"input_ids": 0 if padding is None else padding, "labels": IGNORED}

    def features(self, examples: Sequence[Any]) -> list[Features]:
        """Return tokens, and for each the number of its word's tag."""
        return [self._feature(example, f"example {i + 1}")[0] for i, example in enumerate(examples)]

    def _feature(self, example: Any, place: str) -> tuple[Features, list[int]]:
        """Return what the model reads, and where each word begins in it."""
        words, tags = list(example["tokens"]), example.get("tags")
        if not words:
            raise ValueError(f"{place}: it has no word")
        if tags is not None and len(tags) != len(words):
            raise ValueError(f"{place}: it has {len(words)} words and {len(tags)} tags")
        encoded = self.tokenizer(
            words, is_split_into_words=True, truncation=self.max_length is not None, max_length=self.max_length
        )
        ids, of_word = encoded["input_ids"], encoded.word_ids()
        feature: Features = {"input_ids": ids, "attention_mask": [1] * len(ids)}
        if "token_type_ids" in encoded:
            feature["token_type_ids"] = encoded["token_type_ids"]
        firsts = [of_word.index(i) if i in of_word else -1 for i in range(len(words))]
        if tags is not None:
            unknown = sorted(set(tags) - set(self.labels))
            if unknown:
                raise ValueError(f"{place}: the tag {unknown[0]!r} is none of {', '.join(self.labels)}")
            labels = [IGNORED] * len(ids)
            for first, tag in zip(firsts, tags, strict=True):
                if first >= 0:
                    labels[first] = self.number[tag]
            feature["labels"] = labels
        return feature, firsts

    def count(self, features: list[Features]) -> float:
        """Return the number of tags: the loss of a batch is their mean."""
        return float(sum(label != IGNORED for feature in features for label in feature["labels"]))

    def tags(self, model: Any, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """Return the tags of the words of sentences."""
        read = [self._feature({"tokens": words}, f"sentence {i + 1}") for i, words in enumerate(sentences)]
        features, other = [feature for feature, _ in read], "O" if "O" in self.number else self.labels[0]
        found: list[list[str]] = [[] for _ in features]
        with no_grad():
            for chosen, batch in self.batches(features, device_of(model)):
                guesses = model(**batch).logits.argmax(-1).tolist()
                for i, row in zip(chosen, guesses, strict=True):
                    found[i] = [self.labels[row[first]] if first >= 0 else other for first in read[i][1]]
        return found

    def scores(self, model: Any, examples: list[Any]) -> Scores:
        """Return precision, recall and F1 of whole entities, and the share of right tags."""
        guesses = self.tags(model, [example["tokens"] for example in examples])
        truth = [list(example["tags"]) for example in examples]
        found = metrics.span_precision_recall_f1(truth, guesses, average="micro", zero_division=0)
        pairs = [pair for one, other in zip(truth, guesses, strict=True) for pair in zip(one, other, strict=True)]
        return {
            "f1": float(found.f),
            "precision": float(found.precision),
            "recall": float(found.recall),
            "accuracy": sum(a == b for a, b in pairs) / len(pairs),
        }
