"""Converts a model and measures what came out of it, before it gets its name.

Called on the MLX thread. The new model is written beside its place, read back from there, and compared with the one it
was made from on rows of the person's own; only then it is renamed. All variants made of a model are remembered, so that
they can be laid side by side.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tui_tuner.engine.calibration import Calibration, calibration_of
from tui_tuner.engine.model_requests import ConvertModel
from tui_tuner.engine.new_run import model_fingerprint
from tui_tuner.engine.proofrows import ProofRows, drafted, passages, rows_of_draft
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError, brief
from tui_tuner.evaluation.generate import greedy_answers
from tui_tuner.evaluation.proof import Agreement, agreement
from tui_tuner.models.device import working_memory
from tui_tuner.models.folder import check_folder, locate
from tui_tuner.models.fuse import size_of
from tui_tuner.models.learned.learn import learn
from tui_tuner.models.learned.planning import plan_learned
from tui_tuner.models.libraries import ready
from tui_tuner.models.load import Base, load_base, skeleton
from tui_tuner.models.quantize import Plan, apply, changes
from tui_tuner.models.scheme import scheme_of
from tui_tuner.models.staging import claimed
from tui_tuner.models.variants import Variant, known_variants, remember
from tui_tuner.models.write import check_own_code, check_space, check_target, write_model
from tui_tuner.runs.control import JobControl

_SEED = 0
"""By which the rows are drawn that a learned method looks at."""
_TOKENS = 32
"""Tokens that are generated to see that a model speaks, and how fast."""


def forecast_conversion(request: ConvertModel) -> dict[str, Any]:
    """What a conversion would make, from the model's shapes alone.

    Nothing is evaluated, no memory is taken, and mlx's limits are left to the thread that computes: so any thread that
    clears its streams in the end may ask, while another one trains.

    Raises:
        TunerError: the model cannot be had, or the scheme does not fit it.
    """
    _, folder, _, made = _planned(request)
    return {**made.as_json(), "variants": [each.as_json() for each in known_variants(model_fingerprint(folder))]}


def _planned(request: ConvertModel) -> tuple[Path | None, Path, Any, Plan]:
    """The place, the source, its module tree, and what shall become of it; nothing is evaluated yet."""
    ready()
    scheme = scheme_of(
        request.bits,
        request.group_size,
        request.mode,
        request.recipe,
        request.dtype,
        dequantize=request.dequantize,
        learned=request.learned,
    )
    folder = locate(request.model)
    config = check_folder(folder)
    check_own_code(folder, config)  # now, and not when hours of work are to be written
    target = None if request.target is None else check_target(request.target, force=request.force, source=folder)
    tree = skeleton(folder)
    made = plan_learned(tree, config, scheme)
    if not changes(tree, made):
        raise TunerError(
            f"the model is stored so already ({scheme.text()})", code="nothing-to-do", where=request.model,
            fix="ask for something else", usage=True,
        )  # fmt: skip
    return target, folder, tree, made


def convert_model(request: ConvertModel, control: JobControl, shelf: ModelShelf) -> dict[str, Any]:
    """Plans, and unless only that is asked for, converts, verifies and writes.

    Raises:
        StopRequested: when asked to stop; nothing is left behind.
        TunerError: the model cannot be had, the scheme does not fit it, or the result cannot be written.
    """
    if request.target is None:
        return forecast_conversion(request)
    ready()
    with working_memory(), claimed(request.target.expanduser().absolute()):
        target, folder, tree, made = _planned(request)
        assert target is not None
        check_space(target, made.bytes_after)
        base = shelf.base(request.model)
        tree.update(base.model.parameters())  # what stays as it is is in memory once
        rows, calibration = _rows(request, base)
        if calibration is None:
            apply(
                tree, made, tell=lambda done, total, path: request.progress("modules", done, total), check=control.check
            )
        else:
            made = learn(base, tree, made, calibration.rows, tell=request.progress, check=control.check)
        found: dict[str, Any] = {"calibrated_on": calibration.source if calibration is not None else None}

        def verify(written: Path) -> None:
            control.check()
            tree.clear()  # it is on the disk now, and what is measured is what was read back from there
            new = load_base(written, base.template)
            with _broken_told():
                found.update(_measured(base, new, rows, request, control))

        write_model(
            target, folder, tree, base.config, template=base.template, force=request.force, verify=verify
        )  # fmt: skip
    variant = Variant.of(made, target, found)
    known = remember(model_fingerprint(folder), variant)
    return {
        "path": str(target),
        **made.as_json(),
        **found,
        "variants": [each.as_json() for each in known],
    }


@contextmanager
def _broken_told() -> Iterator[None]:
    """A model that does not compute here is of no use here: half-precision experts, for one, need a GPU."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise TunerError(
            f"the converted model does not run on this machine, so it was not kept ({brief(error)})",
            code="convert-broken",
            fix="choose another type or mode",
        ) from error


