"""Where the rows of a JSON file are that is one value: an array, or an object that holds its rows somehow.

An object is told by its members, which are found without decoding them: a list of objects under some key, also one
level further down; lists under the names of splits; columns of equal length; records or texts under names of their own;
or the object is the one row. Nothing is guessed where several members could be meant: a person names one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tui_tuner.data.readers import jsontext
from tui_tuner.data.readers.content import Content, wait_for
from tui_tuner.data.readers.encodings import Coding, decoded
from tui_tuner.data.readers.indexed import PIECE, Damage
from tui_tuner.data.readers.jsonscan import State, scan
from tui_tuner.data.readers.jsonvalues import JsonMembers, JsonValues
from tui_tuner.data.readers.memory import MemoryTable
from tui_tuner.data.splitnames import SPLITS, split_of
from tui_tuner.data.table import Table
from tui_tuner.errors import TunerError

PARTS_OF_A_ROW = frozenset({"messages", "conversations", "conversation", "dialogue", "turns", "chat", "tools"})
"""Lists under these keys are parts of one row, not a list of rows."""

_WHOLE = 1 << 24
_PEEK = 1 << 12
_SPACE = b" \t\r\n\xef\xbb\xbf"
_PARTS_OF_TEXT = frozenset({"prompt", "completion", "question", "answer", "instruction", "output", "response", "text"})
_MOST_MEMBERS = 10_000
_FEWEST_PAIRS = 3


@dataclass(frozen=True)
class Member:
    """A member of an object: its name, where its value begins and ends, the value's first sign, and what is in it.

    Attributes:
        name: the key.
        start: byte of the value's first sign.
        stop: byte behind the value, or None where the search ended before it.
        sign: "[", "{", '"' or another first byte.
        inner: of a list or object, the first sign inside; empty where nothing is.
    """

    name: str
    start: int
    stop: int | None
    sign: str
    inner: str

    @property
    def holds_objects(self) -> bool:
        return self.sign == "[" and self.inner == "{" and self.name not in PARTS_OF_A_ROW


@dataclass(frozen=True)
class _Object:
    """An object's members, as far as they were found, and the byte of its closing bracket if that was.

    Attributes:
        path: the keys that lead to it, each with a point behind it.
        outer: how many objects have to be closed behind a list among its members; None where that was seen already.
    """

    members: list[Member]
    end: int | None
    path: str = ""
    outer: int | None = 1

    def get(self, name: str) -> Member | None:
        return next((member for member in self.members if member.name == name), None)


class _Document:
    """One JSON file."""

    def __init__(self, content: Content, coding: Coding) -> None:
        self.content = content
        self.coding = coding

    def inside(self, member: Member, outside: _Object) -> _Object:
        """The object that a member holds."""
        outer = None if outside.outer is None else outside.outer + 1
        found = members_of(self.content, member.start)
        return _Object(found.members, found.end, f"{outside.path}{member.name}.", outer)

    def rows_of(self, member: Member, outside: _Object) -> Table:
        """The values of the list that a member holds."""
        table = self.array(member.start, "json-object", outside.outer)
        table.said.append(f'the rows are those under "{outside.path}{member.name}"')
        return table

    def array(self, start: int, format: str, outer: int | None, names: list[str] | None = None) -> JsonValues:
        head = wait_for(self.content, start + 1, start + 1 + _PEEK).lstrip(_SPACE)
        first, of_lists = head[:1], names is None
        if first == b"[" and of_lists:
            head = wait_for(self.content, start + 1, start + 1 + PIECE)
            names = jsontext.names_of_cells(jsontext.first(head.decode("utf-8", "replace"))[0])
        line = line_of(self.content, start)
        table = JsonValues(
            self.content,
            self.coding,
            format,
            start + 1,
            line,
            closing=b"]",
            bare=first == b'"',
            names=names,
            outer=outer,
        )
        if first == b'"':
            table.said.append('the rows are bare texts, read as the one column "text"')
        elif names is not None and of_lists:
            table.said.append(jsontext.cells_note(names))
        return table

    def values(self, members: list[Member]) -> dict[str, Any] | None:
        """Members as values; None where one is damaged, or its end was not found."""
        found: dict[str, Any] = {}
        for member in members:
            raw = self.content.read(member.start, member.stop) if member.stop is not None else b""
            text = decoded(raw, self.coding)
            value = jsontext.first(text)[0] if text else None
            if value is None or isinstance(value, Damage):
                return None
            found[member.name] = value
        return found

    def error(self, message: str, code: str, fix: str, *, usage: bool = False) -> TunerError:
        return TunerError(message, code=code, where=str(self.content.path), fix=fix, usage=usage)


def document(content: Content, coding: Coding, start: int, subset: str = "") -> dict[str, Table]:
    """The tables of a file that is one JSON value, by split; under "" where it has none.

    Args:
        content, coding: the file.
        start: byte of the value's first sign.
        subset: the name of the member that holds the rows, where a person names it.

    Raises:
        TunerError: several members could hold the rows, or the one that is named doesn't.
    """
    of = _Document(content, coding)
    if content.read(start, start + 1) == b"[":
        return {"": of.array(start, "json-array", 0)}
    found = members_of(content, start)
    one: dict[str, Table] = {"": JsonValues(content, coding, "json-objects", start, line_of(content, start))}
    if found.end is not None and not is_last(content, found.end + 1):
        return one
    top = _Object(found.members, found.end, outer=None if found.end is not None else 1)
    if subset:
        return _named(of, top, subset)
    found_rows = _held(of, top) or _held_below(of, top) or _as_columns(of, top)
    return found_rows or _as_records(of, top, start) or _as_pairs(of, top, start) or one


def members_of(content: Content, start: int) -> _Object:
    """The members of the object that opens at a byte, as far as its first 16 MiB go and it is not damaged."""
    state, position, end = State(), start + 1, None
    begins: list[int] = []
    while end is None and position - start < _WHOLE and len(begins) < _MOST_MEMBERS:
        piece = wait_for(content, position, position + PIECE)
        final = len(piece) < PIECE
        found = scan(piece, state, b"}", objects=False, final=final)
        begins.extend((found.begins + position).tolist())
        end = found.end + position if found.end is not None else None
        position += found.done
        if final or found.broken is not None or not found.done:
            break
    members: list[Member] = []
    for number, begin in enumerate(begins):
        member = _member(content, begin, begins[number + 1] if number + 1 < len(begins) else end)
        if member is None:
            return _Object(members, None)
        members.append(member)
    last = {member.name: member for member in members}  # the last of a name counts, as it does for the decoder
    return _Object(list(last.values()), end)


def _member(content: Content, begin: int, stop: int | None) -> Member | None:
    window = _PEEK
    while True:
        raw = wait_for(content, begin, begin + window)
        name, _ = jsontext.first(raw.decode("utf-8", "replace"))
        if isinstance(name, str):
            break
        if not isinstance(name, Damage) or window >= PIECE or len(raw) < window:
            return None
        window *= 4
    behind = raw[_end_of_text(raw) :].lstrip(_SPACE)
    if not behind.startswith(b":"):
        return None
    value = behind[1:].lstrip(_SPACE)
    at = begin + len(raw) - len(value)
    inner = value[1:].lstrip(_SPACE)[:1] if value[:1] in (b"[", b"{") else b""
    return Member(name, at, stop, value[:1].decode("latin-1"), "" if inner in b"]}" else inner.decode("latin-1"))


def _end_of_text(raw: bytes) -> int:
    """The byte behind the text that raw JSON begins with."""
    at = 1
    while raw[at : at + 1] != b'"':
        at += 2 if raw[at : at + 1] == b"\\" else 1
    return at + 1


def _held(of: _Document, top: _Object) -> dict[str, Table] | None:
    """The tables of members that hold lists of objects; None when there are none, or when they are a row's parts."""
    lists = [member for member in top.members if member.holds_objects]
    splits: dict[str, Member] = {}
    for member in lists:
        if split := split_of(member.name):
            splits.setdefault(split, member)
    if "train" in splits:
        if len(splits) > 1:
            return {split: of.rows_of(splits[split], top) for split in SPLITS if split in splits}
        lists = [splits["train"]]
    if not lists or any(member.sign == '"' and member.name in _PARTS_OF_TEXT for member in top.members):
        return None
    if len(lists) == 1:
        return {"": of.rows_of(lists[0], top)}
    names = ", ".join(f'"{member.name}"' for member in lists[:8])
    raise of.error(
        f"the object holds several lists of rows: {names}",
        "ambiguous-rows",
        f'name one of them, such as data.subset = "{lists[0].name}"',
    )


