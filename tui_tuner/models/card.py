"""Model cards: what a model that is handed on is made of, and what was measured of it. Nothing in them is guessed.

A card is read by strangers: it names models by their repository or their folder's last name, never by a place on a
machine, and holds figures, never rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from tui_tuner import units
from tui_tuner.models.hub.cache import repository_of
from tui_tuner.paths import EMBEDDED, is_repository_name

_ROOTS = "Users|home|root|private|tmp|var|Volumes|mnt|opt|data|workspace|content"
_PLACE = re.compile(rf"(?<![\w.:/])(?:~|/(?:{_ROOTS}))/[^\s`'\")\]|,;]+")
_LICENCES = frozenset({
    "apache-2.0", "mit", "openrail", "openrail++", "bigscience-openrail-m", "creativeml-openrail-m",
    "bigcode-openrail-m", "bsd", "bsd-2-clause", "bsd-3-clause", "cc", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0",
    "cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0",
    "gpl", "gpl-2.0", "gpl-3.0", "agpl-3.0", "lgpl", "lgpl-3.0", "mpl-2.0",
    "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "gemma", "apple-amlr", "unlicense", "other",
})  # fmt: skip
"""Names that the Hub knows; others are "other"."""


def public_name(model: str) -> str:
    """What a model or a source of data is called to strangers: its repository, or the last name of its path."""
    if model.startswith(EMBEDDED):
        return model
    path = Path(model)
    if repository := repository_of(path):
        return repository
    if is_repository_name(model.removeprefix("hf:")) and not path.is_dir():
        return model.removeprefix("hf:")
    return path.name or model


def without_places(text: str) -> str:
    """A text with every path that leads into a person's folders cut down to its last name."""
    return _PLACE.sub(lambda found: PurePath(found.group()).name, text)


def front_matter(base: str, licence: str, relation: str, tags: tuple[str, ...] = ()) -> list[str]:
    """The block that the Hub reads.

    Args:
        base: the model that it was made from, as a configuration names it.
        licence: of that model, as its card names it; a file's name where only a text is there; empty for none.
        relation: "adapter", "finetune" or "quantized".
    """
    lines = ["---", "library_name: mlx", "pipeline_tag: text-generation"]
    if licence:
        lines.append(f"license: {licence if licence in _LICENCES else 'other'}")
    name = public_name(base)
    if is_repository_name(name):
        lines += [f"base_model: {name}", f"base_model_relation: {relation}"]
    return [*lines, "tags:", "- mlx", *(f"- {tag}" for tag in tags), "---", ""]


def adapter_card(name: str, model: str, licence: str, facts: Mapping[str, Any]) -> str:
    """The README.md of a run's adapter.

    Args:
        name: the run's.
        model: the base, as the configuration names it.
        licence: of the base.
        facts: see `run_story`.
    """
    told = public_name(model)
    lines = [
        *front_matter(model, licence, "adapter", (str(facts["method"]),)),
        f"# {name}",
        "",
        f"An adapter for `{told}`, trained with [mlx-lm](https://github.com/ml-explore/mlx-lm). It needs its base:",
        "",
        "```sh",
        f"mlx_lm.generate --model {told} --adapter-path FOLDER --prompt '…'",
        "```",
        "",
        *run_story(facts),
    ]
    return without_places("\n".join(lines).rstrip() + "\n")


def fused_card(
    run: str,
    model: str,
    document: Mapping[str, Any],
    chosen: Mapping[str, Any],
    licence: str = "",
    facts: Mapping[str, Any] | None = None,
) -> str:
    """The README.md of a merged model.

    Args:
        run: what the adapter is from.
        model: the base, as the configuration names it.
        document: of all ways that were tried.
        chosen: of the one that was written.
        licence: of the base.
        facts: of the run, see `run_story`; None where the adapter is of no run.
    """
    name, told = PurePath(run).name, public_name(model)
    lines = [
        *front_matter(model, licence, "finetune"),
        f"# {name}, merged into {told}",
        "",
        f"The adapter of `{name}` merged into `{told}`: {chosen['text']}.",
        "",
        *(run_story(facts) if facts is not None else []),
        "## Merged",
        "",
        f"Compared with base and adapter on {document['measured_on']}:",
        "",
        "| way | size | fine-tune kept | KL, nats per token | same likeliest token | loss |",
        "|---|---|---|---|---|---|",
    ]
    for way in document["ways"]:
        mark = " **(this one)**" if way["way"] == chosen["way"] else ""
        kept = "nothing to keep" if way["kept"] is None else f"{100 * way['kept']:.2f} %"
        lines.append(
            f"| {way['way']}{mark} | {units.size(way['bytes'], fine=True)} | {kept} | {way['kl']:.3g} | "
            f"{100 * way['top1_agreement']:.2f} % | {way['loss']['fused']:.4f} |"
        )
    losses = chosen["loss"]
    lines += ["", f"The base alone has a loss of {losses['base']:.4f}, with its adapter {losses['adapter']:.4f}.", ""]
    return without_places("\n".join(lines))


def run_story(facts: Mapping[str, Any]) -> list[str]:
    """How a model was trained and what came of it, as lines of Markdown.

    Args:
        facts: "method"; "settings", pairs of name and value; "sentence", the verdict in words; "before", "after" and
            "verdict", figures by metric as `run --json` has them.
    """
    lines = ["## Trained", "", "| what | value |", "|---|---|"]
    lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in facts["settings"]]
    lines.append("")
    if not facts["verdict"] and not facts["after"]:
        return [*lines, "It was not benchmarked.", ""]
    lines += ["## Measured", ""]
    if facts["sentence"]:
        lines += [_cell(facts["sentence"]), ""]
    lines += ["| metric | before | after | difference | verdict |", "|---|---|---|---|---|"]
    for metric in facts["verdict"] or facts["after"]:
        judged = facts["verdict"].get(metric, {})
        cells = [*(units.interval(facts[when].get(metric)) for when in ("before", "after")), _difference(judged)]
        lines.append(f"| {_cell(metric)} | {' | '.join(cells)} | {_cell(judged.get('verdict', '–'))} |")
    return [*lines, "", "Intervals are 95 %; before is the base, after the base with what was trained.", ""]


def _cell(text: object) -> str:
    return " ".join(str(text).replace("|", "\\|").split())


def _difference(judged: Mapping[str, Any]) -> str:
    if judged.get("difference") is None:
        return "–"
    low, high = judged.get("low"), judged.get("high")
    return f"{judged['difference']:+.3f}" + (f" ({low:+.3f} to {high:+.3f})" if low is not None else "")
