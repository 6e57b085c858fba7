"""Public sets: found in folders, fetched from a server on the loopback, and read."""

from __future__ import annotations

import hashlib
import http.server
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from minillm.data import dataset_names, dataset_path, load_dataset, public_sets
from minillm.data.download import DownloadError
from minillm.data.public_sets import PUBLIC_SETS, every_third_line, thousand_of_each

# What each set holds: the number of examples of each split, and an example.
SETS = {
    "tinyshakespeare": ({"train": 1, "validation": 1}, {}),
    "names": ({"train": 32033}, {"text": "emma"}),
    "rt-polarity": ({"train": 10662}, {"label": 0, "text": "simplistic , silly and tedious ."}),
    "sst2": ({"train": 6920, "validation": 872, "test": 1821}, {"label": 1}),
    "trec": ({"train": 5452, "test": 500}, {"label": "DESC", "fine_label": "DESC:manner"}),
    "sms": ({"train": 5574}, {"label": "ham"}),
    "wnut17": ({"train": 3394, "validation": 1009, "test": 1287}, {}),
    "snips": ({"train": 4000, "validation": 700, "test": 700}, {"label": "PlayMusic"}),
    "tatoeba-en-zh": ({"train": 7359}, {"en": "Hi.", "zh": "嗨。"}),
    "xquad": ({"test": 1190}, {}),
    "tang300": ({"train": 366}, {"title": "在嶽詠蟬", "author": "駱賓王"}),
    "chnsenticorp": ({"train": 2000}, {"label": 1}),
    "wikitext2": ({"valid": 1, "test": 1}, {}),
    "the-verdict": ({"train": 1}, {}),
    "instruct1100": ({"train": 1100}, {}),
    "seq2seq-toy": ({"addition": 5000, "date": 5000}, {"source": "16+75", "target": "91"}),
}


def test_every_set_is_known():
    assert dataset_names() == sorted(SETS)


@pytest.mark.parametrize("name", SETS)
def test_sets_are_read(name, data_root):
    if not (data_root / name).is_dir():
        pytest.skip(f"needs {name} in {data_root}")
    sizes, first = SETS[name]
    splits = load_dataset(name, data_dir=data_root, allow_download=False)
    assert {split: len(examples) for split, examples in splits.items()} == sizes
    example = next(iter(splits.values()))[0]
    assert {key: example[key] for key in first} == first
    for examples in splits.values():
        assert all(examples[0].keys() == e.keys() for e in examples)
        assert all(e.get("text", "x") and e.get("tokens", "x") for e in examples)


