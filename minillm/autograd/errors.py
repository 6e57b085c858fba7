"""Errors that name the operation, what it got and what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class OperationError(RuntimeError, ValueError):
    """An operation was given inputs that it cannot work on.

    It is a ``RuntimeError``, as in PyTorch, and a ``ValueError``, as in NumPy. When the operation ran
    inside modules, ``module_path`` names the innermost one from the outermost, as in
    ``GPT2LMHeadModel.transformer.h.3.mlp.c_fc``.
    """

    module_path: str | None = None
    module: object = None  # the outermost module so far; its parent finds it by identity

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} (in {self.module_path})" if self.module_path else message


class OperationTypeError(OperationError, TypeError):
    """An operation was given a type or dtype that it cannot work on."""


class OperationIndexError(OperationError, IndexError):
    """An operation was given an index or a dimension that is out of range."""


class AnomalyError(OperationError):
    """A NaN or an infinity appeared while anomaly detection was on."""


def describe(value: Any) -> str:
    """Return a short account of one argument: shape and dtype of an array, the value of a number.

    Example:
        >>> import numpy as np
        >>> describe(np.zeros((2, 3), np.float32)), describe(1.5)
        ('float32 (2, 3)', '1.5')
    """
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype} {tuple(value.shape)}"
    if isinstance(value, (list, tuple)) and any(hasattr(item, "shape") for item in value):
        return "[" + ", ".join(describe(item) for item in value) + "]"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def explain(name: str, arguments: Sequence[Any], needs: str | None, error: Exception) -> OperationError:
    """Return the error for people that stands for ``error``, raised by the operation ``name``."""
    got = ", ".join(describe(argument) for argument in arguments)
    message = f"{name}: got {got}; {needs or error}"
    if isinstance(error, IndexError):
        return OperationIndexError(message)
    if isinstance(error, TypeError):
        return OperationTypeError(message)
    return OperationError(message)
