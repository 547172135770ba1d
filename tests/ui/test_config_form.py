"""The form: every kind of field is edited by keys, what is wrong changes nothing, and every step can be taken back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, SelectionList, TextArea

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder, going
from tests.ui.looking import notices, shown, until
from tests.ui.workshop import HOSTILE, WITH_WIDE, app_with, experiment, facts, open_mode, place, with_config
from tui_tuner.config.model import Experiment
from tui_tuner.config.toml import experiment_from_text
from tui_tuner.engine.model_requests import DescribeModel
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.widgets.config_editor import TomlEditor
from tui_tuner.ui.widgets.config_entry import Entry
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane

__all__ = ["place"]

WRITTEN = """# Mine
# With remarks.

[model]
path = "embedded:phi3-tiny"  # small

[data]
source = "embedded:players"

[train]
iters = 100  # enough
"""


def describing(**changes: Any) -> Callable[[JobHandle], None]:
    """Answers what a model's sizes are."""

    def answer(handle: JobHandle) -> None:
        if isinstance(handle.request, DescribeModel):
            handle.status, handle.result = JobStatus.DONE, facts(**changes)

    return answer


def now(app: TunerApp) -> Experiment:
    assert app.state.experiment is not None
    return app.state.experiment


async def to_key(pilot: Pilot[Any], key: str) -> None:
    """Selects a key."""
    app: TunerApp = pilot.app  # type: ignore[assignment]
    screen: Any = app.screen
    if screen._show != "all":
        await pilot.press("b")
    rows = screen.query_one(RowList)
    at = next(place for place, row in enumerate(screen._rows) if row.key == key)
    rows.cursor = at
    rows.focus()
    await until(pilot, lambda: screen.selected.key == key)


def said(app: TunerApp) -> str:
    return " ".join(app.screen.query_one("#config-about", TextPane).plain.split())


async def test_a_number_is_typed_and_checked_while_it_is_typed(drive: Drive) -> None:
    async with drive(engine=FakeEngine(describing())) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await to_key(pilot, "adapter.rank")
        await pilot.press("enter")
        entry = app.screen.query_one(Entry)
        await until(pilot, lambda: entry.is_open and entry.query_one(Input).has_focus)
        await pilot.press(*"3x")
        await until(pilot, lambda: "✗" in shown(app) and "not a whole number" in shown(app))
        await pilot.press("enter")
        assert now(app).adapter.rank == 16 and entry.is_open
        await pilot.press("backspace", "2")
        await until(pilot, lambda: "trainable parameters" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: now(app).adapter.rank == 32 and not entry.is_open)
        assert app.screen.query_one(RowList).has_focus and app.state.edited is True


