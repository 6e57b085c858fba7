"""What PyTorch refuses is refused, with an error that names the operation."""

from __future__ import annotations

import pytest

import minillm

torch = pytest.importorskip("torch")


def ones(library, *shape, dtype="float32"):
    return library.ones(shape, dtype=getattr(library, dtype))


def index(library, *values):
    return library.tensor(list(values), dtype=library.int64)


# Each takes the library; the name is that in the message.
REFUSED = {
    "add": [
        lambda t: ones(t, 3) + ones(t, 4), lambda t: t.add(ones(t, 2, 3), ones(t, 2)),
        lambda t: ones(t, 2) + "a", lambda t: t.add(1, [2]),
    ],
    "sub": [lambda t: ones(t, 2, dtype="bool") - ones(t, 2, dtype="bool"),
        lambda t: ones(t, 2, dtype="bool") - True, lambda t: ones(t, 3) - ones(t, 2)],
    "mul": [lambda t: ones(t, 3) * ones(t, 4)],
    "div": [lambda t: t.div(ones(t, 2), 2, rounding_mode="up"), lambda t: ones(t, 3) / ones(t, 2),
        lambda t: t.div(index(t, 1), 0, rounding_mode="floor")],
    "remainder": [lambda t: index(t, 1) % 0, lambda t: t.remainder(index(t, 1), index(t, 0))],
    "pow": [lambda t: index(t, 2) ** -1, lambda t: ones(t, 2, dtype="bool") ** ones(t, 2, dtype="bool")],
    "lerp": [lambda t: t.lerp(ones(t, 2), ones(t, 2, dtype="float64"), 0.5),
        lambda t: t.lerp(index(t, 2), index(t, 3), 0.5)],
    "neg": [lambda t: -ones(t, 2, dtype="bool")],
    "abs": [lambda t: t.abs(ones(t, 2, dtype="bool"))],
    "relu": [lambda t: t.relu(ones(t, 2, dtype="bool"))],
    "floor": [lambda t: t.floor(ones(t, 2, dtype="bool"))],
    "where": [lambda t: t.where(ones(t, 2), 1.0, 2.0), lambda t: t.where(ones(t, 2) > 0, ones(t, 3), 0.0)],
    "maximum": [lambda t: t.maximum(ones(t, 2), 1.0), lambda t: t.maximum(ones(t, 2), ones(t, 3))],
    "clamp": [lambda t: t.clamp(ones(t, 2))],
    "lt": [lambda t: ones(t, 2) < ones(t, 3), lambda t: ones(t, 2) < "a"],
    "bitwise": [lambda t: ones(t, 2) & ones(t, 2), lambda t: ~ones(t, 2)],
    "logical_and": [lambda t: t.logical_and(ones(t, 2), 1)],
    "isclose": [lambda t: t.isclose(ones(t, 2), ones(t, 2, dtype="float64"))],
    "sum": [lambda t: ones(t, 2).sum(1), lambda t: ones(t, 2).sum(-2), lambda t: ones(t, 2, 3).sum((0, 0)),
        lambda t: ones(t, 2, 3).sum((0, -2))],
    "mean": [lambda t: index(t, 1).mean(), lambda t: ones(t, 2, dtype="bool").mean()],
    "var": [lambda t: index(t, 1, 2).var()],
    "std": [lambda t: index(t, 1, 2).std()],
    "prod": [lambda t: ones(t, 2).prod(3)],
    "cumsum": [lambda t: ones(t, 2).cumsum(1)],
    "softmax": [lambda t: t.softmax(ones(t, 2), 1), lambda t: t.softmax(index(t, 1), 0)],
    "log_softmax": [lambda t: t.log_softmax(index(t, 1), 0)],
    "vector_norm": [lambda t: t.linalg.vector_norm(index(t, 1)), lambda t: t.linalg.norm(index(t, 1))],
    "norm": [lambda t: t.linalg.norm(ones(t, 2, 2), "foe"),
        lambda t: t.linalg.norm(ones(t, 2, 2, 2), "fro"), lambda t: t.norm(ones(t, 2), "what")],
    "amax": [lambda t: ones(t, 0).amax(), lambda t: ones(t, 0, 2).amax(0), lambda t: ones(t, 2).amax(1)],
    "max": [lambda t: ones(t, 0).max(), lambda t: ones(t, 2, 0).max(1), lambda t: ones(t, 2).max(3)],
    "argmax": [lambda t: ones(t, 0).argmax(), lambda t: ones(t, 2, 0).argmax(1),
        lambda t: ones(t, 2, dtype="bool").argmax()],
    "median": [lambda t: ones(t, 2, 0).median(1)],
    "sort": [lambda t: ones(t, 2).sort(1)],
    "topk": [lambda t: ones(t, 2).topk(3), lambda t: ones(t, 2).topk(-1)],
    "bincount": [lambda t: t.bincount(index(t, -1)), lambda t: t.bincount(ones(t, 2)),
        lambda t: t.bincount(ones(t, 2, 2, dtype="int64")), lambda t: t.bincount(index(t, 1, 2), ones(t, 3))],
    "reshape": [lambda t: ones(t, 2, 3).reshape(4), lambda t: ones(t, 2, 3).reshape(-1, -1),
        lambda t: ones(t, 2, 3).reshape(-1, 4), lambda t: ones(t, 2, 0).reshape(-1, 0),
        lambda t: ones(t, 4).reshape(-2, -2), lambda t: ones(t, 2).reshape(2.0)],
    "view": [lambda t: ones(t, 2, 3).t().view(6), lambda t: ones(t, 2, 3).view(5)],
    "flatten": [lambda t: ones(t, 2, 3).flatten(1, 0), lambda t: ones(t, 2).flatten(2)],
    "unflatten": [lambda t: ones(t, 6).unflatten(0, (4, 2)), lambda t: ones(t, 6).unflatten(0, (4, -1)),
        lambda t: ones(t, 6).unflatten(0, (-1, -1))],
    "squeeze": [lambda t: ones(t, 1).squeeze(1), lambda t: ones(t, 1, 1).squeeze((0, 0))],
    "unsqueeze": [lambda t: ones(t, 1).unsqueeze(2)],
    "permute": [lambda t: ones(t, 2, 3).permute(0), lambda t: ones(t, 2, 3).permute(0, 0),
        lambda t: ones(t, 2, 3).permute(0, 2)],
    "transpose": [lambda t: ones(t, 2, 3).transpose(0, 2)],
    "t": [lambda t: ones(t, 2, 3, 4).t()],
    "mT": [lambda t: ones(t, 2).mT],
    "movedim": [lambda t: t.movedim(ones(t, 2, 3), (0, 1), (0,)),
        lambda t: t.movedim(ones(t, 2, 3), (0, 0), (0, 1)), lambda t: t.movedim(ones(t, 2, 3), 0, 2)],
    "broadcast_to": [lambda t: t.broadcast_to(ones(t, 2), (3,)),
        lambda t: t.broadcast_to(ones(t, 2, 2), (2,)), lambda t: ones(t, 2).expand(3)],
    "expand": [lambda t: ones(t, 2, 2).expand(2), lambda t: ones(t, 2).expand(-1, 2)],
    "repeat": [lambda t: ones(t, 2, 2).repeat(2), lambda t: ones(t, 2).repeat(-1)],
    "repeat_interleave": [lambda t: ones(t, 2).repeat_interleave(-1),
        lambda t: ones(t, 2).repeat_interleave(index(t, 1, 2, 3)),
        lambda t: ones(t, 2).repeat_interleave(index(t, 1, -1)),
        lambda t: ones(t, 2).repeat_interleave(ones(t, 2))],
    "meshgrid": [lambda t: t.meshgrid(ones(t, 2, 2), indexing="ij"),
        lambda t: t.meshgrid(ones(t, 2), indexing="no"),
        lambda t: t.meshgrid(ones(t, 2), index(t, 1), indexing="ij")],
    "cat": [lambda t: t.cat([]), lambda t: t.cat([ones(t, 2), ones(t, 2, 2)]),
        lambda t: t.cat([ones(t), ones(t)]), lambda t: t.cat([ones(t, 2, 3), ones(t, 3, 2)]),
        lambda t: t.cat([ones(t, 2)], 1)],
    "stack": [lambda t: t.stack([]), lambda t: t.stack([ones(t, 2), ones(t, 3)]),
        lambda t: t.stack([ones(t, 2)], 2)],
    "narrow": [lambda t: ones(t, 3).narrow(0, 2, 2), lambda t: ones(t, 3).narrow(0, -4, 1),
        lambda t: ones(t, 3).narrow(0, 0, -1), lambda t: ones(t).narrow(0, 0, 1)],
    "select": [lambda t: ones(t).select(0, 0)],
    "getitem": [lambda t: ones(t, 3).select(0, 3), lambda t: ones(t, 3)[3], lambda t: ones(t, 3)[-4],
        lambda t: ones(t, 3)[0, 0], lambda t: ones(t, 3)[index(t, 3)], lambda t: ones(t, 3)[ones(t, 2) > 0],
        lambda t: ones(t, 2, 3)[index(t, 0, 1), index(t, 0, 1, 2)], lambda t: ones(t, 3)["a"],
        lambda t: ones(t, 3)[1.5]],
    "indexing": [lambda t: ones(t, 3)[ones(t, 2)], lambda t: ones(t, 3)[::-1],
        lambda t: ones(t, 3)[t.tensor([1], dtype=t.int8)]],
    "setitem": [lambda t: ones(t, 3).__setitem__(3, 1.0),
        lambda t: ones(t, 3).__setitem__(slice(None), ones(t, 2)),
        lambda t: ones(t, 3).__setitem__(index(t, 0, 5), 1.0)],
    "split": [lambda t: ones(t, 3).split(-1), lambda t: ones(t, 3).split([1, 1]),
        lambda t: ones(t, 3).split([4, -1]), lambda t: ones(t).split(1), lambda t: ones(t, 3).split(0)],
    "chunk": [lambda t: ones(t, 3).chunk(0), lambda t: ones(t).chunk(1)],
    "unbind": [lambda t: ones(t).unbind()],
    "flip": [lambda t: ones(t, 2).flip(1), lambda t: ones(t, 2, 2).flip((0, 0))],
    "roll": [lambda t: ones(t, 2).roll((1, 2)), lambda t: ones(t, 2).roll(1, 1),
        lambda t: ones(t, 2, 2).roll((1, 2), 0)],
    "triangle": [lambda t: ones(t, 2).tril(), lambda t: ones(t, 2).triu()],
    "diagonal": [lambda t: ones(t, 2).diagonal(), lambda t: ones(t, 2, 2).diagonal(0, 1, 1)],
    "diag": [lambda t: t.diag(ones(t, 2, 2, 2)), lambda t: t.diag(ones(t))],
    "index_put": [lambda t: t.index_put(ones(t, 3), (index(t, 3),), ones(t, 1)),
        lambda t: t.index_put(ones(t, 3), (index(t, 0, 1),), ones(t, 3)),
        lambda t: t.index_put(ones(t, 3), (index(t, 0),), ones(t, 1, dtype="float64"))],
    "masked_fill": [lambda t: ones(t, 2).masked_fill(ones(t, 2), 0.0),
        lambda t: ones(t, 2).masked_fill(ones(t, 2) > 0, ones(t, 2))],
    "masked_select": [lambda t: ones(t, 2).masked_select(ones(t, 2))],
    "gather": [lambda t: ones(t, 2).gather(0, index(t, 2)), lambda t: ones(t, 2).gather(0, index(t, -1)),
        lambda t: ones(t, 2).gather(0, ones(t, 2)), lambda t: ones(t, 2, 2).gather(0, index(t, 0)),
        lambda t: ones(t, 2, 2).gather(0, ones(t, 1, 3, dtype="int64")),
        lambda t: ones(t, 2).gather(1, index(t, 0))],
    "take_along_dim": [lambda t: t.take_along_dim(ones(t, 2, 2), index(t, 0), 0)],
    "scatter": [lambda t: ones(t, 2).scatter(0, index(t, 2), 1.0),
        lambda t: ones(t, 2).scatter(0, index(t, 0, 1), ones(t, 1)),
        lambda t: ones(t, 2).scatter(0, index(t, 0), ones(t, 1, dtype="float64"))],
    "scatter_add": [lambda t: ones(t, 2).scatter_add(0, index(t, 5), ones(t, 1)),
        lambda t: ones(t, 2).scatter_add(0, ones(t, 1), ones(t, 1))],
    "index_select": [lambda t: ones(t, 2).index_select(0, index(t, 2)),
        lambda t: ones(t, 2).index_select(0, index(t, -1)),
        lambda t: ones(t, 2).index_select(0, ones(t, 1)),
        lambda t: ones(t, 2).index_select(0, ones(t, 1, 1, dtype="int64"))],
    "index_add": [lambda t: ones(t, 2).index_add(0, index(t, 2), ones(t, 1)),
        lambda t: ones(t, 2).index_add(0, index(t, 0), ones(t, 2)),
        lambda t: ones(t, 2).index_add(0, index(t, 0), ones(t, 1, dtype="float64"))],
    "matmul": [
        lambda t: ones(t, 2, 3) @ ones(t, 2, 3), lambda t: ones(t) @ ones(t, 2),
        lambda t: ones(t, 2) @ ones(t, 3), lambda t: ones(t, 2, 3) @ ones(t, 2),
        lambda t: ones(t, 2) @ ones(t, 3, 2), lambda t: ones(t, 2, 2, 3) @ ones(t, 3, 3, 2),
        lambda t: ones(t, 2, 2) @ ones(t, 2, 2, dtype="float64"),
        lambda t: ones(t, 2, 2, dtype="bool") @ ones(t, 2, 2, dtype="bool"),
        lambda t: t.mm(ones(t, 2, 3), ones(t, 2, 3)), lambda t: t.matmul(ones(t, 2), 3.0),
    ],
    "mm": [lambda t: t.mm(ones(t, 2), ones(t, 2, 2)), lambda t: t.mm(ones(t, 2, 2, 2), ones(t, 2, 2, 2))],
    "bmm": [lambda t: t.bmm(ones(t, 2, 2), ones(t, 2, 2)),
        lambda t: t.bmm(ones(t, 2, 2, 2), ones(t, 3, 2, 2)),
        lambda t: t.bmm(ones(t, 1, 2, 2), ones(t, 3, 2, 2))],
    "mv": [lambda t: t.mv(ones(t, 2, 2), ones(t, 2, 2))],
    "dot": [lambda t: t.dot(ones(t, 2, 2), ones(t, 2))],
    "outer": [lambda t: t.outer(ones(t, 2, 2), ones(t, 2))],
    "addmm": [lambda t: t.addmm(ones(t, 3), ones(t, 2, 2), ones(t, 2, 2)),
        lambda t: t.addmm(ones(t, 3, 2, 2), ones(t, 2, 2), ones(t, 2, 2)),
        lambda t: t.addmm(ones(t, 2, dtype="float64"), ones(t, 2, 2), ones(t, 2, 2))],
    "einsum": [
        lambda t: t.einsum("ij,jk", ones(t, 2, 3)), lambda t: t.einsum("ij", ones(t, 2)),
        lambda t: t.einsum("i", ones(t, 2, 3)), lambda t: t.einsum("i,i", ones(t, 2), ones(t, 3)),
        lambda t: t.einsum("i->j", ones(t, 2)), lambda t: t.einsum("i->ii", ones(t, 2)),
        lambda t: t.einsum("i1", ones(t, 2, 3)), lambda t: t.einsum("ii", ones(t, 2, 3)),
        lambda t: t.einsum("......", ones(t, 2)),
    ],
    "zeros": [lambda t: t.zeros(-1), lambda t: t.zeros((2, -3))],
    "arange": [lambda t: t.arange(0, 5, 0), lambda t: t.arange(0, 5, -1), lambda t: t.arange(5, 0)],
    "linspace": [lambda t: t.linspace(0, 1, -1)],
    "tensor": [lambda t: t.tensor([[1, 2], [3]]), lambda t: t.tensor(["a"]), lambda t: t.tensor("a")],
    "requires_grad": [lambda t: t.tensor([1], requires_grad=True),
        lambda t: t.zeros(2, dtype=t.int64, requires_grad=True)],
    "from_numpy": [lambda t: t.from_numpy([1, 2])],
    "multinomial": [
        lambda t: t.multinomial(ones(t, 2), 3), lambda t: t.multinomial(-ones(t, 2), 1),
        lambda t: t.multinomial(ones(t, 2) * 0, 1), lambda t: t.multinomial(ones(t, 2, 2, 2), 1),
        lambda t: t.multinomial(ones(t, 2), 0), lambda t: t.multinomial(ones(t, 2) / 0, 1),
        lambda t: t.multinomial(index(t, 1, 2), 1),
    ],
    "normal": [lambda t: t.normal(0.0, 1.0), lambda t: t.normal(ones(t, 2), -ones(t, 2))],
}  # fmt: skip

