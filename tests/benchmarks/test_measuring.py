"""Turns, memory, floors, figures and pictures."""

from __future__ import annotations

import json
import mmap

import pytest

from benchmarks import growth, kernels, memory, overhead, profile, report, timing
from benchmarks.__main__ import main
from benchmarks.kernel_cases import Case, cases, drawn, operation
from benchmarks.products import Products, reading
from benchmarks.workload import Disagreement
from minillm.kernels import cpu


def test_turns():
    seen = []
    times = timing.in_turn(
        {"a": lambda: seen.append("a"), "b": lambda: seen.append("b")},
        rounds=2,
        warmup=1,
        prepare={"b": lambda: seen.append("ready")},
    )
    assert seen == ["a", "ready", "b"] * 3
    assert [len(seconds) for seconds in times.seconds.values()] == [2, 2]


def test_table_of_times():
    times = timing.Times({"torch": [2.0, 4.0, 2.0], "minillm": [1.0, 1.0, 1.5]})
    assert times.ratio("minillm", "torch") == 0.5
    assert times.table("torch").splitlines()[2].split() == ["minillm", "1", "s", "0.500", "0.250", "0.500"]


def test_products_are_counted_and_done():
    products = Products()
    products.linear(rows=3, inputs=5, outputs=7)
    assert products.flops == 3 * 2 * 3 * 5 * 7
    products.attention(batch=2, heads=3, tokens=4, size=5)
    assert products.flops == 3 * 2 * 3 * 5 * 7 + 6 * 2 * 2 * 3 * 4 * 4 * 5
    products.run()
    reading(rows=4, width=3, times=2)()


def test_peak_memory_is_that_of_what_runs():
    if not memory.reset_peak():
        pytest.skip("needs /proc/self/clear_refs (Linux)")
    before = memory.resident("VmRSS")
    block = mmap.mmap(-1, 40 << 20)  # pages of its own: what malloc has freed may be resident already
    block.write(b"\1" * (40 << 20))
    block.close()
    assert memory.peak() - before >= 30 << 20


def test_peak_memory_of_a_contestant():
    assert 0 <= memory.peak_in_process("W5", "minillm numpy", tiny=True) < 50 << 20
    with pytest.raises(RuntimeError, match=r"(?s)W99, torch.*KeyError"):
        memory.peak_in_process("W99", "torch", tiny=True)


def test_every_kernel_is_measured():
    kernels_there = {
        name.removesuffix("_forward") for name in cpu.__all__ if not name.endswith("_backward")
    }
    measured = {case.kernel for case in cases()}
    assert kernels_there <= measured


@pytest.mark.parametrize(
    "label", ["(768, 65)", "768 rows of (65, 128)", "SGD, MLP 2-16-16-1", "12 heads of 64, 512 keys"]
)
def test_kernels_agree(label):
    case = next(case for case in cases() if case.label == label)
    found = kernels.measure(case, ["numpy"], rounds=1)
    assert all(set(times.seconds) >= {"torch", "minillm numpy"} for times in found.values())


def test_a_kernel_that_differs_is_refused():
    def scaled(library, x):
        return x * (1 if library.__name__ == "torch" else 1.01)

    case = Case("scaled", "(3,)", operation(scaled, drawn(3)))
    with pytest.raises(Disagreement, match=r"scaled \(3,\), forward: minillm numpy and torch differ by 1\.0e-02"):
        kernels.measure(case, ["numpy"], rounds=1)


def test_overhead(monkeypatch, capsys):
    monkeypatch.setattr(overhead, "REPEATS", 2)
    overhead.main(["--rounds", "1"])
    printed = capsys.readouterr().out
    assert "tanh" in printed
    assert "backward" in printed


def test_growth(tmp_path, capsys):
    file, picture = tmp_path / "growth.json", tmp_path / "growth.png"
    growth.main(["operations", "--tiny", "--rounds", "1", "--threads", "1", "--kernels", "numpy",
                 "--json", str(file), "--png", str(picture)])  # fmt: skip
    found = json.loads(file.read_text())["operations"]["contestants"]
    assert set(found) == {"torch", "minillm numpy"}
    assert all(len(curve["seconds"]) == len(curve["peak_bytes"]) == 3 for curve in found.values())
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "operations in a chain: 10, 20, 40" in capsys.readouterr().out


def test_sizes_of_growing_work_are_what_they_say():
    for key, curve in growth.CURVES.items():
        assert list(curve.sizes) == sorted(curve.sizes)
        run, ready = curve.build("minillm numpy", growth.TINY[key][0])
        ready()
        run()


def test_command(tmp_path, capsys):
    file, picture = tmp_path / "figures.json", tmp_path / "figures.png"
    file.write_text(json.dumps({"W9": {"title": "of before"}}))
    main(["W5", "--tiny", "--rounds", "1", "--threads", "1", "--kernels", "numpy", "--json", str(file)])
    figures = report.read_json(str(file))
    assert set(figures) == {"W5", "W9"}
    assert figures["W5"]["contestants"]["minillm numpy"]["rounds"] == 1
    assert "median ratios to PyTorch" in capsys.readouterr().out
    report.draw({"W5": figures["W5"]}, str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_command_names_what_it_does_not_know(capsys):
    with pytest.raises(SystemExit):
        main(["W7"])
    assert "no workload named W7; there are W1a" in capsys.readouterr().err


def test_profile(capsys):
    profile.main(["W5", "--tiny", "--rounds", "2", "--kernels", "numpy"])
    printed = capsys.readouterr().out
    assert "W5: minillm numpy" in printed
    assert "products" in printed
    assert "engine" in printed
    with pytest.raises(SystemExit):
        profile.main(["W6"])
