"""Tensors of random numbers, drawn from the keyed generator: the same for the same seed, on every device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minillm.autograd.errors import OperationError
from minillm.autograd.function import wrap
from minillm.backend import default_generator, to_device, to_dtype, to_numpy
from minillm.ops.creation import kind_of, leaf_on
from minillm.ops.shape import sizes_of

if TYPE_CHECKING:
    from minillm.backend import Generator
    from minillm.ops._tensor import Tensor


def randn(
    *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return numbers drawn from the normal distribution of mean 0 and variance 1.

    Example:
        >>> import minillm
        >>> minillm.randn(2, 3).shape
        (2, 3)
    """
    draw = (generator or default_generator()).normal(sizes_of("randn", size), dtype=dtype, device=device)
    return leaf_on(draw, requires_grad)


def rand(
    *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return numbers drawn evenly from 0 up to, not including, 1.

    Example:
        >>> import minillm
        >>> minillm.rand(2, 3).shape
        (2, 3)
    """
    draw = (generator or default_generator()).uniform(sizes_of("rand", size), dtype=dtype, device=device)
    return leaf_on(draw, requires_grad)


def randn_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Return :func:`randn` of the shape, dtype and device of another tensor."""
    kind = kind_of(input, dtype, device)
    return randn(input.shape, generator=generator, **kind, requires_grad=requires_grad)


def rand_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Return :func:`rand` of the shape, dtype and device of another tensor."""
    kind = kind_of(input, dtype, device)
    return rand(input.shape, generator=generator, **kind, requires_grad=requires_grad)


def randint(
    low: int = 0, high: Any = None, size: Any = None, *, generator: Generator | None = None, dtype: Any = "int64",
    device: Any = None,
) -> Tensor:  # fmt: skip
    """Return integers drawn evenly from ``low`` (0 if left out) up to, not including, ``high``.

    Example:
        >>> import minillm
        >>> minillm.randint(0, 10, (2, 3)).shape
        (2, 3)
    """
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    generator = generator or default_generator()
    return wrap(generator.integers(low, high, sizes_of("randint", (size,)), device=device).astype(to_dtype(dtype)))


def randperm(n: int, *, generator: Generator | None = None, device: Any = None) -> Tensor:
    """Return the integers from 0 to n - 1 in random order.

    Example:
        >>> import minillm
        >>> sorted(minillm.randperm(3).tolist())
        [0, 1, 2]
    """
    return wrap((generator or default_generator()).permutation(n, device=device))


def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None, dtype: Any = None,
    device: Any = None,
) -> Tensor:  # fmt: skip
    """Return numbers drawn from normal distributions.

    Args:
        mean: a number, or a tensor with one for each draw.
        std: the standard deviation, a number or a tensor, which broadcast with the means.
        size: the shape, where both are numbers.
        generator: where from; the default one for None.
        dtype: of the numbers, where mean and std are numbers.
        device: likewise.

    Example:
        >>> import minillm
        >>> minillm.normal(3.0, 0.1, size=(2, 3)).shape
        (2, 3)
        >>> minillm.normal(minillm.zeros(3), minillm.ones(3)).shape
        (3,)
    """
    tensors = [x for x in (mean, std) if hasattr(x, "shape")]
    if bool(tensors) == (size is not None):
        raise OperationError("normal: it needs a tensor for mean or std, or numbers for both and a size")
    if not tensors:
        generator = generator or default_generator()
        return wrap(generator.normal(sizes_of("normal", (size,)), mean, std, dtype, device))
    if any(bool((x < 0).any()) for x in tensors if x is std):
        raise OperationError("normal: got a negative std")
    shape = np.broadcast_shapes(*(x.shape for x in tensors))
    draw = randn(shape, generator=generator, dtype=tensors[0].dtype, device=tensors[0].device)
    return (draw * std + mean).detach()


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Return indices drawn with the probabilities that a vector, or each row of a matrix, gives.

    Args:
        input: (n,) or (m, n), not negative; rows need not sum to 1.
        num_samples: how many to draw from each row.
        replacement: whether an index may be drawn again.
        generator: where from; the default one for None.

    Returns:
        (num_samples,) or (m, num_samples), int64.

    Example:
        >>> import minillm
        >>> minillm.multinomial(minillm.tensor([0.0, 1.0, 0.0]), 2, replacement=True)
        tensor([1, 1])
    """
    if input.ndim not in (1, 2) or input.dtype.kind != "f" or num_samples < 1:
        raise OperationError(
            f"multinomial: got {num_samples} samples of {input.dtype} {input.shape}; it needs at least 1, "
            "and floats in one or two dimensions"
        )
    weights = to_numpy(input.array).astype("float64")
    totals = weights.sum(-1)
    if not ((weights >= 0).all() and np.isfinite(totals).all() and (totals > 0).all()):
        raise OperationError("multinomial: the probabilities need to be finite, not negative, and not all 0")
    if not replacement and num_samples > int((weights > 0).sum(-1).min(initial=weights.shape[-1])):
        raise OperationError(
            f"multinomial: cannot draw {num_samples} different indices: too few have a probability above 0"
        )
    generator = generator or default_generator()
    if replacement:
        rows = np.repeat(weights[..., None, :], num_samples, axis=-2)
        chosen = generator.choice(rows)
    else:
        # The smallest of exponential times with these rates is the first to come, the next the second, ...
        uniform = generator.uniform(weights.shape, dtype="float64", device="cpu")
        with np.errstate(divide="ignore"):
            times = -np.log1p(-uniform) / weights
        chosen = np.argsort(np.where(weights > 0, times, np.inf), axis=-1)[..., :num_samples]
    return wrap(to_device(chosen, input.device))
