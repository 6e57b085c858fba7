"""Imports go down the floors only, and a few words stay out of minillm altogether.

The checks read the syntax trees of minillm/**/*.py; nothing is imported. An import inside a
function counts like one at the top of the file. One under ``if TYPE_CHECKING:`` never runs and is
exempt.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

MINILLM = Path(__file__).resolve().parents[1] / "minillm"

# A module may import from its own floor and from those below. What knows no tensors, or only
# Tensor, stands beside the house, half a floor above ops. The faces see everything.
BESIDE = 4.5
FACE = 9
FLOORS: dict[str, float] = {
    "backend": 1,
    "kernels": 2,
    "autograd": 3,
    "ops": 4,
    "tokenizers": BESIDE,
    "data": BESIDE,
    "metrics": BESIDE,
    "viz": BESIDE,
    "nn": 5,
    "optim": 5,
    "models": 6,
    "interop": 6,
    "training": 7,
    "inference": 7,
    "serve": 8,
    "cli": FACE,  # minillm parity runs minillm.testing
    "__main__": FACE,
    "testing": FACE,  # calls minillm by its public names, as it calls PyTorch
    "": FACE,  # minillm itself
    "cuda": FACE,
    "transformers": FACE,
    "keras": FACE,
    "utils": FACE,
}

ARRAY_LIBRARIES = {"cupy", "cupyx", "numba"}
ARRAY_FOLDERS = {"backend", "kernels"}
UNSAFE_MODULES = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
UNSAFE_CALLS = {"eval", "exec"}
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
# As in `from torch.utils.data import ...`.
UTILS_FACE = {"minillm.utils", "minillm.utils.checkpoint", "minillm.utils.data", "minillm.keras.utils"}
NN_UTILS = "minillm.nn.utils"  # a name of PyTorch's: torch.nn.utils.clip_grad_norm_


class Import(NamedTuple):
    line: int
    module: str


def is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def nodes_that_run(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes of a tree except those under ``if TYPE_CHECKING:``."""
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, ast.If) and is_type_checking(node.test):
            stack.extend(node.orelse)
        else:
            stack.extend(ast.iter_child_nodes(node))


def absolute(name: str, level: int, package: str) -> str:
    """`from ..ops import x` in the package minillm.nn -> minillm.ops."""
    if level == 0:
        return name
    base = package.split(".")[: len(package.split(".")) - level + 1]
    return ".".join([*base, name] if name else base)


def name_of_call(node: ast.Call) -> str:
    """`import_module` for both import_module(...) and importlib.import_module(...)."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def imports_of(tree: ast.AST, package: str, modules: set[str]) -> Iterator[Import]:
    """The modules that a file of `package` imports; `modules` are those of the tree it is in."""
    for node in nodes_that_run(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node.module or "", node.level, package)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield Import(node.lineno, inner if inner in modules else base)
        elif isinstance(node, ast.Call) and name_of_call(node) in {"import_module", "__import__"}:
            match node.args:
                case [ast.Constant(value=str(name)), *_]:
                    stem = name.lstrip(".")
                    yield Import(node.lineno, absolute(stem, len(name) - len(stem), package))


def top_of(module: str) -> str:
    """minillm.nn.lstm -> nn; minillm -> the empty string."""
    return module.partition(".")[2].partition(".")[0]


def check_import(module: str, target: str) -> str | None:
    """What is wrong with `module` importing `target`, if anything."""
    library = target.partition(".")[0]
    if library == "minillm":
        here, there = FLOORS.get(top_of(module)), FLOORS.get(top_of(target))
        if there is None:
            return f"imports {target}, which has no floor in FLOORS"
        if here is not None and there > here:
            return f"imports {target} (floor {there:g}) from floor {here:g}: imports go down only"
    if library in ARRAY_LIBRARIES and top_of(module) not in ARRAY_FOLDERS:
        return f"imports {target}: only backend/ and kernels/ may"
    if library in UNSAFE_MODULES:
        return f"imports {target}: files that others made are never unpickled"
    return None


def check_words(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """eval and exec in any use, and arrays loaded or saved with pickle."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=word) | ast.Attribute(value=ast.Name(id="builtins"), attr=word):
                if word in UNSAFE_CALLS:
                    yield node.lineno, f"uses {word}"
            case ast.keyword(arg="allow_pickle", value=value):
                if not (isinstance(value, ast.Constant) and value.value is False):
                    yield value.lineno, "uses allow_pickle"


