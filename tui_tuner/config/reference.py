"""The reference of every key as Markdown, made from the model: `python -m tui_tuner.config.reference [FILE]`.

Without a file it prints the reference. With one it puts it between the two marks in that file; a test holds
docs/configuration.md to it. It must never write anything that the model does not say.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tui_tuner.config import describe

START = "<!-- made by python -m tui_tuner.config.reference: start -->"
END = "<!-- made by python -m tui_tuner.config.reference: end -->"


_HEAD = ["| key | type | default | allowed | what it is |", "|---|---|---|---|---|"]


def markdown() -> str:
    """A heading and a table for every section, without the marks."""
    parts = []
    for section in describe.sections():
        parts += [f"### [{section.name}]", "", section.help, ""]
        parts += _HEAD
        parts += [_row(info, info.name) for info in describe.fields() if info.section == section.name]
        for info in describe.fields():
            if info.section == section.name and (inner := describe.entries(info)):
                parts += ["", f"Each `[[{info.key}]]` has", "", *_HEAD, *(_row(each, each.key) for each in inner)]
        parts.append("")
    return "\n".join(parts).rstrip()


def _row(info: describe.FieldInfo, name: str) -> str:
    default = "required" if info.required else f"`{info.default_text}`"
    cells = [f"`{name.rpartition('.')[2]}`", info.type, default, info.allowed, info.help]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def inserted(page: str) -> str:
    """The page with the reference between its marks; ValueError when a mark is missing."""
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError("the page has no marks to put the reference between")
    return f"{before}{START}\n\n{markdown()}\n\n{END}{after}"


def main(arguments: Sequence[str]) -> int:
    """Print the reference, or bring a page up to date."""
    if not arguments:
        sys.stdout.write(markdown() + "\n")
        return 0
    page = Path(arguments[0])
    page.write_text(inserted(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
