"""What a person notes of a run: tags, a line of text, whether it is pinned or archived. It is kept in the run's folder.

It is never read by what trains: a run is what its events say, whatever is noted of it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..atomic import write_failure
from ..errors import TunerError
from .files import read_json, write_json
from .folder import RunFolder
from .lock import guarded

LABELS = "labels.json"
_LONGEST_TAG, _LONGEST_NOTE = 40, 2_000


@dataclass(frozen=True)
class Labels:
    """What was noted.

    Attributes:
        tags: words, sorted, without blanks.
        note: a text of the person's; empty for none.
        pinned: whether the run stands before all others.
        archived: whether it is left out of the list unless it is asked for.
    """

    tags: tuple[str, ...] = ()
    note: str = ""
    pinned: bool = False
    archived: bool = False

    def tagged(self, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Labels:
        """With these tags more and those less; a tag that is not there is taken away without a word.

        Raises:
            TunerError: `bad-tag` for one that is empty, has blanks or control characters in it, or is too long.
        """
        tags = set(self.tags) | {checked_tag(tag) for tag in add}
        return replace(self, tags=tuple(sorted(tags - {tag.strip().casefold() for tag in remove})))

    def noted(self, text: str) -> Labels:
        """With another text, empty for none; what is beyond 2,000 characters is refused.

        Raises:
            TunerError: `bad-note`.
        """
        text = text.strip()
        if len(text) > _LONGEST_NOTE:
            raise TunerError(
                f"the note has {len(text):,} characters, and a run keeps {_LONGEST_NOTE:,}",
                code="bad-note",
                fix="shorten it, or keep it in a file of your own in the run's folder",
                usage=True,
            )
        return replace(self, note=text)


NOTHING = Labels()


def checked_tag(text: str) -> str:
    """A tag as it is kept: in small letters.

    Raises:
        TunerError: `bad-tag`.
    """
    tag = text.strip().casefold()
    odd = any(mark.isspace() or unicodedata.category(mark).startswith("C") or mark in ',"' for mark in tag)
    if not tag or odd or len(tag) > _LONGEST_TAG:
        raise TunerError(
            f"“{text.strip()[:_LONGEST_TAG]}” cannot be a tag",
            code="bad-tag",
            fix=f"a tag is one word of at most {_LONGEST_TAG} characters, without commas and quotes",
            usage=True,
        )
    return tag


def labels_of(folder: Path) -> Labels:
    """What is noted of the run in a folder; nothing where there is no such file, or one that cannot be understood."""
    with suppress(TunerError):
        found = read_json(folder / LABELS)
        if isinstance(found, dict):
            tags = found.get("tags")
            note = found.get("note")
            known = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
            kept: list[str] = []
            for tag in known:
                with suppress(TunerError):
                    kept.append(checked_tag(tag))
            return Labels(
                tuple(sorted(set(kept))),
                note[:_LONGEST_NOTE] if isinstance(note, str) else "",
                found.get("pinned") is True,
                found.get("archived") is True,
            )
    return Labels()


def change_labels(
    folder: RunFolder,
    *,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    note: str | None = None,
    pinned: bool | None = None,
    archived: bool | None = None,
) -> Labels:
    """Notes something of a run and leaves the rest as it is; two programs that do so at once lose nothing.

    Args:
        note: None leaves it, an empty text takes it away.

    Returns:
        What is noted now.

    Raises:
        TunerError: a tag or note that cannot be; what was noted cannot be read, and would be lost; or the folder cannot
            be written.
    """
    place = folder.path / LABELS
    try:
        with guarded(folder.path):
            if place.exists():
                read_json(place)
            labels = labels_of(folder.path).tagged(add, remove)
            labels = labels if note is None else labels.noted(note)
            labels = replace(
                labels,
                pinned=labels.pinned if pinned is None else pinned,
                archived=labels.archived if archived is None else archived,
            )
            document = {
                "tags": list(labels.tags),
                "note": labels.note,
                "pinned": labels.pinned,
                "archived": labels.archived,
            }
            write_json(place, document)
    except OSError as error:
        raise write_failure(error, folder.path) from error
    return labels
