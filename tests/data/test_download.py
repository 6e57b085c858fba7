"""Downloads against a server on the loopback that is slow, cuts off, refuses, changes its mind."""

from __future__ import annotations

import errno
import hashlib
import http.server
import re
import shutil
import threading
from collections import namedtuple
from collections.abc import Iterator

import pytest

from minillm.data import download as download_module
from minillm.data.download import DownloadError, download

CONTENT = bytes(range(256)) * 1000
SUM = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Gives `content`; `plan` says what is wrong with each answer in turn.

    A number cuts the answer off after so many bytes, a text is a status to refuse with, bytes are
    given instead of the content, None is a good answer. Good answers follow the plan.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.plan: list[int | str | bytes | None] = []
        self.ranges: list[str | None] = []  # what each request asked for
        self.knows_ranges = True
        self.tells_length = True
        self.wrong_range = False
        self.retry_after: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/files/a.bin"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        fault = server.plan.pop(0) if server.plan else None
        if isinstance(fault, str):
            self.send_response(int(fault))
            if server.retry_after is not None:
                self.send_header("Retry-After", server.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = fault if isinstance(fault, bytes) else server.content
        start, stop = 0, len(content)
        if asked and server.knows_ranges:
            first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", asked).groups()
            start, stop = int(first), min(stop, int(last or stop) + 1)
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            begins = start + 1 if server.wrong_range else start
            self.send_header("Content-Range", f"bytes {begins}-{stop - 1}/{len(content)}")
        else:
            self.send_response(200)
        if server.tells_length:
            self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        body = content[start:stop]
        self.wfile.write(body[:fault] if isinstance(fault, int) else body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """The seconds that were slept between tries, without sleeping them."""
    slept: list[float] = []
    monkeypatch.setattr(download_module.time, "sleep", slept.append)
    return slept


def test_a_file_comes_whole_and_its_folder_is_made(server, tmp_path):
    place = tmp_path / "new" / "folder" / "a.bin"
    assert download(server.url, place, sha256=SUM) == place
    assert place.read_bytes() == CONTENT
    assert [path.name for path in place.parent.iterdir()] == ["a.bin"]
    assert server.ranges == [None]


def test_without_a_length_or_a_sum_it_comes_too(server, tmp_path):
    server.tells_length = False
    assert download(server.url, tmp_path / "a.bin").read_bytes() == CONTENT


def test_an_empty_file(server, tmp_path):
    server.content = b""
    assert download(server.url, tmp_path / "a.bin").read_bytes() == b""


def test_what_was_cut_off_goes_on_from_there(server, tmp_path, waits):
    server.plan = [1000, 50_000]
    download(server.url, tmp_path / "a.bin", sha256=SUM)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000-", "bytes=51000-"]
    assert waits == [1.0, 1.0]  # each try brought something new


def test_what_an_earlier_run_left_is_used(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:777])
    download(server.url, tmp_path / "a.bin", sha256=SUM)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.ranges == ["bytes=777-"]


def test_a_part_that_is_already_whole_is_taken(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    download(server.url, tmp_path / "a.bin", sha256=SUM)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert not (tmp_path / "a.bin.part").exists()


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path, waits):
    (tmp_path / "a.bin.part").write_bytes(CONTENT + b"more")
    assert download(server.url, tmp_path / "a.bin").read_bytes() == CONTENT
    (tmp_path / "a.bin.part").write_bytes(CONTENT + b"more")
    assert download(server.url, tmp_path / "a.bin", size=100).read_bytes() == CONTENT[:100]


def test_a_server_that_knows_no_ranges_begins_again(server, tmp_path, waits):
    server.knows_ranges = False
    server.plan = [1000]
    download(server.url, tmp_path / "a.bin", sha256=SUM)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_wrong_range_is_not_believed(server, tmp_path, waits):
    server.wrong_range = True
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:10])
    with pytest.raises(DownloadError, match="another range than it was asked for, after 2 tries"):
        download(server.url, tmp_path / "a.bin", retries=1)
    assert (tmp_path / "a.bin.part").read_bytes() == CONTENT[:10]


@pytest.mark.parametrize("knows_ranges", [True, False])
@pytest.mark.parametrize("tells_length", [True, False])
def test_the_first_bytes_of_a_file(server, tmp_path, knows_ranges, tells_length):
    server.knows_ranges, server.tells_length = knows_ranges, tells_length
    first = CONTENT[:70_000]
    place = download(server.url, tmp_path / "a.bin", size=70_000, sha256=hashlib.sha256(first).hexdigest())
    assert place.read_bytes() == first


