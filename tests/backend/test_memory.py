from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from typing import Any

import pytest

from minillm.backend import memory

# Counts the page faults of a chain of 6 MB temporaries after a warm-up.
CHAIN = """
import resource
import numpy as np
import minillm.backend

def chain():
    x, kept = np.ones(1_500_000, "float32"), []
    for _ in range(10):
        x = x * 1.01
        kept.append(x)

for _ in range(3):
    chain()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    chain()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environment: str) -> int:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MALLOC_") and name not in ("GLIBC_TUNABLES", "MINILLM_MALLOPT")
    }
    done = subprocess.run(
        [sys.executable, "-c", CHAIN],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(not memory._on_glibc(), reason="mallopt is glibc's")
def test_temporaries_reuse_warm_pages() -> None:
    kept, default = faults(), faults(MINILLM_MALLOPT="0")
    assert default > 1000
    assert kept < default / 10


def test_environment_turns_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    for value, wanted in (("1", True), ("", True), ("0", False), (" Off ", False), ("no", False)):
        monkeypatch.setenv("MINILLM_MALLOPT", value)
        assert memory._wanted() is wanted
    monkeypatch.delenv("MINILLM_MALLOPT")
    assert memory._wanted()
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    assert not memory._wanted()
    assert not memory.keep_freed_memory()
    monkeypatch.delenv("MALLOC_ARENA_MAX")
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.mmap_max=0")
    assert not memory._wanted()


class NoMallopt:
    def __init__(self, name: None) -> None:
        pass


def no_library(name: None) -> Any:
    raise OSError("no C library")


@pytest.mark.parametrize("library", [NoMallopt, no_library])
def test_a_library_without_mallopt_is_no_error(
    monkeypatch: pytest.MonkeyPatch, library: Any
) -> None:
    monkeypatch.setattr(memory, "_on_glibc", lambda: True)
    monkeypatch.setattr(memory, "_wanted", lambda: True)
    monkeypatch.setattr(ctypes, "CDLL", library)
    assert memory.keep_freed_memory() is False


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_other_platforms_are_left_alone(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", no_library)
    assert memory.keep_freed_memory() is False


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def confstr(name: str) -> str:
        raise ValueError("unrecognized configuration name")  # as on musl

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "confstr", confstr)
    assert memory.keep_freed_memory() is False


def test_older_glibc_gets_the_threshold_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class Library:
        def __init__(self, name: None) -> None:
            pass

        def mallopt(self, parameter: int, value: int) -> int:
            calls.append((parameter, value))
            return int(not (parameter == -3 and value > 2**25))

    monkeypatch.setattr(memory, "_on_glibc", lambda: True)
    monkeypatch.setattr(memory, "_wanted", lambda: True)
    monkeypatch.setattr(ctypes, "CDLL", Library)
    assert memory.keep_freed_memory() is True
    assert calls == [(-3, 2**30), (-3, 2**25), (-1, 2**31 - 1), (-8, 1)]
