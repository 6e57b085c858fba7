"""Every reader: what it reads, and what it says of every kind of bad file."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.data.json_readers import read_instructions, read_json, read_jsonl, read_squad
from minillm.data.table_readers import read_csv, read_tsv
from minillm.data.tagged_readers import read_conll, read_parallel, read_tagged
from minillm.data.text_files import read_text
from minillm.data.word_vectors import read_vectors

# Each reader in its everyday form.
READERS = {
    "text": read_text,
    "csv": lambda path: list(read_csv(path, required=["label"])),
    "tsv": lambda path: list(read_tsv(path, columns=["label", "text"])),
    "json": read_json,
    "jsonl": lambda path: list(read_jsonl(path, required=["text"])),
    "conll": lambda path: list(read_conll(path)),
    "parallel": lambda path: list(read_parallel(path, path)),
    "tagged": lambda path: list(read_tagged(path, path)),
    "squad": lambda path: list(read_squad(path)),
    "instructions": lambda path: list(read_instructions(path)),
    "instruction lines": lambda path: list(read_instructions(path.rename(f"{path}.jsonl"))),
    "vectors": read_vectors,
}

SQUAD = {
    "data": [
        {
            "title": "Ada",
            "paragraphs": [
                {
                    "context": "Ada wrote the first program in 1843.",
                    "qas": [
                        {
                            "id": "1",
                            "question": "When?",
                            "answers": [{"text": "1843", "answer_start": 31}],
                        },
                        {"id": "2", "question": "Why?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        }
    ]
}


def write(folder, data, name="file.txt"):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_names_a_missing_file_and_a_folder(tmp_path, reader):
    if reader == "instruction lines":
        return
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere"):
        READERS[reader](tmp_path / "nowhere")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        READERS[reader](tmp_path)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_every_reader_refuses_an_empty_file(tmp_path, reader, data):
    if reader in ("parallel", "tagged") and data == b"\n\n":
        return  # two empty lines each: sentences may be empty
    with pytest.raises(ValueError, match=r"file\.txt.*(holds no|is empty)"):
        READERS[reader](write(tmp_path, data))


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_places_broken_utf8(tmp_path, reader):
    good = {
        "csv": b"label,text\n",
        "tsv": b"1\tfine\n",
        "json": b"[1,\n",
        "jsonl": b'{"text": 1}\n',
        "squad": b"{\n",
        "instructions": b"[\n",
        "instruction lines": b'{"instruction": "a", "output": "b"}\n',
        "conll": b"word\tO\n",
        "vectors": b"word 1.0\n",
    }.get(reader, b"line one\n")
    with pytest.raises(ValueError, match=rf"file\.txt.*byte {len(good) + 1} \(0xff, line 2\)"):
        READERS[reader](write(tmp_path, good + b"x\xffy\n"))


@pytest.mark.parametrize("reader", [name for name in READERS if name not in ("text", "json")])
def test_every_reader_says_what_is_wrong_with_a_huge_line(tmp_path, reader):
    # Over the 16 M characters that a line may have; whole-file JSON is malformed instead.
    path = write(tmp_path, b"[" + b" " * 16_800_000)
    with pytest.raises(ValueError, match=r"file\.txt.*(line 1: longer than|malformed JSON)"):
        READERS[reader](path)


@given(rows=st.lists(st.lists(st.text(alphabet='a,"\n\té ', max_size=8), min_size=2, max_size=2), min_size=1))
def test_csv_reads_what_the_csv_module_writes(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["a", "b"], *rows])
    assert [list(row.values()) for row in read_csv(path)] == rows


def test_csv_by_columns_and_with_blank_lines(tmp_path):
    path = write(tmp_path, "1;x\n\n2;y\n")
    assert list(read_csv(path, columns=["n", "s"], delimiter=";")) == [
        {"n": "1", "s": "x"},
        {"n": "2", "s": "y"},
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("label,text\n1,a\n2,b,c\n", r"line 3: 3 fields, the table has 2 columns \(label, text\)"),
        ('label,text\n1,"a\nb"\n2\n', r"line 4: 1 fields"),
        ("text,score\n1,2\n", r"line 1: no column 'label'; there are text, score"),
        ("label,label\n1,2\n", r"line 1: the name 'label' twice"),
        ("label,\n1,2\n", r"line 1: a column without a name"),
        ('label,text\n1,a\n2,"b\n3,c\n', r"line 3: .*is a quote left open"),
        ('label,text\n1,"a"b\n', r"line 2: .*is a quote left open"),
        ("label,text\n", "holds no rows"),
        ("label,text\n1," + "x" * 140_000 + "\n", r"line 2: .*field_size_limit"),
    ],
)
def test_bad_tables_are_explained(tmp_path, data, message):
    with pytest.raises(ValueError, match=message):
        READERS["csv"](write(tmp_path, data))


def test_tsv_leaves_quotes_alone_and_counts_fields(tmp_path):
    path = write(tmp_path, 'ham\t"Oh\nspam\tfree "now"\nham\ta\tb\n')
    rows = read_tsv(path, columns=["label", "text"])
    assert next(rows) == {"label": "ham", "text": '"Oh'}
    assert next(rows) == {"label": "spam", "text": 'free "now"'}
    with pytest.raises(ValueError, match=r"line 3: 3 fields, the table has 2"):
        next(rows)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('{"a": 1,\n "b": }\n', r"file\.txt, line 2, column 7: malformed JSON"),
        ("[1, 2", r"line 1, column 6: malformed JSON"),
        ("[" * 100_000, r"file\.txt, line 1: .*recursion"),
        ("1" * 5_000, r"file\.txt, line 1: .*digits"),
    ],
)
def test_malformed_json_is_placed(tmp_path, data, message):
    with pytest.raises(ValueError, match=message):
        read_json(write(tmp_path, data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('{"text": 1}\n\n{"text": }\n', r"line 3, column 10: malformed JSON"),
        ('{"text": 1}\n[1]\n', r"line 2: needs a JSON object .*, got a list"),
        ("null\n", r"line 1: needs a JSON object .*, got null"),
        ('{"text": 1}\n{"txt": 1}\n', r"line 2: no 'text'; there are txt"),
    ],
)
def test_bad_json_lines_are_placed(tmp_path, data, message):
    with pytest.raises(ValueError, match=message):
        READERS["jsonl"](write(tmp_path, data))


def test_squad_answers_stand_in_their_context(tmp_path):
    first, second = READERS["squad"](write(tmp_path, json.dumps(SQUAD)))
    assert first["answers"] == {"text": ["1843"], "answer_start": [31]}
    assert first["context"][31:35] == "1843"
    assert second["is_impossible"]
    assert second["answers"] == {"text": [], "answer_start": []}


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["data"], {}, r"\.data: needs a list, got an object"),
        (["data", 0], 3, r"data\[0\]: needs an object, got a whole number"),
        (["data", 0, "paragraphs", 0], {"qas": []}, r"data\[0\]\.paragraphs\[0\]: no 'context'"),
        (["data", 0, "paragraphs", 0, "qas", 0, "question"], None, r"qas\[0\]\.question: needs a"),
        (
            ["data", 0, "paragraphs", 0, "qas", 0, "answers", 0, "answer_start"],
            30,
            r"qas\[0\]\.answers\[0\]: the answer '1843' does not stand at character 30.*' 184'",
        ),
        (
            ["data", 0, "paragraphs", 0, "qas", 0, "answers", 0, "answer_start"],
            -4,
            r"does not stand at character -4",
        ),
        (
            ["data", 0, "paragraphs", 0, "qas", 0, "answers", 0, "answer_start"],
            True,
            r"answer_start: needs a whole number, got true",
        ),
    ],
)
def test_bad_squad_is_placed(tmp_path, place, value, message):
    data = json.loads(json.dumps(SQUAD))
    *way, last = place
    part = data
    for step in way:
        part = part[step]
    part[last] = value
    with pytest.raises(ValueError, match=message):
        READERS["squad"](write(tmp_path, json.dumps(data)))


def test_instructions_from_a_list_and_from_lines(tmp_path):
    entries = [
        {"instruction": "Add.", "input": "1 2", "output": "3"},
        {"instruction": "Greet.", "output": "Hello", "input": None},
    ]
    expected = [entries[0], {"instruction": "Greet.", "input": "", "output": "Hello"}]
    assert list(read_instructions(write(tmp_path, json.dumps(entries), "a.json"))) == expected
    lines = "\n".join(json.dumps(entry) for entry in entries)
    assert list(read_instructions(write(tmp_path, lines, "a.jsonl"))) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{}", "needs a list, got an object"),
        ("[]", "holds no instructions"),
        ('[{"instruction": "a", "output": "b"}, 7]', r"entry 2: needs an object"),
        ('[{"instruction": "a"}]', r"entry 1: no 'output'; there are instruction"),
        ('[{"instruction": 3, "output": "b"}]', r"entry 1\.instruction: needs a text, got a whole"),
        ('[{"instruction": "a", "output": "b", "input": []}]', r"entry 1\.input: needs a text"),
    ],
)
def test_bad_instructions_are_placed(tmp_path, data, message):
    with pytest.raises(ValueError, match=message):
        READERS["instructions"](write(tmp_path, data))


def test_conll_with_four_columns_comments_and_a_byte_order_mark(tmp_path):
    text = "\ufeff-DOCSTART- -X- O O\n\n# sentence\nEU NNP B-NP B-ORG\n. . O O\n\t\n\nYes UH O O"
    path = write(tmp_path, text)
    sentences = list(read_conll(path, columns=("tokens", "pos", "chunk", "tags"), comment="# "))
    assert [s["tokens"] for s in sentences] == [["EU", "."], ["Yes"]]
    assert sentences[0]["tags"] == ["B-ORG", "O"]


def test_conll_keeps_a_no_break_space_inside_a_word(tmp_path):
    (sentence,) = read_conll(write(tmp_path, "10\u00a0km\tO\n"))
    assert sentence["tokens"] == ["10\u00a0km"]


@pytest.mark.parametrize(
    ("data", "separator", "message"),
    [
        ("a O\nb\n", None, r"line 2: 1 columns, needs 2 \(tokens, tags\): 'b'"),
        ("a O\n\nb c O\n", None, r"line 3: 3 columns"),
        ("a O\n", "\t", r"line 1: 1 columns"),
        ("-DOCSTART- O\n\n", None, "holds no sentences"),
    ],
)
def test_bad_columns_are_placed(tmp_path, data, separator, message):
    with pytest.raises(ValueError, match=message):
        list(read_conll(write(tmp_path, data), separator=separator))
    with pytest.raises(ValueError, match="at least one name"):
        list(read_conll(tmp_path / "file.txt", columns=()))


def test_parallel_files_of_different_lengths_are_named(tmp_path):
    long, short = write(tmp_path, "1\n2\n3\n", "long"), write(tmp_path, "a\nb\n", "short")
    for paths in [(long, short), (short, long)]:
        lines = read_parallel(*paths)
        assert len([next(lines), next(lines)]) == 2
        with pytest.raises(ValueError, match=r"short has 2 lines and .*long has more"):
            next(lines)
    with pytest.raises(ValueError, match="at least two files, got 1"):
        list(read_parallel(long))


def test_words_and_tags_of_different_number_are_placed(tmp_path):
    words, tags = write(tmp_path, "a b\nc d\n", "in"), write(tmp_path, "O O\nO\n", "out")
    with pytest.raises(ValueError, match=r"out, line 2: 1 tags for the 2 words of .*in"):
        list(read_tagged(words, tags))


def test_labels_may_stand_in_a_third_file(tmp_path):
    words, tags = write(tmp_path, "a  b \n", "in"), write(tmp_path, "O B-x\n", "out")
    labels = write(tmp_path, "Play\n", "label")
    assert list(read_tagged(words, tags, labels)) == [
        {"tokens": ["a", "b"], "tags": ["O", "B-x"], "label": "Play"}
    ]
