"""Collate functions of Hugging Face's library: the tokens of several texts as one batch, padded by their tokenizer.

Source of the masking: Devlin et al., "BERT" (2019), section 3.1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minillm.autograd.function import wrap
from minillm.backend import Generator, get_default_device, to_device
from minillm.data.augmentation import random_masking


@dataclasses.dataclass
class DataCollatorWithPadding:
    """Pads the texts of a batch to the longest of them.

    Attributes:
        tokenizer: of :mod:`minillm.tokenizers.pretrained`.
        padding: True or ``"longest"``, or ``"max_length"``.
        max_length: for ``"max_length"``.
        pad_to_multiple_of: pad further, to a multiple of this.
        return_tensors: ``"pt"`` for tensors, ``"np"`` for arrays.

    Example:
        >>> from minillm.tokenizers import WordPieceTokenizer
        >>> from minillm.tokenizers.pretrained import BertTokenizer
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]
        ...     WordPieceTokenizer({word: i for i, word in enumerate(words)}).save_pretrained(folder)
        ...     tokenizer = BertTokenizer.from_pretrained(folder)
        >>> rows = [{**tokenizer("a a"), "label": 1}, {**tokenizer("a"), "label": 0}]
        >>> batch = DataCollatorWithPadding(tokenizer)(rows)
        >>> batch["input_ids"].tolist(), batch["labels"].tolist()
        ([[2, 5, 5, 3], [2, 5, 3, 0]], [1, 0])
    """

    tokenizer: Any
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> Any:
        """Return the batch of examples, dictionaries as tokenizers give them; ``label`` becomes ``labels``."""
        batch = self.tokenizer.pad(
            features, padding=self.padding, max_length=self.max_length, pad_to_multiple_of=self.pad_to_multiple_of,
            return_tensors=self.return_tensors,
        )  # fmt: skip
        for name in ("label", "label_ids"):
            if name in batch:
                batch["labels"] = batch.pop(name)
        return batch


@dataclasses.dataclass
class DataCollatorForLanguageModeling:
    """Pads the texts of a batch, and gives the labels of a language model.

    Attributes:
        tokenizer: of :mod:`minillm.tokenizers.pretrained`.
        mlm: True hides tokens, which the labels tell (BERT); False makes the tokens their own labels (GPT-2), -100
            where they are padding.
        mlm_probability: how likely each token is chosen.
        mask_replace_prob: the share of the chosen that becomes the mask.
        random_replace_prob: the share that becomes another token; the rest stays.
        pad_to_multiple_of: pad further, to a multiple of this.
        return_tensors: ``"pt"`` for tensors, ``"np"`` for arrays.
        seed: of the choices; the default generator by default.

    Raises:
        ValueError: ``mlm``, and the tokenizer has no mask token; or a share out of its range.
    """

    tokenizer: Any
    mlm: bool = True
    mlm_probability: float = 0.15
    mask_replace_prob: float = 0.8
    random_replace_prob: float = 0.1
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.mlm and self.tokenizer.mask_token is None:
            raise ValueError(
                "DataCollatorForLanguageModeling: the tokenizer has no mask token, which mlm=True needs; give "
                "mlm=False for a model that predicts the next token"
            )
        self._generator = None if self.seed is None else Generator(self.seed)

    def __call__(self, examples: Sequence[Any]) -> Any:
        """Return the batch of examples: dictionaries as tokenizers give them, or the tokens alone."""
        rows = [row if isinstance(row, Mapping) else {"input_ids": row} for row in examples]
        batch = self.tokenizer.pad(rows, pad_to_multiple_of=self.pad_to_multiple_of, return_tensors="np")
        special = batch.pop("special_tokens_mask", None)
        ids = np.asarray(batch["input_ids"], np.int64)
        if self.mlm:
            batch["input_ids"], batch["labels"] = self._masked(ids, special)
        else:
            padding = self.tokenizer.pad_token_id
            batch["labels"] = ids.copy() if padding is None else np.where(ids == padding, -100, ids)
        if self.return_tensors == "pt":
            for name, values in batch.items():
                batch[name] = wrap(to_device(np.asarray(values), get_default_device()))
        return batch

    def _masked(self, ids: Any, special: Any) -> tuple[Any, Any]:
        """Return the tokens to show and those to guess, both (B, T)."""
        shown, labels = random_masking(
            ids, self.tokenizer.mask_token_id, len(self.tokenizer), p=self.mlm_probability,
            special_ids=() if special is not None else self.tokenizer.all_special_ids,
            mask_share=self.mask_replace_prob, random_share=self.random_replace_prob, generator=self._generator,
        )  # fmt: skip
        if special is None:
            return shown, labels
        kept = np.asarray(special) != 0
        return np.where(kept, ids, shown), np.where(kept, -100, labels)