def check_name(module: str) -> str | None:
    if top_of(module) not in FLOORS:
        return "has no floor in FLOORS: give it one there and in the map of the folders"
    if module in UTILS_FACE or module == NN_UTILS:
        return None
    if EMPTY_NAMES.intersection(module.removeprefix(f"{NN_UTILS}.").split(".")):
        return "has a name that says nothing: name a file after the one idea it holds"
    return None


def modules_under(root: Path) -> dict[str, Path]:
    """{"minillm.nn": .../nn/__init__.py, "minillm.nn.lstm": .../nn/lstm.py, ...}"""
    modules = {}
    for path in sorted(root.rglob("*.py")):
        parts = ["minillm", *path.relative_to(root).with_suffix("").parts]
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def violations(root: Path) -> list[str]:
    """Every breach of the rules under the package folder `root`, as `path:line: what`."""
    found = []
    modules = modules_under(root)
    for module, path in modules.items():
        in_file = []
        if message := check_name(module):
            in_file.append((1, message))
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for line, target in imports_of(tree, package, set(modules)):
            if message := check_import(module, target):
                in_file.append((line, message))
        in_file.extend(check_words(tree))
        where = path.relative_to(root.parent)
        found += [f"{where}:{line}: {message}" for line, message in sorted(in_file)]
    return found


def test_minillm_keeps_its_floors():
    assert modules_under(MINILLM), f"no modules under {MINILLM}"
    assert violations(MINILLM) == []


# The checks themselves, on small trees: one file with the source given, and the modules it names.
def check_one(root: Path, path: str, source: str) -> list[str]:
    files = {
        "__init__.py": "def tensor(): ...",
        "backend/__init__.py": "",
        "autograd/tensor.py": "",
        "ops/__init__.py": "",
        "ops/matmul.py": "",
        "nn/__init__.py": "",
        "training/trainer.py": "",
        "tokenizers/bpe.py": "",
        path: source,
    }
    for name, text in files.items():
        file = root / "minillm" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return violations(root / "minillm")


