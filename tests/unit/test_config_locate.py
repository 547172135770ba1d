"""Lines of keys in TOML texts, against what tomllib reads from the same text."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.config.locate import key_lines

SAMPLE = '''\
# a = 1
title = "x # no = comment"
a.b."c.d" = 1
text = """
fake = 1
[fake]
\\""" still = 2
"quoted""""
literal = \'\'\'
[also.fake]
\'\'\'\'
when = 1979-05-27 07:32:00
empty = ""
list = [ # why
  "one", # [two]
  'th"ree',
  { x = 1, "y z" = [
      2] },
]

[table."with \\u00e4".dots] # t = 1
key = 1
'single' = 'C:\\'

[[many]]
n = 1
[[many]]
n = 2
[many.child]
m = 3
[[many.deep]]
k = 1
'''


def test_sample() -> None:
    lines = key_lines(SAMPLE)
    expected = {
        ("title",): 2,
        ("a",): 3,
        ("a", "b", "c.d"): 3,
        ("text",): 4,
        ("literal",): 9,
        ("when",): 12,
        ("empty",): 13,
        ("list",): 14,
        ("list", 0): 15,
        ("list", 1): 16,
        ("list", 2): 17,
        ("list", 2, "x"): 17,
        ("list", 2, "y z"): 17,
        ("list", 2, "y z", 0): 18,
        ("table", "with ä", "dots"): 21,
        ("table", "with ä", "dots", "key"): 22,
        ("table", "with ä", "dots", "single"): 23,
        ("many",): 25,
        ("many", 0, "n"): 26,
        ("many", 1): 27,
        ("many", 1, "n"): 28,
        ("many", 1, "child", "m"): 30,
        ("many", 1, "deep", 0, "k"): 32,
    }
    for path, line in expected.items():
        assert lines.get(path) == line, path
    assert not any("fake" in path or "still" in path for path in lines)
    assert set(paths(tomllib.loads(SAMPLE))) <= set(lines)


def test_crlf() -> None:
    assert key_lines("a = 1\r\n\r\n[b]\r\nc = '''\r\n'''\r\nd = 1\r\n")[("b", "d")] == 6


def test_text_that_is_no_toml_has_the_lines_before_it() -> None:
    assert key_lines("a = 1\nb = [1, 2\nc : 3\n")[("a",)] == 1
    assert key_lines("= = =\x00") == {}


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += paths(item, (*path, key))
    return found


SCALARS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])), st.integers(-9, 9), st.booleans(), st.floats(-1, 1)
)
KEYS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.sampled_from(["a", "b-c", "d_e", "1"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3))
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=4), st.booleans())
def test_every_path_is_found_on_a_line_that_has_its_key(document: dict[str, Any], multiline: bool) -> None:
    text = tomli_w.dumps(document, multiline_strings=multiline)
    lines = key_lines(text)
    source = text.split("\n")
    for path in paths(tomllib.loads(text)):
        assert path in lines, (path, text)
        key = path[-1]
        if isinstance(key, str) and key.isascii() and key.isalnum():
            assert key in source[lines[path] - 1]


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab.=[]{}\"'#\n \\,1")))
def test_never_raises(text: str) -> None:
    assert all(1 <= line <= text.count("\n") + 1 for line in key_lines(text).values())


@pytest.mark.parametrize("count", [20_000])
def test_large_texts_take_linear_time(count: int) -> None:
    text = "".join(f"key{index} = [1, 'x']\n" for index in range(count))
    assert key_lines(text)[(f"key{count - 1}",)] == count
