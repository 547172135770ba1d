"""What a model could do before training and should still do after: a small suite, and the word on who died.

The suite is this project's own; a model folder that holds a `canaries.json` brings one that suits it better, as the
embedded model does. Only what was passed before can die: nothing is held against a model that it never could.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tui_tuner.config.behaviour_section import BehaviourCase
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.behaviour import rate
from tui_tuner.evaluation.rules import broken
from tui_tuner.runs.files import read_json, read_object
from tui_tuner.shares import at_least_by_chance

FILE = "canaries.json"
MAX_TOKENS = 64
"""Longest answer: each question can be answered in a line or two."""

SURE = 0.05
"""A group died when so many lost cases would come about by chance less often than this."""

Suite = dict[str, list[BehaviourCase]]


def suite_of(model: Path) -> Suite:
    """The cases of each group, for the model in a folder: its own where it brings some, else the general ones.

    Raises:
        TunerError: the model's own are damaged.
    """
    own = model / FILE
    path = own if own.is_file() else Path(__file__).with_name(FILE)
    groups = read_json(path)
    damaged = TunerError(
        "the model's canaries are not groups of cases with prompt and rules",
        code="bad-canaries",
        where=str(path),
        fix="remove the file to take the general ones",
    )
    try:
        suite = {
            str(group): [
                BehaviourCase.model_validate({"name": f"{group} {n}", **case}) for n, case in enumerate(cases, 1)
            ]
            for group, cases in groups.items()
        }
    except (ValidationError, AttributeError, TypeError) as error:
        raise damaged from error
    if not suite or not all(suite.values()):  # of no case there is no share that passes
        raise damaged
    return suite


def canary_document(
    label: str, suite: Suite, answers: list[list[str]], before: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What `canaries-<label>.json` holds: every answer, and for each group how many passed.

    Args:
        answers: one list for each case, in the order of the suite.
        before: the same of the model before training, to say of each group what became of it.
    """
    taken = iter(answers)
    groups: list[dict[str, Any]] = []
    for name, cases in suite.items():
        told: list[dict[str, Any]] = []
        for case in cases:
            text = next(taken)[0]
            why = broken(case, text)
            told.append({"name": case.name, "prompt": case.prompt, "answer": text, "passed": not why, "why": why})
        passed = sum(not case["why"] for case in told)
        groups.append({"name": name, "passed": passed, "n": len(told), **rate(passed, len(told)), "cases": told})
    everything = [case for group in groups for case in group["cases"]]
    total, right = len(everything), sum(not case["why"] for case in everything)
    document = {"label": label, "groups": groups, "n": total, "passed": right, **rate(right, total)}
    return judged(document, before) if before is not None else document


def judged(after: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """The document of after, with a `status` for each group and the names of those that `died`.

    A group passes with at least half of its cases. One that passed before and does not any more has died when an exact
    sign test over its cases says that this was no chance; otherwise it is weaker, as one is that lost surely and still
    passes. Groups that did not pass before are not judged.
    """
    earlier = {group["name"]: group for group in before["groups"]}
    groups = []
    for group in after["groups"]:
        old = earlier.get(group["name"])
        groups.append({**group, **(_status(old, group) if old else {"status": "not known before", "before": 0})})
    died = [group["name"] for group in groups if group["status"] == "died"]
    return {**after, "groups": groups, "died": died}


def _status(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    passed = {case["name"]: case["passed"] for case in old["cases"]}
    pairs = [(passed[case["name"]], case["passed"]) for case in new["cases"] if case["name"] in passed]
    lost, gained = sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)
    told = {"before": old["passed"], "lost": lost, "gained": gained}
    if 2 * old["passed"] < old["n"]:
        return {"status": "not known before", **told}
    surely = at_least_by_chance(lost, lost + gained) <= SURE  # a sign test, one-sided
    fails = 2 * new["passed"] < new["n"]
    return {"status": "died" if fails and surely else "weaker" if fails or surely else "held", **told}


def read_before(folder: Path) -> dict[str, Any] | None:
    """The canaries before training that a run's folder holds; None when there are none to be read."""
    found = read_object(folder / "canaries-before.json")
    return found if isinstance(found.get("groups"), list) else None
