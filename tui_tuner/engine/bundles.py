"""Bundles: a run in one file that somebody else can replay, and look at.

A bundle is made to be handed on. It names models and data as strangers can find them, holds no place on the machine and
no secret, and no row of the data unless it is asked to. Neither is anything in it but texts and numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tui_tuner import __version__
from tui_tuner.config import Experiment, dump_experiment, load_experiment
from tui_tuner.config.tracking_section import TrackingSection
from tui_tuner.errors import TunerError, without_secrets
from tui_tuner.evaluation.blocks import as_markdown
from tui_tuner.evaluation.export import report_document, settings_of
from tui_tuner.evaluation.markdown import report_blocks
from tui_tuner.models.card import public_name, without_places
from tui_tuner.runs import RunFolder, RunView, read_events
from tui_tuner.runs.archive import Part, write_archive
from tui_tuner.runs.files import encode_json, read_failure, read_object
from tui_tuner.runs.lock import RunLock, holder

TEMPLATE = "template.jinja"
_KEPT = ("tui_tuner", "created", "python", "platform", "libraries", "model_fingerprint", "data_fingerprint", "ranks")
"""What of `meta.json` goes into a bundle; the rest names places."""
_ADAPTER = ("adapters.safetensors", "adapter_config.json", "chat_template.jinja")


def make_bundle(
    folder: RunFolder,
    path: Path,
    *,
    with_data: bool = False,
    adapter: bool = True,
    replace: bool = False,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Writes a run into one file.

    Args:
        folder: a run that nobody writes at the moment.
        path: where.
        with_data: with the prepared rows and the answers to them; else only with what identifies the rows.
        adapter: with the trained weights.
        replace: whether a file that is there is replaced.
        tell: called with the bytes that went in so far, and with all there are.

    Returns:
        {"run", "path", "size", "files", "data", "adapter", "notes"}.

    Raises:
        TunerError: `run-locked`, `exists`, or something cannot be read or written.
    """
    if holder(folder) is not None:
        RunLock(folder).acquire()  # says who writes it
    if path.exists() and not replace:
        raise TunerError("is there already", code="exists", where=str(path), fix="choose another name, or --replace")
    notes: list[str] = []
    parts = _parts(folder, with_data, adapter, notes)
    meta = _meta(folder)
    names = [part.name for part in parts]
    about = {
        "run": folder.name,
        "tui_tuner": __version__,
        "meta": meta,
        "data": with_data and "data/train.jsonl" in names,
        "adapter": "adapters/adapters.safetensors" in names,
    }
    if with_data and not about["data"]:
        notes.append("the run has no prepared rows, so none are in the bundle")
    if adapter and not about["adapter"]:
        notes.append("the run has no adapter, so none is in the bundle")
    size = write_archive(path, about, parts, tell)
    kept = {key: about[key] for key in ("data", "adapter")}
    return {"run": folder.name, "path": str(path.absolute()), "size": size, "files": names, **kept, "notes": notes}


def _parts(folder: RunFolder, with_data: bool, adapter: bool, notes: list[str]) -> list[Part]:
    experiment = load_experiment(folder.config)
    portable, template = _portable(experiment, notes)
    clean = _cleaner(folder)
    parts = [
        Part("config.toml", dump_experiment(portable).encode()),
        Part("meta.json", encode_json(_meta(folder), indent=2) + b"\n"),
        Part("events.jsonl", _events(folder, clean, notes)),
    ]
    if template is not None:
        parts.append(Part(TEMPLATE, template))
    if (report := _report(folder, with_data)) is not None:
        parts.append(Part("report.md", clean(report).encode()))
    if with_data:
        parts += [_file(folder, f"data/{name}.jsonl") for name in ("train", "valid", "test")]
        parts += [_file(folder, f"evaluation/{path.name}") for path in sorted(folder.evaluation.glob("*.jsonl"))
                  if not path.name.endswith(".partial.jsonl")]  # fmt: skip
    if adapter:
        for name in _ADAPTER:
            one = _file(folder, f"adapters/{name}")
            parts.append(_clean_file(one, clean) if name.endswith(".json") else one)
    return [part for part in parts if isinstance(part.source, bytes) or part.source.exists()]


