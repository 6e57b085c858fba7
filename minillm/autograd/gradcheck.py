"""Check derivatives against differences: ``gradcheck`` for the first order, ``gradgradcheck`` for the second.

The derivative of output y_j by input x_i is compared with the central difference

    (f(x + eps e_i) - f(x - eps e_i))_j / (2 eps),

whose error is of order eps^2; in float64 with eps = 1e-6 about nine digits are right. ``fast_mode`` compares
v^T J u with one difference along a random direction u, v random too: a wrong element of J goes unseen
with probability zero, and the cost no longer grows with the number of elements.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minillm.autograd.engine import grad
from minillm.autograd.errors import OperationError
from minillm.autograd.function import LEAF, TensorClass, wrap
from minillm.autograd.grad_mode import enable_grad
from minillm.backend import Array, Generator, device_of, to_device, to_numpy

HostArray = np.ndarray[Any, Any]


class GradcheckError(OperationError):
    """A gradient disagrees with the differences of its function."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
) -> bool:
    """Return whether the gradients of ``func`` agree with central differences.

    Args:
        func: takes ``inputs`` and returns a tensor or a sequence of tensors; it must give the same result
            each time.
        inputs: a tensor or a sequence of arguments; those tensors that require grad are checked. They need
            to be float64 for the default tolerances.
        eps: the step of the difference.
        atol: how far a derivative may lie off, absolutely.
        rtol: and relative to the difference.
        raise_exception: raise an error that names input, output and both values, instead of returning False.
        nondet_tol: how far two runs of backward may differ.
        fast_mode: compare along one random direction, not for each element.

    Raises:
        GradcheckError: a gradient is wrong.
        OperationError: no input requires grad.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([0.5, -1.0], dtype="float64", requires_grad=True)
        >>> minillm.autograd.gradcheck(lambda x: x.tanh() * x, x)
        True
    """
    checker = _Checker(func, inputs, eps, atol, rtol, nondet_tol)
    try:
        checker.check_fast() if fast_mode else checker.check_full()
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
) -> bool:
    """Return whether the gradients of the gradients of ``func`` agree with central differences.

    Args:
        func: as in :func:`gradcheck`.
        inputs: as in :func:`gradcheck`.
        grad_outputs: for each float output the gradient that backward starts from; random ones by default.
        eps: the step of the difference.
        atol: how far a derivative may lie off, absolutely.
        rtol: and relative to the difference.
        raise_exception: raise an error that names input, output and both values, instead of returning False.
        nondet_tol: how far two runs of backward may differ.
        fast_mode: compare along one random direction, not for each element.

    Raises:
        GradcheckError: a second derivative is wrong.
        OperationError: no input requires grad, or an operation cannot be differentiated twice.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([0.5, -1.0], dtype="float64", requires_grad=True)
        >>> minillm.autograd.gradgradcheck(lambda x: x.tanh() * x, x)
        True
    """
    arguments = _as_tuple(inputs)
    if grad_outputs is None:
        generator = Generator(seed=0)
        outputs = _float_outputs(func(*arguments))
        grad_outputs = [
            wrap(to_device(generator.normal(y.shape, dtype=y.dtype, device="cpu"), y.device), LEAF)
            for y in outputs
        ]
    dys = _as_tuple(grad_outputs)

    def gradients(*arguments_and_dys: Any) -> tuple[Any, ...]:
        arguments = arguments_and_dys[: len(arguments_and_dys) - len(dys)]
        dys_now = arguments_and_dys[len(arguments) :]
        pairs = [
            (y, dy)
            for y, dy in zip(_float_outputs(func(*arguments)), dys_now, strict=True)
            if y.requires_grad
        ]
        if not pairs:
            return ()
        with enable_grad():
            dxs = grad(
                [y for y, _ in pairs],
                _distinct(arguments),
                [dy for _, dy in pairs],
                create_graph=True,
                allow_unused=True,
            )
        return tuple(dx for dx in dxs if dx is not None and dx.requires_grad)

    return gradcheck(
        gradients,
        (*arguments, *dys),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        fast_mode=fast_mode,
    )


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _float_outputs(outputs: Any) -> list[Any]:
    """Return the outputs that can have a gradient."""
    return [y for y in _as_tuple(outputs) if isinstance(y, TensorClass.cls) and y.dtype.kind == "f"]


def _distinct(arguments: Sequence[Any]) -> list[Any]:
    """Return the tensors that require grad, each once, even if it is given twice."""
    return list({id(x): x for x in arguments if isinstance(x, TensorClass.cls) and x.requires_grad}.values())


