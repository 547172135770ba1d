"""Merges an adapter into its base and proves on held-out rows that the result still is what was trained.

Called on the MLX thread. Every way of merging is tried and measured; the smallest that keeps the fine-tune is taken.
What does not keep it is written only when that is asked for outright.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_tuner.engine.model_requests import FuseAdapter
from tui_tuner.engine.proofrows import ProofRows, rows_of_run, rows_of_source
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.engine.subject import Target, adapted_target, subject_of
from tui_tuner.engine.uploading import run_facts
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.generate import greedy_answers
from tui_tuner.evaluation.proof import Proof, agreement, proof
from tui_tuner.models.card import fused_card
from tui_tuner.models.device import working_memory
from tui_tuner.models.fuse import Way, fuse, size_of, ways_for
from tui_tuner.models.inspect import licence_of
from tui_tuner.models.libraries import ready
from tui_tuner.models.load import Base, fresh_tree, load_base
from tui_tuner.models.staging import claimed
from tui_tuner.models.write import check_space, check_target, write_model
from tui_tuner.paths import runs_dir
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.files import write_atomic

_ANSWERS = 8
_TOKENS = 48
APART = "apart"
"""To keep the adapter beside the base, as mlx-lm loads it: nothing is lost, and nothing is merged."""


@dataclass(frozen=True)
class Tried:
    """One way, its size in bytes, and what was measured; `exact` of `answers` greedy answers are the same."""

    way: Way
    bytes: int
    proof: Proof
    exact: int
    answers: int

    @property
    def holds(self) -> bool:
        return self.proof.holds

    def as_json(self) -> dict[str, Any]:
        return {
            "way": self.way.name,
            "text": self.way.text,
            "bytes": self.bytes,
            **self.proof.as_json(),
            "exact": {"same": self.exact, "of": self.answers},
        }


def fuse_adapter(request: FuseAdapter, control: JobControl, shelf: ModelShelf) -> dict[str, Any]:
    """Tries every way, or the one that is asked for, and writes the one that is taken.

    Raises:
        StopRequested: when asked to stop; nothing is left behind.
        TunerError: model or adapter cannot be had, nothing keeps the fine-tune (code "fuse-lossy"), or the place is
            taken.
    """
    ready()
    target, _ = adapted_target(request.run, request.adapter, runs_dir(request.runs_dir), "merge")
    place = None if request.target is None else check_target(request.target, force=request.force)
    with working_memory(), claimed(place) if place is not None else nullcontext():
        subject = subject_of(target, shelf)
        base, adapted = subject.base, subject.model
        rows = _rows(request, target, base)
        wanted = ways_for(base.model)
        if request.way:
            wanted = [_named(wanted, request.way)]
        answers = _answers(adapted, base, rows, control)
        tried = []
        for number, way in enumerate(wanted):
            control.check()
            tree = fuse(base.model, adapted, fresh_tree(base), way)

            def tell(done: int, total: int, number: int = number) -> None:
                request.progress(f"rows compared ({wanted[number].name})", number * total + done, len(wanted) * total)

            found = proof(base.model, adapted, tree, rows.examples, tell=tell, check=control.check)
            same = sum(one == other for one, other in zip(answers, _answers(tree, base, rows, control), strict=True))
            tried.append(Tried(way, size_of(tree), found, same, len(answers)))
        best = min((one for one in tried if one.holds), key=lambda one: one.bytes, default=None)
        document = _document(tried, best, rows)
        if place is None:
            return {"path": None, **document}
        chosen = _chosen(tried, best, request)
        tree = fuse(base.model, adapted, fresh_tree(base), chosen.way)
        check_space(place, chosen.bytes)

        def verify(written: Path) -> None:
            back = load_base(written, base.template)
            again = agreement(tree, back.model, rows.examples[:4], check=control.check)
            if again.kl > 1e-6:
                raise TunerError(
                    f"what was written does not read back as it was (KL {again.kl:.2g})",
                    code="fuse-broken",
                    where=str(place),
                    fix="try another way, and report it",
                )
            facts = run_facts(target.run) if target.run is not None else None
            licence = licence_of(base.path, base.config)
            card = fused_card(request.run, target.model, document, chosen.as_json(), licence, facts)
            write_atomic(written / "README.md", card)

        write_model(
            place, base.path, tree, base.config, template=base.template, force=request.force, verify=verify
        )  # fmt: skip
    return {"path": str(place), **document, **chosen.as_json()}


def _document(tried: list[Tried], best: Tried | None, rows: ProofRows) -> dict[str, Any]:
    shown = best or max(tried, key=lambda one: one.proof.kept or 0.0)
    return {
        **shown.as_json(),
        "recommended": best.way.name if best is not None else APART,
        "ways": [one.as_json() for one in tried],
        "measured_on": rows.source,
    }


def _chosen(tried: list[Tried], best: Tried | None, request: FuseAdapter) -> Tried:
    if best is not None:
        return best
    one = tried[0] if request.way else max(tried, key=lambda each: each.proof.kept or 0.0)
    if request.lossy:
        return one
    kept = "nothing" if one.proof.kept is None else f"{100 * one.proof.kept:.1f} %"
    raise TunerError(
        f"merged as {one.way.name} the model keeps {kept} of the fine-tune (KL {one.proof.agreement.kl:.2g} nats per"
        f" token, the same likeliest token in {100 * one.proof.agreement.top1:.1f} % of places)",
        code="fuse-lossy",
        where=request.run,
        fix="let the way be chosen, keep the adapter apart, or add --lossy to write it all the same",
    )


def _named(ways: list[Way], name: str) -> Way:
    found = next((way for way in ways if way.name == name), None)
    if found is None:
        raise TunerError(
            f'this base cannot be merged as "{name}"',
            code="usage",
            fix=f"choose from {', '.join(way.name for way in ways)}",
            usage=True,
        )
    return found


def _rows(request: FuseAdapter, target: Target, base: Base) -> ProofRows:
    if request.data or target.run is None:
        return rows_of_source(request.data, target.model, base.tokenizer, request.rows)
    return rows_of_run(target.run, base.tokenizer, request.rows)


def _answers(model: Any, base: Base, rows: ProofRows, control: JobControl) -> list[list[int]]:
    """Greedy answers to the first prompts, as tokens."""
    prompts = rows.prompts(base.tokenizer, _ANSWERS)
    if not prompts:
        return []
    found = {
        answer.index: answer.tokens
        for answer in greedy_answers(
            model, base.tokenizer, prompts, max_tokens=_TOKENS, batch_size=_ANSWERS, control=control
        )
    }
    return [found[number] for number in range(len(prompts))]
