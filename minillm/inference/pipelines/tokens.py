"""Token classification: the label of each token, or the entities that labelled tokens make up.

A model labels the pieces of words; ``aggregation_strategy`` says how these become entities, as in Hugging Face's
library: ``"none"`` gives each token alone, ``"simple"`` joins neighbours with one label (``I-PER`` goes on with
``B-PER`` before it), and the others first give all pieces of a word one label: that of the ``"first"``, that of the
surest (``"max"``), or that with the largest mean probability (``"average"``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from minillm.inference.pipelines.base import Pipeline, numbers, softmax

STRATEGIES = ("none", "simple", "first", "average", "max")
Entity = dict[str, Any]


@dataclasses.dataclass
class Token:
    """A token of a text: its characters, the probability of each label, and whether it goes on with a word."""

    word: str
    scores: Any
    start: int
    end: int
    index: int
    goes_on: bool


class TokenClassificationPipeline(Pipeline):
    """Finds entities in texts, such as names."""

    task = "token-classification"
    offered = ("aggregation_strategy", "delimiter", "ignore_labels", "is_split_into_words", "stride")

    def __call__(self, inputs: str | Sequence[Any], **options: Any) -> Any:
        """Return a list of tokens for each text, or of entities.

        Args:
            inputs: a text, or several.
            options: ``aggregation_strategy``: one of ``STRATEGIES``, see above; ``ignore_labels``: labels that are
                left out, ``["O"]`` by default; ``stride``: a text longer than ``tokenizer.model_max_length`` is read
                in windows that share so many tokens, and without it cut; ``is_split_into_words``: texts are lists of
                words, and offsets count in what ``delimiter`` (a space) joins them to.

        Returns:
            Of each token ``entity``, ``score``, ``index``, ``word``, ``start`` and ``end``; of an entity
            ``entity_group``, ``score``, ``word``, ``start`` and ``end``. ``word`` is as the tokenizer spells it;
            the characters from ``start`` to ``end`` are as the text has them.

        Raises:
            TypeError: an option that is not offered.
            ValueError: a strategy that is not known, or ``stride`` without one.
        """
        settings = self._settings(options)
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        if settings.get("is_split_into_words") and all(isinstance(word, str) for word in texts):
            texts = [texts]
        answers = [self._entities(text, settings) for text in texts]
        return answers[0] if isinstance(inputs, str) else answers

    def _settings(self, options: dict[str, Any]) -> dict[str, Any]:
        settings = super()._settings(options)
        strategy = settings["aggregation_strategy"] = settings.get("aggregation_strategy", "none")
        if strategy not in STRATEGIES:
            raise ValueError(f"aggregation_strategy is {strategy!r}; known are {', '.join(STRATEGIES)}")
        if settings.get("stride") is not None and strategy == "none":
            raise ValueError("stride: windows share tokens, which are joined to entities; give an aggregation_strategy")
        return settings

    def _entities(self, text: Any, settings: dict[str, Any]) -> list[Entity]:
        """Return the tokens or entities of one text."""
        begins, words = None, settings.get("is_split_into_words", False)
        if words:
            delimiter = settings.get("delimiter") or " "
            begins = [0, *accumulate(len(word) + len(delimiter) for word in text)]
        stride = settings.get("stride")
        encoding = self.tokenizer(
            [text], truncation=self.tokenizer.model_max_length is not None, is_split_into_words=words,
            return_offsets_mapping=True, return_special_tokens_mask=True, stride=stride or 0,
            return_overflowing_tokens=stride is not None,
        )  # fmt: skip
        text = delimiter.join(text) if words else text
        found, ignored = [], settings.get("ignore_labels", ["O"])
        windows = len(encoding["input_ids"])
        for row in range(windows):
            tokens = self._tokens(text, encoding, row, begins)
            entities = self._aggregated(tokens, settings["aggregation_strategy"])
            found += [e for e in entities if e.get("entity", e.get("entity_group")) not in ignored]
        return best_of_overlapping(found) if windows > 1 else found

    def _tokens(self, text: str, encoding: Any, row: int, begins: list[int] | None) -> list[Token]:
        """Return the tokens of a row that stand for text, read by the model."""
        scores = softmax(numbers(self._read(encoding, row).logits)[0])  # (T, L)
        prefix, unknown = getattr(self.tokenizer, "prefix", None), getattr(self.tokenizer, "unk_token_id", None)
        tokens = []
        for index, token_id in enumerate(encoding["input_ids"][row]):
            if encoding["special_tokens_mask"][row][index]:
                continue
            start, end = encoding["offset_mapping"][row][index]
            if begins is not None:
                start, end = (begins[encoding.word_ids(row)[index]] + place for place in (start, end))
            word, spelled = self.tokenizer.convert_ids_to_tokens(token_id), text[start:end]
            if prefix:
                goes_on = len(word) != len(spelled)
            else:  # a tokenizer without words: those are taken that spaces part
                goes_on = start > 0 and " " not in text[start - 1 : start + 1]
            if token_id == unknown:
                word, goes_on = spelled, False
            tokens.append(Token(word, scores[index], start, end, index, goes_on))
        return tokens

    def _aggregated(self, tokens: list[Token], strategy: str) -> list[Entity]:
        """Return the tokens as they are, or the entities that they make up."""
        if strategy in ("none", "simple"):
            tagged = [
                {
                    **self._label(token.scores), "index": token.index, "word": token.word,
                    "start": token.start, "end": token.end,
                }
                for token in tokens
            ]  # fmt: skip
            return tagged if strategy == "none" else self._joined(tagged)
        words: list[list[Token]] = []
        for token in tokens:
            if words and token.goes_on:
                words[-1].append(token)
            else:
                words.append([token])
        return self._joined([self._word(word, strategy) for word in words])

    def _label(self, scores: Any) -> Entity:
        best = int(scores.argmax())
        return {"entity": self.model.config.id2label[best], "score": float(scores[best])}

    def _word(self, tokens: list[Token], strategy: str) -> Entity:
        """Return a word with the one label of all its tokens."""
        if strategy == "first":
            scores = tokens[0].scores
        elif strategy == "max":
            scores = max(tokens, key=lambda token: float(token.scores.max())).scores
        else:
            scores = np.mean([token.scores for token in tokens], axis=0)
        word = self.tokenizer.convert_tokens_to_string([token.word for token in tokens])
        return {**self._label(scores), "word": word, "start": tokens[0].start, "end": tokens[-1].end}

    def _joined(self, entities: list[Entity]) -> list[Entity]:
        """Return the entities that neighbours with one label make up; one that begins stands alone."""
        groups: list[list[Entity]] = []
        for entity in entities:
            begins, label = label_of(entity["entity"])
            if groups and not begins and label == label_of(groups[-1][-1]["entity"])[1]:
                groups[-1].append(entity)
            else:
                groups.append([entity])
        return [
            {
                "entity_group": group[0]["entity"].split("-", 1)[-1],
                "score": float(np.mean([entity["score"] for entity in group])),
                "word": self.tokenizer.convert_tokens_to_string([entity["word"] for entity in group]),
                "start": group[0]["start"],
                "end": group[-1]["end"],
            }
            for group in groups
        ]


def label_of(tag: str) -> tuple[bool, str]:
    """Return whether a tag begins an entity, and the label of that.

    Example:
        >>> label_of("B-PER"), label_of("I-PER"), label_of("O")
        ((True, 'PER'), (False, 'PER'), (False, 'O'))
    """
    return tag.startswith("B-"), tag[2:] if tag.startswith(("B-", "I-")) else tag


def best_of_overlapping(entities: Sequence[Mapping[str, Any]]) -> list[Entity]:
    """Return entities of windows that overlap, in their order; of those at one place the longest, then the surest.

    Example:
        >>> found = [{"start": 0, "end": 3, "score": 0.9}, {"start": 0, "end": 5, "score": 0.4}]
        >>> best_of_overlapping(found)
        [{'start': 0, 'end': 5, 'score': 0.4}]
    """
    kept: list[Any] = []
    for entity in sorted(entities, key=lambda entity: entity["start"]):
        if kept and entity["start"] < kept[-1]["end"]:
            if _size(entity) > _size(kept[-1]):
                kept[-1] = entity
        else:
            kept.append(entity)
    return kept


def _size(entity: Mapping[str, Any]) -> tuple[int, float]:
    return entity["end"] - entity["start"], entity["score"]
