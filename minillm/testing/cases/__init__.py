"""One table of cases: every public name that minillm shares with PyTorch, with inputs on which both are compared.

It drives the tests (values, gradients of the first and second order, gradient checks, the strict stand-in for
CuPy) and the report of ``minillm parity`` alike.
"""

from __future__ import annotations

from typing import Any

from minillm.ops import Tensor
from minillm.testing.cases.arithmetic import ARITHMETIC, COMPARISONS
from minillm.testing.cases.case import Case
from minillm.testing.cases.creation import CREATION
from minillm.testing.cases.functional import FUNCTIONAL
from minillm.testing.cases.indexing import INDEXING
from minillm.testing.cases.losses import LOSSES
from minillm.testing.cases.modules import MODULES
from minillm.testing.cases.optimizers import OPTIMIZERS, SCHEDULES
from minillm.testing.cases.products import PRODUCTS
from minillm.testing.cases.reductions import REDUCTIONS
from minillm.testing.cases.sequences import INIT, SEQUENCES, UTILS
from minillm.testing.cases.shapes import SHAPES
from minillm.testing.cases.tensors import TENSORS, as_method

# family -> name -> calls
FAMILIES: dict[str, dict[str, list[Any]]] = {
    "Arithmetic": ARITHMETIC,
    "Comparison": COMPARISONS,
    "Reductions": REDUCTIONS,
    "Products": PRODUCTS,
    "Indexing": INDEXING,
    "Shape": SHAPES,
    "Tensor": TENSORS,
    "Creation": CREATION,
    "nn.functional": FUNCTIONAL,
    "Losses": LOSSES,
    "Modules": MODULES,
    "Sequences": SEQUENCES,
    "nn.utils": UTILS,
    "nn.init": INIT,
    "Optimizers": OPTIMIZERS,
    "Schedules": SCHEDULES,
}

OPERATIONS = ("Arithmetic", "Comparison", "Reductions", "Products", "Indexing", "Shape")
OTHER_METHODS = {"where"}  # whose method takes its arguments in another order


def names() -> list[str]:
    """Return all names of the table, family by family."""
    return [name for table in FAMILIES.values() for name in table]


def cases_of(name: str) -> list[Case]:
    """Return the cases of a name; operations are called as functions, and as methods where tensors have them.

    Example:
        >>> print(*cases_of("bmm"))
        bmm-0 bmm-1 bmm-2 bmm-3 bmm-4 bmm-5
    """
    family, calls = next((family, table[name]) for family, table in FAMILIES.items() if name in table)
    if family in OPERATIONS and hasattr(Tensor, name) and name not in OTHER_METHODS:
        calls = [*calls, *filter(None, map(as_method, calls))]
    return [call.case(name, number) for number, call in enumerate(calls)]


__all__ = ["FAMILIES", "Case", "cases_of", "names"]