@pytest.mark.parametrize(
    ("path", "source", "message"),
    [
        ("ops/a.py", "import minillm.nn", "minillm.nn (floor 5) from floor 4"),
        ("ops/a.py", "import minillm.nn.lstm as lstm", "minillm.nn.lstm (floor 5) from floor 4"),
        ("ops/a.py", "from minillm import nn", "minillm.nn (floor 5) from floor 4"),
        ("ops/a.py", "from minillm.nn import Module", "minillm.nn (floor 5) from floor 4"),
        ("ops/a.py", "from ..nn import Module", "minillm.nn (floor 5) from floor 4"),
        ("ops/a.py", "from .. import nn", "minillm.nn (floor 5) from floor 4"),
        ("ops/__init__.py", "from ..nn import Module", "minillm.nn (floor 5) from floor 4"),
        ("ops/deep/__init__.py", "from ...nn import Module", "minillm.nn (floor 5)"),
        ("ops/a.py", "def f():\n    import minillm.nn", "a.py:2: imports minillm.nn"),
        ("ops/a.py", "try:\n    import minillm.nn\nexcept ImportError: ...", "minillm.nn"),
        ("ops/a.py", "import importlib\nimportlib.import_module('minillm.nn')", "minillm.nn"),
        ("ops/a.py", "import_module('..nn', __package__)", "imports minillm.nn"),
        ("ops/a.py", "__import__('minillm.nn')", "imports minillm.nn"),
        ("ops/a.py", "if TYPE_CHECKING:\n    pass\nelse:\n    import minillm.nn", "minillm.nn"),
        ("ops/a.py", "import minillm", "minillm (floor 9) from floor 4"),
        ("ops/a.py", "from minillm import tensor", "minillm (floor 9) from floor 4"),
        ("ops/a.py", "from ..tokenizers import bpe", "minillm.tokenizers.bpe (floor 4.5)"),
        ("backend/a.py", "from ..autograd.tensor import Tensor", "(floor 3) from floor 1"),
        ("data/a.py", "from minillm.nn import Module", "minillm.nn (floor 5) from floor 4.5"),
        ("training/a.py", "from minillm.cli import main", "minillm.cli (floor 9) from floor 7"),
        ("training/a.py", "from minillm.testing import gradcheck", "(floor 9) from floor 7"),
        ("serve/a.py", "from minillm import transformers", "minillm (floor 9) from floor 8"),
        ("ops/a.py", "import minillm.attic", "minillm.attic, which has no floor"),
        ("attic/a.py", "", "has no floor"),
        ("nn/a.py", "import cupy", "imports cupy: only backend/ and kernels/ may"),
        ("nn/a.py", "from cupyx.scipy import special", "imports cupyx.scipy: only"),
        ("training/a.py", "def f():\n    from numba import njit", "a.py:2: imports numba: only"),
        ("__init__.py", "import numba", "minillm/__init__.py:1: imports numba: only"),
        ("nn/a.py", "import pickle", "imports pickle"),
        ("nn/a.py", "from marshal import loads", "imports marshal"),
        ("nn/a.py", "x = eval('1')", "uses eval"),
        ("nn/a.py", "exec('x = 1')", "uses exec"),
        ("nn/a.py", "run = exec", "uses exec"),
        ("nn/a.py", "import builtins\nbuiltins.eval('1')", "uses eval"),
        ("nn/a.py", "np.load(path, allow_pickle=True)", "uses allow_pickle"),
        ("models/utils.py", "", "a name that says nothing"),
        ("nn/utils/misc.py", "", "a name that says nothing"),
        ("training/helpers/a.py", "", "a name that says nothing"),
        ("utils/misc.py", "", "a name that says nothing"),
    ],
)
def test_a_breach_is_found(tmp_path, path, source, message):
    found = check_one(tmp_path, path, source)
    assert len(found) == 1, found
    assert message in found[0]
    assert found[0].startswith(f"minillm/{path}:")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("nn/lstm.py", "from minillm.ops import matmul"),
        ("nn/lstm.py", "from . import Module"),
        ("nn/lstm.py", "from ..tokenizers import bpe"),
        ("nn/lstm.py", "from minillm.optim import SGD"),
        ("ops/a.py", "from .matmul import matmul"),
        ("ops/a.py", "from __future__ import annotations\nimport numpy as np, math"),
        ("ops/a.py", "if TYPE_CHECKING:\n    from minillm.nn import Module"),
        ("ops/a.py", "if typing.TYPE_CHECKING:\n    import minillm"),
        ("data/a.py", "from minillm.tokenizers.bpe import train"),
        ("data/a.py", "from minillm.ops import matmul"),
        ("models/gpt2.py", "from minillm.interop import load"),
        ("__init__.py", "from minillm.training import trainer\nfrom .ops import matmul"),
        ("testing.py", "import minillm.serve"),
        ("keras/__init__.py", "import minillm\nfrom ..training import trainer"),
        ("utils/data.py", "from minillm.data import DataLoader"),
        ("nn/utils/__init__.py", "from minillm.nn.utils.clip_grad import clip_grad_norm_"),
        ("nn/utils/clip_grad.py", "from minillm.ops import Tensor"),
        ("backend/a.py", "import cupy"),
        ("kernels/fast/a.py", "from numba import njit"),
        ("nn/a.py", "model.eval()\nclass M:\n    def eval(self): ..."),
        ("nn/a.py", "np.load(path, allow_pickle=False)"),
        ("nn/a.py", "import_module(name)"),
    ],
)
def test_what_is_allowed_passes(tmp_path, path, source):
    assert check_one(tmp_path, path, source) == []
