"""Exercises: open, wrong and right attempts, and solutions that do not solve."""

from __future__ import annotations

import types

import pytest

import minillm
from minillm.testing import exercise


def check_double(f):  # pytest would lengthen the message of an `assert` here
    if f(3) != 6:
        raise AssertionError(f"twice 3 is 6, and f(3) is {f(3)}")
    assert f(-1) == -2


def solve(x):
    return 2 * x


def run(capsys, attempt, check=check_double, solution=solve, hint="think of addition"):
    exercise(attempt, check, solution, hint)
    return capsys.readouterr().out


def dots(x): ...


def passing(x):
    pass


def documented(x):
    """Return twice x."""


def returning_dots(x):
    """Return twice x."""
    return ...


def begun(x):
    y = x + 0  # noqa: F841
    ...


@pytest.mark.parametrize("attempt", [dots, passing, documented, returning_dots, begun], ids=lambda f: f.__name__)
def test_an_open_function_shows_the_hint_and_checks_the_solution(capsys, attempt):
    seen = []
    out = run(capsys, attempt, solution=lambda x: seen.append(x) or 2 * x)
    assert out == f'Exercise "{attempt.__name__}": not done yet.\n  Hint: think of addition\n'
    assert -1 in seen


@pytest.mark.parametrize("attempt", [None, ...])
def test_an_open_value(capsys, attempt):
    def check(value):
        if value != 42:
            raise AssertionError

    assert run(capsys, attempt, check, 42, "").startswith("Exercise: not done yet.\n")
    assert run(capsys, 42, check, 42) == "Exercise: right.\n"
    assert "not right yet: this does not hold" in run(capsys, 41, check, 42)


def test_values_that_compare_by_element_are_no_trouble(capsys):
    def check(value):
        assert value.sum() == 3

    assert run(capsys, minillm.tensor([1.0, 2.0]), check, minillm.tensor([3.0])) == "Exercise: right.\n"


def test_a_right_attempt_does_not_run_the_solution(capsys):
    out = run(capsys, lambda x: x + x, solution=None)
    assert out == "Exercise: right.\n"


def test_a_wrong_attempt_says_what_is_wrong(capsys):
    def square(x):
        return x * x

    out = run(capsys, square)
    assert out == (
        'Exercise "square": not right yet: twice 3 is 6, and f(3) is 9\n  Hint: think of addition\n'
    )


def test_an_assertion_without_a_message_shows_its_line(capsys):
    def check(f):
        if f(3) != 6:
            raise AssertionError

    out = run(capsys, lambda x: 5, check, hint="")
    assert out.startswith("Exercise: not right yet: this does not hold, line ")
    assert out.endswith(": raise AssertionError\n")


def test_an_attempt_that_raises_is_wrong(capsys):
    def broken(x):
        return x.double

    out = run(capsys, broken)
    assert 'Exercise "broken": not right yet: AttributeError' in out
    assert "return x.double" in out


def test_a_line_that_cannot_be_read_gives_its_number(capsys):
    names = {}
    code = compile("def check(f):\n    assert f(1) == 5", "<nowhere>", "exec")
    types.FunctionType(code, names)()
    out = run(capsys, solve, names["check"], hint="")
    assert out == 'Exercise "solve": not right yet: this does not hold, line 2\n'


def test_half_an_answer_is_not_open(capsys):
    def half(x):
        return 6 if x == 3 else None

    assert "not right yet" in run(capsys, half)


def test_a_function_that_changes_its_argument_may_return_nothing(capsys):
    def append_one(values):
        values.append(1)

    def check(f):
        values = []
        f(values)
        assert values == [1], f"expected [1], got {values}"

    assert run(capsys, append_one, check, append_one) == 'Exercise "append_one": right.\n'
    assert "not done yet" in run(capsys, dots, check, append_one)


def test_a_check_that_asks_nothing_does_not_make_an_open_attempt_right(capsys):
    assert "not done yet" in run(capsys, dots, lambda f: None)


class Open:
    def __init__(self, factor):
        self.factor = factor

    def forward(self, x): ...


class Right(Open):
    def forward(self, x):
        return self.factor * x


class Wrong(Open):
    def forward(self, x):
        return self.factor + x


def check_class(cls):
    assert cls(5).forward(2) == 10, "5 times 2 is 10"


def test_classes(capsys):
    assert 'Exercise "Open": not done yet' in run(capsys, Open, check_class, Right)
    assert 'Exercise "Wrong": not right yet: 5 times 2 is 10' in run(capsys, Wrong, check_class, Right)
    assert run(capsys, Right, check_class, Right) == 'Exercise "Right": right.\n'


def test_a_wrong_solution_is_an_error():
    with pytest.raises(AssertionError, match="its own solution does not pass: twice 3 is 6"):
        exercise(dots, check_double, lambda x: x * x)


def test_closures_can_be_open(capsys):
    factor = 2

    def closing(x):
        if False:
            return factor
        ...

    assert "not done yet" in run(capsys, closing)
