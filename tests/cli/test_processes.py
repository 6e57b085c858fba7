"""The command line as a process of its own: killed, interrupted, on a full disk, in a pipe."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from minillm.training.checkpoint import checkpoints_in
from tests.cli.conftest import TINY, assert_fails, call, succeed
from tests.cli.test_train import assert_same_runs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

#: Writes a checkpoint after each step, so that it is mostly writing.
BUSY = (*TINY, "--steps", "40", "--checkpoint-interval", "1", "--log-interval", "1", "--eval-interval", "10")


def start(*argv, limit=None):
    code = "import sys; from minillm.cli import main; sys.exit(main(sys.argv[1:]))"
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if limit is not None:
        code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); " + code
        # The limit would hit coverage's file, too.
        env = {name: value for name, value in env.items() if not name.startswith("COV")}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, argv)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
    )  # fmt: skip


def finish(process, timeout=60):
    out, err = process.communicate(timeout=timeout)
    return type(call("--version"))(process.returncode, out, err)


def wait_for_step(run, step, process):
    """Wait until the checkpoint of a step, or of a later one, is there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            if any(int(p.name[5:]) >= step for p in checkpoints_in(run / "checkpoints")):
                return
        time.sleep(0.001)
    raise AssertionError(f"no checkpoint of step {step}: {process.poll()}")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, text_file):
    path = tmp_path_factory.mktemp("whole") / "run"
    succeed("train", "--text", text_file, *BUSY, "--out", path, "--quiet")
    return path


@pytest.mark.parametrize(("step", "delay"), [(0, 0.0), (3, 0.002), (11, 0.005), (20, 0.001), (31, 0.009)])
def test_kill_9_at_any_moment_leaves_a_checkpoint_that_loads(tmp_path, text_file, uninterrupted, step, delay):
    run = tmp_path / "run"
    process = start("train", "--text", text_file, *BUSY, "--out", run)
    wait_for_step(run, step, process)
    time.sleep(delay)
    process.kill()
    assert finish(process).code == -signal.SIGKILL
    assert checkpoints_in(run / "checkpoints")
    succeed("generate", run, "--max-new-tokens", 3)
    succeed("train", "--out", run, "--resume", "--quiet")
    assert_same_runs(run, uninterrupted)
    assert not list((run / "checkpoints").glob(".*"))


def test_kill_9_before_training_leaves_no_half_run(tmp_path, text_file):
    """Killed as soon as anything stands on the disk: it is a run, or hidden and in nobody's way."""
    run = tmp_path / "run"
    process = start("train", "--text", text_file, *BUSY, "--out", run)
    while not list(tmp_path.iterdir()) and process.poll() is None:
        time.sleep(0.0005)
    process.kill()
    finish(process)
    if run.exists():
        succeed("train", "--out", run, "--resume", "--quiet")
    else:
        succeed("train", "--text", text_file, *TINY, "--out", run, "--quiet")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_exits_cleanly(tmp_path, text_file, uninterrupted, number):
    run = tmp_path / "run"
    process = start("train", "--text", text_file, *BUSY, "--out", run)
    wait_for_step(run, 5, process)
    process.send_signal(number)
    outcome = finish(process)
    assert_fails(outcome, 130, "minillm train: stopped after step ", f"everything is saved in {run}")
    assert (run / "loss.png").exists()
    succeed("train", "--out", run, "--resume", "--quiet")
    assert_same_runs(run, uninterrupted)


def test_a_disk_without_room_for_the_moments(tmp_path, text_file):
    """The limit on the size of a file lets the weights pass, and not the moments, which are twice as large."""
    pytest.importorskip("resource")
    run = tmp_path / "run"
    outcome = finish(start("train", "--text", text_file, *TINY, "--out", run, "--quiet", limit=25_000))
    assert_fails(outcome, 1, "step-000002 could not be written: no space left", "step-000000 is intact")
    succeed("train", "--out", run, "--resume", "--quiet")


@pytest.mark.parametrize("kilobytes", [8, 80, 160])
def test_a_disk_that_is_really_full(tmp_path, text_file, kilobytes):
    """A file system of a few kilobytes in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs leave to mount a file system")
    try:
        outcome = call("train", "--text", text_file, *TINY, "--out", disk / "run", "--quiet")
        assert_fails(outcome, 1, "no space left on the disk")
        if (disk / "run").exists():
            succeed("generate", disk / "run", "--max-new-tokens", 3)
            shutil.copytree(disk / "run", tmp_path / "moved")
            succeed("train", "--out", tmp_path / "moved", "--resume", "--quiet")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_the_module_and_its_exit_codes(trained):
    for argv, code in ((["--version"], 0), (["--help"], 0), (["train", "--steps", "0"], 2), (["eval", "/nowhere"], 1)):
        process = subprocess.run([sys.executable, "-m", "minillm", *argv], capture_output=True, text=True)
        assert process.returncode == code, process
        assert "Traceback" not in process.stderr


def test_a_reader_that_goes_away_is_no_error(trained):
    process = start("generate", trained, "--max-new-tokens", 100_000)
    process.stdout.read(5)
    process.stdout.close()
    process.wait(timeout=60)
    assert process.stderr.read() == ""
    process.stderr.close()
