"""Making a batch of a list of examples: numbers and arrays stacked, containers kept."""

from __future__ import annotations

import collections.abc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def default_collate(batch: Sequence[Any]) -> Any:
    """Join examples into one batch, as `torch.utils.data.default_collate` does.

    ===================  ===========================================================
    each example is      the batch is
    ===================  ===========================================================
    a tensor or array    a tensor with one more dimension in front
    an int, float, bool  a tensor of shape (B,), int64, float64 or bool
    a string, bytes      the row of them as it is
    a dict               a dict of the same keys, each joined
    a named tuple        the same named tuple, each field joined
    a tuple or list      a list, each place joined
    ===================  ===========================================================

    Args:
        batch: the examples, at least one.

    Raises:
        ValueError: arrays of different shapes, or sequences of different lengths, or no example.
        TypeError: something that can't be joined.

    Example:
        >>> default_collate([{"text": "a", "label": 0}, {"text": "b", "label": 1}])["text"]
        ['a', 'b']
    """
    if not batch:
        raise ValueError("default_collate: the batch holds no example")
    first = batch[0]
    if isinstance(first, np.ndarray) and first.dtype.kind in "OSU":
        raise TypeError(f"default_collate: cannot make a tensor of an array of {first.dtype}")
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, (np.ndarray, np.generic)):
        return _to_tensor(np.stack(_same_shapes(list(map(np.asarray, batch)))))
    if isinstance(first, (bool, int, float)):
        return _to_tensor(_row_of_numbers(batch))
    if isinstance(first, collections.abc.Mapping):
        return _collate_mappings(batch)
    if isinstance(first, (tuple, list)):
        if any(len(example) != len(first) for example in batch):
            raise ValueError(
                "default_collate: the examples are sequences of different lengths "
                f"({', '.join(str(len(example)) for example in batch[:8])}): pad them, or give "
                "DataLoader a collate_fn"
            )
        columns = [default_collate(column) for column in zip(*batch, strict=True)]
        return type(first)(*columns) if hasattr(first, "_fields") else columns
    if hasattr(first, "shape") and hasattr(first, "dtype"):  # a tensor
        from minillm import ops

        return ops.stack(_same_shapes(batch))
    raise TypeError(
        "default_collate can join tensors, arrays, numbers, strings, dicts, tuples and lists, "
        f"got {type(first).__name__}: give DataLoader a collate_fn"
    )


def default_convert(example: Any) -> Any:
    """Turn the arrays in an example into tensors, tuples into lists, and leave the rest as it is.

    What `DataLoader` does to single examples when ``batch_size=None``, as in PyTorch.

    Example:
        >>> default_convert(("text", 3))
        ['text', 3]
    """
    if isinstance(example, np.ndarray) and example.dtype.kind in "OSU":
        return example
    if isinstance(example, (np.ndarray, np.generic)):
        return _to_tensor(np.asarray(example))
    if isinstance(example, collections.abc.Mapping):
        return {key: default_convert(value) for key, value in example.items()}
    if isinstance(example, tuple) and hasattr(example, "_fields"):
        return type(example)(*map(default_convert, example))
    if isinstance(example, (tuple, list)):
        return list(map(default_convert, example))
    return example


def _to_tensor(array: np.ndarray[Any, Any]) -> Any:
    from minillm import ops

    return ops.tensor(array)


def _row_of_numbers(batch: Sequence[Any]) -> np.ndarray[Any, Any]:
    strangers = [x for x in batch if not isinstance(x, (bool, int, float, np.number, np.bool_))]
    if strangers:
        raise TypeError(
            f"default_collate: {type(batch[0]).__name__} and {type(strangers[0]).__name__} in one batch"
        )
    row = np.array(batch)
    if row.dtype.kind == "O":
        raise ValueError(f"default_collate: an integer does not fit into 64 bits: {max(batch)}")
    return row


def _collate_mappings(batch: Sequence[Mapping[Any, Any]]) -> dict[Any, Any]:
    keys = batch[0].keys()
    for number, example in enumerate(batch):
        if example.keys() != keys:
            raise ValueError(
                f"default_collate: example {number} of the batch has keys {list(example)}, "
                f"the first has {list(keys)}"
            )
    return {key: default_collate([example[key] for example in batch]) for key in keys}


def _same_shapes(batch: Sequence[Any]) -> Sequence[Any]:
    shapes = [tuple(example.shape) for example in batch]
    if len(set(shapes)) > 1:
        raise ValueError(
            f"default_collate: the examples have different shapes, {shapes[0]} and "
            f"{next(shape for shape in shapes if shape != shapes[0])}: pad them, or give "
            "DataLoader a collate_fn"
        )
    return batch
