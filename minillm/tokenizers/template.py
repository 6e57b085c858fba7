"""A model's input format: which special tokens stand around one text, or around two.

BERT reads ``[CLS] A [SEP] B [SEP]``, with token type 0 up to the first ``[SEP]`` and 1 after it
(Devlin et al. 2019, section 3.1). GPT-2 reads the text alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: One place of a template: the first text, the second, or a special token's id.
Slot = Literal["A", "B"] | int


@dataclass(frozen=True)
class Template:
    """The slots of a row, each with its token type.

    Attributes:
        single: The slots around one text.
        pair: The slots around two.

    Example:
        >>> template = Template.bert(cls_id=101, sep_id=102)
        >>> template.ids([7, 8], [9])
        [101, 7, 8, 102, 9, 102]
        >>> template.type_ids(2, 1)
        [0, 0, 0, 0, 1, 1]
    """

    single: tuple[tuple[Slot, int], ...] = (("A", 0),)
    pair: tuple[tuple[Slot, int], ...] = (("A", 0), ("B", 1))

    @classmethod
    def bert(cls, cls_id: int, sep_id: int) -> Template:
        """Return BERT's format."""
        single: tuple[tuple[Slot, int], ...] = ((cls_id, 0), ("A", 0), (sep_id, 0))
        return cls(single, (*single, ("B", 1), (sep_id, 1)))

    @classmethod
    def roberta(cls, cls_id: int, sep_id: int) -> Template:
        """Return RoBERTa's format: two separators between two texts, all of token type 0."""
        single: tuple[tuple[Slot, int], ...] = ((cls_id, 0), ("A", 0), (sep_id, 0))
        return cls(single, (*single, (sep_id, 0), ("B", 0), (sep_id, 0)))

    def slots(self, has_pair: bool) -> tuple[tuple[Slot, int], ...]:
        """Return the slots of a row with one text or two."""
        return self.pair if has_pair else self.single

    def num_added(self, has_pair: bool) -> int:
        """Return how many special tokens a row gets."""
        return sum(isinstance(slot, int) for slot, _ in self.slots(has_pair))

    def ids(self, first: list[int], second: list[int] | None) -> list[int]:
        """Return the ids of a row."""
        result: list[int] = []
        for slot, _ in self.slots(second is not None):
            if isinstance(slot, int):
                result.append(slot)
            else:
                result += first if slot == "A" else second or []
        return result

    def type_ids(self, first_length: int, second_length: int | None) -> list[int]:
        """Return the token types of a row."""
        result: list[int] = []
        for slot, type_id in self.slots(second_length is not None):
            if isinstance(slot, int):
                result.append(type_id)
            else:
                result += [type_id] * (first_length if slot == "A" else second_length or 0)
        return result
