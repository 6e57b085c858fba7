"""Reading text: every kind of bad file gets an error that names the place."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.data import text_files
from minillm.data.text_files import decode_chunks, read_lines, read_text


def write(folder, name, data):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def test_text_is_read_whole_with_line_ends_made_one_kind(tmp_path):
    path = write(tmp_path, "a.txt", b"\xef\xbb\xbfone\r\ntwo\rthree\n\xc3\xa9")
    assert read_text(path) == "one\ntwo\nthree\né"


def test_files_are_joined_with_a_line_end_between_them(tmp_path):
    paths = [write(tmp_path, "a", "one"), write(tmp_path, "b", "two\n"), write(tmp_path, "c", "3")]
    assert read_text(paths) == "one\ntwo\n3"
    assert read_text(str(paths[0])) == "one"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere\.txt"):
        read_text(tmp_path / "nowhere.txt")


def test_a_folder_is_named(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_text(tmp_path)


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b" \n\n"])
def test_an_empty_file_is_an_error(tmp_path, data):
    with pytest.raises(ValueError, match="holds no text"):
        read_text(write(tmp_path, "empty.txt", data))


def test_no_file_at_all_is_an_error():
    with pytest.raises(ValueError, match="no file was given"):
        read_text([])


def test_undecodable_bytes_are_placed_by_byte_and_line(tmp_path):
    path = write(tmp_path, "latin.txt", "first\nsecond caf\xe9 here\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.txt: byte 16 \(0xe9, line 2\).*encoding="):
        read_text(path)
    assert read_text(path, encoding="latin-1") == "first\nsecond café here\n"


def test_a_file_cut_off_inside_a_character_is_an_error(tmp_path):
    path = write(tmp_path, "cut.txt", b"ok\n" + "語".encode()[:2])
    with pytest.raises(ValueError, match=r"byte 3 \(0xe8, line 2\)"):
        read_text(path)


def test_utf16_is_recognised_in_the_advice(tmp_path):
    path = write(tmp_path, "wide.txt", "wide".encode("utf-16"))
    with pytest.raises(ValueError, match="encoding='utf-16'"):
        read_text(path)
    assert read_text(path, encoding="utf-16") == "wide"


def test_an_unknown_encoding_is_named(tmp_path):
    with pytest.raises(ValueError, match="no encoding 'utf-9'"):
        read_text(write(tmp_path, "a.txt", "a"), encoding="utf-9")


@given(before=st.text(alphabet="a\né語\r", max_size=60), chunk=st.integers(1, 7), bad=st.booleans())
def test_the_place_of_a_bad_byte_does_not_depend_on_the_chunks(tmp_path_factory, before, chunk, bad):
    data = before.encode()
    path = write(tmp_path_factory.mktemp("chunks"), "x.txt", data + b"\xff" * bad + b"tail")
    line = before.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_files, "CHUNK_BYTES", chunk)
        if bad:
            with pytest.raises(ValueError, match=rf"byte {len(data)} \(0xff, line {line}\)"):
                list(decode_chunks(path))
        else:
            assert "".join(decode_chunks(path)) == path.read_text(encoding="utf-8")
            lines = [text for _, text in read_lines(path)]
            with open(path, encoding="utf-8") as stream:
                assert lines == [text.rstrip("\n") for text in stream]


def test_lines_end_at_line_ends_alone(tmp_path):
    text = "one\x85still one\u2028and still\x0b\x0c\x1c one\ntwo"
    path = write(tmp_path, "odd.txt", text)
    assert list(read_lines(path)) == [(1, text[:-4]), (2, "two")]


def test_a_huge_line_is_refused_before_it_fills_memory(tmp_path):
    path = write(tmp_path, "huge.txt", b"short\n" + b"x" * 20_000_000)
    lines = read_lines(path, max_characters=1_000_000)
    assert next(lines) == (1, "short")
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"line 2: longer than 1,000,000 characters"):
        next(lines)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000
