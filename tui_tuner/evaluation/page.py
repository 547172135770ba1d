"""A report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere, light and dark.

It is made to be handed on: what is not a row of the data names no place on the machine and holds no secret. Every
text is escaped, and characters that reorder others or steer a terminal are taken out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from tui_tuner.errors import without_secrets
from tui_tuner.evaluation.blocks import Block, Chart, Heading, Quoted, Sentence, Table, Terms, plain
from tui_tuner.evaluation.svg import chart_svg, legend
from tui_tuner.models.card import without_places

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --soft: #6a6a70; --line: #d8d8dc; --back: #ffffff; --quote: #f4f4f6;
  --c1: #0072b2; --c2: #a86500; --c3: #00795a; --c4: #a8487f; --c5: #7a7000; --c6: #c04a00;
  --c7: #4450c8; --c8: #555555; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8ea; --soft: #9a9aa2; --line: #3a3a40; --back: #17171a; --quote: #222226;
    --c1: #56b4e9; --c2: #f0a830; --c3: #2fc79a; --c4: #e58fbf; --c5: #f0e442; --c6: #ff7f50;
    --c7: #8f9bff; --c8: #c0c0c0; } }
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; } h3 { font-size: 1rem; margin-top: 1.6rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
th, td { text-align: left; padding: 0.3rem 0.9rem 0.3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
.better { color: var(--c3); font-weight: 600; } .worse { color: var(--c6); font-weight: 600; }
pre { background: var(--quote); padding: 0.5rem 0.8rem;
  white-space: pre-wrap; overflow-wrap: anywhere; margin: 0.2rem 0; }
figure { margin: 1rem 0; } figcaption { font-size: 0.9rem; } figcaption span { margin-right: 1.4rem; }
.what { color: var(--soft); font-size: 0.9rem; margin: 0.8rem 0 0; }
svg { width: 100%; height: auto; }
svg .line { fill: none; stroke-width: 1.6; stroke-linejoin: round; } svg .grid { stroke: var(--line); }
svg .axis { stroke: var(--soft); fill: none; } svg text { font: 12px system-ui, sans-serif; }
svg .tick { fill: var(--soft); text-anchor: middle; } svg .tick.y { text-anchor: end; }
"""
_COLOURS = "".join(
    f"svg .line.c{at} {{ stroke: var(--c{at}); }} svg .sign.c{at} {{ fill: var(--c{at}); }} "
    f"figcaption .c{at} {{ color: var(--c{at}); }}\n"
    for at in range(1, 9)
)
_VERDICTS = {"better": "▲ better", "worse": "▼ worse"}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def as_page(blocks: Sequence[Block]) -> str:
    """The blocks as a page. Its title is the first heading."""
    title = next((block.text for block in blocks if isinstance(block, Heading)), "Report")
    body = "\n".join(_block(block) for block in blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_said(title)}</title>\n<style>{_STYLE}{_COLOURS}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _block(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{_said(text)}</h{level}>"
        case Sentence(text):
            return f"<p>{_said(text)}</p>"
        case Table(titles, rows):
            head = "".join(f'<th scope="col">{_said(title)}</th>' for title in titles)
            body = "\n".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
            table = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>"
            return f'<div class="wide"><table>\n{table}\n</table></div>'
        case Quoted(title, text):
            what = f'<p class="what">{_said(title)}</p>\n' if title else ""
            # The line break behind the tag is one that browsers leave out, so that a text may begin with one.
            return f"{what}<pre>\n{_verbatim(text)}</pre>"
        case Terms(items):
            told = "\n".join(f"<li><strong>{_said(term)}</strong>: {_said(text)}</li>" for term, text in items)
            return f"<ul>\n{told}\n</ul>"
        case Chart():
            named = legend(block.curves)
            told = "".join(f'<span><b class="{name}">{sign}</b> {_said(text)}</span>' for name, sign, text in named)
            what = f"{_said(block.title)}, {_said(block.y_label)} over {_said(block.x_label)}"
            return f"<figure>\n{chart_svg(block)}\n<figcaption>{told}<br>{what}</figcaption>\n</figure>"


def _cell(text: str) -> str:
    """A cell; verdicts have a sign and a colour."""
    if text in _VERDICTS:
        return f'<td class="{text}">{_VERDICTS[text]}</td>'
    return f"<td>{_said(text)}</td>"


def _said(text: object) -> str:
    """What is said of runs: escaped, in one line, without places and secrets."""
    flat = " ".join(str(text).split())
    return escape(plain(without_places(without_secrets(flat))))


def _verbatim(text: str) -> str:
    """A text of data or a model, line by line as it is."""
    return "\n".join(escape(plain(re.sub("\t", "    ", line))) for line in text.splitlines())
