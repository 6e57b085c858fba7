"""No public name is missing from the table of cases, no Function unreached, and signatures are PyTorch's."""

from __future__ import annotations

import inspect

import pytest

import minillm
from minillm import nn, optim
from minillm.autograd import Function
from minillm.nn import functional
from minillm.testing.cases import FAMILIES, cases_of, names
from minillm.testing.derivatives import results_of

NAMES = set(names())

# Public names without a case, and why.
NO_CASE = {
    # the classes themselves, and what is no operation
    "Tensor", "Parameter", "linalg", "nn.functional", "nn.init", "nn.utils",
    # bases of others: they compute nothing alone
    "nn.RNNBase", "nn.RNNCellBase", "optim.Optimizer", "optim.lr_scheduler.LRScheduler", "optim.lr_scheduler",
    # warm-ups of transformers, not of PyTorch: compared with transformers in tests/optim/test_lr_scheduler.py
    *(f"optim.lr_scheduler.{name}" for name in optim.lr_scheduler.__all__ if name.startswith("get_")),
    "nn.utils.rnn", "nn.utils.rnn.PackedSequence",
    # minillm's own, not PyTorch's: tested where they are
    "nn.QuantizedLinear", "nn.functional.linear_gelu", "nn.init.skipped",
}  # fmt: skip
# Functions of modules that are minillm's own.
OWN = {"LinearGelu", "PassThrough", "QuantizedProduct"}
# Members of tensors that both libraries have, without a case, and why.
NO_MEMBER_CASE = {
    "cuda",  # needs a GPU
    "device", "dtype",  # objects of each library
    "retain_grad", "data",
}  # fmt: skip


def test_every_operation_has_cases():
    offered = set(minillm.ops.__all__) | {f"linalg.{name}" for name in ("norm", "vector_norm")}
    assert offered - NAMES - NO_CASE == set()


@pytest.mark.parametrize(
    ("module", "prefix"),
    [(functional, "nn.functional"), (nn, "nn"), (nn.utils, "nn.utils"), (optim, "optim"),
     (optim.lr_scheduler, "optim.lr_scheduler")],
)  # fmt: skip
def test_every_name_of_a_module_has_cases(module, prefix):
    assert {f"{prefix}.{name}" for name in module.__all__} - NAMES - NO_CASE == set()


@pytest.mark.parametrize(("module", "prefix"), [(nn.init, "nn.init"), (nn.utils.rnn, "nn.utils.rnn")])
def test_every_public_function_has_cases(module, prefix):
    public = {
        f"{prefix}.{name}"
        for name, value in vars(module).items()
        if not name.startswith("_") and inspect.isfunction(value) and value.__module__ == module.__name__
    }
    assert public - NAMES - NO_CASE == set()


def test_every_member_of_tensors_that_pytorch_has_has_cases():
    torch = pytest.importorskip("torch")
    members = {n for n in dir(minillm.Tensor) if not n.startswith("_") and hasattr(torch.Tensor, n)}
    as_functions = {name for family in FAMILIES.values() for name in family}
    missing = {n for n in members if f"Tensor.{n}" not in NAMES and n not in as_functions}
    assert missing - NO_MEMBER_CASE == set()


def test_methods_call_their_arguments_as_pytorch_does():
    torch = pytest.importorskip("torch")
    compared = 0
    for name in sorted(n for n in dir(minillm.Tensor) if not n.startswith("__") and hasattr(torch.Tensor, n)):
        try:
            ours, theirs = (
                list(inspect.signature(getattr(cls, name)).parameters)[1:] for cls in (minillm.Tensor, torch.Tensor)
            )
        except (ValueError, TypeError):  # of C++, or a property
            continue
        if theirs[:1] != ["args"]:
            assert ours == theirs, name
            compared += 1
    assert compared > 3


def test_nothing_in_the_table_is_unknown():
    for name in names():
        if name.startswith("Tensor.") or name in ("cast", "repeat"):  # a method alone
            continue
        found = minillm
        for part in name.split("."):
            found = getattr(found, part)


def subclasses(cls: type) -> set[type]:
    return {cls}.union(*map(subclasses, cls.__subclasses__()))


def test_every_function_is_reached_by_the_table(monkeypatch):
    """Each class runs forward, and backward where it has a derivative."""
    classes = [
        c for c in subclasses(Function) if c.__module__.startswith(("minillm.ops",
            "minillm.nn")) and "forward" in vars(c)
    ]
    seen: set[tuple[type, str]] = set()

    def watch(cls, method):
        original = getattr(cls, method)

        def run(self, *args):
            seen.add((cls, method))
            return original(self, *args)

        monkeypatch.setattr(cls, method, run)

    for cls in classes:
        watch(cls, "forward")
        if cls.differentiable and "backward" in vars(cls):
            watch(cls, "backward")
    for case in (case for name in names() for case in cases_of(name)[:40]):
        results_of(case.prepare(minillm, case.draw()), case.order)
    minillm.ones(2, requires_grad=True).to("strict").sum().backward()
    minillm.ones(2).view("int32")
    minillm.ones(2, 3, requires_grad=True).t().contiguous().sum().backward()
    missing = [
        f"{cls.__name__}.{method}"
        for cls in classes
        for method in ("forward", "backward")
        if cls.__name__ not in OWN
        and method in vars(cls)
        and (cls, method) not in seen
        and (method == "forward" or cls.differentiable)
    ]
    assert missing == []


# -- signatures -------------------------------------------------------------------------------------