def _rows(request: ConvertModel, base: Base) -> tuple[ProofRows | None, Calibration | None]:
    """The rows that the result is measured on, and those that a learned method looks at.

    Raises:
        TunerError: the source cannot be read, or has too few rows for both.
    """
    if not request.rows and request.learned is None:
        return None, None
    made, named = drafted(request.data, request.model)
    rows = None
    if request.rows:
        tokenizer, most = base.tokenizer, request.rows
        rows = passages(tokenizer, most) if made is None else rows_of_draft(made, named, tokenizer, most)
    if request.learned is None:
        return rows, None
    measured = rows.rows if rows is not None else []
    return rows, calibration_of(made, named, base.tokenizer, request.learned.rows, measured, _SEED)


def _measured(
    base: Base, new: Base, rows: ProofRows | None, request: ConvertModel, control: JobControl
) -> dict[str, Any]:
    """What the new model is like beside the one it was made from.

    Raises:
        TunerError: its outputs are no numbers, so that it is of no use.
    """
    spoken = {name: _spoken(one, rows, control) for name, one in (("before", base), ("after", new))}
    found: dict[str, Any] = {
        "tokens_per_second": {name: speed for name, (speed, _) in spoken.items()},
        "memory": {name: memory for name, (_, memory) in spoken.items()},
    }
    if rows is None:
        return {**found, "perplexity": None, "kl": None, "top1_agreement": None, "measured_on": None}
    same = agreement(
        base.model,
        new.model,
        rows.examples,
        tell=lambda done, total: request.progress("rows compared", done, total),
        check=control.check,
    )
    if not (math.isfinite(same.kl) and math.isfinite(same.loss)):
        raise TunerError(
            "the converted model's outputs are no numbers, so it was not kept",
            code="convert-broken",
            fix="choose more bits, another mode, or bfloat16 in place of float16",
        )
    return {**found, **_figures(same), "measured_on": rows.source}


def _figures(same: Agreement) -> dict[str, Any]:
    before, after = same.perplexity
    return {"perplexity": {"before": before, "after": after}, "kl": same.kl, "top1_agreement": same.top1}


def _spoken(model: Base, rows: ProofRows | None, control: JobControl) -> tuple[float, int]:
    """Of one greedy answer: tokens a second, the prompt's processing not counted, and bytes with the weights."""
    import mlx.core as mx

    prompts = rows.prompts(model.tokenizer, 1) if rows is not None else []
    prompt = prompts[0] if prompts else list(model.tokenizer.encode("The"))
    moments: list[float] = []

    def tick(made: int) -> None:
        moments.append(time.perf_counter())
        control.check()

    mx.reset_peak_memory()
    there = mx.get_active_memory()
    for _ in greedy_answers(
        model.model, model.tokenizer, [prompt], max_tokens=_TOKENS, batch_size=1, control=control, between=tick
    ):
        pass
    spent = moments[-1] - moments[0] if len(moments) > 1 else 0.0
    memory = size_of(model.model) + max(mx.get_peak_memory() - there, 0)
    return (len(moments) - 1) / spent if spent > 0 else 0.0, memory