async def test_escape_leaves_the_value(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await to_key(pilot, "run.name")
        await pilot.press("enter", *"other", "escape")
        await until(pilot, lambda: not app.screen.query_one(Entry).is_open)
        assert now(app).run.name == "players" and app.current_mode == "config"


async def test_a_choice_is_stepped_and_listed(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await to_key(pilot, "train.schedule")
        await pilot.press("right")
        await until(pilot, lambda: now(app).train.schedule == "cosine")
        await pilot.press("left", "left")
        await until(pilot, lambda: now(app).train.schedule == "linear")
        await pilot.press("enter")
        await until(pilot, lambda: "linear  (now)" in shown(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: now(app).train.schedule == "constant")


async def test_a_choice_that_does_not_go_with_the_rest_says_why(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment(train_optimizer="adamw"))
        app.set_experiment(now(app).model_copy(deep=True))
        now(app).train.weight_decay = 0.01
        await to_key(pilot, "train.optimizer")
        await pilot.press("enter")
        await until(pilot, lambda: "adafactor" in shown(app) and "✗" in shown(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: any("weight_decay" in text for text in notices(app)))
        assert now(app).train.optimizer == "adamw"


async def test_a_switch_switches(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await to_key(pilot, "train.grad_checkpoint")
        await pilot.press("space")
        await until(pilot, lambda: now(app).train.grad_checkpoint)
        await pilot.press("enter")
        await until(pilot, lambda: not now(app).train.grad_checkpoint)


async def test_a_list_is_edited_an_item_a_line_and_as_toml(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await to_key(pilot, "adapter.targets")
        await pilot.press("enter")
        await until(pilot, lambda: "an item a line" in shown(app))
        area = app.screen.query_one(TextArea)
        assert area.text == "self_attn.qkv_proj\nmlp.down_proj"
        await pilot.press("enter", *"a b")
        await until(pilot, lambda: "no module path" in shown(app))
        await pilot.press("ctrl+s")
        assert now(app).adapter.targets == ["self_attn.qkv_proj", "mlp.down_proj"]
        await pilot.press("backspace", "backspace", "backspace", *"attention", "ctrl+t")
        await until(pilot, lambda: area.text.startswith("[") and '"attention",' in area.text)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: now(app).adapter.targets[-1:] == ["attention"])


async def test_templates_of_several_lines_are_kept_to_the_letter(drive: Drive) -> None:
    prompts = ['One "quoted" \\ {name}\nand a second line', "  spaced  "]
    made = experiment(data_prompt=prompts)
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=made)
        await to_key(pilot, "data.prompt")
        await pilot.press("enter")
        await until(pilot, lambda: "TOML" in shown(app))
        assert '"""' in app.screen.query_one(TextArea).text
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert now(app).data.prompt == prompts


async def test_words_are_ticked(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await to_key(pilot, "evaluation.metrics")
        before = list(now(app).evaluation.metrics)
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.screen.query(SelectionList)))
        await pilot.press("space", "ctrl+s")
        await until(pilot, lambda: now(app).evaluation.metrics == before[1:])


async def test_tables_are_edited_in_the_text(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await to_key(pilot, "behaviour.cases")
        await pilot.press("enter")
        editor = app.screen.query_one(TomlEditor)
        await until(pilot, lambda: editor.has_focus)
        editor.insert('\n[[behaviour.cases]]\nname = "a"\nprompt = "b"\nmust = ["c"]\n', editor.document.end)
        await until(pilot, lambda: len(now(app).behaviour.cases) == 1)


async def test_every_step_is_taken_back_and_made_again(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await to_key(pilot, "train.schedule")
        await pilot.press("right")
        await to_key(pilot, "train.grad_checkpoint")
        await pilot.press("space")
        await until(pilot, lambda: now(app).train.grad_checkpoint)
        first = experiment()
        await pilot.press("u", "u")
        await until(pilot, lambda: now(app) == first)
        assert app.state.edited is False
        await pilot.press("u")
        await pilot.pause()
        assert now(app) == first
        await pilot.press("U", "U")
        await until(pilot, lambda: now(app).train.grad_checkpoint and now(app).train.schedule == "cosine")


async def test_reset_goes_to_the_preset_and_then_to_the_default(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await to_key(pilot, "adapter.rank")
        await pilot.press("right")
        await until(pilot, lambda: now(app).adapter.rank == 32 and "◆" in shown(app))
        await pilot.press("x")
        await until(pilot, lambda: now(app).adapter.rank == 16)
        await pilot.press("x")
        await until(pilot, lambda: now(app).adapter.rank == 8)


async def test_all_is_reset_but_what_must_be_given(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await pilot.press("X")
        await until(pilot, lambda: "Everything to the defaults" in shown(app))
        await pilot.press("down", "down", "down", "enter")
        wanted = experiment_from_text('model.path = "embedded:phi3-tiny"\ndata.source = "embedded:players"\n', "")
        await until(pilot, lambda: now(app) == wanted)
        await pilot.press("u")
        await until(pilot, lambda: now(app) == experiment())


async def test_what_the_model_cannot_have_is_marked_and_gone_to(drive: Drive) -> None:
    async with drive(engine=FakeEngine(describing(layers=5))) as (app, pilot):
        await open_mode(pilot, "config", made=experiment(adapter_layers=16))
        await until(pilot, lambda: "a value will not do" in shown(app))
        await pilot.press("w")
        await until(pilot, lambda: "The model has 5 layers" in said(app))
        await pilot.press("n")
        await until(pilot, lambda: "The model has 5 layers" not in said(app))


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("adapter.rank", "trainable parameters"),
        ("adapter.targets", "2 in each of 32 layers: self_attn.qkv_proj, mlp.down_proj."),
        ("adapter.layers", "All 32 layers are trained."),
        ("train.learning_rate", "3e-3 is above what LoRA usually takes"),
        ("train.epochs", "Iters decides: 120 iterations are 1.3 epochs."),
        ("model.bits", "The weights take 2.1 GB (4 bits, group 64), as they are."),
    ],
)
async def test_what_a_value_means_in_this_model(drive: Drive, key: str, says: str) -> None:
    async with drive(engine=FakeEngine(describing())) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await to_key(pilot, key)
        await until(pilot, lambda: says in said(app), said(app))


async def test_hostile_text_is_shown_and_kept(drive: Drive) -> None:
    hostile = HOSTILE.replace("\x1b", "").replace("\x07", "")
    async with drive(size=(160, 50)) as (app, pilot):
        await open_mode(pilot, "config", made=experiment(probes_prompts=[hostile], run_notes="[b]x[/b]\x1b[31m"))
        await until(pilot, lambda: "[b]x[/b]" in shown(app))
        assert "\x1b" not in shown(app) and "\u202e" not in shown(app)
        await to_key(pilot, "probes.prompts")
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.screen.query(TextArea)) and "[bold red]no[/]" in shown(app))
        assert "\u202e" not in shown(app)
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert now(app).probes.prompts == [hostile]


async def test_a_runs_configuration_is_only_read_until_a_copy_is_loaded(
    drive: Drive, engine: FakeEngine, build: Callable[..., RunBuilder]
) -> None:
    run = with_config(build().begin(), experiment(run_name="older"))
    going(engine, run)
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", run=run)
        assert app.screen.query_one(TomlEditor).read_only
        await pilot.press("right", "enter")
        await until(pilot, lambda: "Load it as the next experiment" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "This is the next experiment" in shown(app))
        assert now(app).run.name == "older" and not app.screen.query_one(TomlEditor).read_only


async def test_loading_another_preset_can_be_taken_back(drive: Drive) -> None:
    async with drive() as (app, pilot):
        app.load_preset("quickstart", ["train.iters=70"])
        before = now(app)
        app.load_preset("quickstart")
        await open_mode(pilot, "config")
        assert now(app) != before
        await pilot.press("u")
        await until(pilot, lambda: now(app) == before and app.state.overrides == ("train.iters=70",))


POSES: dict[str, tuple[tuple[str, ...], str]] = {
    "rank": (("slash", *"adapter.rank", "enter"), "trainable"),
    "typing": (("slash", *"adapter.rank", "enter", "enter", *"0"), "which is too"),
    "changed": (("slash", *"adapter.rank", "enter", "right", "escape", "c", "c"), "differ from"),
    "list": (("slash", *"adapter.targets", "enter", "enter"), "an item a line"),
    "choice": (("slash", *"train.optimizer", "enter", "enter"), "adam  (now"),
    "text": (("v", "down", "down", *"x"), "line"),
}


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", WITH_WIDE)
@pytest.mark.parametrize("pose", POSES)
def test_picture(place: Path, snap_compare: Callable[..., bool], size: tuple[int, int], pose: str) -> None:
    keys, text = POSES[pose]

    async def prepare(pilot: Pilot[Any]) -> None:
        app: TunerApp = pilot.app  # type: ignore[assignment]
        await open_mode(pilot, "config", made=experiment())
        await pilot.press(*keys)
        await until(pilot, lambda: text in shown(app), text)
        assert app.mishaps == []

    assert snap_compare(app_with(place, FakeEngine(describing())), terminal_size=size, run_before=prepare)
