"""The commands that turn stored predictions into numbers: `score` one file, `compare` two of them, or two results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tui_tuner.cli import completing
from tui_tuner.cli.options import Debug, Json, RunsDir, Trust
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError

_WHAT = "A file of predictions, a run, or RUN:LABEL for one of its results."
PredictionKey = Annotated[
    str | None,
    typer.Option("--prediction-key", help="The key of what the model said; else guessed.", show_default=False),
]
ReferenceKey = Annotated[
    str | None, typer.Option("--reference-key", help="The key of what is right; else guessed.", show_default=False)
]
References = Annotated[
    list[Path] | None,
    typer.Option("--references", help="A file with a reference a line, for predictions a line. Repeatable."),
]
MetricNames = Annotated[
    str | None,
    typer.Option(
        "--metrics", help="Which, with commas between: rouge1,bleu; else all that compare texts.", show_default=False
    ),
]
Stemmer = Annotated[bool, typer.Option("--stemmer", help="Stem words before ROUGE compares them (Porter).")]
Tokenize = Annotated[
    str | None, typer.Option("--bleu-tokenize", help="sacrebleu's tokeniser for BLEU: 13a, intl, zh, char …")
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, help="Seed of the resampling, a whole number; the same gives the same figures.")
]


def score(
    file: Annotated[str, typer.Argument(help=_WHAT, autocompletion=completing.results)],
    reference_key: ReferenceKey = None,
    prediction_key: PredictionKey = None,
    references: References = None,
    metrics: MetricNames = None,
    stemmer: Stemmer = False,
    bleu_tokenize: Tokenize = None,
    seed: Seed = 0,
    trust: Trust = None,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Scores stored predictions, whoever made them, and says how sure each figure is."""
    from tui_tuner.evaluation.comparing import find_result, read_result, score_document
    from tui_tuner.paths import runs_dir as runs_place

    with opened(json=json, debug=debug) as output:
        path = find_result(file, runs_place(runs_dir))
        outputs = read_result(path, references or (), prediction_key=prediction_key, reference_key=reference_key)
        document = score_document(outputs, _names(metrics), _options(stemmer, bleu_tokenize), seed=seed)
        if json:
            output.document(document)
        else:
            _tell_score(document, output)
    return 0


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help=_WHAT, autocompletion=completing.results)],
    second: Annotated[
        str | None,
        typer.Argument(
            metavar="B",
            help="What is judged against it; of one run, after against before.",
            show_default=False,
            autocompletion=completing.results,
        ),
    ] = None,
    reference_key: ReferenceKey = None,
    prediction_key: PredictionKey = None,
    references: References = None,
    metrics: MetricNames = None,
    stemmer: Stemmer = False,
    bleu_tokenize: Tokenize = None,
    seed: Seed = 0,
    trust: Trust = None,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Judges B against A on the rows that both have: better, worse, or no measurable change."""
    from tui_tuner.evaluation.comparing import compare_document, find_result, read_result
    from tui_tuner.paths import runs_dir as runs_place

    with opened(json=json, debug=debug) as output:
        place = runs_place(runs_dir)
        if second is None:
            if Path(first).is_file() or ":" in first:
                raise TunerError("there is nothing to compare it with", code="usage", fix="name two", usage=True)
            paths = [find_result(first, place, label) for label in ("before", "after")]
        else:
            paths = [find_result(name, place) for name in (first, second)]
        a, b = (
            read_result(
                path,
                references or (),
                prediction_key=prediction_key,
                reference_key=reference_key,
                need_reference=False,
            )
            for path in paths
        )
        document = compare_document(a, b, _names(metrics), _options(stemmer, bleu_tokenize), seed=seed)
        if json:
            output.document(document)
        else:
            _tell_comparison(document, output)
    return 0


def _names(metrics: str | None) -> list[str] | None:
    from tui_tuner.evaluation.metrics import specs_of

    if metrics is None:
        return None
    names = [name.strip() for name in metrics.split(",") if name.strip()]
    if not names:
        raise TunerError("--metrics names none", code="usage", fix="name one, such as rouge1", usage=True)
    return [spec.name for spec in specs_of(names)]


def _options(stemmer: bool, tokenize: str | None) -> dict[str, Any]:
    if tokenize is not None:
        from sacrebleu.metrics.bleu import BLEU

        if tokenize not in BLEU.TOKENIZERS:
            raise TunerError(
                f'sacrebleu has no tokeniser "{tokenize}"',
                code="usage",
                fix=f"choose from {', '.join(BLEU.TOKENIZERS)}",
                usage=True,
            )
    return {**({"use_stemmer": True} if stemmer else {}), **({"tokenize": tokenize} if tokenize else {})}


def _tell_score(document: Mapping[str, Any], output: Output) -> None:
    output.say(f"{document['file']}: {document['n']:,} rows")
    _tell_keys(document["keys"], document["guessed"], "", output)
    _tell_figures(document["metrics"], output)
    for split, part in document["splits"].items():
        output.say(f"{split}: {part['n']:,} rows")
        labels = {name: {**one, "label": document["metrics"][name]["label"]} for name, one in part["metrics"].items()}
        _tell_figures(labels, output)
    for note in document["notes"]:
        output.say(f"note: {note}")


def _tell_keys(keys: Mapping[str, str], guessed: Sequence[str], side: str, output: Output) -> None:
    for role in guessed:
        output.note(f"{side}{role}: {keys[role]!r}, guessed from its name; --{role}-key names another")


def _tell_figures(metrics: Mapping[str, Mapping[str, Any]], output: Output) -> None:
    width = max((len(one["label"]) for one in metrics.values()), default=0)
    for one in metrics.values():
        value, low, high = (figure(one[key]) for key in ("value", "low", "high"))
        of = f"  of {one['n']:,} rows" if "n" in one else ""
        unit = f" {one['unit']}" if "unit" in one else ""
        output.say(f"  {one['label'].ljust(width)}  {value:>8}{unit}  ({low} to {high}){of}")


def figure(value: float) -> str:
    """A metric's value: four decimals up to 10, two beyond."""
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"


