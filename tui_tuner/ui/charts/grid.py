"""A rectangle of characters, each with the number of a style: what a chart is painted on before it becomes strips.

Everything here holds exactly one cell per character, so text from outside passes through :func:`plain` (control
characters become visible signs) and, on the grid, loses characters that are not one cell wide. What a style number
means is the widget's affair; this module must never import textual.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size

BASE, TITLE, LABEL, AXIS, GRID, CROSSHAIR, MARKER, EMPTY, LEGEND, READOUT = range(10)
SERIES = 16
"""Style of the first series; its dimmed twin (raw values behind a smoothed curve) follows, then the next series."""


class Span(NamedTuple):
    """A piece of a header line: plain text in one style."""

    text: str
    style: int


def plain(text: str) -> str:
    """The text on one line with control and formatting characters made visible, so that none reaches the terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return "�" if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} else character


def shorten(text: str, cells: int) -> str:
    """The text, cut to a number of terminal cells with an ellipsis when it is wider."""
    if cell_len(text) <= cells:
        return text
    return set_cell_size(text, max(0, cells - 1)).rstrip() + "…" if cells > 0 else ""


def fit_line(spans: list[Span], width: int) -> list[Span]:
    """The spans cut or padded to exactly ``width`` cells."""
    fitted: list[Span] = []
    left = width
    for span in spans:
        text = shorten(span.text, left)
        left -= cell_len(text)
        if text:
            fitted.append(Span(text, span.style))
        if left <= 0:
            break
    if left > 0:
        fitted.append(Span(" " * left, BASE))
    return fitted


class Grid:
    """``height`` rows of ``width`` cells: code points and style numbers, blank at first."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.codes: NDArray[np.uint32] = np.full((height, width), ord(" "), dtype=np.uint32)
        self.styles: NDArray[np.int16] = np.zeros((height, width), dtype=np.int16)

    def put(self, row: int, column: int, text: str, style: int) -> None:
        """Write text to the right of a cell; what falls outside is cut, what is not one cell wide becomes ``?``."""
        if not 0 <= row < self.height:
            return
        for offset, character in enumerate(text):
            at = column + offset
            if 0 <= at < self.width:
                self.codes[row, at] = ord(character) if cell_len(character) == 1 else ord("?")
                self.styles[row, at] = style

    def free(self, row: int, start: int, stop: int) -> bool:
        """Whether the cells ``start..stop-1`` of a row exist and are blank."""
        inside = 0 <= row < self.height and 0 <= start <= stop <= self.width
        return inside and bool((self.codes[row, start:stop] == ord(" ")).all())

    def lines(self) -> Iterator[list[Span]]:
        """Each row as spans of one style. Blanks take the style before them, so that rows have few spans."""
        if not self.width or not self.height:
            yield from ([] for _ in range(self.height))
            return
        flat, styles = self.codes.ravel(), self.styles.ravel()
        inked = np.where(flat != ord(" "), np.arange(len(flat)), 0)
        styles = styles[np.maximum.accumulate(inked)]
        changes = np.flatnonzero(styles[1:] != styles[:-1]) + 1
        edges = np.union1d(changes, np.arange(0, len(flat) + 1, self.width))
        text = flat.astype("<u4").tobytes().decode("utf-32-le")
        starts, stops = edges[:-1].tolist(), edges[1:].tolist()
        row: list[Span] = []
        for start, stop, style in zip(starts, stops, styles[edges[:-1]].tolist(), strict=True):
            row.append(Span(text[start:stop], style))
            if stop % self.width == 0:
                yield row
                row = []
