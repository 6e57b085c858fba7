"""Layers by depth: which parameters to train, and how fast.

Lower layers know what all texts have in common, higher ones what a task asks for. So fine-tuning may train the last
layers alone, or each with a rate that falls by a factor from one layer to the one below.

Source: Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification" (2018), section 3.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from minillm import nn

_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks)\.(\d+)\.")
_EMBEDDING = re.compile(r"(?:^|\.)(?:\w*embed\w*|wte|wpe|shared)(?:\.|$)")


def depths(model: nn.Module) -> tuple[dict[str, int], int]:
    """Return the depth of each parameter by name, and the largest: 0 for embeddings, n + 1 for the head.

    Args:
        model: whose layers are called ``layer.0``, ``layers.0``, ``h.0`` or ``blocks.0``.

    Example:
        >>> from minillm.models import GPT2Config, GPT2LMHeadModel
        >>> model = GPT2LMHeadModel(GPT2Config(vocab_size=10, n_embd=8, n_layer=2, n_head=2))
        >>> found, top = depths(model)
        >>> found["transformer.wte.weight"], found["transformer.h.1.ln_1.weight"], found["transformer.ln_f.weight"], top
        (0, 2, 3, 3)
    """
    numbers = {name: _LAYER.search(name) for name, _ in model.named_parameters()}
    top = max((int(found[1]) + 1 for found in numbers.values() if found), default=0) + 1
    return {
        name: int(found[1]) + 1 if found else 0 if _EMBEDDING.search(name) else top
        for name, found in numbers.items()
    }, top


def train_last(model: nn.Module, count: int) -> list[str]:
    """Freeze all but the last ``count`` layers and what stands above them; return the names of what is frozen.

    Raises:
        ValueError: the model has not so many layers, or the number is negative.

    Example:
        >>> from minillm.models import GPT2Config, GPT2LMHeadModel
        >>> model = GPT2LMHeadModel(GPT2Config(vocab_size=10, n_embd=8, n_layer=2, n_head=2))
        >>> sorted({name.split(".")[2] for name in train_last(model, 1) if ".h." in name})
        ['0']
    """
    found, top = depths(model)
    if not 0 <= count < top:
        raise ValueError(f"train_last: got {count}; the model has {top - 1} layers")
    frozen = [name for name, depth in found.items() if depth < top - count]
    parameters = dict(model.named_parameters())
    for name in frozen:
        parameters[name].requires_grad_(False)
    return frozen


def layer_wise_groups(
    model: nn.Module, lr: float, weight_decay: float, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Return groups of the trainable parameters for an optimizer, each with its rate.

    Args:
        model: to train.
        lr: of the head; that of a layer is ``layer_decay`` times that of the one above.
        weight_decay: of matrices; vectors have none.
        layer_decay: 1 for one rate.

    Raises:
        ValueError: there is nothing to train, or a decay outside of (0, 1].

    Example:
        >>> from minillm.models import GPT2Config, GPT2LMHeadModel
        >>> model = GPT2LMHeadModel(GPT2Config(vocab_size=10, n_embd=8, n_layer=2, n_head=2))
        >>> sorted({group["lr"] for group in layer_wise_groups(model, 1.0, 0.0, layer_decay=0.5)})
        [0.125, 0.25, 0.5, 1.0]
    """
    if not 0 < layer_decay <= 1:
        raise ValueError(f"layer_decay is {layer_decay}; it needs to lie in (0, 1]")
    found, top = depths(model)
    groups: dict[tuple[float, float], list[Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            rate = lr * layer_decay ** (top - found[name])
            decay = weight_decay if parameter.ndim >= 2 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    if not groups:
        raise ValueError(f"{type(model).__name__}: no parameter is trainable; each has requires_grad = False")
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]


def add_penalties(parameters: Iterable[Any], l1: float, l2: float) -> None:
    """Add the gradients of ``l1 sum |w| + l2 sum w^2`` over all matrices to those that are there.

    Raises:
        ValueError: a negative penalty.
    """
    if min(l1, l2) < 0:
        raise ValueError(f"penalties are l1 = {l1} and l2 = {l2}; they need to be 0 or more")
    for parameter in parameters:
        if parameter.grad is None or parameter.ndim < 2:
            continue
        weight = parameter.detach()
        if l1:
            parameter.grad.add_(weight.sign() * l1)
        if l2:
            parameter.grad.add_(weight * (2 * l2))
