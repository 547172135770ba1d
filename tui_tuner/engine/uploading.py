"""From a run's adapter or a model folder to a repository on the Hub. Sends nothing that was not told before.

Rows, events and logs never leave the machine, and neither do places on it: configurations and cards are sent in a form
without them. Files on the disk stay as they are.
"""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path, PurePath
from typing import Any

from tui_tuner.engine.document import document_of
from tui_tuner.engine.hub_requests import UploadModel
from tui_tuner.engine.subject import Target, target_of
from tui_tuner.errors import TunerError
from tui_tuner.models.adapters import CONFIG, WEIGHTS
from tui_tuner.models.card import adapter_card, front_matter, public_name, without_places
from tui_tuner.models.folder import check_folder, read_header, read_model_config
from tui_tuner.models.hub.upload import Outgoing, look_at, send
from tui_tuner.models.inside import check_inside
from tui_tuner.models.inspect import licence_of
from tui_tuner.paths import find_local, is_repository_name, resolve_model, runs_dir
from tui_tuner.runs import RunFolder, RunView, read_events
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.files import read_json

_SENT = (
    "config.json", "generation_config.json", "*.safetensors", "model.safetensors.index.json", "tokenizer*.json",
    "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.tiktoken",
    "chat_template*", "adapter_config.json", "LICENSE*", "*.gguf",
)  # fmt: skip
"""What a model or an adapter is made of; nothing else is sent."""
_NOT = ("[0-9]*_adapters.safetensors",)
_CONFIGURATIONS = ("config.json", "generation_config.json", "tokenizer_config.json", "adapter_config.json")
_CARD = "README.md"


def upload_model(request: UploadModel, control: JobControl) -> dict[str, Any]:
    """Sends what is named, or only tells what would be sent.

    Raises:
        StopRequested: when asked to stop; the repository stays as it was.
        TunerError: there is nothing to send, files would be replaced, or the Hub refuses it.
    """
    if not is_repository_name(request.repository):
        raise TunerError(
            f'"{request.repository}" cannot be the name of a repository', code="usage", fix="write it as owner/name",
            usage=True,
        )  # fmt: skip
    files, card = outgoing(request)
    place = look_at(request.repository, request.private)
    replaced = sorted({file.path for file in files} & set(place.files))
    document = {
        "repository": place.name,
        "exists": place.exists,
        "private": place.private,
        "files": [{"path": file.path, "bytes": file.bytes} for file in files],
        "bytes": sum(file.bytes for file in files),
        "replaces": replaced,
        "card": card,
        "url": None,
    }
    if request.only_plan:
        return document
    if replaced and not request.force:
        raise TunerError(
            f"{len(replaced)} files of the repository would be replaced, the first is {replaced[0]}",
            code="exists", where=place.name, fix="name another repository, or add --force", usage=True,
        )  # fmt: skip
    message = f"Upload {PurePath(request.what).name}"
    url = send(place, files, message, tell=request.progress.moved, check=control.check)
    return {**document, "url": url}


def outgoing(request: UploadModel) -> tuple[list[Outgoing], str]:
    """What would be sent, the card first, and the card's text.

    Raises:
        TunerError: there is no such model, run or adapter, or it is damaged.
    """
    place = find_local(request.what, None)
    if place is not None and place.is_file() and place.suffix == ".gguf":
        return _with_card([Outgoing(place.name, place)], _plain_card(place.stem, place.stem, ""))
    if place is not None and place.is_dir() and not (place / "events.jsonl").exists():
        return _of_folder(place)
    target = target_of(request.what, None, runs_dir(request.runs_dir))
    if target.run is None or target.adapter is None:
        raise TunerError(
            "there is nothing to upload", code="model-not-found", where=request.what,
            fix="name a folder with a model or an adapter, a GGUF file, or a run",
        )  # fmt: skip
    return _of_run(target, target.run, target.adapter)


