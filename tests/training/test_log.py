from __future__ import annotations

import errno
import os
import sys

import pytest

from minillm.training.log import MemoryLog, TrainingLog, read_log


def test_lines_are_appended_and_floats_rounded(tmp_path):
    path = tmp_path / "run" / "log.jsonl"
    with TrainingLog(path) as log:
        log.write({"step": 1, "loss": 2 / 3})
    with TrainingLog(path) as log:
        assert log.num_lines == 1
        log.write({"step": 2, "final": True})
        log.sync()
        assert log.num_lines == 2
    assert path.read_text() == '{"step": 1, "loss": 0.666667}\n{"step": 2, "final": true}\n'
    assert read_log(path) == [{"step": 1, "loss": 0.666667}, {"step": 2, "final": True}]


def test_a_line_in_part_is_left_out_and_repaired(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2}\n{"st')
    assert read_log(path) == [{"step": 1}, {"step": 2}]
    with TrainingLog(path) as log:
        log.go_back(2)
        log.write({"step": 3})
    assert read_log(path) == [{"step": 1}, {"step": 2}, {"step": 3}]


@pytest.mark.parametrize(("lines", "left"), [(0, []), (1, [1]), (3, [1, 2, 3]), (9, [1, 2, 3])])
def test_going_back(tmp_path, lines, left):
    path = tmp_path / "log.jsonl"
    with TrainingLog(path) as log:
        for step in (1, 2, 3):
            log.write({"step": step})
        log.go_back(lines)
        assert log.num_lines == len(left)
    assert [r["step"] for r in read_log(path)] == left


@pytest.mark.parametrize("line", [b"not json\n", b"[1, 2]\n", b"\xff\n"])
def test_a_foreign_line_is_named(tmp_path, line):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n' + line)
    with pytest.raises(ValueError, match=r"log.jsonl, line 2: this is no line of a training log"):
        read_log(path)


def test_a_nan_is_never_written(tmp_path):
    with TrainingLog(tmp_path / "log.jsonl") as log, pytest.raises(ValueError, match="JSON compliant"):
        log.write({"loss": float("nan")})


@pytest.mark.skipif(sys.platform == "win32", reason="needs file locks")
def test_two_runs_in_one_directory_are_refused(tmp_path):
    message = "another process is training in this directory"
    with TrainingLog(tmp_path / "log.jsonl"), pytest.raises(RuntimeError, match=message):
        TrainingLog(tmp_path / "log.jsonl")
    TrainingLog(tmp_path / "log.jsonl").close()


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "no space left on the disk"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_disk_that_takes_no_more(tmp_path, monkeypatch, number, message):
    class Broken:
        def write(self, data):
            raise OSError(number, os.strerror(number))

    with TrainingLog(tmp_path / "log.jsonl") as log:
        with monkeypatch.context() as patch:
            patch.setattr(log, "_file", Broken())
            with pytest.raises(OSError, match=message) as raised:
                log.write({"step": 1})
        assert raised.value.errno == number
        assert log.num_lines == 0


def test_a_write_in_part_is_completed(tmp_path, monkeypatch):
    with TrainingLog(tmp_path / "log.jsonl") as log:
        whole = log._file

        class Slow:
            def write(self, data):
                return whole.write(data[:3])

        with monkeypatch.context() as patch:
            patch.setattr(log, "_file", Slow())
            log.write({"step": 1})
    assert read_log(tmp_path / "log.jsonl") == [{"step": 1}]


def test_a_log_in_memory_has_the_same_face():
    log = MemoryLog()
    log.write({"step": 1, "loss": 2 / 3})
    log.sync()
    log.close()
    assert log.records == [{"step": 1, "loss": 0.666667}]
    assert log.num_lines == 1