def _file(folder: RunFolder, name: str) -> Part:
    return Part(name, folder.path / name)


def _clean_file(part: Part, clean: Callable[[str], str]) -> Part:
    """A JSON file of ours without places; one that is not there stays so."""
    assert isinstance(part.source, Path)
    if not part.source.is_file():
        return part
    try:
        return Part(part.name, clean(part.source.read_text(encoding="utf-8", errors="replace")).encode())
    except OSError as error:
        raise read_failure(error, part.source) from error


def _portable(experiment: Experiment, notes: list[str]) -> tuple[Experiment, bytes | None]:
    """The experiment with names that mean something elsewhere, and the chat template's text where it is a file."""
    copy = experiment.model_copy(deep=True)
    copy.tracking = TrackingSection()  # whose team or Space it is, is nobody else's matter
    for section, key in ((copy.model, "path"), (copy.data, "source"), (copy.adapter, "start_from")):
        before = getattr(section, key)
        after = name_elsewhere(before)
        if after != before:
            setattr(section, key, after)
            what = {"path": "model", "source": "data", "start_from": "weights to start from"}[key]
            notes.append(f"the {what} lay on this machine and go by the name {after}: who replays must have them")
    template = Path(copy.model.chat_template)
    if not template.is_absolute() or not template.is_file():
        return copy, None
    copy.model.chat_template = TEMPLATE
    try:
        return copy, template.read_bytes()
    except OSError as error:
        raise read_failure(error, template) from error


def name_elsewhere(name: str) -> str:
    """What a model, data or weights are called where this machine's folders mean nothing; a name of the Hub stays."""
    return name if not name or name.startswith("hf:") else public_name(name)


def _meta(folder: RunFolder) -> dict[str, Any]:
    found = read_object(folder.meta)
    return {key: found[key] for key in _KEPT if key in found}


def _cleaner(folder: RunFolder) -> Callable[[str], str]:
    """Takes places and secrets out of a text: those that the run names, and what looks like one."""
    meta = read_object(folder.meta)
    known = {str(folder.path), str(folder.path.parent), str(Path.home())}
    known |= {str(meta[key]) for key in ("base", "model_path", "data_path", "made_from") if meta.get(key)}
    places = sorted((place for place in known if place.startswith("/") and len(place) > 1), key=len, reverse=True)

    def clean(text: str) -> str:
        for place in places:
            for form in dict.fromkeys((place, json.dumps(place)[1:-1], json.dumps(place, ensure_ascii=False)[1:-1])):
                text = text.replace(form, public_name(place) or "…")
        return without_places(without_secrets(text))

    return clean


def _events(folder: RunFolder, clean: Callable[[str], str], notes: list[str]) -> bytes:
    """The log's whole lines, without places; a line that is no event is left out, and told."""
    out, left = [], 0
    for event in read_events(folder.events):
        line = clean(json.dumps(event, ensure_ascii=False))
        try:
            json.loads(line)
        except ValueError:
            left += 1
            continue
        out.append(line + "\n")
    if left:
        notes.append(f"{left:,} events are left out, because taking places out of them would have broken them")
    return "".join(out).encode()


def _report(folder: RunFolder, with_rows: bool) -> str | None:
    """The run's report, without its rows unless the data goes along; None where nothing was measured."""
    view = RunView()
    view.extend(read_events(folder.events))
    try:
        document = report_document(folder, view)
    except TunerError:
        return None
    if not with_rows:
        document["rows"] = []
    experiment = load_experiment(folder.config)
    return as_markdown(report_blocks(document, title=experiment.run.name, settings=settings_of(experiment)))
