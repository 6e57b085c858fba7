"""One table of cases: every public name that minillm shares with PyTorch, with inputs on which both are compared.

It drives the tests (values, gradients of the first and second order, gradient checks, the strict stand-in for
CuPy) and the report of ``minillm parity`` alike.
"""

from __future__ import annotations

from typing import Any

from minillm.testing.cases.arithmetic import ARITHMETIC, COMPARISONS
from minillm.testing.cases.case import Case
from minillm.testing.cases.creation import CREATION
from minillm.testing.cases.indexing import INDEXING
from minillm.testing.cases.products import PRODUCTS
from minillm.testing.cases.reductions import REDUCTIONS
from minillm.testing.cases.shapes import SHAPES

# family -> name -> calls
FAMILIES: dict[str, dict[str, list[Any]]] = {
    "Arithmetic": ARITHMETIC,
    "Comparison": COMPARISONS,
    "Reductions": REDUCTIONS,
    "Products": PRODUCTS,
    "Indexing": INDEXING,
    "Shape": SHAPES,
    "Creation": CREATION,
}


def names() -> list[str]:
    """Return all names of the table, family by family."""
    return [name for table in FAMILIES.values() for name in table]


def cases_of(name: str) -> list[Case]:
    """Return the cases of a name.

    Example:
        >>> print(*cases_of("tanh"))
        tanh-0 tanh-1 tanh-2 tanh-3 tanh-4 tanh-5 tanh-6
    """
    calls = next(table[name] for table in FAMILIES.values() if name in table)
    return [call.case(name, number) for number, call in enumerate(calls)]


__all__ = ["FAMILIES", "Case", "cases_of", "names"]
