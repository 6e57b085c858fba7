"""``Bundle``: small parameters whose memory lies together, so that one call updates them all.

A model has many small parameters, and a step of Adam on each is a dozen calls of NumPy that do next to
nothing. For an optimizer that treats each number alike it does not matter how the numbers lie: in a bundle
there is one array for the parameters and one for each running average, and each parameter has its place in
them. A step is then a dozen calls in all.

Nobody notices. Memory is moved only if nothing but the tensor itself refers to it (no other tensor, no
view, no array of NumPy's): Python counts the references. And where the memory of a parameter or of a running
average was exchanged since, the bundle is not current any more; it is dissolved and formed anew.
"""

from __future__ import annotations

import sys
from operator import is_
from typing import Any

from minillm.autograd.versions import mark_written
from minillm.backend import Array, xp_of
from minillm.backend.references import ONE_REFERENCE


def is_unshared(tensor: Any) -> bool:
    """Return whether nothing but ``tensor`` refers to its array, or to the memory that it lies in."""
    array = tensor.array
    base = array.base
    if sys.getrefcount(array) != ONE_REFERENCE + 1:
        return False
    return base is None or (type(base) is type(array) and sys.getrefcount(base) == ONE_REFERENCE + 1)


class Bundle:
    """Parameters of one dtype on one device that have made the same steps.

    Args:
        params: the parameters.
        states: the state of each; empty for an optimizer that remembers nothing.
        names: of the arrays in each state, tensors of the parameter's shape.
        numbers: names of the numbers in each state; they are equal in all.
        first: whether this is their first step.

    Attributes:
        flat: the memory of the parameters, an array with one dimension.
        flat_states: the memory of the arrays in their states, one for each name.
        flat_grad: where their gradients are gathered.
        numbers: those of the state, in the dict of the first parameter; those of the others follow it.
        complete: whether all parameters had a gradient when the gradients were gathered.
    """

    def __init__(
        self,
        params: list[Any],
        states: list[dict[str, Any]],
        names: tuple[str, ...],
        numbers: tuple[str, ...],
        first: bool,
    ) -> None:
        self.params, self.states = params, states
        self.names, self.number_names = names, numbers
        self.numbers = states[0] if states else {}
        self.first = first
        self.apart = False  # steps were made one by one: numbers may differ
        self.flat, self.views = _move_together(params)
        moved = [_move_together([state[name] for state in states]) for name in names]
        self.flat_states = [flat for flat, _ in moved]
        self.state_views = [views for _, views in moved]
        self.all_state_views = [view for views in self.state_views for view in views]
        self.flat_grad = xp_of(self.flat).empty_like(self.flat)
        self.grad_views = _views_on(self.flat_grad, self.views)
        self.gather()

    def is_current(self, names: tuple[str, ...], state: dict[Any, Any], state_is_out: bool) -> bool:
        """Return whether the states still lie here and have made the same steps; of the parameters see ``gather``.

        Args:
            names: of the arrays in each state that the optimizer needs.
            state: that of all parameters.
            state_is_out: whether someone else may have changed it.
        """
        states = self.states
        if names != self.names:
            return False
        if not states or not (state_is_out or self.apart):
            return True
        if not all(map(is_, map(state.get, self.params), states)):
            return False
        try:
            here = all(map(is_, [s[name].array for name in names for s in states], self.all_state_views))
            for number in self.number_names:
                here = here and len({s[number] for s in states}) == 1
            self.apart = self.apart and not here
            return here
        except (KeyError, AttributeError):  # the user took something out of a state
            return False

    def gather(self) -> bool:
        """Copy the gradients together; return False where a parameter has other memory now.

        Where one has no gradient ``complete`` is False, too: steps are made one by one then.
        """
        self.complete = True
        for p, view, grad_view in zip(self.params, self.views, self.grad_views):  # noqa: B905  (strict takes longer)
            if p.array is not view:
                return False
            if p._grad is None:
                self.complete = False
            else:
                grad_view[...] = p._grad.array  # one by one: half the time of concatenate
        if not self.complete:
            self.write_numbers()
            self.apart = True
        return True

    def after_step(self, state_is_out: bool) -> None:
        """Note the step in the versions of the parameters, and in all states where someone may look at them."""
        self.first = False
        if state_is_out:
            self.write_numbers()
        mark_written(self.params)

    def write_numbers(self) -> None:
        """Write the numbers into the state of each parameter."""
        for number in () if self.apart else self.number_names:
            value = self.states[0][number]
            for state in self.states:
                state[number] = value

    def dissolve(self) -> None:
        """Give each tensor memory of its own, so that it can move again; not if others refer to it."""
        self.write_numbers()
        self.flat, self.flat_states, self.all_state_views = None, [], []
        owners = [self.params, *([state.get(name) for state in self.states] for name in self.names)]
        for tensors, views in zip(owners, [self.views, *self.state_views], strict=True):
            base = views[0].base
            if sys.getrefcount(base) == ONE_REFERENCE + len(views):
                for i, tensor in enumerate(tensors):  # zip() would hold one more reference
                    view = views[i]
                    here = getattr(tensor, "array", None) is view
                    if here and sys.getrefcount(view) == ONE_REFERENCE + 2:  # the tensor and the list
                        tensor.array = view.copy()


def _move_together(tensors: list[Any]) -> tuple[Array, list[Array]]:
    """Move tensors into one new array; return it, and the views on it that they hold now."""
    arrays = [tensor.array for tensor in tensors]
    flat = xp_of(arrays[0]).concatenate(arrays, axis=None)
    views = _views_on(flat, arrays)
    for tensor, view in zip(tensors, views, strict=True):
        tensor.array = view
    return flat, views


def _views_on(flat: Array, arrays: list[Array]) -> list[Array]:
    """Return views on pieces of ``flat``, one after the other, with the shapes of the arrays."""
    views, start = [], 0
    for array in arrays:
        views.append(flat[start : start + array.size].reshape(array.shape))
        start += array.size
    return views
