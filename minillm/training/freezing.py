"""Freezing parameters by the patterns of their names, as fine-tuning does with the lower layers."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase

from minillm import nn


def freeze(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Exclude parameters from training by their names.

    A pattern is a name as in a shell: ``*`` stands for anything, ``?`` for one character, ``[01]`` for one
    of these. The name of a module stands for all that is in it: ``transformer.h.0`` is
    ``transformer.h.0.*``. A tensor that two names share, as tied embeddings do, is frozen by either.

    Args:
        model: whose parameters get ``requires_grad = False``.
        patterns: of names.

    Returns:
        The names of the frozen parameters.

    Raises:
        ValueError: a pattern that matches no name (the message lists close ones), or nothing is left to
            train. Nothing has been frozen then.

    Example:
        >>> from minillm import nn
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.first = nn.Linear(2, 3)
        ...         self.second = nn.Linear(3, 1)
        >>> freeze(Net(), ["first.*"])
        ['first.weight', 'first.bias']
    """
    named = dict(model.named_parameters(remove_duplicate=False))
    frozen: set[int] = set()
    for pattern in patterns:
        matches = [name for name in named if fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")]
        if not matches:
            close = ", ".join(_close(pattern, list(named)))
            raise ValueError(f"freeze: no parameter is called {pattern!r}; close are {close}")
        frozen.update(id(named[name]) for name in matches)
    if frozen and all(id(p) in frozen or not p.requires_grad for p in named.values()):
        raise ValueError(f"freeze: {', '.join(map(repr, patterns))} leaves nothing to train")
    names = []
    for name, parameter in model.named_parameters():
        if id(parameter) in frozen:
            parameter.requires_grad_(False)
            names.append(name)
    return names


def _close(pattern: str, names: list[str]) -> list[str]:
    """Return the names of parameters and of modules that a mistyped pattern may have meant."""
    modules = {name.rpartition(".")[0] for name in names}
    groups = sorted({f"{module}.*" for module in modules if module})
    return difflib.get_close_matches(pattern, [*groups, *names], n=4, cutoff=0.3) or names[:4]
