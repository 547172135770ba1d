"""Values changed in a TOML text: what a person wrote stays, and what comes out says what it shall."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_tuner.config.describe import FieldInfo, fields, value_of
from tui_tuner.config.model import Experiment
from tui_tuner.config.overrides import with_overrides
from tui_tuner.config.patch import brief, changed_keys, patched, says
from tui_tuner.config.presets import list_presets
from tui_tuner.config.toml import experiment_from_text, read_text

TEXT = """# Mine
# A recipe with remarks.

[model]
path = "embedded:phi3-tiny"  # small

# Where it comes from.
[data]
source = "embedded:players"

[train]
iters = 100   # enough
learning_rate = 1e-4
# the last word of this section

# What is asked.
[evaluation]
rows = 5

[scale.tiny.train]
iters = 3
"""


def made(text: str = TEXT) -> Experiment:
    return experiment_from_text(text, "text")


def test_a_value_is_replaced_where_it_stands() -> None:
    before = made()
    after = with_overrides(before, ["train.iters=250"])
    assert patched(TEXT, before, after) == TEXT.replace("iters = 100   # enough", "iters = 250   # enough")


def test_a_new_key_goes_behind_the_last_of_its_section() -> None:
    before = made()
    after = with_overrides(before, ["train.batch_size=8"])
    assert patched(TEXT, before, after) == TEXT.replace("1e-4\n", "1e-4\nbatch_size = 8\n")


def test_a_new_section_goes_where_the_order_of_the_file_has_it() -> None:
    before = made()
    text = patched(TEXT, before, with_overrides(before, ["adapter.rank=16", "probes.prompts=Hi."]))
    assert text is not None
    headings = [line for line in text.split("\n") if line.startswith("[")]
    assert headings == ["[model]", "[data]", "[adapter]", "[train]", "[evaluation]", "[probes]", "[scale.tiny.train]"]
    for line in TEXT.split("\n"):
        assert line in text.split("\n")
    assert text.index("[probes]") > text.index("# What is asked.\n[evaluation]")


def test_inline_tables_and_dotted_keys_are_followed() -> None:
    paths = 'model.path = "embedded:phi3-tiny"\ndata.source = "embedded:players"\n'
    text = f"train = {{iters = 5, batch_size = 2}} # both\n{paths}"
    before = made(text)
    after = with_overrides(before, ["train.iters=6", "data.source=other"])
    assert patched(text, before, after) == text.replace("iters = 5", "iters = 6").replace("embedded:players", "other")


def test_tables_are_not_patched_but_written_anew() -> None:
    case = '[[behaviour.cases]]\nname = "a"\nprompt = "b"\nmust = ["c"]\n'
    before, after = made(), made(TEXT + case)
    assert patched(TEXT, before, after) is None
    assert says(brief(after), after) and case in brief(after)


def test_what_is_written_briefly_has_only_what_differs() -> None:
    after = with_overrides(made(), ["adapter.rank=16"])
    assert brief(after).split("\n") == [
        "[model]", 'path = "embedded:phi3-tiny"', "", "[data]", 'source = "embedded:players"', "", "[adapter]",
        "rank = 16", "", "[train]", "learning_rate = 0.0001", "", "[evaluation]", "rows = 5", "",
    ]  # fmt: skip


@pytest.mark.parametrize("preset", list_presets(), ids=lambda preset: preset.name)
@pytest.mark.parametrize("info", [info for info in fields() if info.kind != "tables"], ids=lambda info: info.key)
def test_every_key_of_every_preset_goes_into_its_text_and_back(preset: object, info: FieldInfo) -> None:
    text = read_text(preset.path)  # type: ignore[attr-defined]
    before = experiment_from_text(text, "text")
    after = another(before, info)
    if after is None:
        return
    there = patched(text, before, after)
    assert there is not None and says(there, after) and changed_keys(before, after)
    comments = [line for line in text.split("\n") if line.startswith("#")]
    assert [line for line in there.split("\n") if line.startswith("#")] == comments
    back = patched(there, after, before)
    assert back is not None and says(back, before)


def another(experiment: Experiment, info: FieldInfo) -> Experiment | None:
    """The experiment with another value of a key, None where no simple one goes with the rest."""
    from tui_tuner.errors import TunerError

    tries = {
        "switch": ["true", "false"], "whole": ["1", "2", "3"], "number": ["0.25", "0.5"], "choice": info.choices,
        "choices": info.choices, "wholes": ["[1, 2]"], "text": ['"a # = [x] \\" é"', '"utf-8"'],
        "texts": ['["a \\"b\\" {c}"]', "[]"],
    }  # fmt: skip
    for value in tries[info.kind]:
        try:
            changed = with_overrides(experiment, [f"{info.key}={value}"])
        except TunerError:
            continue
        if value_of(changed, info) != value_of(experiment, info):
            return changed
    return None


@given(st.text(), st.lists(st.text(min_size=1), max_size=3))
def test_any_text_survives_in_a_text(notes: str, prompts: list[str]) -> None:
    before = made()
    after = before.model_copy(deep=True)
    try:
        after.run.notes = notes
        after.probes.prompts = prompts
    except ValueError:
        return
    there = patched(TEXT, before, after)
    assert there is not None and says(there, after)
    assert says(brief(after), after)
