"""Safetensors files against Hugging Face's own library, and against damage of every kind."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis.extra import numpy as npst

from minillm.interop import safetensors as ours
from minillm.interop.safetensors import SafetensorsError, SafetensorsFile, read_arrays, write_arrays

DTYPES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]

arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)


def file_of(path: Path, header: object, data: bytes = b"") -> Path:
    """A file with this header, as JSON or as raw bytes, and these bytes behind it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(dtype: str = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@given(st.dictionaries(st.text(max_size=5).filter(lambda name: name != "__metadata__"), arrays, max_size=4))
def test_the_library_reads_what_we_write_and_we_what_it_writes(tmp_path_factory, given_arrays):
    folder = tmp_path_factory.mktemp("files")
    write_arrays(folder / "a.safetensors", given_arrays, {"format": "pt"})
    theirs = safetensors.numpy.load_file(folder / "a.safetensors")
    safetensors.numpy.save_file(given_arrays, folder / "b.safetensors", metadata={"k": "v"})
    back, metadata = read_arrays(folder / "b.safetensors")
    assert metadata == {"k": "v"}
    assert set(theirs) == set(back) == set(given_arrays)
    for name, array in given_arrays.items():
        for other in (theirs[name], back[name]):
            assert other.dtype == array.dtype
            assert other.shape == array.shape
            np.testing.assert_array_equal(other, array)


def test_arrays_lie_at_multiples_of_their_size(tmp_path):
    write_arrays(tmp_path / "a", {"a": np.zeros(3, np.uint8), "b": np.zeros(2), "c": np.zeros(1, np.float16)})
    with SafetensorsFile(tmp_path / "a") as file:
        assert file._start % 8 == 0
        assert {name: entry.begin for name, entry in file.entries.items()} == {"b": 0, "c": 16, "a": 18}


def test_strided_arrays_and_tensors_are_written_as_they_look(tmp_path):
    turned = np.arange(6.0).reshape(2, 3).T
    write_arrays(tmp_path / "a", {"t": turned, "big endian": turned.astype(">f8")})
    for array in safetensors.numpy.load_file(tmp_path / "a").values():
        np.testing.assert_array_equal(array, turned)


def test_bfloat16_is_read_and_written_as_pytorch_does(tmp_path):
    torch = pytest.importorskip("torch")
    import safetensors.torch

    values = torch.randn(1000) * torch.tensor([1e-40, 1e-20, 1.0, 1e30]).repeat(250)
    values = torch.cat([values, torch.tensor([0.0, -0.0, torch.inf, -torch.inf, torch.nan, 3.4e38])])
    write_arrays(tmp_path / "ours", {"x": values.numpy()}, dtype="bfloat16")
    theirs = safetensors.torch.load_file(tmp_path / "ours")["x"]
    assert theirs.dtype == torch.bfloat16
    torch.testing.assert_close(theirs, values.bfloat16(), rtol=0, atol=0, equal_nan=True)
    safetensors.torch.save_file({"x": values.bfloat16()}, tmp_path / "theirs")
    back = read_arrays(tmp_path / "theirs")[0]["x"]
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, values.bfloat16().float().numpy())


def test_only_floats_take_the_dtype_asked_for(tmp_path):
    write_arrays(tmp_path / "a", {"x": np.ones(2, np.float32), "n": np.arange(2)}, dtype="float16")
    back = read_arrays(tmp_path / "a")[0]
    assert back["x"].dtype == np.float16
    assert back["n"].dtype == np.int64


@pytest.mark.parametrize(
    ("array", "dtype", "message"),
    [
        (np.zeros(2, complex), None, "x has the dtype complex128, which the format has no name for"),
        (np.zeros(2), "int8", "got the dtype int8 for floats"),
    ],
)
def test_what_cannot_be_written(tmp_path, array, dtype, message):
    with pytest.raises(SafetensorsError, match=message):
        write_arrays(tmp_path / "a", {"x": array}, dtype=dtype)
    assert not list(tmp_path.iterdir())


