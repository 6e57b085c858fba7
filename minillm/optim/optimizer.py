"""``Optimizer``: parameters in groups, the settings of each group, and what is remembered of each parameter.

The state of an optimizer has PyTorch's structure, with numbers in the place of the parameters::

    {"state": {0: {"step": 7, "exp_avg": tensor(...), "exp_avg_sq": tensor(...)}, 1: ...},
     "param_groups": [{"lr": 0.001, ..., "params": [0, 1, ...]}]}

so it can be moved both ways. Counts such as ``step`` are plain numbers here, which PyTorch takes as they are;
the 0-d tensors that PyTorch keeps in their place are turned into numbers when they are loaded.
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any, ClassVar

import numpy as np

from minillm.autograd import enable_grad
from minillm.backend import device_of, is_array, to_device, to_numpy
from minillm.ops import Tensor

_next_handle = itertools.count().__next__


class _Required:
    """Stands for a setting that has no default."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


class RemovableHandle:
    """Takes a hook away again."""

    def __init__(self, hooks: dict[int, Any]) -> None:
        self._hooks = hooks
        self.id = _next_handle()

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method ``step`` that also calls the hooks and remembers that it was called."""

    @functools.wraps(step)
    def hooked(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if self._step_pre_hooks:
            args, kwargs = self._before_step(args, kwargs)
        result = step(self, *args, **kwargs) if args or kwargs else step(self)  # half the time
        self._opt_called = True  # schedules ask for it
        if self._step_post_hooks:
            for hook in tuple(self._step_post_hooks.values()):
                hook(self, args, kwargs)
        return result

    return hooked


class Optimizer:
    """Base of all optimizers; subclass it with a method ``step`` to make your own.

    Args:
        params: what to optimize: tensors, pairs (name, tensor) as of ``named_parameters()``, or groups, which
            are dicts with ``"params"`` and settings of their own.
        defaults: the settings of groups that do not give them.

    Attributes:
        param_groups: a dict for each group: ``"params"`` and the settings, which may be changed at any time.
        state: for each parameter what the optimizer remembers of it.

    Raises:
        TypeError: something that is no tensor.
        ValueError: no parameters, one given twice, or a tensor that was computed.

    Example:
        >>> import minillm
        >>> class HalvingDescent(minillm.optim.Optimizer):
        ...     def __init__(self, params, lr):
        ...         super().__init__(params, {"lr": lr})
        ...     def step(self, closure=None):
        ...         for group in self.param_groups:
        ...             for p in group["params"]:
        ...                 p.data -= group["lr"] * p.grad
        ...             group["lr"] /= 2
        >>> x = minillm.tensor([1.0, 2.0], requires_grad=True)
        >>> optimizer = HalvingDescent([x], lr=0.5)
        >>> x.sum().backward()
        >>> optimizer.step()
        >>> x
        tensor([0.5000, 1.5000], requires_grad=True)
    """

    state: defaultdict[Any, dict[str, Any]]
    param_groups: list[dict[str, Any]]
    _opt_called = False
    _numbers: ClassVar[tuple[str, ...]] = ("step",)  # what is a plain number in the state

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.__dict__["step"])  # type: ignore[method-assign]

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got a tensor of shape {tuple(params.shape)}; put it into a list"
            )
        self.defaults = defaults
        self.state = defaultdict(dict)
        self.param_groups = []
        self._step_pre_hooks: dict[int, Any] = {}
        self._step_post_hooks: dict[int, Any] = {}
        groups = list(params)
        if not groups:
            raise ValueError(
                "optimizer got an empty parameter list; "
                "a generator such as model.parameters() can be read only once"
            )
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    def __getstate__(self) -> dict[str, Any]:
        return {
            "defaults": self.defaults,
            "state": self.state,
            "param_groups": self.param_groups,
            "_step_pre_hooks": {},
            "_step_post_hooks": {},
            "_opt_called": self._opt_called,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    # -- groups -------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, such as layers that were frozen until now.

        Args:
            param_group: ``"params"`` and the settings that differ from the defaults.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group).__name__}")
        if "params" not in param_group:
            raise ValueError(f'a parameter group needs the key "params"; got {sorted(param_group)}')
        group = dict(param_group)
        names, params = _names_and_tensors(group["params"])
        group["params"] = params
        if names:
            group["param_names"] = names
        for name, default in self.defaults.items():
            if default is required and name not in group:
                raise ValueError(
                    f"parameter group didn't specify a value of required optimization parameter {name}"
                )
            group.setdefault(name, default)
        if len(set(params)) != len(params):
            raise ValueError(
                "a parameter group contains the same parameter more than once; it would be updated twice"
            )
        for other in self.param_groups:
            if ("param_names" in other) != ("param_names" in group):
                with_names = "with names" if names else "without names"
                raise ValueError(
                    "all optimizer param groups should be with/without names. "
                    f"cannot add param group {with_names} to the optimizer"
                )
            if not set(params).isdisjoint(other["params"]):
                raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(group)

    # -- training -----------------------------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients.

        Args:
            set_to_none: set them to None, which is faster; otherwise to zeros. ``step`` passes over a
                parameter without a gradient, and updates one whose gradient is zero.
        """
        for group in self.param_groups:
            for p in group["params"]:
                if p._grad is not None:
                    p._grad = None if set_to_none else p._grad.detach().zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once.

        Args:
            closure: computes the loss anew, with gradients, and returns it.

        Returns:
            What ``closure`` returned, None without one.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method step(self, closure=None)")

    def _before_step(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Call the hooks before a step and return its arguments, which they may change."""
        for hook in tuple(self._step_pre_hooks.values()):
            changed = hook(self, args, kwargs)
            if changed is not None:
                if not isinstance(changed, tuple) or len(changed) != 2:
                    raise RuntimeError(
                        f"a hook before step must return None or a tuple of (args, kwargs), but got {changed}"
                    )
                args, kwargs = changed
        return args, kwargs

    def _loss_of(self, closure: Callable[[], Any] | None) -> Any:
        """Return what ``closure`` returns, computed with gradients."""
        if closure is None:
            return None
        with enable_grad():
            return closure()

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return other (args, kwargs)."""
        handle = RemovableHandle(self._step_pre_hooks)
        self._step_pre_hooks[handle.id] = hook
        return handle

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        handle = RemovableHandle(self._step_post_hooks)
        self._step_post_hooks[handle.id] = hook
        return handle

    # -- state --------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the state and the settings, with a number in the place of each parameter.

        The tensors in it are the optimizer's own and change with the next step; copy what shall last.
        """
        numbers: dict[Any, int] = {}
        for group in self.param_groups:
            for p in group["params"]:
                numbers[p] = len(numbers)
        groups = []
        for group in self.param_groups:
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [numbers[p] for p in group["params"]]
            groups.append(packed)
        return {
            "state": {numbers.get(p, p): values for p, values in self.state.items()},
            "param_groups": groups,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state that :meth:`state_dict` returned, here or in PyTorch.

        Parameters are matched by their order; names are not compared. Floats are cast to the dtype of the
        parameter and moved to its device. The state is copied.

        Args:
            state_dict: with the keys ``"state"`` and ``"param_groups"``.

        Raises:
            ValueError: another number of groups or parameters, or a state of another shape; nothing has
                been changed then.
        """
        for key in ("state", "param_groups"):
            if key not in state_dict:
                raise ValueError(f"load_state_dict: this is no state of an optimizer: it lacks {key!r}")
        groups = self.param_groups
        saved_groups = [
            {key: value if key == "params" else deepcopy(value) for key, value in group.items()}
            for group in state_dict["param_groups"]
        ]
        if len(groups) != len(saved_groups):
            raise ValueError(
                "loaded state dict has a different number of parameter groups: "
                f"{len(saved_groups)}, the optimizer has {len(groups)}"
            )
        params: dict[Any, tuple[str, Any]] = {}  # number in the saved state -> name for messages, parameter
        for i, (group, saved) in enumerate(zip(groups, saved_groups, strict=True)):
            if len(group["params"]) != len(saved["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of "
                    f"optimizer's group: group {i} has {len(saved['params'])} parameters there and "
                    f"{len(group['params'])} here"
                )
            names = group.get("param_names", saved["params"])
            for number, name, p in zip(saved["params"], names, group["params"], strict=True):
                params[number] = (f"parameter {name}", p)
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for number, values in state_dict["state"].items():
            if number in params:
                name, p = params[number]
                state[p] = {
                    key: self._loaded(f"load_state_dict: {name}, {key}", p, key, value)
                    for key, value in values.items()
                }
            else:
                state[number] = deepcopy(values)
        for group, saved in zip(groups, saved_groups, strict=True):
            saved["params"] = group["params"]
            if "param_names" in group:
                saved.setdefault("param_names", group["param_names"])
            for name, default in self.defaults.items():  # of settings that came after the file was written
                if default is not required:
                    saved.setdefault(name, default)
        self.__setstate__({"state": state, "param_groups": saved_groups})

    def _loaded(self, name: str, param: Any, key: str, value: Any) -> Any:
        """Return a value of a saved state as it stands in the state of ``param``: a copy on its device."""
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        array = value.array if isinstance(value, Tensor) else value
        if not is_array(array):
            array = np.asarray(array)  # a tensor of PyTorch, a list
        if key in self._numbers:
            number = array.item()
            return int(number) if key == "step" else number
        needed = self._shape_of_state(param, key)
        if needed is not None and tuple(array.shape) != needed:
            raise ValueError(
                f"{name}: got shape {tuple(array.shape)}; "
                f"a parameter of shape {tuple(param.shape)} needs {needed}"
            )
        if array.dtype.kind == "f":
            array = array.astype(param.array.dtype)
        device = device_of(param.array)
        if device_of(array) != device:
            array = to_device(to_numpy(array), device)
        return Tensor(array.copy(), device=device)

    def _shape_of_state(self, param: Any, key: str) -> tuple[int, ...] | None:
        """Return the shape that an array in a parameter's state needs; None for any."""
        return None


def _names_and_tensors(params: Any) -> tuple[list[str], list[Any]]:
    """Split what the user gave as parameters into names (all or none) and tensors."""
    if isinstance(params, Tensor):
        params = [params]
    elif isinstance(params, (set, frozenset)):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but "
            "the ordering of tensors in sets will change between runs. Please use a list instead."
        )
    names: list[str] = []
    tensors: list[Any] = []
    for param in params:
        if isinstance(param, tuple):
            name, param = param
            names.append(name)
        tensors.append(param)
    if names and len(names) != len(tensors):
        raise ValueError("all optimizer params should be with/without names. Some param names are missing")
    for i, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"optimizer can only optimize Tensors, but one of the params is {type(tensor).__name__}"
            )
        if not tensor.is_leaf:
            name = names[i] if names else f"parameter {i}"
            raise ValueError(f"can't optimize a non-leaf Tensor: {name} was computed by an operation")
    return names, tensors


def check_number(name: str, value: Any, below: float | None = None) -> None:
    """Raise an error unless a setting is a single number of at least 0 and less than ``below``.

    Raises:
        ValueError: it is not.
    """
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ValueError(f"Tensor {name} must be 1-element, got shape {tuple(value.shape)}")
    number = float(value)
    if not number >= 0 or (below is not None and not number < below):
        limit = "at least 0" if below is None else f"at least 0 and less than {below:g}"
        raise ValueError(f"Invalid {name}: {value}; it needs to be {limit}")


def check_betas(betas: Iterable[Any]) -> tuple[float, float]:
    """Return the two decay rates as numbers.

    Raises:
        ValueError: one is outside of [0, 1), or they are not two.
    """
    values = tuple(betas)
    if len(values) != 2:
        raise ValueError(f"Invalid betas: {values}; they need to be two numbers")
    for i, beta in enumerate(values):
        check_number(f"beta parameter at index {i}", beta, 1.0)
    return float(values[0]), float(values[1])
