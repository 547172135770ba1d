"""Every dialog has a picture of itself as it comes, and of itself in trouble where it can refuse something.

The table says which picture that is; a test holds it to the dialogs that there are. Pictures that belong to no other
test are drawn here, over an empty page. What is wrong must be said in the dialog, with what to do.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import ModalScreen

import tui_tuner.ui
from tests.ui.fakes import START, FakeEngine
from tests.ui.looking import shown, until
from tests.ui.test_models_hub import UPLOAD
from tests.ui.test_states import PICTURES, at_both_sizes
from tests.ui.workshop import HOSTILE, SIZES, app_with, frozen, open_mode, place
from tui_tuner.chat.library import ChatSummary
from tui_tuner.chat.sampling import Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.config.interchange import StockFile
from tui_tuner.errors import TunerError
from tui_tuner.paths import config_dir
from tui_tuner.runs.labels import Labels
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.columnsdialog import ColumnsDialog
from tui_tuner.ui.hubdialogs import UploadConfirm, UploadDialog
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.mappingdialogs import ValueDialog, Wording, WordingDialog
from tui_tuner.ui.notedialog import NoteDialog
from tui_tuner.ui.pickdialog import Item, PickDialog
from tui_tuner.ui.samplingdialog import SamplingDialog
from tui_tuner.ui.savedialog import SaveDialog
from tui_tuner.ui.stockdialog import StockDialog
from tui_tuner.ui.transcriptsdialog import TranscriptsDialog
from tui_tuner.ui.valuedialogs import LongDialog, WordsDialog
from tui_tuner.ui.widgets.helppanel import HelpPanel

__all__ = ["frozen", "place"]

TABLE: dict[str, tuple[str, ...]] = {
    "AddDialog": ("test_benchmark_measuring/test_picture[add]",),
    "CompareDialog": ("test_benchmark_dialogs/test_picture[compare]",),
    "ConvertDialog": ("test_models_work/test_picture[convert]", "test_models_work/test_picture[learned]"),
    "DownloadDialog": ("test_models_hub/test_picture[forecast]", "test_models_hub/test_picture[refused]"),
    "ExportDialog": ("test_benchmark_dialogs/test_picture[export]",),
    "FuseDialog": ("test_models_work/test_picture[fuse]",),
    "HandOnDialog": ("test_models_work/test_picture[export]",),
    "ImportDialog": ("test_config_files/test_picture",),
    "JumpScreen": ("test_snapshots_shell/test_jumping",),
    "LongDialog": ("test_config_form/test_picture[list]",),
    "OfferDialog": ("test_config_forecast/test_picture[advice]", "test_config_forecast/test_picture[fit]"),
    "ProbeTimeline": ("test_probe_timeline/test_picture[latest]", "test_probe_timeline/test_picture[untrained]"),
    "RateDialog": ("test_rate_dialog/test_picture[empty]", "test_rate_dialog/test_picture[wrong]"),
    "ReportView": ("test_benchmark_dialogs/test_picture[report]",),
    "SourceDialog": ("test_data_source/test_picture[open]",),
    "SweepDialog": ("test_config_sweep/test_picture",),
    "TrustDialog": ("test_models_hub/test_picture[trust]",),
    "ValueDialog": ("test_data_source/test_picture[value]",),
    "VariantsView": ("test_models_work/test_picture[variants]",),
    "WordingDialog": ("test_data_source/test_picture[wording]",),
}
"""The dialogs that other tests draw; some are drawn in trouble here."""


def dialogs() -> set[str]:
    """The names of all dialogs of the app; those that others are made of are none."""
    for module in pkgutil.walk_packages(tui_tuner.ui.__path__, "tui_tuner.ui."):
        importlib.import_module(module.name)
    found, open_ends = set(), [ModalScreen]
    while open_ends:
        under = open_ends.pop().__subclasses__()
        open_ends += under
        found |= {kind for kind in under if kind.__module__.startswith("tui_tuner.") and "[" not in kind.__name__}
    return {kind.__name__ for kind in found if not any(issubclass(other, kind) for other in found - {kind})}


def test_every_dialog_has_a_picture_at_each_size() -> None:
    drawn: dict[str, tuple[str, ...]] = {}
    for name, (kind, *_) in POSES.items():
        drawn[kind.__name__] = (*drawn.get(kind.__name__, ()), f"test_dialog_states/test_picture[{name}]")
    assert {*drawn, *TABLE} == dialogs()
    for kind in {*drawn, *TABLE}:
        for test in (*TABLE.get(kind, ()), *drawn.get(kind, ())):
            for names in at_both_sizes(test):
                assert any(path.is_file() for path in names), f"{kind}: there is no {names[0].relative_to(PICTURES)}"


# -- those that no other test draws -----------------------------------------------------------------------------------


def voices() -> list[Voice]:
    base, tuned = "embedded:phi3-tiny", Path("/runs/players-20251009-085320/adapters")
    return [Voice(base, None, "base"), Voice(base, tuned, "players-20251009-085320"),
            Voice(base, tuned / "0000060_adapters.safetensors", "players-20251009-085320:60"),
            Voice("/models/llama-8b", None, "llama-8b"), Voice("acme/tiny-chat", None, HOSTILE)]  # fmt: skip


def find(typed: str) -> Voice:
    raise TunerError(f"there is no {typed}", code="no-such-voice", fix="name a run, RUN:STEP, a folder or a model")


def chats() -> list[ChatSummary]:
    made: dict[str, Any] = {"created": START, "model": "embedded:phi3-tiny", "exchanges": 3}
    return [
        ChatSummary(Path("/c/1.jsonl"), "players-1", "Report this game: Nora Winslow.", changed=START + 9000, **made),
        ChatSummary(Path("/c/2.jsonl"), "", HOSTILE, named=True, changed=START, **made),
        ChatSummary(Path("/c/3.jsonl"), "", "3.jsonl", problem="it cannot be read: permission denied"),
    ]


def rows() -> list[Item]:
    return [Item("1", "embedded:players", "480 rows", "runs"), Item("2", HOSTILE, "3 rows", "runs"),
            Item("3", "alpaca-mistral", "instructions in general", "presets")]  # fmt: skip


def words(chosen: list[str]) -> str:
    if not chosen:
        raise TunerError("no metric is chosen", where="evaluation.metrics", fix="tick one at least")
    return f"measured: {', '.join(chosen)}"


def filtered(typed: str) -> str:
    if typed != "goals > 1":
        raise TunerError("the condition names no column", where="data.filter", fix="write it as goals > 1")
    return "keeps 10 of the first 40 records"


def listed(_written: object) -> str:
    raise TunerError("line 2: there is no module mlp.up", where="adapter.targets", fix="name one that the model has")


def wording() -> WordingDialog:
    records = [{"name": HOSTILE, "goals": 3}]
    return WordingDialog("Wording 1", Wording("What did {nam} do?", "{goals}"), records, ["name", "goals"])


def words_dialog() -> WordsDialog:
    about = "What each answer is measured by, against the reference."
    return WordsDialog("evaluation.metrics", about, ["exact_match", "rouge1", "bleu"], ["rouge1"], words)


def taken() -> SaveDialog:
    file = config_dir() / "presets" / "mine.toml"
    file.parent.mkdir(parents=True)
    file.write_text('# Mine\n# By hand.\n[model]\npath = "other"  # small\n', encoding="utf-8")
    return SaveDialog("mine", "Players", "[model]\n")


def help_panel() -> HelpPanel:
    from textual.app import active_app  # as `?` does

    return HelpPanel.of(active_app.get().screen, "config")


HOME = Path("/home/ada/players")
STOCK = StockFile(
    {"model": "acme/tiny-chat", "data": "/home/ada/data", "iters": 600, "lora_parameters": {"rank": 16}},
    ('train.mode: the losses are those of train.mode = "stock"; "fast" makes other batches',),
    False,
)
TAGGED = Labels(("baseline", "keep"), f"the first that beat the table; {HOSTILE}")
LEAVE = [("stop", "Stop and save", "It can be resumed."), ("detach", "Keep training in the background", "It goes on."),
         ("stay", "Stay", "Nothing changes.")]  # fmt: skip
DOWN_TO_TEMPERATURE = ("tab", "end", "x")

POSES: dict[str, tuple[type[ModalScreen[Any]], Callable[[], ModalScreen[Any]], tuple[str, ...], str]] = {
    "columns": (ColumnsDialog, lambda: ColumnsDialog(voices(), voices()[:2], find), (), "A base"),
    "columns-refused": (ColumnsDialog, lambda: ColumnsDialog(voices(), voices()[:1], find),
                        (*"nobody", "enter"), "there is no nobody"),
    "note": (NoteDialog, lambda: NoteDialog("players-20251009-085320", TAGGED), (), "keep"),
    "note-refused": (NoteDialog, lambda: NoteDialog("players-20251009-085320", Labels()), (*"a,b",), "✗"),
    "pick": (PickDialog, lambda: PickDialog("Load", "In place of what is edited.", rows(), "or a path"), (), "RUNS"),
    "pick-nothing": (PickDialog, lambda: PickDialog("A row", "Asks it.", rows()), (*"zz",), "take letters back"),
    "sampling": (SamplingDialog, lambda: SamplingDialog(Sampling(), {"mine": {"temperature": 0.3}}), (), "mine"),
    "sampling-refused": (SamplingDialog, lambda: SamplingDialog(Sampling(), {}), DOWN_TO_TEMPERATURE, "not 0x"),
    "save": (SaveDialog, lambda: SaveDialog("players", "Players", "[model]\n"), (), "✓"),
    "save-taken": (SaveDialog, taken, (), "▲"),
    "stock": (StockDialog, lambda: StockDialog(STOCK, HOME, "players.yaml"), (), "$ "),
    "transcripts": (TranscriptsDialog, lambda: TranscriptsDialog(chats, "players-1", START + 9999), (), "OF THE RUN"),
    "transcripts-none": (TranscriptsDialog, lambda: TranscriptsDialog(list, "", START), (), "Nothing was kept yet"),
    "words": (WordsDialog, words_dialog, (), "measured: rouge1"),
    "words-refused": (WordsDialog, words_dialog, ("down", "space"), "tick one"),
    "upload": (UploadDialog, lambda: UploadDialog("players", "players-1"), (), "private"),
    "upload-refused": (UploadDialog, lambda: UploadDialog("players", "players-1"), (*"mine", "enter"), "owner/name"),
    "confirm-refused": (UploadConfirm, lambda: UploadConfirm(UPLOAD), (*"no", "enter"), "until yes"),
    "question": (Question, lambda: Question("Leave", "A run is going.", LEAVE), (), "Stay"),
    "value-refused": (ValueDialog, lambda: ValueDialog("data.filter", "Which records are taken.", "", filtered),
                      (*"go", "enter"), "names no column"),
    "long-refused": (LongDialog, lambda: LongDialog("adapter.targets", "The modules.", "q_proj\nmlp.up", "", listed,
                                                    lambda _: None), ("ctrl+s",), "no module"),
    "wording-refused": (WordingDialog, wording, (), "✗"),
    "help": (HelpPanel, help_panel, (), "Config"),
}  # fmt: skip
"""Picture → the dialog, how it is made, keys, and what is then on the screen."""
SELDOM = set(list(POSES)[15:])
"""Pictures beyond the first thirty, which are drawn where all tests run."""


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pose", [pytest.param(one, marks=pytest.mark.slow if one in SELDOM else ()) for one in POSES])
def test_picture(
    place: Path, snap_compare: Callable[..., bool], pose: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, make, keys, text = POSES[pose]
    app = app_with(place, FakeEngine())
    app.clock = lambda: START
    monkeypatch.setattr("tui_tuner.ui.savedialog.preset_path", lambda name: HOME / f"{name}.toml")

    async def prepare(pilot: Pilot[Any]) -> None:
        await open_mode(pilot, "train")
        app.push_screen(make())
        await until(pilot, lambda: isinstance(app.screen, kind))
        await pilot.press(*keys)
        await until(pilot, lambda: text in shown(app), f"{text} in {shown(app)}")
        await pilot.pause()
        assert isinstance(pilot.app, TunerApp) and app.mishaps == []

    assert snap_compare(app, terminal_size=size, run_before=prepare)