# PyTorch's functions of C++ show no signature to Python; these are those of its documentation.
WRITTEN = {
    "add": "input, other, *, alpha=1", "sub": "input, other, *, alpha=1", "mul": "input, other",
    "div": "input, other, *, rounding_mode=None", "true_divide": "input, other", "pow": "input, exponent",
    "clamp": "input, min=None, max=None", "clamp_min": "input, min", "clamp_max": "input, max",
    "maximum": "input, other", "minimum": "input, other", "where": "condition, input, other",
    "lerp": "input, end, weight", "remainder": "input, other", "round": "input, *, decimals=0",
    "matmul": "input, other", "mm": "input, mat2", "bmm": "input, mat2", "mv": "input, vec", "dot": "input, tensor",
    "addmm": "input, mat1, mat2, *, beta=1, alpha=1", "outer": "input, vec2",
    "sum": "input, dim=None, keepdim=False, *, dtype=None", "mean": "input, dim=None, keepdim=False, *, dtype=None",
    "amax": "input, dim=(), keepdim=False", "amin": "input, dim=(), keepdim=False",
    "cumsum": "input, dim, *, dtype=None",
    "logsumexp": "input, dim, keepdim=False", "softmax": "input, dim, dtype=None",
    "log_softmax": "input, dim, dtype=None",
    "nansum": "input, dim=None, keepdim=False, *, dtype=None", "count_nonzero": "input, dim=None",
    "argmax": "input, dim=None, keepdim=False", "argmin": "input, dim=None, keepdim=False",
    "topk": "input, k, dim=-1, largest=True, sorted=True", "bincount": "input, weights=None, minlength=0",
    "argsort": "input, dim=-1, descending=False", "gather": "input, dim, index",
    "scatter_add": "input, dim, index, src",
    "index_select": "input, dim, index", "index_add": "input, dim, index, source, *, alpha=1",
    "take_along_dim": "input, indices, dim=None", "masked_fill": "input, mask, value", "masked_select": "input, mask",
    "select": "input, dim, index", "narrow": "input, dim, start, length", "reshape": "input, shape",
    "flatten": "input, start_dim=0, end_dim=-1", "unflatten": "input, dim, sizes", "unsqueeze": "input, dim",
    "transpose": "input, dim0, dim1", "t": "input", "movedim": "input, source, destination",
    "broadcast_to": "input, shape",
    "tile": "input, dims", "cat": "tensors, dim=0", "stack": "tensors, dim=0", "chunk": "input, chunks, dim=0",
    "unbind": "input, dim=0", "flip": "input, dims", "roll": "input, shifts, dims=None", "tril": "input, diagonal=0",
    "triu": "input, diagonal=0", "diagonal": "input, offset=0, dim1=0, dim2=1", "diag": "input, diagonal=0",
    "isclose": "input, other, rtol=1e-05, atol=1e-08, equal_nan=False",
    "multinomial": "input, num_samples, replacement=False",
    "linalg.vector_norm": "x, ord=2, dim=None, keepdim=False, *, dtype=None",
    **dict.fromkeys(["eq", "ne", "lt", "gt", "le", "ge", "logical_and", "logical_or", "logical_xor"], "input, other"),
    **dict.fromkeys(
        ["neg", "abs", "exp", "log", "log2", "log1p", "expm1", "sqrt", "rsqrt", "square", "reciprocal", "sin", "cos",
         "tanh", "sigmoid", "erf", "sign", "floor", "ceil", "trunc", "isnan", "isfinite", "isinf", "logical_not",
         "relu"],
        "input"),
    "nn.functional.max_pool1d":
        "input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False",
    "nn.functional.max_pool2d":
        "input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False",
    **{f"nn.{name}": "input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, "
       f"bidirectional=False, {more}device=None, dtype=None" for name,
       more in (("GRU", ""), ("LSTM", "proj_size=0, "))},
    "nn.RNN": "input_size, hidden_size, num_layers=1, nonlinearity='tanh', bias=True, batch_first=False, dropout=0.0, "
        "bidirectional=False, device=None, dtype=None",
}  # fmt: skip

# Where ours differ from PyTorch's, and why.
OTHER_SIGNATURES = {
    "nn.functional.multi_head_attention_forward",  # one more argument at the end, batch_first
    "nn.functional.normalize",  # no out=
    "nn.Module", "nn.Parameter",  # data=() stands for no data
}  # fmt: skip


def parameters(signature: inspect.Signature) -> list[tuple[str, str, object]]:
    """Names, kinds and defaults; functions as defaults only by being there."""
    return [(p.name, p.kind.name, "a function" if callable(p.default) and p.default is not p.empty else p.default)
            for p in signature.parameters.values()]  # fmt: skip


def named(library, name):
    for part in name.split("."):
        library = getattr(library, part)
    return library


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_signatures_are_those_of_the_documentation(name):
    parts = [part.strip() for part in WRITTEN[name].split(", ")]
    ours = inspect.signature(named(minillm, name)).parameters
    wanted = [part.partition("=")[0] for part in parts if part != "*"]
    got = [p for p in ours if p not in ("axis", "keepdims")]
    assert got[: len(wanted)] == wanted
    for part in parts:
        key, _, default = part.partition("=")
        if default and default not in ("()", "None"):
            assert str(ours[key].default) == default.strip("'"), key


@pytest.mark.parametrize("name", sorted(n for n in NAMES if n.startswith(("nn.", "optim.")) and n not in WRITTEN))
def test_signatures_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch")
    if name in OTHER_SIGNATURES:
        return
    try:
        theirs = inspect.signature(named(torch, name))
    except ValueError:  # of C++
        pytest.skip("PyTorch shows no signature")
    if [p.kind for p in theirs.parameters.values()] == [inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.VAR_KEYWORD]:
        return
    assert parameters(inspect.signature(named(minillm, name))) == parameters(theirs)