@pytest.mark.parametrize("name", SETS)
def test_the_sums_are_those_of_the_files(name, data_root):
    if not (data_root / name).is_dir():
        pytest.skip(f"needs {name} in {data_root}")
    for file in PUBLIC_SETS[name].files:
        data = (data_root / name / file.name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file.sha256
        assert file.size in (None, len(data))


def test_the_sentences_that_rt_polarity_and_sst2_share_are_found(data_root):
    from minillm.data.splits import duplicates_across

    def letters(example):
        return "".join(c for c in example["text"].lower() if c.isascii() and c.isalpha())

    rt, sst2 = (load_dataset(name, data_dir=data_root) for name in ("rt-polarity", "sst2"))
    found = duplicates_across({"rt-polarity": rt["train"], "sst2": sst2["test"]}, key=letters)
    assert sum(len(d.places["sst2"]) for d in found) / len(sst2["test"]) > 0.7


# Downloading

CONTENT = {
    "/someone/toys/v1/dataset/addition.txt": b"1+2_3\n4+5_9\n",
    "/someone/toys/v1/dataset/date.txt": b"1 May_1-5\n",
    "/someone/pairs/v1/cmn.txt": b"Hi.\tA\tx\nHo.\tB\tx\nHa.\tC\tx\nHu.\tD\tx\n",
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        body = self.server.content.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server with the files of two small sets, in place of the public one; no folders of sets."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.content, running.asked = dict(CONTENT), []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        base = f"http://127.0.0.1:{running.server_address[1]}"

        def urls(file):
            return [f"{base}/{file.repository}/{version}/{file.path}" for version in ("v1", "master")]

        monkeypatch.setattr(public_sets.RemoteFile, "urls", property(urls))
        for name, repository in (("seq2seq-toy", "someone/toys"), ("tatoeba-en-zh", "someone/pairs")):
            files = tuple(
                replace(file, repository=repository, path=file.path.replace("data/cmn.txt", "cmn.txt"))
                for file in PUBLIC_SETS[name].files
            )
            files = tuple(replace(file, sha256=sum_of(file)) for file in files)
            monkeypatch.setitem(PUBLIC_SETS, name, replace(PUBLIC_SETS[name], files=files))
        monkeypatch.delenv("MINILLM_DATA", raising=False)
        monkeypatch.setenv("MINILLM_CACHE", str(tmp_path / "cache"))
        yield running
        running.shutdown()
        thread.join()


def sum_of(file):
    data = CONTENT[f"/{file.repository}/v1/{file.path}"]
    return hashlib.sha256(file.take(data) if file.take else data).hexdigest()


def test_a_set_is_fetched_once(server, tmp_path):
    splits = load_dataset("seq2seq-toy")
    assert splits["addition"] == [{"source": "1+2", "target": "3"}, {"source": "4+5", "target": "9"}]
    folder = tmp_path / "cache" / "seq2seq-toy"
    assert sorted(path.name for path in folder.iterdir()) == ["addition.txt", "date.txt"]
    assert len(server.asked) == 2
    assert load_dataset("seq2seq-toy", allow_download=False) == splits
    assert len(server.asked) == 2


def test_a_part_of_a_file_is_taken(server, tmp_path):
    splits = load_dataset("Tatoeba", cache_dir=tmp_path / "other")
    assert splits["train"] == [
        {"en": "Hi.", "zh": "A", "attribution": "x"},
        {"en": "Hu.", "zh": "D", "attribution": "x"},
    ]
    assert [path.name for path in (tmp_path / "other" / "tatoeba-en-zh").iterdir()] == ["cmn.third.txt"]


def test_the_newest_version_is_tried_where_the_known_one_is_not(server):
    for name in ("addition", "date"):
        server.content[f"/someone/toys/master/dataset/{name}.txt"] = server.content.pop(
            f"/someone/toys/v1/dataset/{name}.txt"
        )
    assert len(load_dataset("seq2seq-toy")["addition"]) == 2


@pytest.mark.parametrize("name", ["seq2seq-toy", "tatoeba-en-zh"])
def test_a_file_that_was_changed_is_refused(server, tmp_path, name):
    server.content = dict.fromkeys(server.content, b"changed\n")
    with pytest.raises(DownloadError, match=rf"the data set '{name}' could not be fetched.*sum.*MINILLM_DATA"):
        load_dataset(name)
    assert list((tmp_path / "cache" / name).iterdir()) == []


def test_a_server_that_has_nothing(server):
    server.content = {}
    with pytest.raises(DownloadError, match=r"answers 404.*answers 404.*seq2seq-toy/addition\.txt in it"):
        load_dataset("seq2seq-toy")


def test_folders_of_ones_own_come_first(server, tmp_path, monkeypatch):
    for place, text in (("given", "1+1_2"), ("named", "2+2_4")):
        folder = tmp_path / place / "seq2seq-toy"
        folder.mkdir(parents=True)
        (folder / "addition.txt").write_text(text, encoding="utf-8")
        (folder / "date.txt").write_text("a_b", encoding="utf-8")
    monkeypatch.setenv("MINILLM_DATA", str(tmp_path / "named"))
    assert load_dataset("seq2seq-toy")["addition"][0]["target"] == "4"
    assert load_dataset("seq2seq-toy", data_dir=tmp_path / "given")["addition"][0]["target"] == "2"
    assert dataset_path("seq2seq-toy") == tmp_path / "named" / "seq2seq-toy"
    assert server.asked == []


def test_without_the_network(server, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'names' lies in none of .*cache.*downloading is not allowed"):
        load_dataset("names", allow_download=False)


def test_where_the_cache_is(monkeypatch, tmp_path):
    from minillm.data.load_dataset import _cache

    monkeypatch.delenv("MINILLM_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert _cache(None) == tmp_path / "minillm"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert _cache(None) == tmp_path / "home" / ".cache" / "minillm"


def test_a_name_that_is_none():
    with pytest.raises(ValueError, match="there is no set 'imdb'; there are chnsenticorp, instruct1100"):
        load_dataset("imdb")


def test_addresses_are_of_the_web_and_name_the_version():
    for public in PUBLIC_SETS.values():
        assert public.about
        for file in public.files:
            assert len(file.sha256) == 64
            assert file.urls[0].startswith(f"https://raw.githubusercontent.com/{file.repository}/{file.commit}/")
            assert file.urls[0].isascii()


def test_what_is_taken():
    assert every_third_line(b"1\n2\n3\n4\n5\n6\n7") == b"1\n4\n7"
    rows = [f"{label},{n}\n" for label in (1, 0) for n in range(1500)]
    taken = thousand_of_each(b"\xef\xbb\xbflabel,review\r\n" + "".join(rows).encode()).decode().split("\n")
    assert taken[:5] == ["label,review", "1,0", "0,0", "1,1", "0,1"]
    assert len(taken) == 2002


def test_a_damaged_file_is_named(tmp_path):
    folder = tmp_path / "tang300"
    folder.mkdir()
    (folder / "tang300.json").write_text('[{"title": "x"}]', encoding="utf-8")
    with pytest.raises(ValueError, match=r"tang300\.json: needs a list of poems with title, author"):
        load_dataset("tang300", data_dir=tmp_path)
