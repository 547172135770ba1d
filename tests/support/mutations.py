"""Damage by chance: bytes and values as a bad disk, another program or a joker would leave them, and what comes of it.

Every case follows from its seed, so that what a test names can be made again.
"""

from __future__ import annotations

import copy
import json
import random
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psutil

from tui_tuner.errors import TunerError

SLOWEST = 5.0
"""Seconds that reading one small damaged file may take, on a machine that is busy with other tests."""
MEMORY = 600 << 20
"""Bytes that thousands of small files may leave behind, libraries included."""
WORDS = [
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\r",
    b"\n\n",
    b'"',
    b"'",
    b"{",
    b"}",
    b"[",
    b"]",
    b"{}",
    b"[]",
    b"null",
    b"NaN",
    b"Infinity",
    b"-",
    b"1e999",
    b"-1",
    b"0",
    b"9" * 400,
    b"1" + b"0" * 5000,
    b"true",
    b"\\u0000",
    b"\\ud800",
    b"\\",
    b"[" * 3000,
    b'{"a":' * 3000,
    b"#",
    b":",
    b",",
    b"=",
    b"\t",
    b"&a [*a]",
    b"!!python/object/apply:os.system ['true']",
    b"<<: *x",
    b"---\n",
    b"%",
    b"../../x",
    b"/",
    b"\x1b[2J",
    b"__class__",
    b"{0.__class__}",
    b"\xe2\x80\xae",
    b"2026-11-22",
]
ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    2**200,
    -(2**64),
    0.0,
    -0.0,
    1e308,
    -1e308,
    1e-320,
    float("nan"),
    float("inf"),
    "",
    " ",
    "x",
    "0",
    "1e-4",
    "\0",
    "\ud800",
    "\x1b[2J",
    "é" * 5_000,
    "../../x",
    "/",
    ".",
    "..",
    [],
    {},
    [[]],
    {"": {}},
    [None],
    [1, "x"],
    {"a": 1},
    {"__class__": "x"},
    [[[[[[]]]]]],
    [0] * 500,
]


def damaged(sample: bytes, chance: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """A sample with one to five pieces changed, cut, doubled, or taken from elsewhere."""
    data = bytearray(sample)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 5))):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((1, 1, 2, 4, 16, 100, 1000)))
        kind = chance.randrange(8)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = chance.randrange(256)
        elif kind == 2:
            del data[at:end]
        elif kind == 3:
            data[at:at] = data[at:end] * chance.choice((1, 2, 20))
        elif kind == 4:
            data[at:at] = chance.choice(WORDS)
        elif kind == 5:
            data[at:end] = chance.choice(WORDS)
        elif kind == 6:
            del data[at:]
        elif others:
            other = chance.choice(others)
            start = chance.randrange(len(other) + 1)
            data[at:end] = other[start : start + chance.randrange(200)]
    return bytes(data)


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside a value, the value itself included."""
    yield here
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield from places(each, (*here, key))


def odd(sample: Any, chance: random.Random) -> Any:
    """A value of JSON with one to three of its parts gone, doubled, or replaced by something odd."""
    made = copy.deepcopy(sample)
    for _ in range(chance.choice((1, 1, 2, 3))):
        ways = [way for way in places(made) if way]
        if not ways:
            return chance.choice(ODD)
        *before, last = chance.choice(ways)
        parent = made
        for step in before:
            parent = parent[step]
        kind = chance.randrange(6)
        if kind == 0:
            del parent[last]
        elif kind == 1 and isinstance(parent, dict):
            parent[chance.choice(["", "x", "type", "\0", str(last) + "x"])] = copy.deepcopy(parent[last])
        elif kind == 2 and isinstance(parent, list):
            parent.insert(last, copy.deepcopy(parent[last]))
        elif kind == 3:
            parent[last] = [parent[last]]
        else:
            parent[last] = copy.deepcopy(chance.choice(ODD))
    return made


def as_json(value: Any) -> bytes:
    """JSON as Python writes it, NaN and half surrogates included."""
    return json.dumps(value).encode("utf-8", "surrogatepass")


@contextmanager
def in_time(seconds: float = SLOWEST) -> Iterator[None]:
    """Ends with a `TimeoutError` what takes longer, also where it neither waits nor asks."""

    def late(*_: object) -> None:
        raise TimeoutError(f"it took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def survive(read: Callable[[Any], object], make: Callable[[random.Random], Any], cases: int, seed: int = 0) -> int:
    """Reads so many damaged things; how many were refused.

    Args:
        read: the loader; may raise `TunerError` and nothing else.
        make: makes what it is given, by chance.
        cases: how many.
        seed: of the first case.

    Raises:
        AssertionError: something else came out, it took too long, or too much memory was left behind; names the case.
    """
    process, refused = psutil.Process(), 0
    before = 0
    for number in range(cases):
        wrong = ""
        given = make(random.Random(f"{seed}/{number}"))
        began = time.monotonic()
        try:
            with in_time():
                read(given)
        except TunerError as error:
            sentence = error.sentence()
            assert sentence and "\n" not in sentence.strip(), f"case {seed}/{number}: {sentence!r}"
            refused += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            # As plain text: the error may hold what neither a terminal nor another process can be sent.
            told = ascii("".join(traceback.format_exception(error, limit=-6))[-3_000:]).replace("\\n", "\n")
            late = f"after {time.monotonic() - began:.1f} s, given {ascii(given)[:1_500]}"
            wrong = f"case {seed}/{number}: {type(error).__name__} {late}\n{told}"
        if wrong:
            raise AssertionError(wrong)
        if number == cases // 10:
            before = process.memory_info().rss
    assert process.memory_info().rss - before < MEMORY, "memory grows with every case"
    return refused
