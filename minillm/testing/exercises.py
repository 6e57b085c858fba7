"""Exercises that check themselves: an attempt, assertions about it, a solution and a hint.

An attempt that nobody has touched yet is no failure, and then the solution runs through the same
assertions: a text full of open exercises still proves, each time it runs, that they can be solved.
"""

from __future__ import annotations

import dis
import functools
import traceback
import types
from collections.abc import Callable
from typing import Any

# What the body of `def f(x): ...` consists of, on Python 3.10 to 3.13, with a docstring or without.
EMPTY_BODY = {"RESUME", "NOP", "COPY_FREE_VARS", "MAKE_CELL", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}


def exercise(attempt: Any, check: Callable[[Any], object], solution: Any, hint: str = "") -> None:
    """Check an attempt at an exercise and print how it stands; never stop a text at an open exercise.

    Args:
        attempt: what the reader writes: a function, a class or a value. It counts as open while it is None
            or ``...``, while a function returns nothing but these, and while a class has a method whose
            body is only ``...``.
        check: is called with the attempt, and asserts what must hold of it. The messages of its assertions
            are what the reader sees.
        solution: something that passes ``check``. It is checked whenever the attempt is open.
        hint: is shown with an open exercise and with a wrong attempt.

    Raises:
        AssertionError: the solution does not pass ``check``: the exercise itself is wrong.

    Example:
        >>> def double(x):
        ...     ...  # your code here
        >>> def check(f):
        ...     assert f(3) == 6, f"twice 3 is 6, and double(3) is {f(3)}"
        >>> exercise(double, check, solution=lambda x: 2 * x, hint="add x to itself")
        Exercise "double": not done yet.
          Hint: add x to itself
        >>> def double(x):
        ...     return x * x
        >>> exercise(double, check, solution=lambda x: 2 * x, hint="add x to itself")
        Exercise "double": not right yet: twice 3 is 6, and double(3) is 9
          Hint: add x to itself
        >>> def double(x):
        ...     return x + x
        >>> exercise(double, check, solution=lambda x: 2 * x)
        Exercise "double": right.
    """
    name = getattr(attempt, "__name__", "")
    title = f'Exercise "{name}"' if name and name != "<lambda>" else "Exercise"
    is_open, error = _try(attempt, check)
    if is_open:
        _check_solution(title, check, solution)
        print(f"{title}: not done yet.")
    elif error is not None:
        print(f"{title}: not right yet: {_account(error)}")
    else:
        print(f"{title}: right.")
        return
    if hint:
        print(f"  Hint: {hint}")


def _try(attempt: Any, check: Callable[[Any], object]) -> tuple[bool, Exception | None]:
    """Return whether the attempt is still open, and the error that its check raised."""
    if _is_nothing(attempt):
        return True, None
    if isinstance(attempt, type):
        if any(_is_empty(method) for method in vars(attempt).values()):
            return True, None
        return False, _error_of(check, attempt)
    if not isinstance(attempt, types.FunctionType):
        return False, _error_of(check, attempt)
    touched = False

    @functools.wraps(attempt)
    def watched(*arguments: Any, **named: Any) -> Any:
        nonlocal touched
        try:
            result = attempt(*arguments, **named)
        except BaseException:
            touched = True
            raise
        touched = touched or not _is_nothing(result)
        return result

    error = _error_of(check, watched)
    # A function whose right answer is None, tested for what it changes, is done when its check passes.
    return not touched and (error is not None or _is_empty(attempt)), error


def _is_nothing(value: Any) -> bool:
    return value is None or value is ...


def _error_of(check: Callable[[Any], object], candidate: Any) -> Exception | None:
    try:
        check(candidate)
    except Exception as error:
        return error
    return None


def _is_empty(function: Any) -> bool:
    """Return whether a function's body is only ``...``, ``pass`` or a docstring."""
    return isinstance(function, types.FunctionType) and all(
        step.opname in EMPTY_BODY and (step.opname not in ("LOAD_CONST", "RETURN_CONST") or _is_nothing(step.argval))
        for step in dis.get_instructions(function)
    )


def _account(error: Exception) -> str:
    """Return what went wrong: an assertion's message, or the line that failed."""
    message = str(error)
    if isinstance(error, AssertionError) and message:
        return message
    frame = traceback.extract_tb(error.__traceback__)[-1]
    line = f"line {frame.lineno}: {frame.line}" if frame.line else f"line {frame.lineno}"
    if isinstance(error, AssertionError):
        return f"this does not hold, {line}"
    return f"{type(error).__name__}: {message} (in {line})"


def _check_solution(title: str, check: Callable[[Any], object], solution: Any) -> None:
    error = _error_of(check, solution)
    if error is not None:
        raise AssertionError(f"{title}: its own solution does not pass: {_account(error)}") from error
