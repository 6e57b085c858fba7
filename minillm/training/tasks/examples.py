"""The examples of a task: from a file, whose ending says how to read it, or from a public set.

classify    .tsv, .csv (columns text, label), .jsonl (the same names); text_b for pairs
tag         .conll, .txt, .bio, .iob, .tsv (a word a line: the word first, its tag last), .jsonl (tokens, tags)
qa          .json in the form of SQuAD
lm          .txt (paragraphs with blank lines between), .jsonl (text)
instruct    .json, .jsonl in the form of Alpaca
translate   .tsv, .csv (columns source, target), .jsonl (the same names)
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from minillm.backend import Generator
from minillm.data.augmentation import Augmenter, random_deletion, random_swap
from minillm.data.json_readers import read_instructions, read_jsonl, read_squad
from minillm.data.load_dataset import dataset_path, load_dataset
from minillm.data.public_sets import OTHER_NAMES, PUBLIC_SETS
from minillm.data.splits import split
from minillm.data.table_readers import read_csv, read_tsv
from minillm.data.tagged_readers import read_conll
from minillm.data.text_files import read_lines, read_text

Example = dict[str, Any]

_SENTIMENT = {0: "negative", 1: "positive"}
_INTEGER_LABELS = {"sst2": _SENTIMENT, "rt-polarity": _SENTIMENT, "chnsenticorp": _SENTIMENT}

#: The public sets that hold examples of each task.
SETS: dict[str, tuple[str, ...]] = {
    "classify": ("chnsenticorp", "rt-polarity", "sms", "snips", "sst2", "trec"),
    "tag": ("snips", "wnut17"),
    "qa": ("xquad",),
    "lm": ("names", "tang300", "the-verdict", "tinyshakespeare", "wikitext2"),
    "instruct": ("instruct1100",),
    "translate": ("seq2seq-toy", "tatoeba-en-zh"),
}
_PARTS = {"valid": "validation"}  # wikitext2 calls it so


@dataclasses.dataclass(frozen=True)
class ExampleSet:
    """Examples, and where they are from.

    Attributes:
        source: the file, or the public set and its part, as in ``sst2/train``.
        sha256: of the file, or of the set's files one after the other; "" for a part of other examples.
        examples: of the task.
    """

    source: str
    sha256: str
    examples: list[Example]

    def to_dict(self) -> dict[str, Any]:
        """Return what ``task.json`` says of them."""
        return {"source": self.source, "sha256": self.sha256, "examples": len(self.examples)}


def read_examples(task: str, source: str | os.PathLike[str]) -> dict[str, ExampleSet]:
    r"""Return the examples of a file, or of a public set by its parts.

    Args:
        task: the name of a task.
        source: a file, or the name of a public set: ``sst2`` is all its parts, ``sst2/test`` that one alone.

    Returns:
        Under ``"train"``, and for a public set ``"validation"`` and ``"test"`` too, where it has them.

    Raises:
        ValueError: an ending that is not known, a set of another task, or something wrong inside; the message says
            where.
        FileNotFoundError: there is neither a file nor a public set of that name.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "films.tsv")
        ...     _ = path.write_text("text\tlabel\na good film\tpos\n")
        ...     read_examples("classify", path)["train"].examples
        [{'text': 'a good film', 'label': 'pos'}]
    """
    if task not in READERS:
        raise ValueError(f"there is no task {task!r}; there are {', '.join(READERS)}")
    path = Path(source)
    if path.exists():
        return {"train": read_file(task, path)}
    name, _, part = os.fspath(source).partition("/")
    name = name.lower().replace("_", "-")
    name = OTHER_NAMES.get(name, name)
    if name in PUBLIC_SETS:
        return _read_set(task, name, part)
    raise FileNotFoundError(
        f"{os.fspath(source)}: there is no such file, and no public set of that name; those for {task} are "
        f"{', '.join(SETS[task])}"
    )


def read_file(task: str, path: Path) -> ExampleSet:
    """Return the examples of a file; see :func:`read_examples`."""
    readers = READERS[task]
    reader = readers.get(path.suffix.lower())
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a directory; the examples of {task} lie in a file")
    if reader is None:
        raise ValueError(f"{path}: the ending {path.suffix!r} is not known for {task}; known are {', '.join(readers)}")
    found = list(reader(path))
    if not found:
        raise ValueError(f"{path} holds no examples")
    return ExampleSet(os.fspath(path), _sum_of([path]), found)


def _read_set(task: str, name: str, part: str) -> dict[str, ExampleSet]:
    if name not in SETS[task]:
        fitting = ", ".join(other for other, names in SETS.items() if name in names)
        raise ValueError(
            f"the public set {name} is for {fitting or 'no task here'}, not for {task}; those for {task} are "
            f"{', '.join(SETS[task])}"
        )
    parts = load_dataset(name)
    folder = dataset_path(name)
    sha256 = _sum_of([folder / file.name for file in PUBLIC_SETS[name].files])
    if part and part not in parts:
        raise ValueError(f"the public set {name} has no part {part!r}; it has {', '.join(parts)}")
    if not part and "train" not in parts:
        choices = " or ".join(f"{name}/{p}" for p in parts)
        raise ValueError(f"the public set {name} has no part to train on by itself; give {choices}")
    names = {part: "train"} if part else {p: _PARTS.get(p, p) for p in parts}
    found = {}
    for own, called in names.items():
        examples = [_of_set(task, name, example) for example in parts[own]]
        found[called] = ExampleSet(f"{name}/{own}", sha256, examples)
    return found


def _of_set(task: str, name: str, example: Example) -> Example:
    if task == "classify":
        label, text = example["label"], example["text"] if "text" in example else " ".join(example["tokens"])
        return {"text": text, "label": _INTEGER_LABELS[name][label] if isinstance(label, int) else label}
    if task == "tag":
        return {"tokens": example["tokens"], "tags": example["tags"]}
    if task == "lm":
        return {"text": example["text"]}
    if name == "tatoeba-en-zh":
        return {"source": example["en"], "target": example["zh"]}
    return example


def _sum_of(paths: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while piece := file.read(1 << 20):
                found.update(piece)
    return found.hexdigest()


# -- readers ----------------------------------------------------------------------------------------------


def _table(*names: str, optional: str = "") -> dict[str, Callable[[Path], Iterable[Example]]]:
    """Return the readers of texts with these names, by the endings of files."""

    def checked(path: Path, rows: Iterable[Example]) -> Iterable[Example]:
        for number, row in enumerate(rows, 1):
            example = {}
            for name in (*names, *([optional] if row.get(optional) else [])):
                value = row[name]
                if name == "label" and isinstance(value, (int, bool)):
                    value = str(value)
                if not isinstance(value, str) or not value.strip():
                    raise ValueError(f"{path}, row {number}: {name!r} is {value!r}; it needs a text")
                example[name] = value.strip() if name == "label" else value
            yield example

    return {
        ".tsv": lambda path: checked(path, read_tsv(path, required=names)),
        ".csv": lambda path: checked(path, read_csv(path, required=names)),
        ".jsonl": lambda path: checked(path, read_jsonl(path, required=names)),
    }


def _columns(path: Path) -> Iterable[Example]:
    for _, line in read_lines(path):
        if line.strip() and not line.startswith("-DOCSTART-"):
            count = len(re.split(r"[ \t]+", line.strip(" \t")))
            break
    else:
        raise ValueError(f"{path} holds no sentences")
    if count < 2:
        raise ValueError(f"{path}: its lines have one column; a word and its tag are needed, with a blank between")
    names = ["tokens", *map(str, range(count - 2)), "tags"]
    for sentence in read_conll(path, columns=names):
        yield {"tokens": sentence["tokens"], "tags": sentence["tags"]}


def _tagged_objects(path: Path) -> Iterable[Example]:
    for number, row in enumerate(read_jsonl(path, required=["tokens", "tags"]), 1):
        for name in ("tokens", "tags"):
            if not (isinstance(row[name], list) and row[name] and all(isinstance(x, str) for x in row[name])):
                raise ValueError(f"{path}, row {number}: {name!r} needs a list of texts")
        if len(row["tokens"]) != len(row["tags"]):
            raise ValueError(f"{path}, row {number}: {len(row['tokens'])} tokens and {len(row['tags'])} tags")
        yield {"tokens": row["tokens"], "tags": row["tags"]}


def _paragraphs(path: Path) -> Iterable[Example]:
    for text in re.split(r"\n[ \t]*\n\s*", read_text(path)):
        if text.strip():
            yield {"text": text.strip("\n")}


READERS: dict[str, dict[str, Callable[[Path], Iterable[Example]]]] = {
    "classify": _table("text", "label", optional="text_b"),
    "tag": {**dict.fromkeys((".conll", ".txt", ".bio", ".iob", ".tsv"), _columns), ".jsonl": _tagged_objects},
    "qa": {".json": read_squad},
    "lm": {".txt": _paragraphs, ".jsonl": _table("text")[".jsonl"]},
    "instruct": {".json": read_instructions, ".jsonl": read_instructions},
    "translate": _table("source", "target"),
}


# -- what is done with them -------------------------------------------------------------------------------

# What makes examples equal: no sentence, and no context, is both trained and measured on.
_KEYS: dict[str, Callable[[Example], Any]] = {
    "classify": lambda e: [e["text"], e.get("text_b")],
    "tag": lambda e: e["tokens"],
    "qa": lambda e: e["context"],
    "lm": lambda e: e["text"],
    "instruct": lambda e: [e["instruction"], e["input"]],
    "translate": lambda e: e["source"],
}


def set_aside(task: str, examples: Sequence[Example], fraction: float) -> tuple[list[Example], list[Example]]:
    """Return the examples without a share of them, and that share: the same ones every time.

    Of a single text the end is set aside. Classes keep their shares.

    Raises:
        ValueError: there are too few examples.

    Example:
        >>> train, held = set_aside("lm", [{"text": "one two three four five"}], 0.3)
        >>> train, held
        ([{'text': 'one two three'}], [{'text': 'four five'}])
    """
    if task == "lm" and len(examples) == 1:
        text = examples[0]["text"]
        cut = text.rfind(" ", 0, int(len(text) * (1 - fraction)) + 1)
        if cut > 0:
            return [{"text": text[:cut]}], [{"text": text[cut + 1 :]}]
    stratify = "label" if task == "classify" else None
    try:
        train, held = split(examples, [1 - fraction, fraction], key=_KEYS[task], stratify=stratify)
    except ValueError as error:
        raise ValueError(
            f"a share of {fraction:g} of {len(examples)} examples cannot be set aside to measure on, since equal ones "
            "stay together: give more, --validation FILE, or --validation-fraction 0 to measure nothing"
        ) from error
    return train, held


def labels_of(task: str, examples: Iterable[Example]) -> list[str]:
    """Return the labels of texts, or the tags of words, that examples have, in order; ``O`` first.

    Example:
        >>> labels_of("classify", [{"label": "10"}, {"label": "9"}])
        ['9', '10']
    """
    if task == "classify":
        found = {example["label"] for example in examples}
    else:
        found = {tag for example in examples for tag in example["tags"]}
    numbers = all(re.fullmatch(r"-?\d{1,9}", label) for label in found)
    return sorted(found, key=lambda label: (label != "O", int(label) if numbers else 0, label))


def check_labels(task: str, found: ExampleSet, labels: Sequence[str]) -> None:
    """Raise an error if examples have a label that was not seen in training.

    Raises:
        ValueError: names the file, the example and the label.
    """
    known = set(labels)
    for number, example in enumerate(found.examples, 1):
        own = [example["label"]] if task == "classify" else example["tags"]
        for label in own:
            if label not in known:
                what = "label" if task == "classify" else "tag"
                raise ValueError(
                    f"{found.source}, example {number}: the {what} {label!r} is not among those of the training "
                    f"examples: {', '.join(labels[:20])}{', ...' * (len(labels) > 20)}"
                )


def augmented(task: str, examples: Sequence[Example], share: float, seed: int) -> list[Example]:
    """Return the examples, and changed copies of a share of them: words are left out, or two are swapped.

    Source: Wei and Zou, "EDA" (2019).

    Raises:
        ValueError: examples of a task that are not changed so.

    Example:
        >>> len(augmented("classify", [{"text": "one two three", "label": "a"}] * 4, 0.5, seed=0))
        6
    """
    if not share:
        return list(examples)
    if task not in ("classify", "tag"):
        raise ValueError(f"augment is for classify and tag, not for {task}")
    change = Augmenter([random_deletion, random_swap], keep_original=False)
    random = Generator(seed).at("augment")
    chosen = random.permutation(len(examples), device="cpu")[: round(share * len(examples))].tolist()
    found = list(examples)
    for i in sorted(chosen):
        example = examples[i]
        words = example["tokens"] if task == "tag" else example["text"].split()
        (new,) = change(words, example.get("tags"), generator=random)
        found.append(
            {"tokens": new.tokens, "tags": new.labels} if task == "tag" else {**example, "text": " ".join(new.tokens)}
        )
    return found
