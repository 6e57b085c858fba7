"""Cases of what tensors offer beside the functions: operators, properties, methods, and what writes in place.

A method that writes in place writes to a copy of its tensor, so that gradients flow through it.
"""

from __future__ import annotations

from typing import Any

from minillm.testing.cases.case import X
from minillm.testing.cases.drawing import B, I, Input, P, R, Same, V


def M(*args: Any, **options: Any) -> X:
    """A call of a method."""
    return X(*args, method=True, **options)


ARITHMETIC = [M(R(3, 4), R(4)), M(R(3), 2), M(R(3), 0.7), M(I(3, low=1), 2), M(R(0), R(0)), M(R(), R(3)),
    M(R(3), Same(0))]
COMPARISON = [*ARITHMETIC, M(R(3), V(1.0, 2.0, 3.0))]
LOGICAL = [M(B(4), B(4)), M(I(4), I(4)), M(B(3, 1), B(2)), M(B(2), True)]
IN_PLACE = [M(R(3, 4), R(4)), M(R(3), 0.7), M(R(), R()), M(R(0), 2.0), M(I(3), 2)]
STEPS = [M(R(3, 4), order=1), M(R(), order=1), M(R(0), order=1)]


def one(make: Any) -> list[X]:
    """Return cases of a function of one tensor."""
    return [M(make(3, 4)), M(make()), M(make(0, 2))]


def moved(name: str) -> list[X]:
    """Return cases of a conversion."""
    return [M(R(3), check=name == "double"), M(I(3)), M(B(3)), M(R(), check=False)]


