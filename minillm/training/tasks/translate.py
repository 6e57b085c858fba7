"""Translation: a source becomes a target, in another language or another form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minillm import metrics
from minillm.inference.translation import translate
from minillm.training.tasks.task import IGNORED, Features, Scores, Task, device_of


class Translate(Task):
    """Examples are ``{"source": ..., "target": ...}``.

    Args:
        tokenizer: of the source.
        target_tokenizer: of the target; that of the source by default.
        end: token that ends a target, as in the model's config.
        max_length: the longest source, and the longest target, in tokens.
        reverse: read sources from their end, which helps an LSTM (Sutskever, Vinyals and Le, 2014, section 3.3).
        metric: ``exact`` (the share of targets that are right in every character) or ``bleu``.
        num_beams: of the search for targets.
    """

    name = "translate"

    def __init__(
        self,
        tokenizer: Any,
        target_tokenizer: Any = None,
        *,
        end: int,
        max_length: int = 128,
        reverse: bool = False,
        metric: str = "bleu",
        num_beams: int = 1,
    ) -> None:
        if metric not in ("exact", "bleu"):
            raise ValueError(f"Translate: metric is {metric!r}; there are 'exact' and 'bleu'")
        self.tokenizer, self.target_tokenizer = tokenizer, target_tokenizer or tokenizer
        self.end, self.max_length, self.reverse, self.metric = end, max_length, reverse, metric
        self.num_beams = num_beams
        padding = tokenizer.pad_token_id
        self.fillers = {"input_ids": 0 if padding is None else padding, "labels": IGNORED}

    def source(self, text: str) -> list[int]:
        """Return the tokens of a source, in the order in which they are read."""
        ids: list[int] = self.tokenizer.encode(text)[: self.max_length]
        if not ids:
            raise ValueError(f"the source {text!r} has no token")
        return ids[::-1] if self.reverse else ids

    def features(self, examples: Sequence[Any]) -> list[Features]:
        """Return the tokens of source and target, which ends with its end token."""
        found = []
        for example in examples:
            ids = self.source(example["source"])
            target = [*self.target_tokenizer.encode(example["target"])[: self.max_length - 1], self.end]
            found.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": target})
        return found

    def count(self, features: list[Features]) -> float:
        """Return the number of target tokens: the loss of a batch is their mean."""
        return sum(len(feature["labels"]) for feature in features)

    def targets(self, model: Any, sources: Sequence[str]) -> list[str]:
        """Return what the model writes for sources."""
        features = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in map(self.source, sources)]
        texts = [""] * len(features)
        for chosen, batch in self.batches(features, device_of(model)):
            written = translate(
                model, **batch, max_new_tokens=self.max_length, eos_token_id=self.end, num_beams=self.num_beams
            )
            for i, row in zip(chosen, written.tolist(), strict=True):
                ids = row[: row.index(self.end)] if self.end in row else row
                texts[i] = self.target_tokenizer.decode(ids)
        return texts

    def scores(self, model: Any, examples: list[Any]) -> Scores:
        """Return the share of exact targets, BLEU and chrF, both from 0 to 100."""
        texts = self.targets(model, [example["source"] for example in examples])
        wanted = [example["target"] for example in examples]
        return {
            "exact": sum(a == b for a, b in zip(texts, wanted, strict=True)) / len(wanted),
            "bleu": float(metrics.bleu(texts, wanted)),
            "chrf": float(metrics.chrf(texts, wanted)),
        }
