"""A file appears whole or not at all."""

import errno
import os

import pytest

from minillm.data.whole_files import write_whole


def test_the_file_appears_only_when_the_block_ends(tmp_path):
    place = tmp_path / "new" / "a.bin"
    with write_whole(place) as file:
        file.write(b"abc")
        file.flush()
        assert not place.exists()
    assert place.read_bytes() == b"abc"
    assert [f.name for f in place.parent.iterdir()] == ["a.bin"]


def test_a_failed_block_leaves_the_old_file_and_nothing_else(tmp_path):
    place = tmp_path / "a.bin"
    place.write_bytes(b"old")

    def fail():
        with write_whole(place) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert place.read_bytes() == b"old"
    assert [f.name for f in tmp_path.iterdir()] == ["a.bin"]


def test_the_file_has_the_permissions_of_any_new_file(tmp_path):
    with write_whole(tmp_path / "a") as file:
        file.write(b"")
    (tmp_path / "b").touch()
    assert os.stat(tmp_path / "a").st_mode == os.stat(tmp_path / "b").st_mode


def test_a_full_disk_is_called_that(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)

    def fill():
        with write_whole(tmp_path / "a.bin") as file:
            file.write(b"x")

    with pytest.raises(OSError, match=r"no space left on the disk of .*a\.bin"):
        fill()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device /dev/full")
def test_a_real_full_device_is_called_that(tmp_path, monkeypatch):
    import builtins

    real_open = builtins.open
    monkeypatch.setattr(builtins, "open", lambda *args: real_open("/dev/full", "wb"))

    def fill():
        with write_whole(tmp_path / "a.bin") as file:
            file.write(b"x" * 1_000_000)

    with pytest.raises(OSError, match="no space left on the disk"):
        fill()
