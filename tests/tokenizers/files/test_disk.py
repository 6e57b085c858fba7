from __future__ import annotations

import os

import pytest

from minillm.tokenizers.files.disk import (
    existing_file,
    read_json,
    read_json_object,
    read_lines,
    read_text,
    write_json,
    write_text,
)


def test_text_comes_back_as_it_was(tmp_path):
    text = "a\r\nb\rc\u2028d\x00é\n"
    write_text(tmp_path / "a.txt", text)
    assert read_text(tmp_path / "a.txt") == text
    assert list(read_lines(tmp_path / "a.txt")) == ["a\r\n", "b\rc\u2028d\x00é\n"]
    write_json(str(tmp_path / "a.json"), {"é": [1, None, "\u2028"]})
    assert read_json(tmp_path / "a.json") == {"é": [1, None, "\u2028"]}
    assert "é" in read_text(tmp_path / "a.json")


def test_files_are_looked_for_before_the_first_is_read(tmp_path):
    write_text(tmp_path / "a.txt", "a\n")
    with pytest.raises(FileNotFoundError, match=r"b\.txt: no such file"):
        read_lines([tmp_path / "a.txt", tmp_path / "b.txt"])
    with pytest.raises(FileNotFoundError, match="is a directory; a file is needed"):
        existing_file(tmp_path)


def test_bytes_that_are_no_text_are_named_with_their_place(tmp_path):
    (tmp_path / "a.txt").write_bytes("éa\nb".encode() + b"\xe9\n")
    with pytest.raises(ValueError, match=r"a\.txt: not UTF-8 at byte 5 \(0xe9.*convert the file"):
        read_text(tmp_path / "a.txt")
    lines = read_lines(tmp_path / "a.txt")
    assert next(lines) == "éa\n"
    with pytest.raises(ValueError, match="not UTF-8 at byte 5"):
        next(lines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": {"b": 1, "b": 2}}', r"a\.json: the entry 'b' stands there twice"),
        ("{", r"a\.json: not JSON at line 1, column 2"),
        ('{"a": 1}\n}', "not JSON at line 2, column 1: Extra data"),
        ("[" * 200_000, "nested too deeply"),
        ("1" * 10_000, r"a\.json: Exceeds the limit"),
    ],
)
def test_what_is_no_json(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / "a.json")


def test_an_object_is_needed(tmp_path):
    write_json(tmp_path / "a.json", "text")
    with pytest.raises(ValueError, match=r"needs a JSON object.*holds a str"):
        read_json_object(tmp_path / "a.json")


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    write_text(tmp_path / "a.txt", "before")

    def fails(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="No space left"):
        write_text(tmp_path / "a.txt", "after")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "\ud800")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert read_text(tmp_path / "a.txt") == "before"