def test_a_file_with_fewer_bytes_than_asked_for(server, tmp_path, waits):
    with pytest.raises(DownloadError, match="has 256,000 bytes, 300,000 are needed"):
        download(server.url, tmp_path / "a.bin", size=300_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("progress", [None, False])
def test_failures_that_may_pass_are_tried_again(server, tmp_path, waits, capsys, progress):
    server.plan = ["503", "429", "500"]
    download(server.url, tmp_path / "a.bin", sha256=SUM, progress=progress)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert waits == [1.0, 2.0, 4.0]
    said = capsys.readouterr().err
    assert ("trying again in 4 s (3 of 5)" in said) == (progress is None)


@pytest.mark.parametrize(("answer", "wait"), [("7", 7.0), ("3600", 60.0), ("tomorrow", 1.0)])
def test_the_server_may_ask_to_wait(server, tmp_path, waits, answer, wait):
    server.plan, server.retry_after = ["503"], answer
    download(server.url, tmp_path / "a.bin")
    assert waits == [wait]


def test_tries_are_limited_and_what_came_is_kept(server, tmp_path, waits):
    server.plan = [1000, "503", "503", "503"]
    with pytest.raises(DownloadError, match=r"answers 503, after 3 tries\. What has come is kept"):
        download(server.url, tmp_path / "a.bin", retries=2)
    assert (tmp_path / "a.bin.part").read_bytes() == CONTENT[:1000]
    assert not (tmp_path / "a.bin").exists()


@pytest.mark.parametrize("status", ["403", "404", "410"])
def test_a_refusal_is_final(server, tmp_path, waits, status):
    server.plan = [status]
    with pytest.raises(DownloadError, match=rf"a\.bin: the server answers {status}"):
        download(server.url, tmp_path / "a.bin")
    assert waits == []


def test_a_wrong_sum_is_fetched_once_more_then_refused(server, tmp_path):
    server.plan = [b"broken on the way"]
    download(server.url, tmp_path / "a.bin", sha256=SUM)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    server.content = b"something else"
    (tmp_path / "a.bin").write_bytes(b"what was there")
    with pytest.raises(DownloadError, match=rf"should have {SUM}.*thrown away"):
        download(server.url, tmp_path / "a.bin", sha256=SUM)
    assert (tmp_path / "a.bin").read_bytes() == b"what was there"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("tells_length", [True, False])
def test_more_than_the_most_that_is_accepted(server, tmp_path, tells_length):
    server.tells_length = tells_length
    with pytest.raises(DownloadError, match=r"more than 1,000 bytes|has 256,000 bytes, more than 1,000"):
        download(server.url, tmp_path / "a.bin", max_bytes=1000)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_never_answers(tmp_path, waits):
    class Silent(http.server.ThreadingHTTPServer):
        def finish_request(self, *args: object) -> None:
            done.wait(5)

    done = threading.Event()
    with Silent(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as silent:
        thread = threading.Thread(target=silent.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{silent.server_address[1]}/a.bin"
        with pytest.raises(DownloadError, match=r"no connection or it broke.*timed out.*after 2 tries"):
            download(url, tmp_path / "a.bin", retries=1, timeout=0.05)
        done.set()
        silent.shutdown()
        thread.join()


def test_nobody_listens(tmp_path, waits):
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as closed:
        url = f"http://127.0.0.1:{closed.server_address[1]}/a.bin"
    with pytest.raises(DownloadError, match="no connection or it broke"):
        download(url, tmp_path / "a.bin", retries=0)


def test_a_disk_without_room_is_seen_before_anything_comes(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 0, 10))
    with pytest.raises(OSError, match="256,000 bytes are to come and the disk has 10 left") as caught:
        download(server.url, tmp_path / "a.bin")
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_keeps_what_has_come(server, tmp_path, monkeypatch):
    room = [100_000]

    class FullDisk:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, data):
            if len(data) > room[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            room[0] -= len(data)
            self.file.write(data)

        def flush(self):
            self.file.flush()

    honest = download_module._open_part
    monkeypatch.setattr(download_module, "_open_part", lambda *args: FullDisk(honest(*args)))
    with pytest.raises(OSError, match="no space left on the disk of") as caught:
        download(server.url, tmp_path / "a.bin", sha256=SUM)
    assert caught.value.errno == errno.ENOSPC
    assert (tmp_path / "a.bin.part").read_bytes() == CONTENT[: 1 << 16]
    room[0] = 1 << 30
    download(server.url, tmp_path / "a.bin", sha256=SUM)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_ctrl_c_keeps_what_has_come(server, tmp_path, monkeypatch):
    pieces = iter([None, None, KeyboardInterrupt])

    class Bar:
        def __init__(self, **options):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def update(self, count):
            if next(pieces) is KeyboardInterrupt:
                raise KeyboardInterrupt

    monkeypatch.setattr("tqdm.tqdm", Bar)
    with pytest.raises(KeyboardInterrupt):
        download(server.url, tmp_path / "a.bin", sha256=SUM)
    assert (tmp_path / "a.bin.part").read_bytes() == CONTENT[: 3 << 16]


@pytest.mark.parametrize("url", ["file:///etc/hosts", "ftp://127.0.0.1/a", "a.bin", ""])
def test_addresses_that_are_not_of_the_web(tmp_path, url):
    with pytest.raises(ValueError, match="needs an address with http"):
        download(url, tmp_path / "a.bin")


def test_progress_is_shown_when_asked_for(server, tmp_path, capsys):
    download(server.url, tmp_path / "a.bin", progress=True)
    assert "a.bin: 100%" in capsys.readouterr().err
    download(server.url, tmp_path / "a.bin", progress=False)
    assert capsys.readouterr().err == ""
