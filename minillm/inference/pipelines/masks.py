"""Fill-mask: the most probable tokens in the place of ``[MASK]``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from minillm.inference.pipelines.base import Pipeline, numbers, softmax

logger = logging.getLogger("minillm")


class FillMaskPipeline(Pipeline):
    """Guesses masked tokens; each alone, where a text has several."""

    task = "fill-mask"
    offered = ("targets", "tokenizer_kwargs", "top_k")

    def __init__(self, model: Any, tokenizer: Any, **options: Any) -> None:
        super().__init__(model, tokenizer, **options)
        if tokenizer.mask_token_id is None:
            raise ValueError("fill-mask: the tokenizer has no mask_token")

    def __call__(self, inputs: str | Sequence[str], **options: Any) -> Any:
        """Return a list of ``{"score": ..., "token": ..., "token_str": ..., "sequence": ...}`` for each text.

        Args:
            inputs: a text with ``tokenizer.mask_token``, or several; with several masks a text has a list for each.
            options: ``top_k``: so many tokens, 5; ``targets``: choose among these tokens alone;
                ``tokenizer_kwargs``: options of the tokenizer's call.

        Raises:
            TypeError: an option that is not offered.
            ValueError: a text without a mask, or targets of which none is a token.
        """
        settings = self._settings(options)
        targets = settings.get("targets")
        ids = None if targets is None else self._ids([targets] if isinstance(targets, str) else targets)
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        top_k = settings.get("top_k") or 5
        answers = [self._guesses(text, top_k, ids, settings.get("tokenizer_kwargs") or {}) for text in texts]
        return answers[0] if len(answers) == 1 else answers

    def _guesses(self, text: str, top_k: int, targets: Any, options: dict[str, Any]) -> Any:
        """Return the guesses for one text: a list, or one for each mask."""
        encoding = self.tokenizer([text], **options)
        ids = np.array(encoding["input_ids"][0])
        places = np.flatnonzero(ids == self.tokenizer.mask_token_id)
        if not len(places):
            raise ValueError(f"fill-mask: there is no {self.tokenizer.mask_token} in {text!r}")
        scores = softmax(numbers(self._read(encoding).logits)[0, places])  # (number of masks, V)
        choices = np.arange(scores.shape[1]) if targets is None else targets
        answers = []
        for place, row in zip(places, scores[:, choices], strict=True):
            best = np.argsort(-row, kind="stable")[:top_k].tolist()
            guesses = [(int(choices[i]), float(row[i])) for i in best]
            answers.append([self._guess(ids, int(place), *guess, only=len(places) == 1) for guess in guesses])
        return answers[0] if len(answers) == 1 else answers

    def _guess(self, ids: Any, place: int, token: int, score: float, only: bool) -> dict[str, Any]:
        """Return a token with the text that it completes; other masks stay visible."""
        filled = ids.copy()
        filled[place] = token
        filled = filled[filled != self.tokenizer.pad_token_id]
        sequence = self.tokenizer.decode(filled.tolist(), skip_special_tokens=only)
        return {"score": score, "token": token, "token_str": self.tokenizer.decode([token]), "sequence": sequence}

    def _ids(self, targets: Sequence[str]) -> Any:
        """Return the ids of targets; one that is no token counts as its first piece."""
        vocabulary, ids = self.tokenizer.get_vocab(), set()
        for target in targets:
            pieces = [vocabulary[target]] if target in vocabulary else self._pieces(target)
            ids |= set(pieces[:1])
        if not ids:
            raise ValueError(f"fill-mask: none of the targets {', '.join(map(repr, targets))} has a token")
        return np.array(sorted(ids))

    def _pieces(self, target: str) -> list[int]:
        pieces: list[int] = self.tokenizer([target], add_special_tokens=False)["input_ids"][0]
        first = repr(self.tokenizer.convert_ids_to_tokens(pieces[0])) if pieces else "nothing"
        logger.warning("fill-mask: the target %r is no token of the vocabulary; %s stands for it", target, first)
        return pieces