def _held_below(of: _Document, top: _Object) -> dict[str, Table] | None:
    """The same one level further down, where only one member is an object."""
    nests = [member for member in top.members if member.sign == "{" and member.inner == '"']
    return _held(of, of.inside(nests[0], top)) if len(nests) == 1 else None


def _named(of: _Document, top: _Object, subset: str) -> dict[str, Table]:
    """The rows under the key that a person names; "a.b" is b inside a."""
    outside, name = top, subset
    outer, _, rest = subset.partition(".")
    if not top.get(subset) and rest and (holder := top.get(outer)) and holder.sign == "{":
        outside, name = of.inside(holder, top), rest
    member = outside.get(name)
    if member and member.sign == "[":
        return {"": of.rows_of(member, outside)}
    if member and member.sign == "{" and (found := _held(of, of.inside(member, outside))):
        return found
    names = ", ".join(f'"{member.name}"' for member in outside.members if member.sign in "[{")
    raise of.error(
        f'the file has no rows under "{subset}"',
        "no-such-subset",
        f"set data.subset to one of {names}" if names else "leave data.subset empty",
        usage=True,
    )


def _as_columns(of: _Document, top: _Object) -> dict[str, Table] | None:
    """Columns side by side: lists of equal length, objects with equal keys, or a list of lists with its columns."""
    members = top.members
    lists = [m for m in members if m.sign == "[" and m.inner != "{" and m.name not in PARTS_OF_A_ROW]
    nested = [m for m in members if m.sign == "{" and m.inner == '"']
    if {"columns", "data"} <= {m.name for m in members} <= {"columns", "index", "data", "schema"}:
        return _split_frame(of, top)
    if not members or (len(lists) < len(members) and len(nested) < len(members)):
        return None
    if top.end is None and members[-1].start > _WHOLE // 2:
        raise of.error(
            "the file is one large object of columns, which can only be read as a whole",
            "unsupported-format",
            "save it as JSONL: one object for each row",
        )
    value = of.values(members)
    if value is None:
        return None
    if nested:
        keys = [list(column) for column in value.values()]
        if any(other != keys[0] for other in keys[1:]) or not all(key.isdigit() for key in keys[0]):
            return None
        value = {name: list(column.values()) for name, column in value.items()}
    if len({len(column) for column in value.values()}) > 1:
        told = ", ".join(f'"{name}" {len(column):,}' for name, column in list(value.items())[:6])
        raise of.error(
            f"the object's columns have different lengths: {told}",
            "bad-table",
            "give every column the same length, or save one object for each row",
        )
    records = [dict(zip(value, cells, strict=True)) for cells in zip(*value.values(), strict=True)]
    return {"": MemoryTable(of.content.path, "json-object", records, ["the file holds columns, read as rows"])}


