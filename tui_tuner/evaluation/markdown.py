"""The document of a benchmark as a report: tables, curves, and rows to look at; and its Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tui_tuner import units
from tui_tuner.evaluation.blocks import Block, Chart, Curve, Heading, Quoted, Sentence, Table, Terms
from tui_tuner.evaluation.blocks import as_markdown as written
from tui_tuner.evaluation.curves import spark
from tui_tuner.evaluation.metrics import METRICS

_MOST = 5
"""Rows in full at either end of the list of differences."""
_BAR = 30
"""Signs that a whole bar takes."""


def as_markdown(
    document: Mapping[str, Any], *, title: str = "", settings: Sequence[Sequence[str]] = (), again: str = ""
) -> str:
    """See `export.rendered`; arguments as for `report_blocks`."""
    return written(report_blocks(document, title=title, settings=settings, again=again))


def report_blocks(
    document: Mapping[str, Any], *, title: str = "", settings: Sequence[Sequence[str]] = (), again: str = ""
) -> list[Block]:
    """A run's report.

    Args:
        document: as `export.report_document` makes it.
        title: of the whole; else the run's name.
        settings: what was done, as name and value, behind the first sentence.
        again: the command that repeats it, for the end.
    """
    a, b = document["sides"]
    verdict = document["verdict"]
    parts: list[Block] = [Heading(1, title or document["run"])]
    if verdict.get("sentence"):
        parts.append(Sentence(verdict["sentence"]))
    if settings:
        parts.append(Table(["what", "value"], settings))
    parts += _verdict(document["results"], verdict.get("metrics") or {}, (a, b))
    parts += _results(document["results"])
    parts += _splits(document["results"], verdict.get("splits") or {}, (a, b))
    parts += _tests("Behaviour tests", document["behaviour"], "cases")
    parts += _tests("Canaries", document["canaries"], "groups")
    parts += _training(document["training"], document.get("curves") or document["training"])
    parts += _checkpoints(document["checkpoints"])
    parts += _definitions(document["results"])
    parts += _samples(document, (a, b))
    if again:
        parts += [Heading(2, "Again"), Quoted("", again)]
    return parts


def _verdict(results: Mapping[str, Any], judged: Mapping[str, Any], sides: tuple[str, str]) -> list[Block]:
    metrics = [(results.get(label) or {}).get("metrics") or {} for label in sides]
    names = list(dict.fromkeys([*metrics[0], *metrics[1], *judged]))
    if not names:
        return []
    rows = []
    for name in names:
        told = judged.get(name) or {}
        counts = " / ".join(str(told.get(key, "–")) for key in ("wins", "ties", "losses")) if told else "–"
        rows.append([
            name, units.interval(metrics[0].get(name)), units.interval(metrics[1].get(name)), difference(told),
            p_text(told.get("p")), counts, number(told.get("effect"), 2), number(told.get("rows_to_settle") or None, 0),
            str(told.get("verdict") or "–"),
        ])  # fmt: skip
    titles = ["metric", *sides, "difference", "p", "won / tied / lost", "effect", "rows to settle", "verdict"]
    note = "Intervals are 95 %; p-values are corrected for judging several metrics at once."
    return [Heading(2, f"{sides[0]} against {sides[1]}"), Table(titles, rows), Sentence(note)]


def _results(results: Mapping[str, Any]) -> list[Block]:
    if len(results) < 3:
        return []
    names = list(dict.fromkeys(name for result in results.values() for name in result["metrics"]))
    rows = [
        [label, result["model"] or "–", str(result["n"] or "–"),
         *(units.interval(result["metrics"].get(name)) for name in names)]
        for label, result in results.items()
    ]  # fmt: skip
    return [Heading(2, "All results"), Table(["result", "model", "rows", *names], rows)]


def _splits(results: Mapping[str, Any], judged: Mapping[str, Any], sides: tuple[str, str]) -> list[Block]:
    parts = [(results.get(label) or {}).get("splits") or {} for label in sides]
    names = list(dict.fromkeys([*parts[0], *parts[1]]))
    if len(names) < 2:
        return []
    rows = []
    for split in names:
        first, second = (part.get(split) or {} for part in parts)
        told = (judged.get(split) or {}).get("metrics") or {}
        metrics = [one.get("metrics") or {} for one in (first, second)]
        for name in dict.fromkeys([*metrics[0], *metrics[1]]):
            rows.append([
                split, str(second.get("n") or first.get("n") or "–"), name, units.interval(metrics[0].get(name)),
                units.interval(metrics[1].get(name)), difference(told.get(name) or {}),
                str((told.get(name) or {}).get("verdict") or "–"),
            ])  # fmt: skip
    titles = ["part", "rows", "metric", *sides, "difference", "verdict"]
    return [Heading(2, "The parts apart"), Table(titles, rows)]


def _tests(title: str, documents: Mapping[str, Any], key: str) -> list[Block]:
    if not documents:
        return []
    labels = list(documents)
    by_name = {label: {str(one.get("name")): one for one in documents[label][key]} for label in labels}
    names = list(dict.fromkeys(name for label in reversed(labels) for name in by_name[label]))
    rows = []
    for name in names:
        found = [by_name[label].get(name) for label in labels]
        status = next((str(one["status"]) for one in reversed(found) if one and one.get("status")), "")
        rows.append([name, *(_rate(one) for one in found), status or "–"])
    rows.append(["all", *(_rate(documents[label]) for label in labels), "–"])
    return [Heading(2, title), Table(["name", *labels, "status"], rows)]


def _training(
    brief: Mapping[str, Sequence[Mapping[str, float]]], curves: Mapping[str, Sequence[Mapping[str, float]]]
) -> list[Block]:
    rows = []
    for name, points in brief.items():
        losses = [point["loss"] for point in points]
        ends = (losses[0], min(losses), losses[-1])
        rows.append([f"{name} loss", spark(losses), *(number(loss, 4) for loss in ends), str(points[-1]["step"])])
    if not rows:
        return []
    titles = ["nats per token", "from the first step to the last", "first", "lowest", "last", "step"]
    lines = [Curve(f"{name} loss", loss_points(points), slot) for slot, (name, points) in enumerate(curves.items())]
    return [Heading(2, "Training"), Chart("Loss", "step", "nats per token", lines), Table(titles, rows)]


def loss_points(points: Sequence[Mapping[str, float]]) -> list[tuple[float, float]]:
    """Points of a curve, as documents have them, as (step, loss)."""
    return [(point["step"], point["loss"]) for point in points]


def _checkpoints(document: Mapping[str, Any]) -> list[Block]:
    points = document.get("points") or []
    values = [point["value"] for point in points if isinstance(point.get("value"), (int, float))]
    if not values:
        return []
    low, high = min(values), max(values)
    rows = []
    for point in points:
        best = "best" if point.get("step") == document.get("best_step") else ""
        rows.append([
            str(point.get("step")), units.interval(point), number(point.get("validation_loss"), 4),
            _bar(point.get("value"), low, high), best,
        ])  # fmt: skip
    metric = str(document.get("metric") or "metric")
    return [Heading(2, "Checkpoints"), Table(["step", metric, "validation loss", "", ""], rows)]


def _bar(value: object, low: float, high: float) -> str:
    """A value between the lowest and the highest as a bar, so that a curve is seen where no picture can stand."""
    if not isinstance(value, (int, float)):
        return ""
    share = 1.0 if high == low else (value - low) / (high - low)
    return "█" * max(round(share * _BAR), 1)


def _definitions(results: Mapping[str, Any]) -> list[Block]:
    told: dict[str, Mapping[str, Any]] = {}
    for result in results.values():
        told.update(result["metrics"])
    terms = []
    for name, figures in told.items():
        definition = figures.get("definition") or (METRICS[name].definition if name in METRICS else "")
        options = figures.get("options")
        options = options if isinstance(options, Mapping) else METRICS[name].options if name in METRICS else {}
        notes = [f"{key} {value}" for key, value in options.items()]
        notes += [f"version {figures['version']}"] if figures.get("version") else []
        if definition:
            behind = f" ({', '.join(notes)})" if notes else ""
            terms.append((name, f"{definition}{behind}"))
    return [Heading(2, "What the metrics are"), Terms(terms)] if terms else []


def _samples(document: Mapping[str, Any], sides: tuple[str, str]) -> list[Block]:
    rows: Sequence[Mapping[str, Any]] = document["rows"]
    judged = document["verdict"].get("metrics") or {}
    metric = next(iter(judged), None) or next((name for row in rows for name in row["difference"]), None)
    scored = [row for row in rows if metric in row["difference"]]
    scored.sort(key=lambda row: float(row["difference"][metric]))
    chosen = scored if len(scored) <= 2 * _MOST else [*scored[:_MOST], *scored[-_MOST:]]
    if not chosen:
        chosen = list(rows[: 2 * _MOST])
    if not chosen:
        return []
    parts: list[Block] = [Heading(2, "Rows")]
    if metric and scored:
        parts.append(Sentence(f"Those whose {metric} moved most, in the order of what they gained."))
    for row in chosen:
        moved = row["difference"].get(metric)
        parts.append(Heading(3, f"Row {row['index']}" + ("" if moved is None else f" ({moved:+.3f})")))
        parts += [Quoted("prompt", str(row["prompt"])), Quoted("reference", str(row["reference"]))]
        for label, side in zip(sides, (row["a"], row["b"]), strict=True):
            if side is not None:
                parts.append(Quoted(label, str(side["text"])))
    return parts


def difference(told: Mapping[str, Any]) -> str:
    """A difference with its sign and its 95 % interval."""
    if not isinstance(told.get("difference"), (int, float)):
        return "–"
    low, high = told.get("low"), told.get("high")
    ends = all(isinstance(end, (int, float)) for end in (low, high))
    return f"{told['difference']:+.3f}" + (f" ({low:+.3f} to {high:+.3f})" if ends else "")


def _rate(figures: Mapping[str, Any] | None) -> str:
    if not figures or not isinstance(figures.get("rate"), (int, float)):
        return "–"
    low, high = figures.get("low"), figures.get("high")
    if not isinstance(low, (int, float)) or not isinstance(high, (int, float)):
        return f"{100 * figures['rate']:.0f} %"
    return f"{100 * figures['rate']:.0f} % ({100 * low:.0f} to {100 * high:.0f} %)"


def number(value: object, digits: int) -> str:
    """A number with so many decimals, a dash for what is none."""
    return f"{value:.{digits}f}" if isinstance(value, (int, float)) and math.isfinite(value) else "–"


def p_text(value: object) -> str:
    """A p-value."""
    return "below 0.001" if isinstance(value, (int, float)) and value < 0.001 else number(value, 3)
