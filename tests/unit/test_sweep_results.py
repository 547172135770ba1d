"""The runs of a sweep, ranked: which is the best, which have no rank, and what the figures do not show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.sweeps import find_sweep, sweep_document, sweep_lines, sweep_markdown
from tui_tuner.runs.files import write_json
from tui_tuner.runs.folder import RunFolder


def run(
    runs: Path,
    number: int,
    loss: float | None,
    *,
    sweep: str = "lr-1",
    status: str = "finished",
    values: dict[str, Any] | None = None,
    exact: Sequence[float] = (),
    **about: Any,
) -> RunFolder:
    """A run of a sweep.

    Args:
        loss: of its only validation; None where it came to none.
        exact: whether each test answer was right, where it was benchmarked.
        about: more of what the sweep notes in each run.
    """
    folder = RunFolder.create(runs, f"r{number}")
    note = {"id": sweep, "number": number, "of": 3, "values": values or {"train.learning_rate": number * 1e-4}, **about}
    write_json(folder.meta, {"sweep": note} if sweep else {})
    events: list[dict[str, Any]] = [
        {"t": 1.0, "type": "run_started", "name": "r", "steps": 10, "model": "m", "data": "d", "method": "lora",
         "seed": 1, "resumed": False, "from_step": 0},
    ]  # fmt: skip
    if loss is not None:
        events.append({"t": 2.0, "type": "validation", "step": 10, "loss": loss, "tokens": 100})
    events.append({"t": 3.0, "type": "run_finished", "status": status, "reason": "it broke"})
    folder.events.write_text("".join(json.dumps(event) + "\n" for event in events))
    if exact:
        folder.evaluation.mkdir(exist_ok=True)
        rows = [
            {"index": at, "prompt": f"p{at}", "reference": "yes", "prediction": "yes" if right else "no",
             "scores": {"exact_match": right}} for at, right in enumerate(exact)
        ]  # fmt: skip
        (folder.evaluation / "after.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        mean = sum(exact) / len(exact)
        figure = {"value": mean, "low": mean - 0.1, "high": mean + 0.1}
        write_json(
            folder.evaluation / "after.json", {"label": "after", "n": len(exact), "metrics": {"exact_match": figure}}
        )
    return folder


def ranks(document: dict[str, Any]) -> list[tuple[int, int | None]]:
    return [(row["number"], row["rank"]) for row in document["runs"]]


def test_the_lowest_validation_loss_is_the_best(tmp_path: Path) -> None:
    folders = [run(tmp_path, number, loss) for number, loss in ((1, 1.5), (2, 0.9), (3, 1.2))]
    document = sweep_document(folders)
    assert (document["metric"], document["higher_is_better"], document["best"]) == (
        "validation_loss", False, folders[1].name
    )  # fmt: skip
    assert ranks(document) == [(2, 1), (3, 2), (1, 3)]
    assert [row["value"] for row in document["runs"]] == [0.9, 1.2, 1.5]
    assert document["runs"][0]["values"] == {"train.learning_rate": 2e-4}
    assert document["notes"] == []
    assert all(row["best_against_it"] is None for row in document["runs"])  # none has answers to judge by


def test_equal_figures_keep_the_order_of_the_sweep(tmp_path: Path) -> None:
    folders = [run(tmp_path, number, 1.0) for number in (3, 1, 2)]
    assert ranks(sweep_document(folders)) == [(1, 1), (2, 2), (3, 3)]


def test_of_a_metric_the_highest_is_the_best_and_is_judged_on_the_rows(tmp_path: Path) -> None:
    right = [1.0] * 40
    folders = [
        run(tmp_path, 1, 0.5, exact=[1.0, 0.0] * 20, metric="exact_match", preset="p"),
        run(tmp_path, 2, 0.9, exact=right, metric="exact_match", preset="p"),
    ]
    document = sweep_document(folders)
    assert (document["metric"], document["higher_is_better"], document["preset"]) == ("exact_match", True, "p")
    best, other = document["runs"]
    assert (best["run"], best["value"], best["low"], best["high"]) == (folders[1].name, 1.0, 0.9, 1.1)
    assert (other["rank"], other["validation_loss"]) == (2, 0.5)  # the lower loss does not help it
    judged = other["best_against_it"]
    assert judged["n"] == 40 and judged["metrics"]["exact_match"]["difference"] == pytest.approx(0.5)
    assert best["best_against_it"] is None
    assert document["notes"] == [
        "1 of the sweep's 3 runs are no longer there",
        "the best was chosen by the rows that it is judged by, so its figure is a little too good; ranking by "
        "validation_loss avoids that",
    ]
    assert sweep_document(folders, judged=False)["runs"][1]["best_against_it"] is None
    lines = sweep_lines(document)
    assert lines[0].split() == ["run", "train.learning_rate", "exact_match", "validation_loss", "state"]
    assert lines[1].split() == ["1", folders[1].name, "0.0002", "1.0000", "0.9000", "finished"]
    assert lines[3] == f"{folders[1].name} on the test rows, against"
    assert lines[4] == f"  {folders[0].name}: {judged['sentence']}"
    assert sweep_markdown(document).splitlines()[:3] == [
        "# lr-1: ranked by exact_match, highest first",
        "",
        "| " + lines[0],
    ]


def test_what_has_not_finished_or_was_not_measured_has_no_rank(tmp_path: Path) -> None:
    folders = [
        run(tmp_path, 1, 0.1, status="stopped"),
        run(tmp_path, 2, None),
        run(tmp_path, 3, 0.2, status="failed"),
        run(tmp_path, 4, 2.0),
    ]
    document = sweep_document(folders)
    assert ranks(document) == [(4, 1), (1, None), (2, None), (3, None)]
    assert document["best"] == folders[3].name  # the lower losses of runs that broke off do not count
    assert [row["reason"] for row in document["runs"]][1:] == ["it broke", "", "it broke"]
    assert document["notes"] == ["3 of 4 runs have no rank, because they have not finished with a figure"]
    assert sweep_document([folders[1]])["best"] is None


@pytest.mark.parametrize(
    ("key", "doubtful"),
    [("data.valid", True), ("train.mode", True), ("run.seed", True), ("model.path", True), ("adapter.rank", False)],
)
def test_losses_of_other_rows_are_doubted(tmp_path: Path, key: str, doubtful: bool) -> None:
    folders = [run(tmp_path, number, 1.0, values={key: number}, of=2) for number in (1, 2)]
    said = f"validation losses may be of different rows or tokens, because {key} differs"
    assert sweep_document(folders)["notes"] == ([said] if doubtful else [])


def test_a_sweep_is_found_by_its_id_its_beginning_its_runs_or_as_the_last(tmp_path: Path) -> None:
    second, first = run(tmp_path, 2, 1.0), run(tmp_path, 1, 1.0)
    other = run(tmp_path, 1, 1.0, sweep="rank-7")
    alone = run(tmp_path, 9, 1.0, sweep="")
    for what in ("lr-1", "lr", first.name, second.name):
        assert [folder.name for folder in find_sweep(what, tmp_path)] == [first.name, second.name]
    assert [folder.name for folder in find_sweep("rank", tmp_path)] == [other.name]
    assert find_sweep("last", tmp_path)
    with pytest.raises(TunerError) as caught:
        find_sweep(alone.name, tmp_path)
    assert (caught.value.code, caught.value.sentence()) == (
        "no-sweep",
        f"{alone.name}: belongs to no sweep; name a sweep's id as `tui-tuner sweep` said it, or one of its runs.",
    )


@pytest.mark.parametrize("note", ["{", '{"sweep": 3}', "[]", '{"sweep": {"number": "x", "values": 7}}'])
def test_a_damaged_note_costs_its_values_and_no_more(tmp_path: Path, note: str) -> None:
    folder = run(tmp_path, 1, 0.7)
    folder.meta.write_text(note)
    (row,) = sweep_document([folder])["runs"]
    assert (row["value"], row["values"], row["number"], row["rank"]) == (0.7, {}, 0, 1)


def test_a_number_that_is_none_does_not_hide_the_sweep(tmp_path: Path) -> None:
    folders = [run(tmp_path, 1, 1.0), run(tmp_path, 2, 1.0)]
    write_json(folders[1].meta, {"sweep": {"id": "lr-1", "number": "two"}})
    assert [folder.name for folder in find_sweep("lr-1", tmp_path)] == [folders[1].name, folders[0].name]


def seeded(tmp_path: Path, losses: dict[tuple[float, int], float], **about: Any) -> list[RunFolder]:
    """Runs of a sweep over learning rates and seeds."""
    return [
        run(tmp_path, number, loss, values={"train.learning_rate": rate, "run.seed": seed}, of=len(losses), **about)
        for number, ((rate, seed), loss) in enumerate(losses.items(), 1)
    ]


def test_runs_that_differ_in_their_seed_alone_are_told_together(tmp_path: Path) -> None:
    folders = seeded(tmp_path, {(1e-3, 1): 1.0, (1e-3, 2): 2.0, (3e-3, 1): 1.2, (3e-3, 2): 1.4, (5e-3, 1): 9.0})
    document = sweep_document(folders)
    assert [one.pop("values") for one in document["over_seeds"]] == [
        {"train.learning_rate": rate} for rate in (3e-3, 1e-3, 5e-3)
    ]  # the best mean first, though the best run is of another
    assert document["over_seeds"][0] == {
        "runs": [folders[2].name, folders[3].name],
        "mean": pytest.approx(1.3),
        "lowest": 1.2,
        "highest": 1.4,
    }
    lines = sweep_lines(sweep_document(folders))
    assert lines[6:10] == [
        "validation_loss over the seeds: mean, lowest to highest",
        "  train.learning_rate=0.003: 1.3000, 1.2000 to 1.4000 (2 runs)",
        "  train.learning_rate=0.001: 1.5000, 1.0000 to 2.0000 (2 runs)",
        "  train.learning_rate=0.005: 9.0000 (1 run)",
    ]


def test_seeds_alone_are_one_line_and_without_several_there_is_none(tmp_path: Path) -> None:
    folders = [run(tmp_path, seed, float(seed), values={"run.seed": seed}, of=3) for seed in (1, 2, 3)]
    assert "  all runs: 2.0000, 1.0000 to 3.0000 (3 runs)" in sweep_lines(sweep_document(folders))
    assert sweep_document(folders[:1])["over_seeds"] == []
    assert sweep_document([run(tmp_path, number, 1.0) for number in (4, 5)])["over_seeds"] == []


def test_a_run_that_answered_other_rows_or_has_damaged_answers_costs_the_others_nothing(tmp_path: Path) -> None:
    folders = [run(tmp_path, number, float(number), exact=[1.0, 0.0] * 20, of=4) for number in (1, 2, 3, 4)]
    answers = [folder.evaluation / "after.jsonl" for folder in folders]
    other = answers[1].read_text().replace('"prompt": "p', '"prompt": "other ').replace('"index": ', '"index": 9')
    answers[1].write_text(other.replace('"reference": "yes"', '"reference": "si"'))
    answers[2].write_text("{" * 9)
    document = sweep_document(folders)
    assert [row["best_against_it"] is not None for row in document["runs"]] == [False, False, False, True]
    best = folders[0].name
    assert f"{best} is not judged against {folders[1].name}: they answered other rows" in document["notes"]
    assert any(note.startswith(f"{best} is not judged against {folders[2].name}: ") for note in document["notes"])


def test_a_narrow_table_keeps_what_ranks_and_names_what_it_leaves_out(tmp_path: Path) -> None:
    document = sweep_document([run(tmp_path, number, 1.0, exact=[1.0] * 3, of=2) for number in (1, 2)], judged=False)
    whole = sweep_lines(document)[:3]
    assert "exact_match" in whole[0] and len(whole[0]) > 70
    narrow = sweep_lines(document, 58)
    assert narrow[0].split() == ["run", "train.learning_rate", "validation_loss", "state"]
    assert narrow[1].split() == ["1", "r1", "0.0001", "1.0000", "finished"] and max(map(len, narrow[:3])) <= 58
    assert narrow[3] == "exact_match: no room here, `tui-tuner sweep --results lr-1` tells them"
    assert "exact_match" in sweep_lines(document, 200)[0]
    assert max(map(len, sweep_markdown(document, 60).splitlines()[2:5])) <= 60