def _split_frame(of: _Document, top: _Object) -> dict[str, Table] | None:
    """What pandas calls the orientation "split": names of columns, and a list of lists."""
    columns, data = top.get("columns"), top.get("data")
    values = of.values([columns]) if columns else None
    names = values["columns"] if values else None
    if not data or data.inner != "[" or not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        return None
    return {"": of.array(data.start, "json-object", top.outer, names)}


def _as_records(of: _Document, top: _Object, start: int) -> dict[str, Table] | None:
    """Records under names of their own: two members or more, objects all of them, that begin with the same name."""
    members = top.members
    if len(members) < 2 or any(member.sign != "{" or member.inner != '"' for member in members):
        return None
    firsts = set()
    for member in members[:20]:
        raw = wait_for(of.content, member.start + 1, member.start + _PEEK)
        firsts.add(jsontext.first(raw.decode("utf-8", "replace"))[0])
    if len(firsts) > 1 or not all(isinstance(name, str) for name in firsts):
        return None
    table = JsonMembers(of.content, of.coding, "json-object", start + 1, line_of(of.content, start), closing=b"}")
    table.said.append('the rows are the members of one object; their names are the column "key"')
    return {"": table}


def _as_pairs(of: _Document, top: _Object, start: int) -> dict[str, Table] | None:
    """Texts under names of their own, such as answers under their questions.

    Few members, or names that read like those of columns, are one record and not many.
    """
    members = top.members
    if len(members) < _FEWEST_PAIRS or any(member.sign != '"' for member in members):
        return None
    if sum(" " in member.name.strip() or not member.name.isascii() for member in members) <= len(members) / 2:
        return None
    table = JsonMembers(
        of.content, of.coding, "json-object", start + 1, line_of(of.content, start), closing=b"}", bare=True
    )
    table.said.append('the rows are the members of one object: "key" is the name, "value" the text under it')
    return {"": table}


def is_last(content: Content, position: int) -> bool:
    """Whether nothing but space follows."""
    while piece := wait_for(content, position, position + PIECE):
        if piece.strip(_SPACE):
            return False
        position += len(piece)
    return True


def line_of(content: Content, start: int) -> int:
    """The line of a byte, from 1."""
    count, position = 1, 0
    while position < start:
        count += content.read(position, min(position + PIECE, start)).count(b"\n")
        position += PIECE
    return count
