"""Compare code of minillm with its twin in PyTorch: results, gradients, second order, time.

An error is measured in units of float epsilon, the spacing of floats at 1 (2.2e-16 in float64, 1.2e-7 in
float32), relative to numbers above 1 and absolute below:

    error = max_i |a_i - b_i| / (eps * max(1, |b_i|)),    a ours, b PyTorch's, eps that of b's dtype.

Rounding alone gives a few; 100 in float64 are 2.2e-14. NaN equals NaN and infinity itself; integers and booleans
have to be equal, and any other disagreement, or another shape, is an infinite error.
"""

from __future__ import annotations

import dataclasses
import gc
import importlib
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minillm.ops import Tensor
from minillm.testing.cases.case import Prepared, tensor_of
from minillm.testing.derivatives import FORWARD, GRADIENT, SECOND, Result, results_of, stopwatch

# Absolute and relative, by the dtype of what is compared. Sums in another order, and other approximations of exp
# or erf, differ by this much at most; a wrong formula by far more.
TOLERANCES = {"float64": 1e-7, "float32": 2e-4, "float16": 2e-3}
INSTALL = "pip install torch (the CPU build does: https://pytorch.org/get-started/locally)"


def import_torch() -> Any:
    """Return PyTorch, or raise an ImportError that says how to install it."""
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise ImportError(f"comparing with PyTorch needs PyTorch, which is not installed here: {INSTALL}") from error


