"""The figures of the workloads as a JSON file, and as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.workload import BASE, target_of

COLORS = {
    "torch": "#9a9a9a",
    "torch, fused": "#c4c4c4",
    "torch, compiled": "#dcdcdc",
    "torch, bfloat16": "#8c6d8c",
    "torch, int8": "#c2a5c2",
    "minillm numpy": "#4c78a8",
    "minillm numba": "#f58518",
    "minillm numpy, split": "#7fa7d1",
    "minillm numba, split": "#ffb066",
    "minillm numba, bfloat16": "#b8432f",
    "minillm numba, int8": "#e08a78",
}
FLOOR = "floor"


def read_json(path: str) -> dict[str, Any]:
    """Return the figures of a file, by workload."""
    results: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return results


def write_json(path: str, results: dict[str, Any]) -> None:
    """Write figures to a file, in the place of what it says of the same workloads."""
    file = Path(path)
    known = read_json(path) if file.exists() else {}
    merged = dict(sorted({**known, **results}.items()))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(merged, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def draw(results: dict[str, Any], path: str) -> None:
    """Draw the ratios to PyTorch as bars, a group for each workload; a line marks the floor, a diamond the target."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = [n for n in known_names(results) if n not in (BASE, FLOOR)]
    groups = [[name for name in names if name in result["contestants"]] for result in results.values()]
    rows = sum(map(len, groups)) + len(groups)  # each group is followed by an empty row
    figure, axes = plt.subplots(figsize=(10, 1.4 + 0.22 * rows))
    ticks, first = {}, 0
    for (key, result), group in zip(results.items(), groups, strict=True):
        found = result["contestants"]
        for y, name in enumerate(group, first):
            ratio = found[name]["median_ratio"]
            axes.barh(y, ratio, 0.9, color=color_of(name))
            axes.text(ratio + 0.01, y, f"{ratio:.2f}", va="center", fontsize=8, zorder=4)
            target = target_of(result["targets"], name)
            if target is not None:
                axes.plot(target, y, "D", color="black", markersize=4)
        if FLOOR in found:
            floor = found[FLOOR]["median_ratio"]
            axes.plot([floor] * 2, [first - 0.6, first + len(group) - 0.4], color="#54a24b", linewidth=2.5)
        ticks[first + (len(group) - 1) / 2] = f"{key}\n{short(result['title'])}"
        first += len(group) + 1
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(list(ticks), list(ticks.values()), fontsize=8)
    axes.set_ylim(first - 1, -1)
    measured = next(iter(results.values()))["measured"]
    axes.set_xlabel(
        f"time over PyTorch's (as it comes), {measured['threads']} threads, float32, {measured['date']}: "
        "shorter is faster"
    )
    handles = [plt.Rectangle((0, 0), 1, 1, color=color_of(name), label=name) for name in names]
    handles.append(plt.Line2D([], [], color="#54a24b", linewidth=2.5, label="NumPy's products or memory alone"))
    handles.append(plt.Line2D([], [], color="black", marker="D", linestyle="", markersize=4, label="wanted"))
    axes.legend(handles=handles, fontsize=8, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=4, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def known_names(results: dict[str, Any]) -> list[str]:
    """Return the contestants of all workloads, in one order."""
    found: list[str] = []
    for result in results.values():
        found += [name for name in result["contestants"] if name not in found]
    return sorted(found, key=lambda name: (not name.startswith("torch"), found.index(name)))


def color_of(name: str) -> str:
    """Return the color of a contestant; kinds without one have that of their library and kernel set."""
    return COLORS.get(name) or COLORS.get(name.partition(",")[0], "#b279a2")


def short(title: str) -> str:
    """Return the beginning of a title, on two lines."""
    words, lines = title.split(", "), [""]
    for word in words[:4]:
        if len(lines[-1]) + len(word) > 34:
            lines.append("")
        lines[-1] += (", " if lines[-1] else "") + word
    return "\n".join(lines)
