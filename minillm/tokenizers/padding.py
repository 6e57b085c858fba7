"""Padding of rows that were encoded before: what a collate function does to the examples of a batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minillm.tokenizers.base import Tokenizer


def padded(
    tokenizer: Tokenizer, rows: Sequence[Mapping[str, Any]], length: int | None, multiple: int | None
) -> dict[str, Any]:
    """Return the rows as columns, each as long as the longest row.

    Args:
        tokenizer: says what to pad with, and on which side.
        rows: each with ``input_ids``; ``token_type_ids``, ``attention_mask`` and ``special_tokens_mask`` are
            padded, too, and other entries are left as they are. A missing mask is made.
        length: pad to this, and not to the longest row.
        multiple: pad further, to a multiple of this.

    Raises:
        ValueError: there is no row, or no pad token although one is needed.

    Example:
        >>> from minillm.tokenizers import CharTokenizer
        >>> tokenizer = CharTokenizer.from_text("abc", special_names={"pad_token": "<pad>"})
        >>> padded(tokenizer, [{"input_ids": [2, 3]}, {"input_ids": [1]}], None, None)
        {'input_ids': [[2, 3], [1, 0]], 'attention_mask': [[1, 1], [1, 0]]}
    """
    if not rows or "input_ids" not in rows[0]:
        raise ValueError("tokenizer.pad: needs rows with 'input_ids', as the tokenizer gives them")
    columns: dict[str, list[Any]] = {name: [_plain(row[name]) for row in rows] for name in rows[0]}
    if "attention_mask" in tokenizer.model_input_names and "attention_mask" not in columns:
        columns["attention_mask"] = [[1] * len(ids) for ids in columns["input_ids"]]
    longest = max(map(len, columns["input_ids"]))
    longest = max(longest, length or 0)
    if multiple:
        longest = math.ceil(longest / multiple) * multiple
    pad = tokenizer.pad_token_id
    if pad is None and any(len(ids) < longest for ids in columns["input_ids"]):
        raise ValueError("tokenizer.pad: needs a pad token; set tokenizer.pad_token = tokenizer.eos_token")
    fillers = {"input_ids": pad, "token_type_ids": 0, "attention_mask": 0, "special_tokens_mask": 1}
    for name, filler in fillers.items():
        for place, row in enumerate(columns.get(name, ())):
            fill = [filler] * (longest - len(row))
            columns[name][place] = fill + row if tokenizer.padding_side == "left" else row + fill
    return columns


def _plain(values: Any) -> Any:
    return values.tolist() if hasattr(values, "tolist") else values
