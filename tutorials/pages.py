"""Turn an executed notebook into a page of HTML that needs nothing else: pictures, style and formulas inside.

Formulas become MathML, which browsers draw themselves: no script, and pages can be read offline.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Any

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

FOLDS = {"solution": "Show the solution", "drawing": "Show how this is drawn"}  # by the tag of a cell

STYLE = """
:root { --ink: #22262b; --soft: #69707a; --line: #e1e4e8; --blue: #3b6ea5; --pale: #f6f8fa; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 0 1.25rem 5rem; color: var(--ink); background: white;
       font: 17px/1.62 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
a { color: var(--blue); }
.text, .intro { max-width: 48rem; }
nav { display: flex; justify-content: space-between; gap: 1rem; padding: 1rem 0; color: var(--soft); font-size: .9rem; }
nav.end { margin-top: 3rem; border-top: 1px solid var(--line); }
nav a { text-decoration: none; }
h1 { font-size: 2.1rem; line-height: 1.2; margin: 1.2rem 0 1rem; }
h2 { font-size: 1.45rem; margin: 2.6rem 0 .6rem; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { font-size: .88em; background: var(--pale); padding: .1em .3em; border-radius: 4px; }
pre { margin: 0; font-size: .82rem; line-height: 1.5; overflow-x: auto; }
pre code { background: none; padding: 0; font-size: inherit; }
.code, .text > pre, pre.plain { background: var(--pale); border-radius: 6px; padding: .8rem 1rem; margin: 1rem 0 0; }
.text > pre { margin: 1rem 0; }
.output { margin: .4rem 0 1rem; padding: .3rem 1rem; border-left: 3px solid var(--line); color: #3d434b; }
.output pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.output img { display: block; max-width: 100%; height: auto; margin: .5rem auto; }
details { margin: 1rem 0; border: 1px solid var(--line); border-radius: 6px; padding: .4rem 1rem; }
details > summary { cursor: pointer; color: var(--blue); }
details > .code { margin-bottom: .6rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .9rem .35rem 0; text-align: left; }
blockquote { margin: 1rem 0; padding-left: 1rem; border-left: 3px solid var(--line); color: var(--soft); }
math { font-size: 1.08em; }
.formula { margin: 1rem 0; padding: .3rem 0; overflow: auto hidden; text-align: center; }
.contents ul { margin: .4rem 0; padding-left: 1.2rem; }
.path { list-style: none; margin: 2rem 0; padding: 0; }
.path li { display: grid; grid-template-columns: 17rem 1fr; gap: 1.5rem; padding: 1.4rem 0;
           border-top: 1px solid var(--line); align-items: center; }
.path img { width: 100%; max-height: 11rem; object-fit: contain; }
.path h2 { margin: 0 0 .3rem; font-size: 1.25rem; }
.path h2 a { text-decoration: none; }
.path p { margin: 0; }
.path .time { color: var(--soft); font-size: .88rem; margin-top: .4rem; }
@media (max-width: 40rem) { .path li { grid-template-columns: 1fr; } }
"""


@dataclass
class Step:
    """What the pages say of one step; read from its notebook."""

    stem: str
    notebook: Any
    seconds: float = 0.0  # of computing
    title: str = field(init=False)
    sentence: str = field(init=False)
    minutes: int = field(init=False)  # of reading
    picture: str = field(init=False)  # for the first page: that of the cell with the tag "cover", or the first

    def __post_init__(self) -> None:
        """Read title, first sentence, reading time and picture."""
        texts = [cell.source for cell in self.notebook.cells if cell.cell_type == "markdown"]
        blocks = texts[0].split("\n\n")
        self.title = blocks[0].lstrip("# ").strip()
        self.sentence = re.split(r"(?<=[.!?])\s", " ".join(blocks[1].split()))[0]
        told = re.search(r"Reading time: about (\d+)", texts[0])
        self.minutes = int(told[1]) if told else max(5, round(sum(len(text.split()) for text in texts) / 100))
        covers = [cell for cell in self.notebook.cells if "cover" in cell.metadata.get("tags", [])]
        self.picture = next(iter([*pictures_of(covers), *pictures_of(self.notebook.cells)]), "")


def formula(latex: str, options: dict[str, Any]) -> str:
    """Return a formula as MathML."""
    mathml = convert(latex, display="block" if options["display_mode"] else "inline")
    mathml = re.sub(r"(<m[io]>(?:ln|log|exp|sin|cos|tanh)</m[io]>)(?=<m[ins])", r'\1<mspace width="0.17em"/>', mathml)
    # The sign of a prime is raised already: once more, as an exponent, it would be tiny.
    return re.sub(r"<msup>(<mi>\w</mi>)<m[io]>(&#x0203[234];)</m[io]></msup>", r"<mrow>\1<mo>\2</mo></mrow>", mathml)


def make_markdown() -> MarkdownIt:
    """Return a reader of Markdown with tables, formulas and headings that can be linked to."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.use(dollarmath_plugin, renderer=formula, allow_labels=False)
    markdown.use(anchors_plugin, min_level=2, max_level=2)
    markdown.add_render_rule("math_block", lambda self, tokens, i, options, env: (
        f'<div class="formula">{formula(tokens[i].content.strip(), {"display_mode": True})}</div>\n'
    ))  # fmt: skip
    return markdown


MARKDOWN = make_markdown()


def code_of(cell: Any) -> str:
    """Return the highlighted source of a cell, folded away if its tag says so."""
    code = f'<div class="code">{highlight(cell.source, PythonLexer(), HtmlFormatter(cssclass="hl"))}</div>'
    for tag, summary in FOLDS.items():
        if tag in cell.metadata.get("tags", []):
            return f"<details><summary>{summary}</summary>{code}</details>"
    return code


def output_of(output: Any, about: str) -> str:
    """Return one output as HTML: a picture if it is one, text otherwise."""
    if output.output_type == "stream":
        return f"<pre>{html.escape(output.text.rstrip())}</pre>"
    data = output.get("data", {})
    if "image/png" in data:
        return f'<img alt="{html.escape(about)}" src="{picture_of(output)}">'
    return f"<pre>{html.escape(data.get('text/plain', ''))}</pre>"


def picture_of(output: Any) -> str:
    """Return the picture in an output as a data address, empty if there is none."""
    png = output.get("data", {}).get("image/png", "").replace("\n", "")
    return f"data:image/png;base64,{png}" if png else ""


def pictures_of(cells: list[Any]) -> list[str]:
    """Return the pictures that cells drew."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [picture for picture in map(picture_of, outputs) if picture]


def body_of(step: Step) -> str:
    """Return the cells of a step as HTML."""
    parts, heading = [], step.title
    for cell in step.notebook.cells:
        if cell.cell_type == "markdown":
            found = re.findall(r"^#+ (.*)$", cell.source, re.MULTILINE)
            heading = found[-1] if found else heading
            parts.append(f'<div class="text">{MARKDOWN.render(cell.source)}</div>')
        elif cell.cell_type == "code" and cell.source.strip():
            parts.append(code_of(cell))
            outputs = "".join(output_of(output, f"Picture: {heading}") for output in cell.outputs)
            if outputs:
                parts.append(f'<div class="output">{outputs}</div>')
    return "\n".join(parts)


def page(title: str, body: str) -> str:
    """Return a whole page."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{STYLE}{HtmlFormatter(style="friendly").get_style_defs(".hl")}
.hl, .hl pre {{ background: none; line-height: 1.5; }}</style>
</head>
<body>
{body}
</body>
</html>
"""


def link(step: Step | None, text: str) -> str:
    """Return a link to a step; an empty place without one, so that the others keep theirs."""
    return f'<a href="{step.stem}.html">{text.format(html.escape(step.title))}</a>' if step else "<span></span>"


def page_of_step(step: Step, before: Step | None, after: Step | None) -> str:
    """Return the page of a step, with the ways on and back."""
    body = body_of(step)
    sections = re.findall(r'<h2 id="([^"]*)">(.*?)</h2>', body)
    contents = "".join(f'<li><a href="#{anchor}">{heading}</a></li>' for anchor, heading in sections)
    top = (
        f'<nav><a href="index.html">minillm tutorials</a>'
        f'<span>computed in {step.seconds:.0f} s · <a href="{step.stem}.ipynb">notebook</a></span></nav>'
    )
    first_end = body.index("</div>") + len("</div>")  # the title and what will be built
    fold = f'<details class="contents"><summary>On this page</summary><ul>{contents}</ul></details>'
    end = f'<nav class="end">{link(before, "← {}")}{link(after, "{} →")}</nav>'
    return page(step.title, "\n".join([top, body[:first_end], fold, body[first_end:], end]))


def page_of_path(steps: list[Step]) -> str:
    """Return the first page: every step with a sentence, a picture and how long it takes."""
    items = []
    for step in steps:
        picture = f'<img alt="" src="{step.picture}">' if step.picture else "<span></span>"
        items.append(
            f'<li><a href="{step.stem}.html">{picture}</a><div><h2>{link(step, "{}")}</h2>'
            f"{MARKDOWN.render(step.sentence)}"
            f'<p class="time">{step.minutes} minutes of reading · {max(step.seconds, 1):.0f} s of computing</p>'
            "</div></li>"
        )
    reading = sum(step.minutes for step in steps)
    computing = max(60, sum(step.seconds for step in steps))
    intro = f"""<div class="intro"><h1>From a number that remembers to a GPT that writes</h1>
<p>Each step builds one idea from nothing in a few lines, then shows the same thing in minillm and in PyTorch, with the
same numbers. You need Python and the calculus of school. All {len(steps)} steps together take about
{reading / 60:.1f} hours to read, and computed for {computing / 60:.0f} minutes where these pages were built.</p>
<p>Run a step with <code>python tutorials/{steps[0].stem}.py</code>, or open the notebook beside its page, change
something, and see what happens. The exercises check themselves.</p></div>"""
    return page("minillm tutorials", f'{intro}<ol class="path">{"".join(items)}</ol>')