class _Checker:
    """A function at a point: its values near the point, and its gradients there."""

    def __init__(
        self,
        func: Callable[..., Any],
        inputs: Any,
        eps: float,
        atol: float,
        rtol: float,
        nondet_tol: float,
    ) -> None:
        self.func = func
        self.arguments = _as_tuple(inputs)
        self.eps, self.atol, self.rtol, self.nondet_tol = eps, atol, rtol, nondet_tol
        self.tensors = _distinct(self.arguments)
        if not self.tensors:
            raise OperationError("gradcheck: no input requires grad, so there is no gradient to check")
        self.points = [to_numpy(x.array) for x in self.tensors]
        narrow = {str(x.dtype) for x in self.points if x.dtype.itemsize < 8}
        if narrow and eps < 1e-4:
            warnings.warn(
                f"gradcheck: an input is {' and '.join(sorted(narrow))}, whose rounding drowns differences "
                f"over eps={eps:g}; use float64",
                stacklevel=3,
            )
        self.outputs = _float_outputs(self.func(*self.arguments))

    def number_of(self, tensor: Any) -> int:
        """Return which argument a tensor is."""
        return next(i for i, argument in enumerate(self.arguments) if argument is tensor)

    def values_near(self, k: int, step: HostArray) -> list[HostArray]:
        """Return the outputs with ``step`` added to the k-th tensor."""
        tensor = self.tensors[k]
        moved = wrap(to_device(self.points[k] + step, device_of(tensor.array)), LEAF)
        arguments = [moved if argument is tensor else argument for argument in self.arguments]
        return [to_numpy(y.array).copy() for y in _float_outputs(self.func(*arguments))]

    def slope_along(self, k: int, direction: HostArray) -> list[HostArray]:
        """Return the central difference of each output along a direction of the k-th tensor."""
        step = (direction * self.eps).astype(self.points[k].dtype)
        ahead, behind = self.values_near(k, step), self.values_near(k, -step)
        return [(a - b) / (2 * self.eps) for a, b in zip(ahead, behind, strict=True)]

    def gradients(self, j: int, dy: HostArray) -> list[HostArray]:
        """Return the gradient of each tensor, from ``dy`` at the j-th output; twice, to compare."""
        runs = []
        for _ in range(2):
            dxs = grad(
                self.outputs[j],
                self.tensors,
                wrap(self._on_device_of(self.outputs[j], dy)),
                retain_graph=True,
                allow_unused=True,
            )
            runs.append(
                [
                    np.zeros_like(x) if dx is None else to_numpy(dx.array).copy()
                    for x, dx in zip(self.points, dxs, strict=True)
                ]
            )
        for k, (first, second) in enumerate(zip(*runs, strict=True)):
            if first.size and float(np.max(np.abs(first - second))) > self.nondet_tol:
                raise GradcheckError(
                    f"gradcheck: {self._place(j, k)}: two runs of backward differ by "
                    f"{float(np.max(np.abs(first - second))):.3g}, more than nondet_tol={self.nondet_tol:g}"
                )
        return runs[0]

    def check_full(self) -> None:
        """Compare every element of every Jacobian."""
        columns: list[list[list[HostArray]]] = []  # tensor k, element i -> difference of each output
        for k, point in enumerate(self.points):
            unit = np.zeros_like(point)
            columns.append([])
            for place in np.ndindex(point.shape):
                unit[place] = 1
                columns[k].append(self.slope_along(k, unit))
                unit[place] = 0
        for j, y in enumerate(self.outputs):
            if not y.requires_grad:
                for k, point in enumerate(self.points):
                    zeros = np.zeros((point.size, y.array.size))
                    self._compare(j, k, zeros, self._stack(columns[k], j, zeros.shape))
                continue
            rows: list[list[HostArray]] = []
            one = np.zeros(y.shape, y.dtype)
            for place in np.ndindex(y.shape):
                one[place] = 1
                rows.append(self.gradients(j, one))
                one[place] = 0
            for k, point in enumerate(self.points):
                analytic = np.zeros((point.size, y.array.size))
                for column, row in enumerate(rows):
                    analytic[:, column] = row[k].reshape(-1)
                self._compare(j, k, analytic, self._stack(columns[k], j, analytic.shape))

    def check_fast(self) -> None:
        """Compare one random projection of each Jacobian."""
        generator = Generator(seed=0)
        directions = [generator.normal(x.shape, dtype="float64", device="cpu") for x in self.points]
        slopes = [self.slope_along(k, direction) for k, direction in enumerate(directions)]
        for j, y in enumerate(self.outputs):
            weights = generator.normal(y.shape, dtype="float64", device="cpu")
            dxs = self.gradients(j, weights) if y.requires_grad else [np.zeros_like(x) for x in self.points]
            for k, (dx, direction) in enumerate(zip(dxs, directions, strict=True)):
                analytic = np.sum(dx * direction)
                numeric = np.sum(slopes[k][j] * weights)
                self._compare(j, k, analytic.reshape(1, 1), numeric.reshape(1, 1))

    @staticmethod
    def _stack(columns: list[list[HostArray]], j: int, shape: tuple[int, ...]) -> HostArray:
        numeric = np.zeros(shape)
        for i, slopes in enumerate(columns):
            numeric[i] = slopes[j].reshape(-1)
        return numeric

    @staticmethod
    def _on_device_of(tensor: Any, array: HostArray) -> Array:
        return to_device(array.astype(tensor.dtype), device_of(tensor.array))

    def _place(self, j: int, k: int) -> str:
        return f"output {j} with respect to input {self.number_of(self.tensors[k])}"

    def _compare(self, j: int, k: int, analytic: HostArray, numeric: HostArray) -> None:
        close = np.isclose(analytic, numeric, rtol=self.rtol, atol=self.atol, equal_nan=True)
        if close.all():
            return
        off = np.abs(analytic - numeric)
        row, column = np.unravel_index(int(np.argmax(np.where(close, -1, off))), close.shape)
        where = ""
        if close.size > 1:
            x_at = tuple(map(int, np.unravel_index(row, self.points[k].shape)))
            y_at = tuple(map(int, np.unravel_index(column, self.outputs[j].shape)))
            where = f" (of y{list(y_at)} by x{list(x_at)}, the worst of {int((~close).sum())} that are wrong)"
        with np.printoptions(precision=6, threshold=40):
            jacobians = f"\nnumeric:\n{numeric}\nanalytic:\n{analytic}" if close.size > 1 else ""
        raise GradcheckError(
            f"gradcheck: the gradient of {self._place(j, k)} is wrong{where}: analytic "
            f"{analytic[row, column]:.9g}, numeric {numeric[row, column]:.9g}{jacobians}"
        )
