"""What every metric is called, what it means, and by which library and options it is computed.

The one list of metrics. It knows names and words only: nothing is computed here, and nothing heavy imported.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from tui_tuner import __version__
from tui_tuner.config.types import TextMetric
from tui_tuner.errors import TunerError
from tui_tuner.versions import installed

EVALUATE = "evaluate:"
"""What a metric's name begins with that the library `evaluate` is asked for."""


@dataclass(frozen=True)
class MetricSpec:
    """What a metric is called and what it measures.

    Attributes:
        name: the key in presets, events and files.
        label: what a table's head says.
        definition: one or two sentences for a person who wonders what the number means.
        higher_is_better: the direction of improvement.
        options: what may be changed about it, with the value that is used.
        judged: whether a change in it is called better or worse; False for what only describes the answers.
        bounds: the least and the greatest value; None where there is no greatest.
        library: the distribution that computes it; empty for this one.
        tested_as: the metric whose test this one repeats in another unit; the two count as one test.
    """

    name: str
    label: str
    definition: str
    higher_is_better: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    judged: bool = True
    bounds: tuple[float, float | None] = (0.0, 1.0)
    library: str = ""
    tested_as: str = ""

    @property
    def version(self) -> str:
        """Who computed it: name and version of the library."""
        name, version = (self.library, installed(self.library)) if self.library else ("tui_tuner", __version__)
        return f"{name} {version}" if version else name

    def with_options(self, given: Mapping[str, Any]) -> MetricSpec:
        """The same metric with some options changed.

        Raises:
            TunerError: it has no such option (code "unknown-option").
        """
        if unknown := sorted(set(given) - set(self.options)):
            raise TunerError(
                f'{self.name} has no option "{unknown[0]}"', code="unknown-option", fix="leave it out", usage=True
            )
        return replace(self, options={**self.options, **given}) if given else self

    def describe(self) -> dict[str, Any]:
        """What a result states beside the value."""
        return {
            "label": self.label,
            "definition": self.definition,
            "options": dict(self.options),
            "version": self.version,
            "higher_is_better": self.higher_is_better,
            "judged": self.judged,
        }


_ROUGE_WORDS = "Words are runs of a–z and digits, lower-cased, and not stemmed unless use_stemmer is set."
_SQUAD = "after SQuAD's normalisation: lower case, without punctuation, the articles a, an, the, and extra white space"


def _rouge(name: str, label: str, what: str) -> MetricSpec:
    return MetricSpec(
        name, label, f"F-measure of {what}. {_ROUGE_WORDS}", options={"use_stemmer": False}, library="rouge_score"
    )


METRICS: dict[str, MetricSpec] = {
    spec.name: spec
    for spec in (
        MetricSpec(
            "exact_match",
            "Exact match",
            "1 where the prediction is the reference letter for letter, once white space around both is taken off;"
            " else 0.",
        ),
        MetricSpec(
            "squad_exact_match",
            "Exact match (SQuAD)",
            f"1 where prediction and reference are the same {_SQUAD}; else 0.",
        ),
        MetricSpec(
            "token_f1",
            "Token F1 (SQuAD)",
            f"F-measure of the words that both share {_SQUAD}; where one of both has none left, 1 if both have none,"
            " else 0.",
        ),
        MetricSpec(
            "numeric_accuracy",
            "Numeric accuracy",
            "1 where the answer's number equals the reference's, else 0; rows whose reference has no number are left"
            " out. The number is the one after #### or in \\boxed{…}, else the last one (which = any: any one of them)."
            " Thousands separators, currency signs and trailing zeros do not matter; 5 % equals 5 and 0.05.",
            options={"which": "last"},
        ),
        _rouge("rouge1", "ROUGE-1", "the single words that prediction and reference share"),
        _rouge("rouge2", "ROUGE-2", "the pairs of neighbouring words that prediction and reference share"),
        _rouge(
            "rougeL",
            "ROUGE-L",
            "the longest run of words, gaps allowed, that prediction and reference have in the same order",
        ),
        _rouge(
            "rougeLsum",
            "ROUGE-Lsum",
            "the words in the union of longest common runs, line by line, each line of the reference with all lines of"
            " the prediction",
        ),
        MetricSpec(
            "bleu",
            "BLEU",
            "Corpus BLEU, 0 to 100: geometric mean of the shares of the predictions' 1- to 4-grams that the references"
            " hold, counted over all rows, times the brevity penalty. A row's own value is its sentence BLEU with"
            " effective order; the mean of those is another figure.",
            options={"tokenize": "13a", "lowercase": False, "smooth_method": "exp"},
            bounds=(0.0, 100.0),
            library="sacrebleu",
        ),
        MetricSpec(
            "chrf",
            "chrF",
            "Corpus chrF2, 0 to 100: F-measure, recall counting twice, of character 1- to 6-grams without white space,"
            " counted over all rows. A row's own value is its sentence chrF; the mean of those is another figure.",
            options={"char_order": 6, "word_order": 0, "beta": 2, "lowercase": False},
            bounds=(0.0, 100.0),
            library="sacrebleu",
        ),
        MetricSpec(
            "loss",
            "Loss",
            "Mean cross-entropy of the reference's tokens in nats, over all counted tokens of all rows together; lower"
            " is better.",
            higher_is_better=False,
            bounds=(0.0, None),
        ),
        MetricSpec(
            "perplexity",
            "Perplexity",
            "e to the power of the loss over all counted tokens of all rows together; lower is better.",
            higher_is_better=False,
            bounds=(1.0, None),
            tested_as="loss",
        ),
        MetricSpec(
            "length",
            "Length",
            "Mean number of tokens of an answer; of words, where tokens were not counted. Describes; is not judged.",
            judged=False,
            bounds=(0.0, None),
        ),
        MetricSpec(
            "truncated",
            "Cut off",
            "Share of answers that ran into the cap on tokens instead of ending. Describes; is not judged.",
            higher_is_better=False,
            judged=False,
        ),
        MetricSpec(
            "empty",
            "Empty",
            "Share of answers that hold nothing but white space. Describes; is not judged.",
            higher_is_better=False,
            judged=False,
        ),
        MetricSpec(
            "repetition",
            "Repetition",
            "Mean share of an answer's 4-grams of words that it had before (1 − distinct ÷ all; 0 with fewer than four"
            " words). Describes; is not judged.",
            higher_is_better=False,
            judged=False,
        ),
    )
}