def test_every_truncation_is_found(tmp_path):
    write_arrays(tmp_path / "a", {"x": np.arange(4), "y": np.zeros((2, 2), np.float32)})
    whole = (tmp_path / "a").read_bytes()
    for size in range(len(whole)):
        (tmp_path / "b").write_bytes(whole[:size])
        with pytest.raises(SafetensorsError, match=r"safetensors file"):
            read_arrays(tmp_path / "b")


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (b"{not json", b"", "its header is not valid JSON"),
        (b"\xff\xfe", b"", "its header is not valid JSON"),
        (b"[" * 100_000, b"", "its header is not valid JSON"),
        (b'{"x": ' + b"1" * 10_000 + b"}", b"", "its header is not valid JSON"),
        ([1], b"", "its header is list"),
        (b'{"x": 1, "x": 2}', b"", "a name stands in it twice"),
        ({"__metadata__": {"a": 1}}, b"", "__metadata__ needs to hold texts"),
        ({"__metadata__": [1]}, b"", "__metadata__ needs to hold texts"),
        ({"x": 5}, b"", "of 'x' is not understood"),
        ({"x": entry(shape=5)}, b"12345678", "of 'x' is not understood"),
        ({"x": entry(shape=[-2])}, b"12345678", "of 'x' is not understood"),
        ({"x": entry(shape=[2.0])}, b"12345678", "of 'x' is not understood"),
        ({"x": entry(shape=[True])}, b"1234", "of 'x' is not understood"),
        ({"x": entry(offsets=[0])}, b"12345678", "of 'x' is not understood"),
        ({"x": entry(dtype=7)}, b"12345678", "of 'x' is not understood"),
        ({"x": {"dtype": "F32"}}, b"", "of 'x' is not understood"),
        ({"x": entry(shape=[10**12])}, b"12345678", "takes 4,000,000,000,000 bytes, and its"),
        ({"x": entry(offsets=[8, 16])}, b"12345678" * 2, "its bytes begin at 8, not at 0"),
        ({"x": entry(offsets=[8, 0])}, b"12345678", "its header gives it -8"),
        ({"x": entry("F8_E4M3", offsets=[8, 0])}, b"12345678", "begin at 8, not at 0"),
        ({"x": entry(), "y": entry(offsets=[4, 12])}, b"1" * 12, "y is damaged"),
        ({"x": entry()}, b"1234567", "was cut off: its arrays take 8 bytes, and 7 are there"),
        ({"x": entry()}, b"123456789", "1 bytes follow its last array"),
    ],
)
def test_a_hostile_header_is_a_clear_error(tmp_path, header, data, message):
    with pytest.raises(SafetensorsError, match=message):
        read_arrays(file_of(tmp_path / "a", header, data))


def test_a_huge_header_takes_no_memory(tmp_path):
    (tmp_path / "a").write_bytes((2**63).to_bytes(8, "little") + b"{}")
    with pytest.raises(SafetensorsError, match="announce a header of 9,223,372,036,854,775,808 bytes"):
        read_arrays(tmp_path / "a")
    (tmp_path / "a").write_bytes((10**7).to_bytes(8, "little") + b"{}")
    with pytest.raises(SafetensorsError, match="its header has 10,000,000 bytes, the whole file 10"):
        read_arrays(tmp_path / "a")


def test_an_empty_array_with_a_dimension_beyond_all_bounds(tmp_path):
    path = file_of(tmp_path / "a", {"x": entry(shape=[0, 10**30], offsets=[0, 0])})
    with pytest.raises(SafetensorsError, match="x has the shape"):
        read_arrays(path)


def test_an_unknown_dtype_is_an_error_only_when_it_is_read(tmp_path):
    path = file_of(tmp_path / "a", {"x": entry("F8_E4M3", [8], [0, 8])}, b"12345678")
    with SafetensorsFile(path) as file:
        assert file.entries["x"].dtype == "F8_E4M3"
        with pytest.raises(SafetensorsError, match="x has the dtype F8_E4M3; known are F64, F32"):
            file.read("x")
        with pytest.raises(KeyError):
            file.read("y")


def test_a_file_that_becomes_shorter_while_it_is_read(tmp_path):
    write_arrays(tmp_path / "a", {"x": np.zeros(100_000)})
    with SafetensorsFile(tmp_path / "a") as file:
        with open(tmp_path / "a", "rb+") as same:
            same.truncate(1000)
        with pytest.raises(SafetensorsError, match="became shorter"):
            file.read("x")


def test_a_missing_file_and_a_directory(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no such file"):
            read_arrays(path)


def test_a_full_disk_leaves_what_stood_there(tmp_path, monkeypatch):
    write_arrays(tmp_path / "a", {"x": np.ones(3)})

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ours, "_bytes_of", full)
    with pytest.raises(OSError, match="no space left on the disk"):
        write_arrays(tmp_path / "a", {"x": np.zeros(3)})
    assert read_arrays(tmp_path / "a")[0]["x"].tolist() == [1, 1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
