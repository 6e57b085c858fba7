"""Word vectors in the text formats of word2vec and GloVe."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from minillm.backend import Generator
from minillm.data.text_files import PathLike, read_lines
from minillm.data.whole_files import write_whole

Matrix = npt.NDArray[np.float32]


class WordVectors:
    """Words and their vectors.

    Args:
        words: the words, each once.
        vectors: (num_words, dim) one row a word.

    Raises:
        ValueError: another number of rows than words, or a word twice.

    Example:
        >>> vectors = WordVectors(["cat", "dog", "car"], np.array([[1, 0], [1, 0.2], [0, 1]]))
        >>> vectors["dog"].tolist(), "bird" in vectors
        ([1.0, 0.20000000298023224], False)
        >>> vectors.nearest("cat", count=1)[0][0]
        'dog'
    """

    def __init__(self, words: Sequence[str], vectors: npt.ArrayLike) -> None:
        self.words = list(words)
        self.vectors: Matrix = np.asarray(vectors, dtype=np.float32)
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.words):
            raise ValueError(
                f"WordVectors: {len(self.words)} words need a matrix with as many rows, got shape "
                f"{self.vectors.shape}"
            )
        self.index = {word: row for row, word in enumerate(self.words)}
        if len(self.index) != len(self.words):
            doubled = next(w for row, w in enumerate(self.words) if self.index[w] != row)
            raise ValueError(f"WordVectors: the word {doubled!r} stands twice")

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    def __getitem__(self, word: str) -> Matrix:
        if word not in self.index:
            raise KeyError(f"no vector for the word {word!r}")
        row: Matrix = self.vectors[self.index[word]]
        return row

    def nearest(self, word: str, count: int = 10) -> list[tuple[str, float]]:
        """Return the words of the greatest cosine similarity to `word`, the nearest first.

        Raises:
            KeyError: there is no vector for the word.
        """
        target = self[word]
        lengths = np.linalg.norm(self.vectors, axis=1) * np.linalg.norm(target)
        similarity = self.vectors @ target / np.maximum(lengths, 1e-12)
        similarity[self.index[word]] = -np.inf
        order = np.argsort(-similarity, kind="stable")[: min(count, len(self) - 1)]
        return [(self.words[row], float(similarity[row])) for row in order]

    def embedding_matrix(
        self,
        vocab: Mapping[str, int] | Sequence[str],
        generator: Generator | None = None,
    ) -> tuple[Matrix, npt.NDArray[np.bool_]]:
        """Return the start of an embedding layer: one row for each token of a vocabulary.

        A token without a vector takes that of its lower-case form; one without that either gets
        zeros, or with a generator normal numbers of the same spread as the vectors that are known.

        Args:
            vocab: tokens in order, or a mapping from token to its number, 0 to len(vocab) - 1.
            generator: draws the rows of tokens without a vector.

        Returns:
            (matrix, known): float32 (len(vocab), dim), and which rows come from the vectors.

        Raises:
            ValueError: the numbers of the vocabulary are not 0 to len(vocab) - 1.

        Example:
            >>> vectors = WordVectors(["a"], [[1.0, 2.0]])
            >>> matrix, known = vectors.embedding_matrix(["<pad>", "A"])
            >>> matrix.tolist(), known.tolist()
            ([[0.0, 0.0], [1.0, 2.0]], [False, True])
        """
        numbers = vocab if isinstance(vocab, Mapping) else {t: i for i, t in enumerate(vocab)}
        if sorted(numbers.values()) != list(range(len(vocab))):
            raise ValueError(
                "embedding_matrix: a vocabulary numbers its tokens 0 to len(vocab) - 1, each once"
            )
        matrix = np.zeros((len(vocab), self.dim), dtype=np.float32)
        known = np.zeros(len(vocab), dtype=bool)
        for token, number in numbers.items():
            row = self.index.get(token, self.index.get(token.lower()))
            if row is not None:
                matrix[number] = self.vectors[row]
                known[number] = True
        missing = int((~known).sum())
        if generator is not None and missing:
            spread = float(self.vectors.std()) or 1.0
            draws = generator.at("embedding matrix").normal(
                (missing, self.dim), std=spread, dtype=np.float32, device="cpu"
            )
            matrix[~known] = draws
        return matrix, known


def read_vectors(
    path: PathLike,
    words: Iterable[str] | None = None,
    max_words: int | None = None,
    encoding: str = "utf-8",
) -> WordVectors:
    r"""Read vectors in the text format of word2vec or GloVe.

    Each line is a word and its numbers, with blanks between. word2vec's files begin with a line of
    the number of words and of dimensions, which is found by itself and checked. A word may hold
    blanks (GloVe 840B has such): the dimension is that of the first line.

    Args:
        path: the file.
        words: read the vectors of these words alone, which keeps a file of gigabytes out of memory.
        max_words: stop after so many vectors; such files stand in order of frequency.
        encoding: the encoding of the file.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file.
        ValueError: undecodable bytes, no vector, a line with another number of dimensions, with
            something that is no finite number, or with a word that stood there before, fewer
            words than the first line promises; the message names file and line.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "glove.txt")
        ...     _ = file.write_text("the 0.1 0.2\ncat 0.3 -0.4\n")
        ...     vectors = read_vectors(file)
        >>> vectors.words, vectors.vectors.shape
        (['the', 'cat'], (2, 2))
    """
    name = os.fspath(path)
    wanted = None if words is None else set(words)
    lines: Iterator[tuple[int, str]] = (
        (number, line) for number, line in read_lines(path, encoding) if line.strip()
    )
    promised, dim, lines = _first_line(name, lines)
    num_lines = 0
    stood_on: dict[str, int] = {}  # in the order of the file
    rows: list[Matrix] = []
    for number, line in lines:
        if max_words is not None and len(rows) >= max_words:
            promised = None  # the rest is not counted
            break
        num_lines += 1
        fields = line.rstrip(" ").rsplit(" ", dim)
        if len(fields) != dim + 1 or not fields[0]:
            raise ValueError(
                f"{name}, line {number}: needs a word and {dim} numbers as on the first line: {line[:60]!r}"
            )
        word = fields[0]
        if wanted is not None and word not in wanted:
            continue
        if word in stood_on:
            raise ValueError(f"{name}, line {number}: the word {word!r} stood on line {stood_on[word]}")
        stood_on[word] = number
        rows.append(_numbers(name, number, fields[1:]))
    if promised is not None and num_lines != promised:
        raise ValueError(
            f"{name} has {num_lines} vectors and its first line promises {promised}: is it cut off?"
        )
    if num_lines == 0 and max_words != 0:
        raise ValueError(f"{name} holds no vectors")
    return WordVectors(list(stood_on), np.array(rows, dtype=np.float32).reshape(len(rows), dim))


def _first_line(
    name: str, lines: Iterator[tuple[int, str]]
) -> tuple[int | None, int, Iterator[tuple[int, str]]]:
    """Return the number of words promised (if any), the dimension, and all lines of vectors."""
    number, line = next(lines, (0, ""))
    if not line:
        raise ValueError(f"{name} is empty: it should hold word vectors")
    fields = line.rstrip(" ").split(" ")
    if len(fields) == 2 and all(field.isdecimal() for field in fields):
        return int(fields[0]), int(fields[1]), lines
    if len(fields) < 2:
        raise ValueError(f"{name}, line {number}: needs a word and its numbers: {line[:60]!r}")

    def all_lines() -> Iterator[tuple[int, str]]:
        yield number, line
        yield from lines

    return None, len(fields) - 1, all_lines()


def _numbers(name: str, number: int, fields: Sequence[str]) -> Matrix:
    try:
        row = np.array(fields, dtype=np.float32)
    except ValueError as error:
        raise ValueError(f"{name}, line {number}: {error}") from error
    if not np.isfinite(row).all():
        wrong = fields[int(np.flatnonzero(~np.isfinite(row))[0])]
        raise ValueError(f"{name}, line {number}: {wrong!r} is no finite number")
    return row


def write_vectors(path: PathLike, vectors: WordVectors, header: bool = True) -> None:
    """Write vectors as text: word2vec's format, or GloVe's without the header line.

    Args:
        path: where the file shall stand; it appears there when it is whole.
        vectors: what to write.
        header: begin with the line of the numbers of words and dimensions.

    Raises:
        ValueError: a word is empty or holds a line end, which the format cannot hold.
    """
    for word in vectors.words:
        if not word.strip() or len(word.split("\n")) > 1 or "\r" in word:
            raise ValueError(f"write_vectors: the format cannot hold the word {word!r}")
    with write_whole(path) as file:
        if header:
            file.write(f"{len(vectors)} {vectors.dim}\n".encode())
        for word, row in zip(vectors.words, vectors.vectors, strict=True):
            numbers = " ".join(np.format_float_positional(x, unique=True) for x in row)
            file.write(f"{word} {numbers}\n".encode())
