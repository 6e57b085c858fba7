"""The parity report as a page: one file of HTML that needs no network, light or dark as the reader's system is."""

from __future__ import annotations

import html
import math

from minillm.testing.parity import Report, Row, figure, geometric_mean

STYLE = """
:root { --ink: #1c2430; --dim: #5d6878; --paper: #fbfbf9; --card: #ffffff; --line: #dfe3e8; --fast: #1f77b4;
        --slow: #d9822b; --bad: #c0392b; --bar: #eceff3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --dim: #98a3b3; --paper: #14181e; --card: #1c222b;
        --line: #303945; --fast: #5aa9e6; --slow: #f0a04b; --bad: #ff7b6b; --bar: #28303b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.2rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 0; }
p { color: var(--dim); max-width: 46rem; margin: .4rem 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .8rem; margin: 1.4rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem; }
.card b { display: block; font-size: 1.45rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.card span { color: var(--dim); font-size: .85rem; overflow-wrap: anywhere; }
details { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; margin: .8rem 0; }
summary { cursor: pointer; padding: .7rem .9rem; display: flex; gap: 1rem; align-items: baseline; flex-wrap: wrap; }
summary span { color: var(--dim); font-size: .88rem; } summary h2::before { content: "▸ "; color: var(--dim); }
details[open] summary h2::before { content: "▾ "; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { color: var(--dim); font-weight: 500; font-size: .82rem; } th, td { padding: .22rem .7rem; text-align: right; }
td { border-top: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } code { font: .88em ui-monospace, monospace; }
.bar { position: relative; width: 10rem; height: .7rem; background: var(--bar); border-radius: .2rem; }
.bar i { position: absolute; top: 0; bottom: 0; border-radius: .2rem; }
.bar::after { content: ""; position: absolute; left: 50%; top: -.15rem; bottom: -.15rem; width: 1px;
              background: var(--dim); }
.fast { background: var(--fast); } .slow { background: var(--slow); }
td.none { color: var(--dim); } tr.bad td, .bad b, .failures { color: var(--bad); }
.failures li { overflow-wrap: anywhere; }
"""


def page(report: Report) -> str:
    """Return the page of a report.

    Example:
        >>> text = page(Report([Row("tanh", "Arithmetic", 7, 0.5, 1.0, 2.0, 0.8)], "float64", {"PyTorch": "2.13"}))
        >>> text.startswith("<!DOCTYPE html>") and "<code>tanh</code>" in text
        True
    """
    families: dict[str, list[Row]] = {}
    for row in report.rows:
        families.setdefault(row.family, []).append(row)
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>minillm beside PyTorch</title><style>{STYLE}</style></head><body><main>
<h1>minillm beside PyTorch</h1>
<p>Each public name that both libraries share, run by both on the same inputs in {report.dtype}:
{html.escape(versions)}.</p>
<p>Errors are the largest over all cases, in float epsilons: |ours − PyTorch’s| / (ε · max(1, |PyTorch’s|)). The time is
ours over PyTorch’s, forward and backward, at these small sizes: what a call costs. Bars to the left are faster.</p>
{_cards(report)}
{_failures(report)}
{"".join(_family(name, rows) for name, rows in families.items())}
</main></body></html>
"""


def _cards(report: Report) -> str:
    cards = [
        (f"{len(report.rows)}", "names", False),
        (f"{report.cases:,}", "cases", False),
        (f"{len(report.failures)}", "disagreements", bool(report.failures)),
    ]
    for part in ("forward", "gradient", "second_order"):
        if worst := report.largest(part):
            name = worst[1].rpartition(".")[2]
            cards.append((figure(worst[0]), f"largest error, {part.replace('_', ' ')} ({name})", False))
    if report.time_ratio is not None:
        cards.append((f"{report.time_ratio:.2f}", "of PyTorch’s time, geometric mean over names", False))
    inner = "".join(
        f'<div class="card{" bad" * is_bad}"><b>{value}</b><span>{html.escape(text)}</span></div>'
        for value, text, is_bad in cards
    )
    return f'<div class="cards">{inner}</div>'


def _failures(report: Report) -> str:
    if not report.failures:
        return ""
    return f'<ul class="failures">{"".join(f"<li>{html.escape(text)}</li>" for text in report.failures)}</ul>'


def _family(name: str, rows: list[Row]) -> str:
    ratio = geometric_mean([row.time_ratio for row in rows])
    time = "" if ratio is None else f", {ratio:.2f} of PyTorch’s time"
    about = f"{len(rows)} names, {sum(row.cases for row in rows):,} cases{time}"
    return (
        f"<details open><summary><h2>{html.escape(name)}</h2><span>{about}</span></summary>"
        '<div class="scroll"><table><thead><tr><th>name</th><th>cases</th><th>forward</th><th>gradient</th>'
        "<th>second order</th><th>time</th><th></th></tr></thead><tbody>"
        f"{''.join(map(_row, rows))}</tbody></table></div></details>\n"
    )


def _row(row: Row) -> str:
    errors = "".join(
        f"<td{' class=none' * (error is None)}>{figure(error)}</td>"
        for error in (row.forward, row.gradient, row.second_order)
    )
    time = "<td class=none>-</td><td></td>"
    if row.time_ratio is not None:
        time = f"<td>{row.time_ratio:.2f}</td><td>{_bar(row.time_ratio)}</td>"
    state = " class=bad" * bool(row.failures)
    return f"<tr{state}><td><code>{html.escape(row.name)}</code></td><td>{row.cases}</td>{errors}{time}</tr>"


def _bar(ratio: float) -> str:
    """Return a bar from the middle, on a logarithmic scale from a tenth to ten times PyTorch's time."""
    share = max(-1.0, min(1.0, math.log10(ratio))) * 50
    left, width, kind = (50 + share, -share, "fast") if share < 0 else (50, share, "slow")
    return f'<div class="bar"><i class="{kind}" style="left:{left:.1f}%;width:{width:.1f}%"></i></div>'
