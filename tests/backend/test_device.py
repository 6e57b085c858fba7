from __future__ import annotations

import copy
import pickle
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minillm.backend import (
    Device,
    device_of,
    get_default_device,
    is_array,
    is_available,
    same_device,
    set_default_device,
    synchronize,
    to_device,
    to_numpy,
    xp_for,
    xp_of,
)
from minillm.backend import device as device_module
from minillm.backend.strict import StrictArray, strict_xp


@pytest.fixture(autouse=True)
def fresh_default(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts as a new process does, whatever the default device of this run is."""
    monkeypatch.setattr(device_module, "_process_default", None)
    monkeypatch.delenv("MINILLM_DEVICE", raising=False)
    yield
    assert device_module._thread.blocks == []


class FakeCupy(types.ModuleType):
    """As much of CuPy as `device.py` calls, on a machine with any number of GPUs."""

    class ndarray:
        def __init__(self, host: np.ndarray[Any, Any], index: int) -> None:
            self.host = host
            self.device = types.SimpleNamespace(id=index)

        def get(self) -> np.ndarray[Any, Any]:
            return self.host.copy()

    def __init__(self, gpus: int) -> None:
        super().__init__("cupy")
        self.current = [0]
        self.synchronized: list[int] = []
        fake = self

        class CudaDevice:
            def __init__(self, index: int) -> None:
                self.id = index

            def __enter__(self) -> None:
                fake.current.append(self.id)

            def __exit__(self, *exception: object) -> None:
                fake.current.pop()

            def use(self) -> None:
                fake.current[-1] = self.id

            def synchronize(self) -> None:
                fake.synchronized.append(self.id)

        self.cuda = types.SimpleNamespace(
            is_available=lambda: gpus > 0,
            runtime=types.SimpleNamespace(getDeviceCount=lambda: gpus),
            Device=CudaDevice,
        )

    def asarray(self, array: Any) -> Any:
        host = array.host if isinstance(array, FakeCupy.ndarray) else np.asarray(array)
        return FakeCupy.ndarray(host.copy(), self.current[-1])


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> FakeCupy:
    cupy = FakeCupy(gpus=2)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return cupy


@pytest.fixture
def no_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)  # type: ignore[arg-type]


# Device values


@pytest.mark.parametrize(
    ("made", "text", "kind", "index"),
    [
        (Device("cpu"), "cpu", "cpu", None),
        (Device(), "cpu", "cpu", None),
        (Device("cpu:0"), "cpu", "cpu", None),
        (Device("strict"), "strict", "strict", None),
        (Device("cuda"), "cuda:0", "cuda", 0),
        (Device("cuda:0"), "cuda:0", "cuda", 0),
        (Device("cuda:12"), "cuda:12", "cuda", 12),
        (Device("cuda", 1), "cuda:1", "cuda", 1),
        (Device(type="cuda", index=1), "cuda:1", "cuda", 1),
        (Device(Device("cuda:3")), "cuda:3", "cuda", 3),
    ],
)
def test_device_parses_names(made: Device, text: str, kind: str, index: int | None) -> None:
    assert (str(made), made.type, made.index) == (text, kind, index)
    assert repr(made) == f"device('{text}')"
    assert made == Device(text)
    assert hash(made) == hash(Device(text))
    assert pickle.loads(pickle.dumps(made)) == made
    assert copy.deepcopy(made) == made


def test_devices_differ_from_each_other_and_from_strings() -> None:
    devices = [Device("cpu"), Device("strict"), Device("cuda:0"), Device("cuda:1")]
    assert len(set(devices)) == 4
    assert Device("cpu") != "cpu"  # as in PyTorch


@pytest.mark.parametrize("name", ["gpu", "", "cuda:", "cuda:-1", "cuda:x", "CPU", "cpu:1", "cuda 1"])
def test_device_refuses_unknown_names(name: str) -> None:
    with pytest.raises(ValueError, match="device:"):
        Device(name)


def test_device_refuses_wrong_arguments() -> None:
    with pytest.raises(TypeError, match="got 0 of type int, needs a device or one of 'cpu'"):
        Device(0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has its index already"):
        Device("cuda:1", 1)
    with pytest.raises(ValueError, match="has its index already"):
        Device(Device("cuda:1"), 1)
    with pytest.raises(ValueError, match="counts from 0, got -1"):
        Device("cuda", -1)
    with pytest.raises(ValueError, match="there is one cpu"):
        Device("cpu", 1)


def test_a_device_cannot_be_changed() -> None:
    device = Device("cuda:1")
    with pytest.raises(AttributeError, match="cannot be changed"):
        device.index = 2
    with pytest.raises(AttributeError, match="cannot be changed"):
        del device.type
    with pytest.raises(AttributeError):
        device.other = 1  # type: ignore[attr-defined]


# The default device


def test_default_is_the_cpu() -> None:
    assert get_default_device() == Device("cpu")
    assert xp_for() is np


def test_set_default_device_holds_in_all_threads() -> None:
    set_default_device("strict")
    found = []
    thread = threading.Thread(target=lambda: found.append(get_default_device()))
    thread.start()
    thread.join()
    assert found == [Device("strict")]
    assert xp_for() is strict_xp


def test_block_holds_in_its_thread_alone_and_nests() -> None:
    strict, found = Device("strict"), []
    with strict as entered:
        assert entered is strict
        with Device("cpu"):
            assert get_default_device() == Device("cpu")
            with strict:  # the same object again
                assert get_default_device() is strict
            assert get_default_device() == Device("cpu")
        thread = threading.Thread(target=lambda: found.append(get_default_device()))
        thread.start()
        thread.join()
    assert found == [Device("cpu")]
    assert get_default_device() == Device("cpu")


def test_block_ends_after_an_error() -> None:
    with pytest.raises(KeyError), Device("strict"):
        raise KeyError
    assert get_default_device() == Device("cpu")


def test_environment_names_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINILLM_DEVICE", " strict ")
    assert get_default_device() == Device("strict")
    monkeypatch.setenv("MINILLM_DEVICE", "cpu")  # read once
    assert get_default_device() == Device("strict")


def test_empty_environment_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINILLM_DEVICE", "")
    assert get_default_device() == Device("cpu")


def test_wrong_environment_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINILLM_DEVICE", "tpu")
    with pytest.raises(ValueError, match=r"MINILLM_DEVICE is 'tpu': .*unknown device"):
        get_default_device()
    with pytest.raises(ValueError, match="MINILLM_DEVICE"):  # every time, not only the first
        get_default_device()


def test_environment_without_gpu_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, no_cupy: None
) -> None:
    monkeypatch.setenv("MINILLM_DEVICE", "cuda")
    with pytest.raises(RuntimeError, match=r"MINILLM_DEVICE is 'cuda': .*pip install"):
        get_default_device()


# CUDA devices


def test_cuda_without_cupy_says_what_to_install(no_cupy: None) -> None:
    assert not is_available("cuda")
    for use in (
        lambda: xp_for("cuda"),
        lambda: set_default_device("cuda"),
        lambda: to_device(np.ones(2), "cuda:0"),
        lambda: synchronize("cuda"),
        Device("cuda").__enter__,
    ):
        with pytest.raises(RuntimeError, match=r'not installed: pip install "minillm\[cuda\]"'):
            use()
    assert get_default_device() == Device("cpu")


def test_cuda_with_a_cupy_that_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "cupy.py").write_text("raise ImportError('libcudart.so is missing')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    with pytest.raises(RuntimeError, match=r"cannot be imported: libcudart\.so is missing"):
        xp_for("cuda")


def test_cuda_without_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy(gpus=0))
    assert not is_available("cuda")
    with pytest.raises(RuntimeError, match="CuPy is installed but finds no GPU"):
        xp_for("cuda")


def test_cuda_index_out_of_range(two_gpus: FakeCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_available("cuda")
    assert is_available("cuda:1")
    assert not is_available("cuda:2")
    with pytest.raises(RuntimeError, match="'cuda:2' does not exist: this machine has cuda:0 to cuda:1"):
        xp_for("cuda:2")
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy(gpus=1))
    with pytest.raises(RuntimeError, match="has cuda:0 alone"):
        to_device(np.ones(2), "cuda:1")


def test_cuda_arrays_move_and_know_their_place(two_gpus: FakeCupy) -> None:
    host = np.arange(3.0)
    on_1 = to_device(host, "cuda:1")
    assert isinstance(on_1, FakeCupy.ndarray)
    assert device_of(on_1) == Device("cuda:1")
    assert xp_of(on_1) is two_gpus
    assert is_array(on_1)
    assert to_device(on_1, "cuda:1") is on_1
    on_0 = to_device(on_1, Device("cuda:0"))
    assert device_of(on_0) == Device("cuda:0")
    np.testing.assert_array_equal(to_device(on_0, "cpu"), host)
    np.testing.assert_array_equal(to_numpy(on_0), host)
    assert device_of(to_device(on_0, "strict")) == Device("strict")
    assert device_of(to_device(to_device(host, "strict"), "cuda:1")) == Device("cuda:1")
    assert two_gpus.current == [0]
    with pytest.raises(RuntimeError, match="two devices, cuda:1 and cuda:0"):
        same_device("add", on_1, on_0)
    same_device("add", on_1, 2.0, to_device(host, "cuda:1"))


def test_cuda_block_moves_cupy_as_well(two_gpus: FakeCupy) -> None:
    with Device("cuda:1"):
        assert get_default_device() == Device("cuda:1")
        assert Device("cuda") == Device("cuda:1")  # the current one
        assert two_gpus.current == [0, 1]
        with Device("cpu"):
            assert Device("cuda") == Device("cuda:0")
    assert two_gpus.current == [0]
    assert Device("cuda") == Device("cuda:0")
    set_default_device("cuda:1")
    assert two_gpus.current == [1]
    assert Device("cuda") == Device("cuda:1")
    synchronize()
    synchronize("cuda:0")
    synchronize("cpu")
    assert two_gpus.synchronized == [1, 0]


def test_environment_cuda_is_the_first_gpu(
    two_gpus: FakeCupy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINILLM_DEVICE", "cuda")
    assert Device("cuda") == Device("cuda:0") == get_default_device()


def test_importing_minillm_does_not_import_cupy() -> None:
    import subprocess

    code = "import sys, minillm.backend; print('cupy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# Arrays


def test_xp_of() -> None:
    assert xp_of(np.ones(2)) is np
    assert xp_of(np.float32(1)) is np
    assert xp_of(np.ones(2).view(np.recarray)) is np
    assert xp_of(strict_xp.ones(2)) is strict_xp
    for wrong in (1.0, [1.0], None, "cpu"):
        with pytest.raises(TypeError, match=f"needs an array, got {type(wrong).__name__}"):
            xp_of(wrong)


def test_is_array() -> None:
    assert is_array(np.ones(2))
    assert is_array(np.int64(2))
    assert is_array(strict_xp.ones(2))
    assert not any(map(is_array, (1, 2.0, True, [1], None, "x", Device("cpu"))))


@pytest.mark.parametrize("target", ["cpu", "strict"])
@pytest.mark.parametrize("source", ["cpu", "strict"])
def test_to_device(source: str, target: str) -> None:
    array = to_device(np.arange(6, dtype=np.int32).reshape(2, 3), source)
    moved = to_device(array, target)
    assert device_of(moved) == Device(target)
    assert (moved.dtype, moved.shape) == (np.int32, (2, 3))
    if source == target:
        assert moved is array
    else:
        moved[0, 0] = 77
        assert int(array[0, 0]) == 0  # no memory is shared
    np.testing.assert_array_equal(to_numpy(moved)[1], [3, 4, 5])


def test_to_numpy() -> None:
    host = np.ones(2)
    assert to_numpy(host) is host
    assert isinstance(to_numpy(np.float32(2)), np.ndarray)
    with pytest.raises(TypeError, match="needs an array"):
        to_numpy([1.0])


def test_moving_what_is_no_array() -> None:
    with pytest.raises(TypeError, match="needs an array, got list"):
        to_device([1.0], "strict")
    with pytest.raises(TypeError, match="needs an array, got float"):
        device_of(1.0)


def test_same_device() -> None:
    host, strict = np.ones(2), strict_xp.ones(2)
    same_device("add")
    same_device("add", host, host, 2.0, None, np.float32(1))
    same_device("add", strict, 2, strict, np.float32(1))
    message = r"linear: its inputs are on two devices, cpu and strict: move one with \.to\("
    with pytest.raises(RuntimeError, match=message):
        same_device("linear", host, 1, strict)
    with pytest.raises(TypeError, match="needs an array"):
        same_device("add", host, [1.0])


def test_strict_arrays_are_of_the_strict_type() -> None:
    assert isinstance(to_device(np.ones(2), "strict"), StrictArray)
    assert xp_for("strict") is strict_xp
    assert is_available("strict")
    assert is_available(Device("cpu"))
