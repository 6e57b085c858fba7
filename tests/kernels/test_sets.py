"""The choice between the sets of kernels."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minillm
from minillm import kernels
from minillm.kernels import cpu, get_kernels, kernels_of, set_kernels


@pytest.fixture(autouse=True)
def _as_before():
    yield
    set_kernels(None)


def test_numpy_by_name():
    set_kernels("numpy")
    assert get_kernels() == "numpy"
    assert kernels_of(np.ones(2)) is cpu


def test_numba_by_name_and_by_default(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.delenv("MINILLM_KERNELS", raising=False)
    for name in ("numba", None):
        set_kernels(name)
        assert get_kernels() == "numba"
    fast = kernels_of(np.ones(2))
    assert fast is kernels.fast
    for name in cpu.__all__:  # its own, or that of the plain set
        assert callable(getattr(fast, name))
    with pytest.raises(AttributeError, match="no_such_kernel"):
        getattr(fast, "no_such_kernel")  # noqa: B009
    with minillm.device("strict"):
        assert kernels_of(minillm.ones(2).array) is cpu


def test_the_environment_chooses(monkeypatch):
    monkeypatch.setenv("MINILLM_KERNELS", "numpy")
    set_kernels(None)
    assert get_kernels() == "numpy"
    monkeypatch.setenv("MINILLM_KERNELS", "cython")
    set_kernels(None)
    with pytest.raises(ValueError, match="MINILLM_KERNELS: got 'cython'; there are 'numpy' and 'numba'"):
        kernels_of(np.ones(2))


def test_unknown_names_are_errors():
    with pytest.raises(ValueError, match="set_kernels: got 'mkl'; there are 'numpy' and 'numba'"):
        set_kernels("mkl")


def test_without_numba_one_line_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)  # importing it fails
    with pytest.warns(UserWarning, match=r"numba cannot be used .* NumPy's kernels are; pip install 'minillm\[fast\]'"):
        set_kernels("numba")
    assert get_kernels() == "numpy"


def test_importing_minillm_does_not_import_numba():
    code = "import sys, minillm; minillm.ones(2); assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))


def test_without_a_folder_for_machine_code_kernels_work_all_the_same(tmp_path):
    pytest.importorskip("numba")
    package = Path(minillm.__file__).parent
    shutil.copytree(package, tmp_path / "minillm", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "minillm" / "kernels" / "fast" / "__pycache__").touch()  # a file: no folder can be made there
    nowhere = dict.fromkeys(("HOME", "USERPROFILE", "XDG_CACHE_HOME", "LOCALAPPDATA"), str(tmp_path / "none" / "x"))
    (tmp_path / "none").touch()
    environment = {**os.environ, **nowhere, "PYTHONDONTWRITEBYTECODE": "1", "MINILLM_KERNELS": "numba"}
    environment.pop("NUMBA_CACHE_DIR", None)
    code = """
import minillm, numba
y = minillm.nn.functional.silu(minillm.tensor([0.0, 100.0])).tolist()
assert y == [0.0, 100.0] and minillm.get_kernels() == "numba", y
print(minillm.__file__, numba.config.CACHE_DIR)
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    where, folder = run.stdout.split()
    assert where.startswith(str(tmp_path))
    assert "minillm-kernels-" in folder
    assert not Path(folder).exists()  # it goes with the process


def test_numba_gets_a_folder_for_a_while_and_other_errors_pass(monkeypatch):
    numba = pytest.importorskip("numba")
    fast, real = kernels.fast, importlib.import_module
    errors = [RuntimeError("cannot cache function '_silu': no locator available")]

    def import_module(name):
        if errors and name.endswith("activation"):
            raise errors.pop()
        return real(name)

    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(importlib, "import_module", import_module)
    assert fast._import("activation").silu is fast.silu
    assert "minillm-kernels-" in numba.config.CACHE_DIR
    errors.append(RuntimeError("something else"))
    with pytest.raises(RuntimeError, match="something else"):
        fast._import("activation")