def _of_run(target: Target, run: RunFolder, adapter: Path) -> tuple[list[Outgoing], str]:
    folder, weights = (adapter, WEIGHTS) if adapter.is_dir() else (adapter.parent, adapter.name)
    if not (folder / weights).is_file():
        raise TunerError(
            "the run has no adapter yet", code="model-not-found", where=run.name, fix="let it train to a checkpoint"
        )
    read_header(folder / weights)
    card = adapter_card(run.name, target.model, base_licence(target.model), run_facts(run))
    config = Outgoing(CONFIG, _configuration(folder / CONFIG, target.model))
    return _with_card([config, Outgoing(WEIGHTS, folder / weights)], card)


def _of_folder(place: Path) -> tuple[list[Outgoing], str]:
    adapter = (place / CONFIG).is_file()
    if adapter:
        check_inside(place)
    else:
        check_folder(place)
    files = []
    for file in sorted(place.iterdir()):
        if not file.is_file() or not _fits(file.name, _SENT) or _fits(file.name, _NOT):
            continue
        if file.suffix == ".safetensors":
            read_header(file)
        content = _configuration(file) if file.name in _CONFIGURATIONS else file
        files.append(Outgoing(file.name, content))
    base = ""
    if adapter:
        base = str(json.loads(next(one.content for one in files if one.path == CONFIG)).get("model") or "")  # type: ignore[arg-type]
    card = place / _CARD
    if card.is_file():
        text = without_places(card.read_text(encoding="utf-8", errors="replace"))
        if not text.startswith("---"):
            text = "\n".join(front_matter(base, "", "adapter" if adapter else "finetune")) + text
    else:
        licence = "" if adapter else licence_of(place, read_model_config(place))
        text = _plain_card(place.name, base or place.name, licence, "adapter" if adapter else "finetune")
    return _with_card(files, text)


def _with_card(files: list[Outgoing], card: str) -> tuple[list[Outgoing], str]:
    return [Outgoing(_CARD, card.encode()), *files], card


def _plain_card(name: str, base: str, licence: str, relation: str = "finetune") -> str:
    return "\n".join([*front_matter(base, licence, relation), f"# {name}", ""])


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _configuration(file: Path, model: str = "") -> bytes:
    """A configuration without places on this machine."""
    found = _placeless(read_json(file))
    if model and isinstance(found, dict):
        found["model"] = public_name(model)
    return (json.dumps(found, indent=2, ensure_ascii=False) + "\n").encode()


def _placeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _placeless(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_placeless(one) for one in value]
    if isinstance(value, str) and len(value) < 4096:
        path = PurePath(value)
        if path.is_absolute() and len(path.parts) > 2 and "\n" not in value and (Path(value).exists()):
            return public_name(value)
        return without_places(value)
    return value


def base_licence(model: str) -> str:
    """The licence of a base that is on this machine; empty where it is not, or says nothing. Asks nobody."""
    from tui_tuner.models.hub.download import in_cache

    try:
        folder = Path(resolve_model(model, None))
        if not folder.is_dir():
            found = in_cache(model, None) if is_repository_name(model) else None
            if found is None:
                return ""
            folder = found
        return licence_of(folder, read_model_config(folder))
    except TunerError:
        return ""


def run_facts(run: RunFolder) -> dict[str, Any]:
    """What a card tells of a run: `models.card.run_story` says what that is."""
    from tui_tuner.config import load_experiment
    from tui_tuner.evaluation.export import settings_of

    experiment = load_experiment(run.config)
    document = document_of(run, "finished")
    view = RunView()
    view.extend(read_events(run.events))
    settings = [
        (name, public_name(value) if name in ("model", "data") else value) for name, value in settings_of(experiment)
    ]
    return {
        "method": experiment.adapter.method,
        "settings": [*settings, ("steps", str(document["steps"]))],
        "sentence": str((view.verdict or {}).get("sentence") or ""),
        "before": document["evaluation"].get("before") or {},
        "after": document["evaluation"].get("after") or {},
        "verdict": document["verdict"] or {},
    }
