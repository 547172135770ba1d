"""Makes a picture of the screen fit for any program that shows it: no web fonts, and columns that stand straight."""

from __future__ import annotations

import html
import re


def self_contained(svg: str) -> str:
    """A picture without web fonts whose columns stand straight in any font and in any program that shows it."""
    svg = re.sub(r"@font-face\s*{[^}]*}", "", svg)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    fonts = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
    svg = re.sub(r"font-family:\s*Fira Code[^;]*;", f"font-family: {fonts};", svg)
    svg = _TEXT.sub(_placed, svg)
    return re.sub(r"\n\s*\n+", "\n", svg)


_CELL = 12.2
"""Width of a cell in the units of the picture."""
_TEXT = re.compile(
    r'<text class="([^"]*)" x="([\d.]+)" y="([\d.]+)" textLength="[\d.]+" clip-path="([^"]*)">(.*?)</text>'
)


def _placed(match: re.Match[str]) -> str:
    """A run of cells as pieces that each say where they stand and how wide they are.

    Signs beyond ASCII may come from a font of another width, so they go in short pieces, the dots of curves one by one,
    and lines and blocks are stretched, so that they meet.
    """
    style, x, y, clip, text = match.groups()
    pieces = []
    for piece in _PIECE.finditer(html.unescape(text).replace("\u00a0", " ")):
        start, cells = float(x) + piece.start() * _CELL, piece.group()
        content = html.escape(cells, quote=False).replace(" ", "&#160;")
        width = f' textLength="{len(cells) * _CELL:.1f}"' if len(cells) > 1 or _DRAWN.match(cells) else ""
        if _DRAWN.match(cells):
            width += ' lengthAdjust="spacingAndGlyphs"'
        pieces.append(f'<text class="{style}" x="{start:.1f}"{width} y="{y}" clip-path="{clip}">{content}</text>')
    return "".join(pieces)


_DRAWN = re.compile(r"[\u2500-\u259f]")
_PIECE = re.compile(r"[!-~]+(?: [!-~]+)*|[\u2801-\u28ff]|[\u2500-\u259f]{1,8}|[^\s!-~\u2500-\u259f\u2800-\u28ff]{1,8}")
