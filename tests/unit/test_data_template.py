"""Templates: what they look up, how values are written, and that nothing else can happen."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.data.lookup import has_column, has_value
from tui_tuner.data.template import Template
from tui_tuner.errors import TunerError

RECORD: dict[str, Any] = {
    "name": "Ann Lee",
    "yards": 12,
    "share": 0.5,
    "big": 1e22,
    "won": True,
    "none": None,
    "empty": "",
    "blank": "  ",
    "no_items": [],
    "tags": ["a", 2, None, False],
    "club": {"city": "Bern", "founded": [1898, "May"]},
    "a.b": "its own name",
    "two words": "x",
    "2PT": "7",
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("no field", "no field"),
        ("", ""),
        ("{name} threw {yards} yards", "Ann Lee threw 12 yards"),
        ("{ name }{name}", "Ann LeeAnn Lee"),
        ("{share} {big} {won}", "0.5 1e+22 true"),
        ("<{none}{empty}>", "<>"),
        ("{tags}", "a, 2, , false"),
        ("{club.city}, {club.founded.0}, {club.founded.1}", "Bern, 1898, May"),
        ("{a.b}", "its own name"),
        ("{two words}/{2PT}", "x/7"),
        ("{none or 0}{empty or 0}{blank or 0}{missing or 0}{no_items or 0}", "00000"),
        ("{yards or 0}{club.goals or 0}{club.founded.2 or -}{tags.0 or x}", "120-a"),
        ("""{none or "none at all"}{none or 'it''s'}""".replace("''", ""), "none at allits"),
        ("{none or ''}{none or \"\"}.", "."),
        ("{{name}} }}{{ {{{name}}}", "{name} }{ {Ann Lee}"),
        ("line one\n{name}\n", "line one\nAnn Lee\n"),
    ],
)
def test_rendering(template: str, text: str) -> None:
    assert Template.parse(template).render(RECORD) == text


def test_numbers_keep_the_form_they_came_in() -> None:
    record = json.loads('{"a": 3, "b": 3.0, "c": 0.1, "d": 12345678901234567890}')
    assert Template.parse("{a} {b} {c} {d}").render(record) == "3 3.0 0.1 12345678901234567890"


def test_zero_and_false_are_values() -> None:
    assert Template.parse("{a or x}{b or x}{c or x}").render({"a": 0, "b": False, "c": 0.0}) == "0false0.0"


def test_fields_are_the_paths() -> None:
    assert Template.parse("{a} {b.c or 0} {a or 1} {{d}}").fields == {"a", "b.c"}


@pytest.mark.parametrize(
    ("template", "position"),
    [
        ("{name", "character 1"),
        ("{name} and {", "character 12"),
        ("name}", "character 5"),
        ("{a {b}}", "character 1"),
        ("one\ntwo {", "line 2, character 5"),
        ("{}", "character 1"),
        ("{ or 0}", "character 1"),
        ("x {a or two words}", "character 3"),
        ('{a or "open}', "character 1"),
    ],
)
def test_bad_braces_name_their_position(template: str, position: str) -> None:
    with pytest.raises(TunerError) as caught:
        Template.parse(template)
    assert caught.value.code == "bad-template"
    assert f"at {position} of the template" in caught.value.message


@pytest.mark.parametrize(
    ("path", "near"), [("Name", "name"), ("yard", "yards"), ("NAME", "name"), ("club.town", "club")]
)
def test_unknown_columns_name_the_nearest(path: str, near: str) -> None:
    with pytest.raises(TunerError) as caught:
        Template.parse("{" + path + "}").render(RECORD)
    assert caught.value.code == "unknown-column"
    assert near in caught.value.fix


def test_unknown_columns_without_a_neighbour_list_what_there_is() -> None:
    with pytest.raises(TunerError, match="the columns are a, b"):
        Template.parse("{zebra}").render({"a": 1, "b": 2})


def test_objects_have_no_text() -> None:
    with pytest.raises(TunerError, match=r"name one of its keys \(city, founded\), as in \{club\.city\}"):
        Template.parse("{club}").render(RECORD)


@pytest.mark.parametrize(
    "attack",
    ["{name.__class__}", "{name.upper}", "{tags.__len__}", "{tags.-1}", "{yards.real}", "{name!r}", "{yards:>9999999}"],
)
def test_nothing_but_keys_and_positions_is_looked_up(attack: str) -> None:
    with pytest.raises(TunerError) as caught:
        Template.parse(attack).render(RECORD)
    assert caught.value.code == "unknown-column"


def test_endless_nesting_and_numbers_are_refused() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(TunerError, match="nested too deeply"):
        Template.parse("{a}").render({"a": nested})
    with pytest.raises(TunerError, match="digits"):
        Template.parse("{a}").render({"a": 10**5000})


def test_presence() -> None:
    assert has_column(RECORD, "none") and not has_value(RECORD, "none")
    assert has_column(RECORD, "club.city") and has_value(RECORD, "club.city")
    assert not has_column(RECORD, "club.goals") and not has_value(RECORD, "club.goals")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
COLUMNS = st.text(alphabet="ab. 01", min_size=1, max_size=4)


@settings(deadline=None)
@given(
    text=st.text(max_size=40) | st.text(alphabet="{}ab.01 or\"'\n", max_size=30),
    record=st.dictionaries(COLUMNS, VALUES, max_size=5),
)
def test_any_text_parses_and_renders_or_is_refused(text: str, record: dict[str, Any]) -> None:
    try:
        template = Template.parse(text)
        rendered = template.render(record)
    except TunerError as error:
        assert error.code in ("bad-template", "unknown-column", "not-text")
    else:
        assert isinstance(rendered, str)
        if not template.fields:
            assert rendered == text.replace("{{", "{").replace("}}", "}")


@settings(deadline=None)
@given(text=st.text())
def test_doubled_braces_give_any_text_back(text: str) -> None:
    assert Template.parse(text.replace("{", "{{").replace("}", "}}")).render({}) == text


@settings(deadline=None)
@given(record=st.dictionaries(st.sampled_from(["a", "b", "c"]), st.text(max_size=4), min_size=3))
def test_values_with_braces_are_not_read_again(record: dict[str, str]) -> None:
    assert Template.parse("{a}|{b}|{c}").render(record) == f"{record['a']}|{record['b']}|{record['c']}"


# --- choices


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("{if name}Hi {name}{end}!", "Hi Ann Lee!"),
        ("{if empty}x{else}y{end}", "y"),
        ("{if yards > 10}far{else}near{end}", "far"),
        ("{if missing}{missing}{end}", ""),
        ("{if name}{if empty}a{else}b{end}{end}", "b"),
        ('{if club.city == "Bern"}bear{end}', "bear"),
    ],
)
def test_choices_depend_on_the_record(text: str, written: str) -> None:
    assert Template.parse(text).render(RECORD) == written


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{if name}x", "an {if} has no {end} at character 1"),
        ("{if name}x{else}y{else}z{end}", "a second {else} at character 18"),
        ("{if name >}x{end}", "breaks off"),
    ],
)
def test_choices_that_are_not_whole_are_refused(text: str, message: str) -> None:
    with pytest.raises(TunerError) as caught:
        Template.parse(text)
    assert message in caught.value.message


def test_else_and_end_alone_are_columns() -> None:
    assert Template.parse("{end} {else}").render({"end": "a", "else": "b"}) == "a b"


def test_only_what_is_always_written_counts_as_written() -> None:
    template = Template.parse("{a}{if b}{c}{end}{d or 0}")
    assert template.written == {"a"}
    assert template.fields == {"a", "b", "c", "d"}