# Where Python itself refuses (an operator without an operand), its message stands.
PYTHON_REFUSES = {"unsupported operand", "not supported between", "can only concatenate"}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, device):
    for number, call in enumerate(REFUSED[name]):
        with pytest.raises(Exception):  # noqa: B017, PT011
            call(torch)
        try:
            call(minillm)
        except (RuntimeError, TypeError, IndexError) as error:
            message = str(error)
        else:
            pytest.fail(f"call {number} of {name} was accepted")
        if any(words in message for words in PYTHON_REFUSES):
            continue
        assert message.startswith(f"{name}: ") or f"{name}" in message.split(":")[0], (number, message)
        assert len(message) > len(name) + 15, (number, message)


def test_refused_although_pytorch_gives_something(device):
    """Results that PyTorch gives and no one can mean."""
    with pytest.raises(RuntimeError, match=r"pow: .*negative powers"):  # PyTorch: 0
        minillm.tensor([2]) ** minillm.tensor([-1])
    with pytest.raises(RuntimeError, match="multinomial: cannot draw 2 different"):  # PyTorch: [0, 1]
        minillm.multinomial(minillm.tensor([1.0, 0.0]), 2)
    with pytest.raises(RuntimeError, match="median: got shape"):  # PyTorch: nan
        minillm.ones(0).median()
