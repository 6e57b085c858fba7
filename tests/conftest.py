"""Settings and fixtures for the whole suite."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# Before anything imports minillm or Matplotlib. Worker processes and subprocesses inherit it.
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
if DATA.is_dir():
    os.environ.setdefault("MINILLM_DATA", str(DATA))
os.environ.setdefault("MPLBACKEND", "Agg")

# On a shared machine a slow example is no failure. A run of CI can be repeated: same examples.
hypothesis.settings.register_profile(
    "minillm",
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("minillm")


def version_of(module: str) -> str | None:
    """The version of an installed library, None where it is missing or does not start."""
    try:
        return str(importlib.import_module(module).__version__)
    except ImportError:
        return None


def pytest_report_header() -> list[str]:
    """Say at the top what these tests can compare with, and what will therefore skip."""
    found = {name: version_of(name) for name in ("numpy", "numba", "torch", "transformers", "cupy")}
    lines = ["with " + ", ".join(f"{name} {version}" for name, version in found.items() if version)]
    if not found["torch"]:
        lines.append("without PyTorch: the comparisons with it skip (extra: test)")
    if not os.environ.get("MINILLM_DATA"):
        lines.append("without MINILLM_DATA: the tests that read data sets skip")
    return lines


def missing_gpu() -> str | None:
    """Why tests marked gpu cannot run here, None where they can."""
    try:
        import cupy
    except ImportError:
        return "needs CuPy (extra: cuda)"
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"needs a CUDA device ({error})"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("gpu")]
    reason = missing_gpu() if marked else None
    if reason:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(params=["cpu", "strict", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test on each device in turn: new tensors are made there; gives its name."""
    import minillm

    with minillm.device(request.param):
        yield request.param


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of data sets that MINILLM_DATA names; skips the test where there is none."""
    folder = os.environ.get("MINILLM_DATA")
    if not folder:
        pytest.skip("needs data sets: set MINILLM_DATA to their folder")
    path = Path(folder)
    assert path.is_dir(), f"MINILLM_DATA={folder} is no folder"
    return path
