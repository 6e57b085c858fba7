"""Word vectors in text files: read exactly, written back, and bad lines named."""

import numpy as np
import pytest

from minillm.backend import Generator
from minillm.data.word_vectors import WordVectors, read_vectors, write_vectors


def write(folder, text):
    path = folder / "vectors.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("header", [True, False])
def test_what_is_written_is_read_bit_for_bit(tmp_path, header):
    numbers = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    numbers[0] = [1e-30, -1e30, 0.1, 0, -0.0, 1 / 3, 16777216]
    vectors = WordVectors([f"wörd{i}" for i in range(50)], numbers)
    write_vectors(tmp_path / "v.txt", vectors, header=header)
    again = read_vectors(tmp_path / "v.txt")
    assert again.words == vectors.words
    np.testing.assert_array_equal(again.vectors, numbers)


def test_the_header_of_word2vec_is_found_and_its_blank_at_line_ends_passed_over(tmp_path):
    vectors = read_vectors(write(tmp_path, "2 3\nthe 1 2 3 \ncat 4 5 6 \n"))
    assert vectors.words == ["the", "cat"]
    assert vectors.vectors.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_word_may_hold_blanks_and_odd_spaces(tmp_path):
    vectors = read_vectors(write(tmp_path, "the 1 2\n. . . 3 4\n\u00a0 5 6\n"))
    assert vectors.words == ["the", ". . .", "\u00a0"]


def test_some_words_or_the_first_ones_alone(tmp_path):
    path = write(tmp_path, "3 1\na 1\nb 2\nc 3\n")
    assert read_vectors(path, words=["c", "a", "z"]).words == ["a", "c"]
    assert read_vectors(path, max_words=2).words == ["a", "b"]
    assert len(read_vectors(path, words=["z"])) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1 2\nb 1\n", r"line 2: needs a word and 2 numbers.*'b 1'"),
        ("a 1 2\nb 1 two\n", r"line 2: could not convert string to float: 'two'"),
        ("a 1 2\nb 1 nan\n", r"line 2: 'nan' is no finite number"),
        ("a 1 2\nb 1 1e99\n", r"line 2: '1e99' is no finite number|overflow"),
        ("a 1\n\na 2\n", r"line 3: the word 'a' stood on line 1"),
        ("3 1\na 1\nb 2\n", "has 2 vectors and its first line promises 3: is it cut off"),
        ("lonely\n", r"line 1: needs a word and its numbers: 'lonely'"),
        ("2 3\n", "has 0 vectors and its first line promises 2"),
        ("0 3\n", "holds no vectors"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_bad_lines_are_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"vectors\.txt.*({message})"):
        read_vectors(write(tmp_path, text))


def test_the_embedding_matrix_knows_what_it_knows():
    vectors = WordVectors(["cat", "Dog", "dog"], [[1, 2], [3, 4], [5, 6]])
    matrix, known = vectors.embedding_matrix({"<pad>": 1, "CAT": 0, "Dog": 3, "DOG": 2})
    assert matrix.tolist() == [[1, 2], [0, 0], [5, 6], [3, 4]]
    assert known.tolist() == [True, False, True, True]
    assert matrix.dtype == np.float32


def test_unknown_tokens_are_drawn_with_the_spread_of_the_known():
    numbers = np.random.default_rng(0).normal(0, 0.3, (500, 20))
    vectors = WordVectors([f"w{i}" for i in range(500)], numbers)
    vocab = [f"w{i}" for i in range(10)] + [f"new{i}" for i in range(400)]
    matrix, known = vectors.embedding_matrix(vocab, Generator(0))
    np.testing.assert_array_equal(matrix[:10], vectors.vectors[:10])
    assert known.sum() == 10
    assert matrix[10:].std() == pytest.approx(0.3, rel=0.05)
    again, _ = vectors.embedding_matrix(vocab, Generator(0))
    np.testing.assert_array_equal(matrix, again)


@pytest.mark.parametrize("vocab", [{"a": 0, "b": 2}, {"a": 0, "b": 0}, {"a": 1}])
def test_a_vocabulary_must_number_from_zero(vocab):
    with pytest.raises(ValueError, match="numbers its tokens 0 to"):
        WordVectors(["a"], [[1.0]]).embedding_matrix(vocab)


def test_neighbours_stand_in_the_order_of_their_cosine():
    vectors = WordVectors(["a", "b", "c", "zero"], [[1, 0], [2, 1], [-1, 0], [0, 0]])
    near = vectors.nearest("a")
    assert [word for word, _ in near] == ["b", "zero", "c"]
    assert near[0][1] == pytest.approx(2 / np.sqrt(5))
    assert near[2][1] == pytest.approx(-1)
    with pytest.raises(KeyError, match="no vector for the word 'bird'"):
        vectors.nearest("bird")


def test_words_and_rows_must_agree():
    with pytest.raises(ValueError, match=r"2 words need a matrix with as many rows.*\(1, 2\)"):
        WordVectors(["a", "b"], [[1, 2]])
    with pytest.raises(ValueError, match="'a' stands twice"):
        WordVectors(["a", "b", "a"], np.zeros((3, 1)))


@pytest.mark.parametrize("word", ["", "  ", "a\nb", "a\rb"])
def test_words_the_format_cannot_hold_are_refused(tmp_path, word):
    with pytest.raises(ValueError, match="cannot hold the word"):
        write_vectors(tmp_path / "v", WordVectors([word], [[1.0]]))
    assert not (tmp_path / "v").exists()
