"""Activation checkpointing under PyTorch's names: less memory for one more forward.

``benchmarks/activation_checkpointing.py`` measures both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minillm.autograd import recomputation
from minillm.autograd.errors import OperationError

__all__ = ["checkpoint", "checkpoint_sequential"]


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """Return ``function(*args, **kwargs)``; backward runs it again instead of keeping its activations.

    Gradients flow to the tensors among the arguments and to all that the function uses, such as the parameters of
    modules, through ``backward`` and ``autograd.grad`` alike, to any order.

    Args:
        function: returns a tensor, or a tuple with tensors; it must compute the same both times.
        args: for the function.
        use_reentrant: PyTorch's choice between two ways; there is one here, which does what False does there.
        preserve_rng_state: let dropout draw the same numbers again.
        kwargs: for the function.

    Raises:
        OperationError: in backward, where the function returns something else than before, or where a tensor that
            it uses was written to since.

    Example:
        >>> import minillm
        >>> from minillm import nn
        >>> block = nn.Sequential(nn.Linear(4, 64), nn.GELU(), nn.Linear(64, 4))
        >>> x = minillm.randn(2, 4)
        >>> nn.utils.checkpoint.checkpoint(block, x).sum().backward()
        >>> block[0].weight.grad.shape
        (64, 4)
    """
    return recomputation.checkpoint(function, *args, preserve_rng_state=preserve_rng_state, **kwargs)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, preserve_rng_state: bool = True
) -> Any:
    """Run a chain of modules in segments, each of which is checkpointed but for the last.

    Args:
        functions: a ``Sequential`` or a list of modules or functions, of one tensor each.
        segments: the number of segments; the square root of the number of modules needs the least memory.
        input: of the first.
        use_reentrant: as in :func:`checkpoint`.
        preserve_rng_state: as in :func:`checkpoint`.

    Raises:
        OperationError: there are more segments than functions, or none.

    Example:
        >>> import minillm
        >>> from minillm import nn
        >>> layers = nn.Sequential(*[nn.Linear(4, 4) for _ in range(9)])
        >>> nn.utils.checkpoint.checkpoint_sequential(layers, 3, minillm.randn(2, 4)).shape
        (2, 4)
    """
    functions = list(functions)
    if not 1 <= segments <= len(functions):
        raise OperationError(
            f"checkpoint_sequential: got {segments} segments for {len(functions)} functions; it needs from 1 to as "
            "many segments as functions"
        )

    def run(chain: list[Any], x: Any) -> Any:
        for function in chain:
            x = function(x)
        return x

    size = len(functions) // segments
    for i in range(0, size * (segments - 1), size):
        input = checkpoint(run, functions[i : i + size], input, preserve_rng_state=preserve_rng_state)
    return run(functions[size * (segments - 1) :], input)
