"""Makes text from outside harmless: what comes from data, models, file names or events is shown, never obeyed.

No markup is ever parsed, and characters that a terminal acts on, or that reorder or hide other characters, are shown
as signs. Every widget that shows such text must pass it through `inert` or `visible`.
"""

from __future__ import annotations

import re

from textual.content import Content
from textual.style import Style

_C0 = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\u2421"}
_NAMED = {
    0x2028: "\u2424",
    0x2029: "\u2424",
    0x00AD: "‹shy›",
    0x061C: "‹alm›",
    0x200B: "‹zwsp›",
    0x200E: "‹lrm›",
    0x200F: "‹rlm›",
    0x202A: "‹lre›",
    0x202B: "‹rle›",
    0x202C: "‹pdf›",
    0x202D: "‹lro›",
    0x202E: "‹rlo›",
    0x2060: "‹wj›",
    0x2066: "‹lri›",
    0x2067: "‹rli›",
    0x2068: "‹fsi›",
    0x2069: "‹pdi›",
    0xFEFF: "‹bom›",
}
# C1 controls, invisible operators and digits of Unicode's tag block, lone surrogates (which cannot even be encoded).
_ODD = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f\ud800-\udfff]"
)


def _shown(match: re.Match[str], lines: bool) -> str:
    code = ord(match.group())
    if lines and code == 0x0A:
        return "\n"
    if lines and code == 0x09:
        return "    "
    if code in _C0:
        return _C0[code]
    return _NAMED.get(code) or f"‹{code:04x}›"


def visible(text: object, *, lines: bool = False) -> str:
    """`text` as a string in which nothing is hidden and nothing acts on the terminal.

    Args:
        text: anything; non-strings go through `str`.
        lines: keep line breaks (and widen tabs) instead of showing them as signs; a CR before LF is dropped.
    """
    plain = text if isinstance(text, str) else str(text)
    if lines:
        plain = plain.replace("\r\n", "\n")
    return _ODD.sub(lambda match: _shown(match, lines), plain)


def inert(text: object, style: str | Style = "", *, lines: bool = False) -> Content:
    """`text` as content for a widget: no markup, nothing hidden, in one style.

    Args:
        text: anything; see `visible`.
        style: a Textual style such as `"bold $text-muted"`, for all of it.
        lines: keep line breaks.
    """
    plain = visible(text, lines=lines)
    return Content.styled(plain, style) if style else Content(plain)


def writable(text: str) -> str:
    """`text` as UTF-8 can write it: the halves of a pair joined, and `\ufffd` for each half that stands alone."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def clip(text: object, width: int) -> str:
    """`text` in one line of at most `width` cells, with `…` where something was cut."""
    plain = visible(text)
    if width <= 0:
        return ""
    content = Content(plain)
    return plain if content.cell_length <= width else content.truncate(width, ellipsis=True).plain


def clip_middle(text: object, width: int) -> str:
    """Like `clip`, but the cut is in the middle: for names whose two ends matter, as those of run folders do."""
    plain = visible(text)
    content = Content(plain)
    if content.cell_length <= width or width < 5:
        return clip(text, width)
    tail = (width - 1) // 2
    head = width - 1 - tail
    start = content.truncate(head).plain
    end = plain
    while Content(end).cell_length > tail:
        end = end[1:]
    return f"{start}…{end}"
