"""Benchmarks switch kernels and threads; each test leaves them as they were."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import minillm


@pytest.fixture(autouse=True)
def _threads_and_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    torch = pytest.importorskip("torch", reason="needs PyTorch, which is what the benchmarks compare with")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    kernels, threads = minillm.get_kernels(), torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    minillm.set_kernels(kernels)
    torch.set_num_threads(threads)
