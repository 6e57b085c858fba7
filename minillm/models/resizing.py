"""Token embeddings with more rows, or fewer: for tokens that were added to the vocabulary.

A new row begins as the mean of the old ones: a token about which nothing is known. Its logit is then never
larger than that of every other token, so a pretrained model goes on as before (Hewitt, "Initializing New Word
Embeddings for Pretrained Language Models", 2021).
"""

from __future__ import annotations

from typing import Any

from minillm import nn, ops
from minillm.autograd import no_grad
from minillm.ops import Tensor


def resize_rows(weight: Tensor, count: int) -> nn.Parameter:
    """Return a parameter with so many rows: those of the old one, and behind them their mean.

    Example:
        >>> resize_rows(ops.tensor([[1.0, 2.0], [3.0, 4.0]]), 3).detach()
        tensor([[1., 2.],
                [3., 4.],
                [2., 3.]])
    """
    with no_grad():
        old = weight.detach()
        rows = old[:count]
        if count > len(old):
            mean = old.mean(dim=0, keepdim=True)
            rows = ops.cat([old, mean.expand(count - len(old), *old.shape[1:])], dim=0)
    return nn.Parameter(rows.clone(), requires_grad=weight.requires_grad)


def resize_embedding(embedding: Any, count: int) -> None:
    """Give an ``nn.Embedding`` so many rows."""
    embedding.weight = resize_rows(embedding.weight, count)
    embedding.num_embeddings = count


def resize_head(head: Any, count: int, weight: nn.Parameter | None) -> None:
    """Give an ``nn.Linear`` so many outputs, and this weight where it is tied to the embedding."""
    head.weight = resize_rows(head.weight, count) if weight is None else weight
    head.out_features = count
    if head.bias is not None:
        head.bias = resize_rows(head.bias, count)