def epsilons(ours: Any, theirs: Any) -> float:
    """Return the largest error of an array in units of float epsilon; see the top of this file.

    Example:
        >>> one = np.ones(3)
        >>> epsilons(one + 2**-50, one)
        4.0
        >>> epsilons(np.array([1, 2]), np.array([1, 3]))
        inf
    """
    if not isinstance(ours, np.ndarray) or not isinstance(theirs, np.ndarray):
        same = type(ours) is type(theirs) and ours == theirs
        return 0.0 if same else math.inf
    if ours.shape != theirs.shape:
        return math.inf
    if theirs.dtype.kind not in "fc":
        return 0.0 if np.array_equal(ours, theirs) else math.inf
    a, b = ours.astype("float64"), theirs.astype("float64")
    with np.errstate(invalid="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        errors = np.where(same, 0.0, np.abs(a - b) / (np.finfo(theirs.dtype).eps * np.maximum(1.0, np.abs(b))))
    errors = np.where(np.isfinite(errors), errors, math.inf)
    return float(errors.max(initial=0.0))


@dataclasses.dataclass(frozen=True)
class Pair:
    """One array of ours beside PyTorch's."""

    part: str
    what: str
    ours: Any
    theirs: Any

    @property
    def error(self) -> float:
        """In units of float epsilon."""
        return epsilons(self.ours, self.theirs)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How a call of ours and its twin in PyTorch agree.

    Attributes:
        name: of the call.
        forward: largest error of the outputs (and of what the call wrote to) in float epsilons; None without any.
        gradient: of the gradients of float inputs and parameters; None where there are none.
        second_order: of the gradients of those; None where there are none.
        time_ratio: our time over PyTorch's, forward and backward: median of calls in turn; None if not measured.
        mismatches: what differs in kind: shapes, dtypes, names.
        pairs: all arrays that were compared.
    """

    name: str
    forward: float | None
    gradient: float | None
    second_order: float | None
    time_ratio: float | None
    mismatches: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = dataclasses.field(default=(), repr=False)

    def __str__(self) -> str:
        parts = [f"{self.name}: error in float epsilons: forward {_figure(self.forward)}"]
        parts.append(f"gradient {_figure(self.gradient)}")
        parts.append(f"second order {_figure(self.second_order)}")
        text = ", ".join(parts)
        if self.time_ratio is not None:
            text += f"; time {self.time_ratio:.2f} of PyTorch's"
        return "\n  ".join([text, *self.mismatches])

    def problems(self, rtol: float | None = None, atol: float | None = None) -> list[str]:
        """Return what disagrees beyond ``atol + rtol * |theirs|``, in words; see :meth:`check`."""
        found = list(self.mismatches)
        for pair in self.pairs:
            if not pair.error:
                continue
            dtype = str(getattr(pair.theirs, "dtype", ""))
            default = TOLERANCES.get(dtype, 0.0)
            tolerance = (default if rtol is None else rtol, default if atol is None else atol)
            if not _is_close(pair.ours, pair.theirs, *tolerance):
                found.append(f"{pair.what}: {_difference(pair)}; rtol={tolerance[0]:g}, atol={tolerance[1]:g}")
        return found

    def check(self, rtol: float | None = None, atol: float | None = None) -> Comparison:
        """Return this comparison if all agrees within ``|ours - theirs| <= atol + rtol * |theirs|``.

        Args:
            rtol: relative tolerance; by default, by dtype: 1e-7 in float64, 2e-4 in float32, 2e-3 in float16.
            atol: absolute tolerance; by default the same.

        Raises:
            AssertionError: something disagrees; the message names what, where, and by how much.
        """
        problems = self.problems(rtol, atol)
        if problems:
            raise AssertionError("\n  ".join([f"{self.name} disagrees with PyTorch:", *problems]))
        return self


def compare(
    ours: Any,
    theirs: Any,
    inputs: Any,
    *,
    options: Mapping[str, Any] | None = None,
    order: int = 2,
    rounds: int = 11,
    name: str | None = None,
) -> Comparison:
    """Run a module or function of minillm and its twin in PyTorch on the same inputs, and compare.

    Compared are the outputs, the gradients of every float input (and, for modules, of every parameter), and the
    gradients of those. A twin that is a module first gets our parameters and buffers, by name.

    Args:
        ours: a function of minillm's tensors, or a module.
        theirs: the same for PyTorch's.
        inputs: the arguments: arrays, tensors of either library, or other values, which are passed on as they are;
            one array or tensor alone, or a sequence. They are copied. Use float64 to see more than rounding.
        options: keyword arguments of both calls, treated in the same way.
        order: of the highest derivative: 0, 1 or 2.
        rounds: times that forward and backward run in turn to compare times; 0 to leave that out.
        name: for messages; by default that of the function or class.

    Returns:
        A :class:`Comparison`; ``print`` it, or ``check()`` it in a test.

    Raises:
        ImportError: PyTorch is not installed.
        ValueError: the state of the two modules does not match: the message names what is missing or differs.

    Example:
        >>> import minillm, numpy as np
        >>> torch = __import__("pytest").importorskip("torch")
        >>> x = np.linspace(-2, 2, 12).reshape(3, 4)
        >>> result = compare(lambda x: x.softmax(-1), lambda x: x.softmax(-1), x)
        >>> result.check().mismatches
        ()
        >>> layer, twin = minillm.nn.Linear(4, 2).double(), torch.nn.Linear(4, 2).double()
        >>> compare(layer, twin, x).check().gradient < 100
        True
        >>> compare(lambda x: x.exp(), lambda x: x.exp2(), x).check()
        Traceback (most recent call last):
            ...
        AssertionError: <lambda> disagrees with PyTorch:
          output 0: 12 of 12 numbers differ, by 3.39 at most, at (2, 3): 7.38906 and 4; rtol=1e-07, atol=1e-07
          ...
    """
    torch = import_torch()
    library = importlib.import_module("minillm")
    if hasattr(ours, "state_dict") and hasattr(theirs, "state_dict"):
        copy_state(ours, theirs, torch)
    name = name or str(getattr(ours, "__name__", type(ours).__name__))
    arguments = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    return compare_prepared(
        name,
        _prepare(library, ours, arguments, dict(options or {})),
        _prepare(torch, theirs, arguments, dict(options or {})),
        order,
        rounds,
    )


def copy_state(ours: Any, theirs: Any, torch: Any) -> None:
    """Give a module of PyTorch the parameters and buffers of ours, by name."""
    state, twin = ours.state_dict(), theirs.state_dict()
    problems = [f"{key} is missing in PyTorch's" for key in state if key not in twin]
    problems += [f"{key} is missing in ours" for key in twin if key not in state]
    for key in state.keys() & twin.keys():
        mine, other = state[key], twin[key]
        here, there = (tuple(mine.shape), str(mine.dtype)), (tuple(other.shape), str(other.dtype).partition(".")[2])
        if here != there:
            problems.append(f"{key} is {here[1]} {here[0]}, in PyTorch's {there[1]} {there[0]}")
    if problems:
        raise ValueError(
            f"compare: the state of {type(ours).__name__} and of its twin, PyTorch's {type(theirs).__name__}, "
            f"do not match: {'; '.join(sorted(problems))}"
        )
    theirs.load_state_dict({key: torch.from_numpy(value.cpu().numpy().copy()) for key, value in state.items()})


def compare_prepared(name: str, ours: Prepared, theirs: Prepared, order: int, rounds: int = 0) -> Comparison:
    """Compare two calls that are ready to run."""
    here, there = results_of(ours, order), results_of(theirs, order)
    pairs = tuple(Pair(a.part, a.what, a.value, b.value) for a, b in zip(here, there, strict=False))
    return Comparison(
        name,
        forward=_largest(pairs, FORWARD),
        gradient=_largest(pairs, GRADIENT),
        second_order=_largest(pairs, SECOND),
        time_ratio=time_ratio(ours, theirs, order, rounds) if rounds else None,
        mismatches=tuple(_mismatches(ours, theirs, here, there)),
        pairs=pairs,
    )


def time_ratio(ours: Prepared, theirs: Prepared, order: int, rounds: int) -> float:
    """Return the median ratio of the times of forward and backward, run in turn."""
    here, there = stopwatch(ours, order), stopwatch(theirs, order)
    here(), there()
    collecting = gc.isenabled()
    gc.disable()
    try:
        return statistics.median([here() / there() for _ in range(rounds)])
    finally:
        if collecting:
            gc.enable()


def _mismatches(ours: Prepared, theirs: Prepared, here: list[Result], there: list[Result]) -> list[str]:
    found = []
    if ours.facts != theirs.facts:
        differing = sorted(set(ours.facts) ^ set(theirs.facts)) or [f"the order of {', '.join(ours.facts)}"]
        found.append(f"state: in one library only: {'; '.join(differing)}")
    if len(here) != len(there):
        found.append(f"{len(here)} results, in PyTorch {len(there)}")
    for a, b in zip(here, there, strict=False):
        for kind in ("shape", "dtype"):
            x, y = (getattr(value, kind, type(value).__name__) for value in (a.value, b.value))
            if x != y:
                found.append(f"{a.what}: {kind} {x}, in PyTorch {y}")
        if a.requires_grad != b.requires_grad:
            found.append(f"{a.what}: requires_grad={a.requires_grad}, in PyTorch {b.requires_grad}")
    return found


def _largest(pairs: Sequence[Pair], part: str) -> float | None:
    return max((pair.error for pair in pairs if pair.part == part), default=None)


def _prepare(library: Any, function: Any, inputs: list[Any], options: dict[str, Any]) -> Prepared:
    leaves = [_as_tensor(library, value) for value in inputs]
    named = {key: _as_tensor(library, value) for key, value in options.items()}
    parameters = dict(sorted(function.named_parameters())) if hasattr(function, "named_parameters") else {}
    count = len(leaves)
    return Prepared(
        library,
        [*leaves, *named.values(), *parameters.values()],
        lambda *xs: function(*xs[:count], **dict(zip(named, xs[count:], strict=False))),
        parameters=list(parameters),
    )


def _as_tensor(library: Any, value: Any) -> Any:
    """Return a tensor of a library with a copy of an array or tensor; other values as they are."""
    if isinstance(value, Tensor) or (hasattr(value, "detach") and hasattr(value, "requires_grad")):
        value = value.detach().cpu().numpy()
    if not isinstance(value, np.ndarray):
        return value
    tensor = tensor_of(library, value)
    return tensor.requires_grad_(True) if value.dtype.kind == "f" else tensor


def _is_close(ours: Any, theirs: Any, rtol: float, atol: float) -> bool:
    if not isinstance(ours, np.ndarray) or not isinstance(theirs, np.ndarray) or ours.shape != theirs.shape:
        return False
    if theirs.dtype.kind != "f":
        return bool(np.array_equal(ours, theirs))
    return bool(np.allclose(ours.astype("float64"), theirs.astype("float64"), rtol, atol, equal_nan=True))


def _difference(pair: Pair) -> str:
    ours, theirs = pair.ours, pair.theirs
    if not isinstance(ours, np.ndarray) or not isinstance(theirs, np.ndarray) or ours.shape != theirs.shape:
        return f"{_kind(ours)} and, in PyTorch, {_kind(theirs)}"
    a, b = ours.astype("float64"), theirs.astype("float64")
    with np.errstate(invalid="ignore"):
        off = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    off = np.where(np.isnan(off), math.inf, off)
    place = tuple(int(i) for i in np.unravel_index(int(off.argmax()), off.shape))
    return (
        f"{int((off > 0).sum())} of {off.size} numbers differ, by {off[place]:.3g} at most, at {place}: "
        f"{ours[place]:.6g} and {theirs[place]:.6g}"
    )


def _kind(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else repr(value)


def _figure(error: float | None) -> str:
    return "-" if error is None else f"{error:.3g}"