TENSORS: dict[str, list[X]] = {
    # operators
    "__add__": ARITHMETIC, "__radd__": [M(R(3), 2), M(R(), 0.5)], "__sub__": ARITHMETIC,
    "__rsub__": [M(R(3), 2), M(I(3), 0.5)],
    "__mul__": ARITHMETIC, "__rmul__": [M(R(3), 2), M(B(3), 2)], "__truediv__": [M(R(3, 4), P(4)), M(I(3), 2)],
    "__rtruediv__": [M(P(3), 2), M(I(3, low=1), 1.0)], "__pow__": [M(P(3), R(3)), M(R(3), 2), M(I(3), 2)],
    "__rpow__": [M(R(3), 2), M(R(), 0.5)], "__mod__": [M(R(3, 4), 0.7, check=False), M(I(9), 3)],
    "__rmod__": [M(P(3), 2.5, order=0), M(I(3, low=1), 7)], "__floordiv__": [M(R(3), 0.7, order=0), M(I(9), -2)],
    "__rfloordiv__": [M(P(3), 2.0, order=0), M(I(3, low=1), 7)], "__matmul__": [M(R(3, 4), R(4, 2)), M(R(4), R(4))],
    "__rmatmul__": [M(R(4, 2), R(3, 4))], "__neg__": one(R), "__pos__": one(R), "__abs__": one(R),
    "__lt__": COMPARISON, "__le__": COMPARISON, "__gt__": COMPARISON, "__ge__": COMPARISON, "__eq__": COMPARISON,
    "__ne__": COMPARISON, "__and__": LOGICAL, "__or__": LOGICAL, "__xor__": LOGICAL, "__rand__": [M(B(3), True)],
    "__ror__": [M(B(3), False)], "__rxor__": [M(B(3), True)], "__invert__": [M(B(4)), M(I(4))],
    "__len__": [M(R(3, 4)), M(R(0))], "__bool__": [M(R()), M(V(0)), M(B(1, 1))], "__int__": [M(R()), M(I(1))],
    "__float__": [M(R()), M(I(1, 1))], "__index__": [M(I())], "__contains__": [M(I(4, low=0, high=2), 1), M(I(4), 99)],
    "__iadd__": IN_PLACE, "__isub__": IN_PLACE, "__imul__": IN_PLACE, "__itruediv__": IN_PLACE[:4],
    "__ipow__": [M(R(3), 2), M(P(3), R(3))], "__imod__": [M(R(3), 0.7, check=False)], "__iand__": LOGICAL[:2],
    "__ior__": LOGICAL[:2], "__ixor__": LOGICAL[:2],
    "__setitem__": [
        M(R(3, 4), 1, R(4)), M(R(3, 4), (slice(None), -1), 2.5), M(R(3, 4), V(0, 2), R(2, 4)), M(R(3, 4), B(3, 4), 0.0),
        M(R(3, 4), (V(0, 1), V(2, 3)), R(2)), M(R(3, 4), ..., R()), M(I(3), 0, 7), M(R(0), slice(None), 1.0),
    ],
    # in place
    "add_": [*IN_PLACE, M(R(3), R(3), alpha=0.5), X(R(3), via=lambda t, x: (y := x * 2).add_(y, alpha=3))],
    "sub_": [*IN_PLACE, M(R(3), R(3), alpha=2)], "mul_": IN_PLACE,
    "div_": [*IN_PLACE[:4], M(R(3), 0.7, rounding_mode="floor", order=1, check=False)],
    "remainder_": [M(R(3), 0.7, check=False)], "pow_": [M(R(3), 2), M(P(3), R(3))], "lerp_": [M(R(3), R(3), 0.3)],
    "clamp_": [M(R(9), -1.0, 1.0), M(R(3), min=0.0)], "clamp_min_": [M(R(5), 0.0)], "clamp_max_": [M(R(5), 0.0)],
    "neg_": one(R), "abs_": one(R), "exp_": one(R), "log_": one(P), "sqrt_": one(P), "rsqrt_": one(P), "tanh_": one(R),
    "sigmoid_": one(R), "relu_": one(R), "square_": one(R), "reciprocal_": one(P), "floor_": STEPS, "ceil_": STEPS,
    "round_": STEPS, "trunc_": STEPS, "tril_": [M(R(3, 4)), M(R(2, 3, 3), 1)], "triu_": [M(R(3, 4)), M(R(3, 3), -1)],
    "index_put_": [M(R(5), (V(0, 2),), R(2)), M(R(5), (V(0, 0),), R(2), accumulate=True)],
    "masked_fill_": [M(R(3, 4), B(4), 0.5), M(R(3), B(3), R())],
    "index_add_": [M(R(3, 4), 0, V(2, 0, 2), R(3, 4)), M(R(3), 0, V(1), R(1), alpha=2.5)],
    "scatter_": [M(R(3, 4), 1, V((0, 3), (1, 2)), R(2, 2)), M(R(3), 0, V(1), 2.5)],
    "scatter_add_": [M(R(3, 4), 0, I(2, 4, low=0, high=3), R(2, 4))],
    "copy_": [M(R(3, 4), R(4)), M(R(3), I(3), check=False), M(I(3), R(3, grad=False))],
    "fill_": [M(R(3), 2.5), M(I(3), 2)],
    "zero_": [M(R(3)), M(B(2))], "normal_": [M(R(3), drawn=True)],
    "uniform_": [M(R(3), drawn=True), M(R(2), 1.0, 1.5, drawn=True)],
    "detach_": [M(R(3))], "requires_grad_": [M(R(3)), M(R(3, grad=False), True, check=False)],
    # shape and type
    "T": [M(R(3, 4)), M(R(0, 2))], "mT": [M(R(2, 3, 4)), M(R(3, 4))], "shape": [M(R(2, 3)), M(R())],
    "ndim": [M(R(2, 3)), M(R())], "size": [M(R(2, 3)), M(R(2, 3), -1)], "dim": [M(R(2, 3)), M(R())],
    "nelement": [M(R(2, 3)), M(R(0))],
    "type": [*[X(x, via=lambda t, x: x.type().replace("strict.", "")) for x in (R(3), I(3), B(3))],
        M(I(3), "torch.FloatTensor"), M(R(3, grad=False), "torch.LongTensor"), M(R(3), "torch.DoubleTensor")],
    "element_size": [M(R(3, grad=False)), M(I(3)), M(B(2))],
    "is_contiguous": [M(R(3, 4))], "is_floating_point": [M(R(3)), M(I(3))], "is_cuda": [M(R(3))],
    "is_leaf": [M(R(3)), M(I(3))],
    "requires_grad": [M(R(3)), M(R(3, grad=False))], "data": [M(R(3))], "detach": [M(R(3)), M(I(2))], "grad": [M(R(3))],
    "grad_fn": [M(R(3))], "item": [M(R()), M(I(1)), M(B())], "tolist": [M(R(2, 2)), M(I(3)), M(R()), M(R(0))],
    "numpy": [M(R(3), force=True), M(I(2), force=True)],
    "view_as": [M(R(3, 4), R(4, 3))], "reshape_as": [M(R(3, 4), R(2, 6))], "expand_as": [M(R(3, 1), R(3, 4))],
    "type_as": [M(R(3), R(1)), M(I(3), R(1)), M(R(3, grad=False), I(1))], "swapaxes": [M(R(2, 3, 4), 0, -1)],
    "float": moved("float"), "double": moved("double"), "half": moved("half"), "long": moved("long"),
    "int": moved("int"),
    "bool": moved("bool"), "cpu": [M(R(3)), M(I(2))],
    "to": [M(R(3), R(1)), M(I(3), R(1)), M(R(3), dtype="float64"), M(I(3), dtype="float32"), M(R(3), "cpu")],
    "new_tensor": [M(R(3), [1.0, 2.0]), M(I(3), [1, 2])], "new_zeros": [M(R(3), 2, 3), M(I(3), (2,))],
    "new_ones": [M(R(3), 2, 3), M(R(3), (2,), dtype="int64")], "new_full": [M(R(3), (2, 2), 7.5), M(I(3), (), 2)],
    "new_empty": [M(R(3), (2, 3), drawn=True)],
    "where": [M(R(3, 4), B(4), R(3, 1)), M(R(3), B(3), 0.5)],
    # gradients
    "backward": [X(R(3), R(3), via=lambda t, x, w: backward(x, w), order=0),
        X(R(), via=lambda t, x: backward(x), order=0)],
    "register_hook": [X(R(3), via=lambda t, x: hooked(x), order=0)],
    "retain_grad": [X(R(3), via=lambda t, x: retained(x), order=0)],
}  # fmt: skip
TENSORS = {f"Tensor.{name}": calls for name, calls in TENSORS.items()}


def backward(x: Any, *weight: Any) -> Any:
    """Return the gradient that two calls of backward leave."""
    y = x * x
    y.backward(*weight, retain_graph=True)
    y.backward(*weight)
    return x.grad


def hooked(x: Any) -> Any:
    """Return the gradient that a hook changed."""
    handle = x.register_hook(lambda dx: dx * 3)
    (x * x).sum().backward()
    handle.remove()
    (x * x).sum().backward()
    return x.grad


def retained(x: Any) -> Any:
    """Return the gradient of a result in the middle."""
    y = x * 2
    y.retain_grad()
    (y * y).sum().backward()
    return y.grad


def as_method(call: X) -> X | None:
    """Return the call of a function as that of the method of its first tensor; None where there is no such call."""
    is_function = not call.method and call.via is None and call.args and isinstance(call.args[0], Input)
    if not is_function:
        return None
    return X(*call.args, method=True, order=min(call.order, 0), check=False, drawn=call.drawn, **call.kwargs)
