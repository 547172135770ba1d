"""Where an experiment comes from and goes to: presets, runs, files of other tools, and what it is compared with.

What is asked is asked in dialogs; reading and writing is the business of `config`. A preset's own file is written by
nothing but saving over it, which asks first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tui_tuner.config.model import Experiment
from tui_tuner.config.presets import list_presets, load_preset
from tui_tuner.config.saving import offer_name, preset_text, save_preset
from tui_tuner.config.toml import load_experiment
from tui_tuner.errors import TunerError
from tui_tuner.paths import safe_name
from tui_tuner.runs.catalogue import list_runs
from tui_tuner.runs.folder import RunFolder
from tui_tuner.ui.format import ago
from tui_tuner.ui.pickdialog import Item, PickDialog
from tui_tuner.ui.recents import recent, remember
from tui_tuner.ui.savedialog import Save, SaveDialog
from tui_tuner.ui.screens.formwork import FormWorkScreen
from tui_tuner.ui.typedpath import dropped, typed_path

if TYPE_CHECKING:
    from tui_tuner.config.interchange import Imported

_RUNS = 40
"""Runs that are offered, the newest first."""
_FOREIGN = (".yaml", ".yml", ".json")
PRESETS = "presets"
"""The list of presets that were loaded last."""


class FileWorkScreen(FormWorkScreen):
    """A screen that loads, saves and compares experiments."""

    def compare_with(self, title: str, experiment: Experiment) -> None:
        """Shows what differs from another experiment."""
        raise NotImplementedError

    # -- load ---------------------------------------------------------------------------------------------------

    def action_load(self) -> None:
        """Offers presets, those loaded last first, runs, and files, also of other tools."""

        def picked(items: list[Item]) -> None:
            text = "A preset, a run's configuration, or the path of a file: TOML, or YAML and JSON of mlx-lm, Axolotl, "
            text += "PEFT, Unsloth or LLaMA-Factory."
            self.tuner.push_screen(PickDialog("Load", text, items, "part of a name, or the path of a file"), self._load)

        self._gather(picked)

    def _gather(self, then: Callable[[list[Item]], None]) -> None:
        """Reads presets and runs in a thread: a folder on a slow disk must not hold up the screen."""

        def read() -> None:
            try:
                items = known_items(self.tuner.runs_dir)
            except Exception as error:
                self.app.call_from_thread(self.tuner.report, error)
                return
            self.app.call_from_thread(then, items)

        self.run_worker(read, thread=True, exit_on_error=False, exclusive=True, group="config-files")

    def _load(self, picked: str | None) -> None:
        if not picked:
            return
        try:
            kind, _, name = picked.partition(":")
            if kind == "run":
                self.tuner.load_run(RunFolder.open(Path(name)))
            elif kind == "preset":
                self.tuner.load_preset(name)
                remember(PRESETS, name)
            else:
                self._open(dropped(picked))
        except TunerError as error:
            self.tuner.report(error)

    def _open(self, text: str) -> None:
        path = typed_path(text)
        if path.suffix.lower() not in _FOREIGN:
            self.tuner.load_preset(text)
            remember(PRESETS, str(path))
            return
        from tui_tuner.config.interchange import import_file

        self._report(import_file(path), path)

    def _report(self, found: Imported, path: Path) -> None:
        """Shows what becomes of each key of another tool's file, and takes it over when that is wished."""
        from tui_tuner.ui.importdialog import ImportDialog

        now = self.tuner.state.experiment

        def answered(yes: bool | None) -> None:
            if not yes:
                return
            lacking = {"model.path": now.model.path, "data.source": now.data.source} if now is not None else {}
            overrides = [f"{key}={lacking[key]}" for key in found.missing if key in lacking]
            try:
                self.tuner.set_experiment(found.experiment(overrides, path.absolute().parent))
                remember(PRESETS, str(path.absolute()))
            except TunerError as error:
                self.tuner.report(error)

        self.tuner.push_screen(ImportDialog(found, now is not None), answered)

    # -- save ---------------------------------------------------------------------------------------------------

    def action_save(self) -> None:
        """Asks for a name and saves the experiment as a preset."""
        subject, state = self.subject, self.tuner.state
        if subject is None:
            return
        if self.text_is_wrong:
            self.tuner.notice(
                "The text is not right yet: mend it (v), or take it back (u). Nothing was saved.", "warning"
            )
            return
        experiment, base = subject.experiment, subject.base
        preset = state.preset if not subject.is_run else None
        title = preset.title if preset is not None and preset.title != preset.name else ""
        description = preset.description if preset is not None else ""
        name = offer_name(preset.name if preset is not None else safe_name(experiment.run.name))

        def answered(wish: Save | None) -> None:
            if wish is None:
                return
            try:
                path = save_preset(
                    experiment, wish.name, title=wish.title, description=description, base=base, replace=wish.replace
                )
                if not subject.is_run and state.experiment == experiment:
                    self.tuner.load_preset(str(path))
                remember(PRESETS, str(path))
                self.tuner.notice(f"Saved: {path}. tui-tuner run {path.stem} starts it.")
            except TunerError as error:
                self.tuner.report(error)

        text = preset_text(experiment, title=title, description=description, base=base)
        self.tuner.push_screen(SaveDialog(name, title, text), answered)

    # -- compare, hand on ---------------------------------------------------------------------------------------

    def action_compare(self) -> None:
        """Asks what to compare with, and shows what differs side by side."""
        subject = self.subject
        if subject is None:
            return

        def picked(items: list[Item]) -> None:
            first = Item("default:", "the defaults", "what every key is when nobody sets it", "Defaults")
            self.tuner.push_screen(
                PickDialog("Compare with", "Shows the keys that differ, with both values.", [first, *items]),
                self._compare,
            )

        self._gather(picked)

    def _compare(self, picked: str | None) -> None:
        subject = self.subject
        if not picked or subject is None:
            return
        kind, _, name = picked.partition(":")
        try:
            if kind == "run":
                folder = RunFolder.open(Path(name))
                self.compare_with(folder.name, load_experiment(folder.config))
            elif kind == "preset":
                experiment, preset = load_preset(name)
                self.compare_with(f"preset {preset.name}", experiment)
            else:
                tables = {"model": {"path": subject.experiment.model.path}}
                tables["data"] = {"source": subject.experiment.data.source}
                self.compare_with("the defaults", Experiment.model_validate(tables))
        except TunerError as error:
            self.tuner.report(error)

    def action_hand_on(self) -> None:
        """Shows the file and the command with which stock mlx-lm trains this."""
        subject = self.subject
        if subject is None:
            return
        from tui_tuner.config.anchor import anchored
        from tui_tuner.config.interchange import stock_file
        from tui_tuner.ui.stockdialog import StockDialog

        stock = stock_file(anchored(subject.experiment, subject.base), iters=self.facts.iterations(subject.experiment))
        name = f"{safe_name(subject.experiment.run.name)}.yaml"
        self.tuner.push_screen(StockDialog(stock, Path.cwd(), name))


def known_items(runs_dir: Path) -> list[Item]:
    """Presets, those loaded last first, and runs, the newest first."""
    order = {name: place for place, name in enumerate(recent(PRESETS))}
    presets = sorted(list_presets(), key=lambda preset: order.get(str(preset.path), len(order)))
    listed = {str(preset.path) for preset in presets}
    items = [
        Item(f"preset:{preset.path}", preset.name, preset.title if preset.title != preset.name else "", "Presets")
        for preset in presets
    ]
    for name in order:
        path = Path(name)
        if name not in listed and path.suffix == ".toml" and path.is_file():
            items.append(Item(f"preset:{name}", path.stem, str(path.parent), "Presets"))
    for run in list_runs(runs_dir)[:_RUNS]:
        items.append(Item(f"run:{run.path}", run.run, f"{run.state.value} · {ago(run.created)} · {run.model}", "Runs"))
    return items