TEXT_METRICS: tuple[str, ...] = get_args(TextMetric)
"""Those that compare a prediction with a reference."""
LOSS_METRICS = ("loss", "perplexity")
"""Those that need the model, not its answer."""
ANSWER_METRICS = ("length", "truncated", "empty", "repetition")
"""Those that describe answers without a reference."""

_OTHER_NAMES = {
    "em": "exact_match",
    "squadem": "squad_exact_match",
    "f1": "token_f1",
    "squadf1": "token_f1",
    "numeric": "numeric_accuracy",
    "sacrebleu": "bleu",
    "ppl": "perplexity",
}


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def metric_spec(name: str) -> MetricSpec:
    """The description of a metric; its name may be written in other ways, such as ROUGE-L, rougel or f1.

    Raises:
        TunerError: there is no such metric; names the nearest (code "unknown-metric").
    """
    if name in METRICS:
        return METRICS[name]
    if is_foreign(name):
        return _foreign(name)
    plain = _plain(name)
    known = {_plain(key): key for key in METRICS} | _OTHER_NAMES
    if plain in known:
        return METRICS[known[plain]]
    near = difflib.get_close_matches(name, METRICS, n=1)
    raise TunerError(
        f'there is no metric "{name}"',
        code="unknown-metric",
        fix=f'did you mean "{near[0]}"?'
        if near
        else f'choose from {", ".join(METRICS)}, or ask the library evaluate for it with "{EVALUATE}NAME"',
        usage=True,
    )


def specs_of(names: Sequence[str], options: Mapping[str, Any] | None = None) -> list[MetricSpec]:
    """The descriptions of metrics, each once, with those of the options that each knows.

    Raises:
        TunerError: there is no such metric.
    """
    found: dict[str, MetricSpec] = {}
    for name in names:
        spec = metric_spec(name)
        given = {key: value for key, value in (options or {}).items() if key in spec.options}
        found.setdefault(spec.name, spec.with_options(given))
    return list(found.values())


def is_foreign(name: str) -> bool:
    """Whether a name means a metric of the library `evaluate`: `evaluate:NAME`, or the path of a script or folder."""
    return name.startswith(EVALUATE) or name.endswith(".py") or "/" in name


def _foreign(name: str) -> MetricSpec:
    """A metric of `evaluate`: its parts behind the colon are where it is found, and behind # the figure wanted."""
    where, _, figure = name.removeprefix(EVALUATE).partition("#")
    short = where.rstrip("/").rsplit("/", 1)[-1].removesuffix(".py")
    return MetricSpec(
        name,
        short,
        f"Mean over the rows of what {where} of the library evaluate computes for each row by itself"
        f"{f', its figure {figure}' if figure else ''}.",
        bounds=(0.0, None),
        library="evaluate",
    )
