"""Where the values of a JSON array or object begin, found from quotes, brackets and commas without decoding anything.

A piece of the file is looked through as arrays of positions, so that a file of gigabytes is indexed at the speed of the
disk. It knows nothing of JSON's other rules: whether a value is whole tells whoever decodes it. Where a text is never
closed, quotes and brackets say nothing any more; that is reported, not guessed at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tui_tuner.data.readers.indexed import Positions

Bytes = npt.NDArray[np.uint8]

_QUOTE, _BACKSLASH, _COMMA, _FEED = 34, 92, 44, 10
_STEP = np.zeros(256, np.int8)
_STEP[[ord("{"), ord("[")]] = 1
_STEP[[ord("}"), ord("]")]] = -1
_STRUCTURE = _STEP != 0
_STRUCTURE[_COMMA] = True
_MARKS = bytes(int(byte in b'"{}[],\n') for byte in range(256))
_SPACE = np.zeros(256, bool)
_SPACE[list(b" \t\r\n\xef\xbb\xbf")] = True


@dataclass
class State:
    """Where a scan stands between two pieces.

    Attributes:
        depth: open brackets within the container.
        in_text: whether the piece begins inside quotes.
        waiting: whether a value may begin at the next byte that is no space.
    """

    depth: int = 0
    in_text: bool = False
    waiting: bool = True


@dataclass(frozen=True)
class Found:
    """What a piece holds of a container's values.

    Attributes:
        begins: (n,) positions at which values begin, rising.
        uncommaed: those of them that no comma stands before.
        feeds: (m,) positions of the line feeds, in texts or not.
        spare: commas with no value behind them.
        end: position of the bracket that closes the container, or None.
        broken: position of a line break inside a text, which JSON has not: the text is never closed, and what comes
            after was not looked at.
        done: bytes looked through.
    """

    begins: Positions
    uncommaed: Positions
    feeds: Positions
    spare: int
    end: int | None
    broken: int | None
    done: int


def scan(piece: bytes, state: State, closing: bytes, *, objects: bool = True, final: bool = False) -> Found:
    """Looks through a piece and moves the state to its end.

    Args:
        piece: the bytes that follow those of the last call.
        state: where that call ended; changed.
        closing: the bracket that closes the container; empty where none does.
        objects: whether an opening bracket begins a value, with or without a comma before it. Not so in an object,
            where a name comes first.
        final: whether nothing follows.
    """
    # A backslash at the end may belong to a quote that the next piece begins with.
    done = len(piece) if final else len(piece.rstrip(b"\\"))
    if not done:
        none = np.zeros(0, np.int64)
        return Found(none, none, none, 0, None, None, 0)
    data = np.frombuffer(piece, np.uint8, done)
    marks = np.flatnonzero(np.frombuffer(piece.translate(_MARKS), np.bool_, done))
    signs = data[marks]
    is_quote = signs == _QUOTE
    is_quote[is_quote] = ~_escaped(data, marks[is_quote])
    within = (np.cumsum(is_quote) + state.in_text) & 1 == 1
    feeds = signs == _FEED
    inside = np.flatnonzero(feeds & within)
    broken = int(marks[inside[0]]) if len(inside) else None
    state.in_text = bool(within[-1]) if len(within) else state.in_text
    structure = _STRUCTURE[signs] & ~within
    if broken is not None:
        structure[inside[0] :] = False
    lines = marks[feeds]
    marks = marks[structure]
    steps, depths, last = _depths(data, marks, state.depth, closing)
    end = int(marks[last]) if last is not None else None
    if last is not None:
        marks, steps, depths = marks[:last], steps[:last], depths[:last]
    stop = end if end is not None else done
    commas = marks[(depths == 0) & (data[marks] == _COMMA)]
    begins = commas + 1
    if state.waiting:
        begins = np.concatenate([np.zeros(1, np.int64), begins])
    begins = _next_sign(data, begins, stop)
    waiting = len(begins) > 0 and int(begins[-1]) >= stop
    spare = int(waiting and end is not None and len(commas) > 0)
    begins = begins[begins < stop]
    empty = data[begins] == _COMMA
    spare += int(empty.sum())
    begins = begins[~empty]
    uncommaed = begins[:0]
    if objects:
        opens = marks[(steps == 1) & (depths == 1)]
        uncommaed = np.setdiff1d(opens, begins, assume_unique=True)
        if len(uncommaed):
            begins = np.sort(np.concatenate([begins, uncommaed]))
    state.depth = int(depths[-1]) if len(depths) else state.depth
    state.waiting = waiting
    if end is not None:
        broken, done = None, end + 1
    return Found(begins, uncommaed, lines, spare, end, broken, done)


def _escaped(data: Bytes, quotes: Positions) -> npt.NDArray[np.bool_]:
    """Whether an odd number of backslashes stands before each quote, which takes its meaning from it."""
    found: npt.NDArray[np.bool_] = data[np.maximum(quotes - 1, 0)] == _BACKSLASH
    found[quotes == 0] = False
    suspects = np.flatnonzero(found)
    if len(suspects):
        slashes = np.flatnonzero(data == _BACKSLASH)
        fresh = np.ones(len(slashes), bool)
        fresh[1:] = np.diff(slashes) != 1
        first = np.maximum.accumulate(np.where(fresh, slashes, 0))  # of the run that each one belongs to
        at = np.searchsorted(slashes, quotes[suspects] - 1)
        found[suspects] = (quotes[suspects] - first[at]) & 1 == 1
    return found


def _depths(
    data: Bytes, marks: Positions, depth: int, closing: bytes
) -> tuple[npt.NDArray[np.int8], Positions, int | None]:
    """The step that each mark makes, the depth after it, and which mark closes the container.

    A bracket that closes nothing, or the container with the wrong sign, makes no step.
    """
    steps = _STEP[data[marks]]
    raw = depth + np.cumsum(steps, dtype=np.int64)
    lowest = np.minimum.accumulate(np.minimum(raw, 0)) if len(raw) else raw
    stray = np.flatnonzero(np.diff(lowest, prepend=0) < 0)
    last = None
    if closing and len(stray):
        right = stray[data[marks[stray]] == closing[0]]
        last = int(right[0]) if len(right) else None
    if len(stray):
        steps = steps.copy()
        steps[stray] = 0
    return steps, raw - lowest, last


def _next_sign(data: Bytes, positions: Positions, stop: int) -> Positions:
    """For each position the first one from there on that is no space; `stop` where there is none."""
    found = np.minimum(positions, stop)
    looking = np.flatnonzero(found < stop)
    while len(looking):
        looking = looking[_SPACE[data[found[looking]]]]
        found[looking] += 1
        looking = looking[found[looking] < stop]
    return found
