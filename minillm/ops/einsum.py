"""``einsum``: products and sums over named dimensions, by way of matrix products.

The operands are joined from left to right. In each join a name is summed over as soon as no later operand and
not the result has it: as the inner dimension of a matrix product, which is what makes it fast.
"""

from __future__ import annotations

import math
import string
from typing import TYPE_CHECKING, Any

from minillm.autograd.errors import OperationError
from minillm.ops.diagonal import diagonal
from minillm.ops.matmul import matmul
from minillm.ops.reduction import sum
from minillm.ops.shape import permute, reshape, squeeze

if TYPE_CHECKING:
    from minillm.ops._tensor import Tensor


def einsum(equation: str, *operands: Any) -> Tensor:
    """Return the sum of products that an equation describes, as in ``"bij,bjk->bik"``.

    Args:
        equation: letters for the dimensions of each operand, and after ``->`` for those of the result; letters
            that the result lacks are summed over. ``...`` stands for dimensions that broadcast. Without ``->``
            the result has the letters that occur once, in alphabetical order.
        operands: tensors, as arguments or as one sequence.

    Raises:
        OperationError: an equation that cannot be read or does not fit the shapes.

    Example:
        >>> import minillm
        >>> minillm.einsum("ij,j->i", minillm.tensor([[1.0, 2.0], [3.0, 4.0]]), minillm.tensor([1.0, 10.0]))
        tensor([21., 43.])
    """
    tensors = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else list(operands)
    inputs, output = _read(equation, [x.ndim for x in tensors])
    sizes: dict[str, int] = {}
    for names, x in zip(inputs, tensors, strict=True):
        for name, size in zip(names, x.shape, strict=True):
            if sizes.setdefault(name, size) == 1:
                sizes[name] = size
            elif size not in (1, sizes[name]):
                raise OperationError(
                    f"einsum: got the sizes {sizes[name]} and {size} for {name!r} in {equation!r} with shapes "
                    f"{[x.shape for x in tensors]}; they need to be equal"
                )
    names, result = _without_twins(inputs[0], tensors[0])
    names, result = _summed(names, result, "".join(inputs[1:]) + output)
    for i in range(1, len(tensors)):
        other_names, other = _without_twins(inputs[i], tensors[i])
        names, result = _joined(names, result, other_names, other, "".join(inputs[i + 1 :]) + output)
    return permute(result, [names.index(name) for name in output])


def _read(equation: str, ndims: list[int]) -> tuple[list[str], str]:
    """Return the names of the dimensions of each operand and of the result, one letter each."""
    text = equation.replace(" ", "")
    left, arrow, output = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ndims):
        raise OperationError(f"einsum: {equation!r} is for {len(inputs)} operands, got {len(ndims)}")
    for part in (*inputs, output):
        if not all(c in string.ascii_letters for c in part.replace("...", "", 1)):
            raise OperationError(f"einsum: cannot read {part!r} in {equation!r}; it needs letters, and ... once")
    lacking = [n - len(part.replace("...", "")) for part, n in zip(inputs, ndims, strict=True)]
    longest = max([n for part, n in zip(inputs, lacking, strict=True) if "..." in part], default=0)
    stretch = "".join([c for c in string.ascii_letters if c not in text][:longest])
    found = []
    for part, ndim, missing in zip(inputs, ndims, lacking, strict=True):
        if missing < 0 or (missing and "..." not in part):
            raise OperationError(f"einsum: {part!r} in {equation!r} does not fit an operand of {ndim} dimensions")
        found.append(part.replace("...", stretch[longest - missing :]))
    if not arrow:
        letters = left.replace("...", "")
        once = sorted(c for c in set(letters) - {","} if letters.count(c) == 1)
        output = "..." * ("..." in left) + "".join(once)
    if any(output.count(c) > 1 or c not in left for c in output.replace("...", "")):
        raise OperationError(f"einsum: the result {output!r} of {equation!r} needs letters of the operands, once each")
    return found, output.replace("...", stretch)


def _without_twins(names: str, x: Any) -> tuple[str, Any]:
    """Return an operand with the diagonal in the place of two dimensions of one name."""
    for name in dict.fromkeys(names):
        while names.count(name) > 1:
            i = names.index(name)
            j = names.index(name, i + 1)
            if x.shape[i] != x.shape[j]:
                raise OperationError(f"einsum: {name!r} stands for the sizes {x.shape[i]} and {x.shape[j]}")
            x = diagonal(x, 0, i, j)
            names = names[:i] + names[i + 1 : j] + names[j + 1 :] + name
    return names, x


def _summed(names: str, x: Any, later: str) -> tuple[str, Any]:
    """Return an operand summed over what nothing later names."""
    gone = tuple(i for i, name in enumerate(names) if name not in later)
    return "".join(name for name in names if name in later), sum(x, gone) if gone else x


def _joined(a_names: str, a: Any, b_names: str, b: Any, later: str) -> tuple[str, Any]:
    """Return the product of two operands, summed over what nothing later names, by one matrix product."""
    for name in set(a_names) & set(b_names):  # a size of 1 broadcasts: the other operand has the dimension alone
        i, j = a_names.index(name), b_names.index(name)
        if a.shape[i] != b.shape[j]:
            if a.shape[i] == 1:
                a_names, a = a_names.replace(name, ""), squeeze(a, i)
            else:
                b_names, b = b_names.replace(name, ""), squeeze(b, j)
    a_names, a = _summed(a_names, a, b_names + later)
    b_names, b = _summed(b_names, b, a_names + later)
    both = [name for name in a_names if name in b_names]
    stacked = [name for name in both if name in later]
    inner = [name for name in both if name not in later]
    rows = [name for name in a_names if name not in b_names]
    columns = [name for name in b_names if name not in a_names]
    size = {**dict(zip(a_names, a.shape, strict=True)), **dict(zip(b_names, b.shape, strict=True))}
    shapes = [math.prod(size[name] for name in group) for group in (stacked, rows, inner, columns)]
    a = permute(a, [a_names.index(name) for name in (*stacked, *rows, *inner)])
    b = permute(b, [b_names.index(name) for name in (*stacked, *inner, *columns)])
    y = matmul(reshape(a, shapes[:3]), reshape(b, [shapes[0], *shapes[2:]]))
    names = "".join((*stacked, *rows, *columns))
    return names, reshape(y, [size[name] for name in names])