def _tell_comparison(document: Mapping[str, Any], output: Output) -> None:
    output.say(f"A {document['a']}")
    output.say(f"B {document['b']}")
    for side in ("a", "b"):
        _tell_keys(document["keys"][side], document["guessed"][side], f"{side.upper()} ", output)
    output.say(f"{document['n']:,} rows, matched by {document['matched']['by']}")
    _tell_verdicts(document["metrics"], document["described"], output)
    output.say(document["sentence"])
    for split, part in document["splits"].items():
        output.say(f"{split}: {part['n']:,} rows")
        _tell_verdicts(part["metrics"], document["described"], output)
        output.say(part["sentence"])
    _tell_answers(document["answers"], output)
    for note in document["notes"]:
        output.say(f"note: {note}")


def _tell_verdicts(
    metrics: Mapping[str, Mapping[str, Any]], described: Mapping[str, Mapping[str, Any]], output: Output
) -> None:
    rows = [("", "A", "B", "B - A (95 %)", "p", "wins/ties/losses", "")]
    for name, one in metrics.items():
        change = f"{_signed(one['difference'])} ({_signed(one['low'])} to {_signed(one['high'])})"
        counts = f"{one['wins']}/{one['ties']}/{one['losses']}"
        label = str(described.get(name, {}).get("label", name))
        rows.append((label, figure(one["a"]), figure(one["b"]), change, f"{one['p']:.2g}", counts, one["verdict"]))
    widths = [max(len(row[column]) for row in rows) for column in range(7)]
    for row in rows:
        output.say("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _signed(value: float) -> str:
    text = figure(value)
    return text if text.startswith("-") else f"+{text}"


def _tell_answers(answers: Mapping[str, Mapping[str, Mapping[str, Any]]], output: Output) -> None:
    """What answers are like, which is not judged."""
    for name, one in answers["a"].items():
        if name in answers["b"]:
            output.say(f"  {one['label']}: {figure(one['value'])} and {figure(answers['b'][name]['value'])}")
