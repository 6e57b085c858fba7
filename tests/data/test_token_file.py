"""Token files: exact, whole or absent, and foreign or damaged ones refused."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.backend import Generator
from minillm.data.text_files import read_text, text_blocks
from minillm.data.token_batches import TokenBatches
from minillm.data.token_file import HEADER_BYTES, TokenFile, TokenWriter, write_tokens


@given(
    rows=st.lists(st.lists(st.integers(0, 70_000), max_size=20), max_size=6),
    vocab_size=st.sampled_from([70_001, 1 << 32]),
)
def test_what_is_written_is_read(tmp_path_factory, rows, vocab_size):
    path = tmp_path_factory.mktemp("tokens") / "t"
    flat = [token for row in rows for token in row]
    assert write_tokens(path, iter(rows), vocab_size) == len(flat)
    file = TokenFile(path)
    assert file.tokens.tolist() == flat
    assert len(file) == len(flat)
    assert file.vocab_size == vocab_size


@pytest.mark.parametrize(("vocab_size", "dtype"), [(1, "uint16"), (65536, "uint16"), (65537, "uint32")])
def test_the_vocabulary_decides_the_width(tmp_path, vocab_size, dtype):
    write_tokens(tmp_path / "t", np.array([vocab_size - 1]), vocab_size)
    file = TokenFile(tmp_path / "t")
    assert file.tokens.dtype == dtype
    assert file.tokens.tolist() == [vocab_size - 1]


@pytest.mark.parametrize("tokens", [[3, 4, 5], np.array([3, 4, 5], np.int32), iter([3, 4, 5])])
def test_single_rows_may_be_lists_arrays_or_streams(tmp_path, tokens):
    write_tokens(tmp_path / "t", tokens, 10)
    assert TokenFile(tmp_path / "t").tokens.tolist() == [3, 4, 5]


def test_the_largest_token_of_four_bytes(tmp_path):
    write_tokens(tmp_path / "t", np.array([2**32 - 1], np.uint64), 1 << 32)
    assert TokenFile(tmp_path / "t").tokens.tolist() == [2**32 - 1]


def test_metadata_comes_back_and_must_fit(tmp_path):
    metadata = {"tokenizer": "gpt2", "sources": ["ä.txt"], "n": 3}
    write_tokens(tmp_path / "t", [1], 10, metadata)
    assert TokenFile(tmp_path / "t").metadata == metadata
    with pytest.raises(ValueError, match="there is room for"):
        TokenWriter(tmp_path / "u", 10, {"note": "x" * 5000})
    assert not (tmp_path / "u").exists()


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([1, 2, 10], r"token 10 at place 5 is outside of the vocabulary, 0 to 9"),
        ([-1], r"token -1 at place 3"),
        ([1.5], "row of integers, got float64"),
        ([[1, 2]], r"of shape \(1, 2\)"),
    ],
)
def test_what_is_no_token_is_refused_and_nothing_is_left(tmp_path, tokens, message):
    path = tmp_path / "t"
    write_tokens(path, [7], 10)

    def write():
        with TokenWriter(path, 10) as writer:
            writer.write([0, 1, 2])
            writer.write(tokens)

    with pytest.raises(ValueError, match=message):
        write()
    assert TokenFile(path).tokens.tolist() == [7]
    assert [f.name for f in tmp_path.iterdir()] == ["t"]


def test_writing_outside_of_the_block_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="inside of its 'with' block"):
        TokenWriter(tmp_path / "t", 10).write([1])
    for size in (0, 2**32 + 1):
        with pytest.raises(ValueError, match="vocab_size"):
            TokenWriter(tmp_path / "t", size)


def damaged(tmp_path, change):
    path = tmp_path / "t"
    write_tokens(path, range(100), 300)
    path.write_bytes(change(path.read_bytes()))
    return path


def with_header(data, **changes):
    header = json.loads(data[:HEADER_BYTES]) | changes
    return json.dumps(header).encode().ljust(HEADER_BYTES - 1) + b"\n" + data[HEADER_BYTES:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "no token file of minillm"),
        (lambda data: b"\x00\xff" * 5000, "no token file of minillm"),
        (lambda data: b"{}", "no token file of minillm"),
        (lambda data: b"[1]", "no token file of minillm"),
        (lambda data: data[:1000], "is cut off|no token file"),
        (lambda data: data[:-1], r"is cut off: it has 4,295 bytes.*100 tokens, 4,296 bytes"),
        (lambda data: data + b"!!", r"2 bytes after the 100 tokens"),
        (lambda data: with_header(data, version=2), "version 2, this minillm reads version 1"),
        (lambda data: with_header(data, dtype="float32"), "header .* is damaged"),
        (lambda data: with_header(data, num_tokens=-5), "header .* is damaged"),
        (lambda data: with_header(data, num_tokens="100"), "header .* is damaged"),
        (lambda data: with_header(data, num_tokens=10**15), "is cut off"),
        (lambda data: with_header(data, metadata=None), "header .* is damaged"),
    ],
)
def test_files_that_are_damaged_or_foreign_are_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        TokenFile(damaged(tmp_path, change))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        TokenFile(tmp_path / "nowhere")


def test_the_tokens_cannot_be_written_to(tmp_path):
    write_tokens(tmp_path / "t", [1, 2], 10)
    with pytest.raises(ValueError, match="read-only"):
        TokenFile(tmp_path / "t").tokens[0] = 5


def test_batches_are_cut_from_the_file(tmp_path):
    write_tokens(tmp_path / "t", range(60_000), 60_000)
    batches = TokenBatches(TokenFile(tmp_path / "t").tokens, block_size=8, batch_size=4)
    x, y = batches.batch(0, Generator(0))
    np.testing.assert_array_equal(y, x + 1)


def test_a_corpus_is_streamed_from_text_to_tokens_in_little_memory(tmp_path):
    text, tokens = tmp_path / "corpus.txt", tmp_path / "corpus.tokens"
    with open(text, "w") as file:
        for number in range(200_000):
            file.write(f"line {number} of a corpus that is larger than memory\n")
    size = text.stat().st_size
    assert size > 10_000_000

    def encode(block):
        return np.frombuffer(block.encode(), np.uint8)

    tracemalloc.start()
    write_tokens(tokens, map(encode, text_blocks(text, characters=100_000)), 256)
    batches = TokenBatches(TokenFile(tokens).tokens, block_size=64, batch_size=8)
    batches.batch(0, Generator(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size / 2
    assert TokenFile(tokens).tokens.astype(np.uint8).tobytes() == text.read_bytes()


@given(
    text=st.text(alphabet="ab \n\té", max_size=80),
    characters=st.integers(1, 30),
    cut=st.integers(0, 80),
)
def test_blocks_join_to_the_text(tmp_path_factory, text, characters, cut):
    folder = tmp_path_factory.mktemp("blocks")
    paths = [folder / "a", folder / "b"]
    paths[0].write_text(text[:cut] or "x", encoding="utf-8")
    paths[1].write_text(text[cut:] or "y", encoding="utf-8")
    blocks = list(text_blocks(paths, characters=characters))
    parts = [path.read_text(encoding="utf-8") for path in paths]
    between = "" if parts[0].endswith("\n") else "\n"
    assert "".join(blocks) == between.join(parts)
    assert all(blocks)


def test_blocks_are_cut_where_a_tokenizer_would_not_notice(tmp_path):
    regex = pytest.importorskip("regex")
    pattern = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
    path = tmp_path / "t.txt"
    path.write_text("First line\n\nsecond, 'quoted' line\n \n  indented\nthe last\n\n\nend\n" * 50)
    whole = pattern.findall(read_text(path))
    blocks = list(text_blocks(path, characters=90))
    assert len(blocks) > 20
    assert [word for block in blocks for word in pattern.findall(block)] == whole


def test_block_sizes_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match="must be positive, got 0"):
        text_blocks(tmp_path / "t", characters=0)
