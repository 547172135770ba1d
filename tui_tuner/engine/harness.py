"""Tasks of the lm-evaluation-harness, asked of a model with whatever adapter it has: an optional extra.

The harness is Eleuther's; the model behind it is the one of mlx-lm (`mlx_lm.evaluate.MLXLM`), with a module tree of
ours in it, so that an adapter counts. Its data sets come from the Hub. It hears no stop: a task runs to its end.
"""

from __future__ import annotations

from typing import Any

from tui_tuner.engine.requests import RunTasks
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.engine.subject import subject_of, target_of
from tui_tuner.errors import TunerError, brief
from tui_tuner.models.device import working_memory
from tui_tuner.models.libraries import ready
from tui_tuner.paths import runs_dir
from tui_tuner.runs.control import JobControl

_SEED = 123
"""That of `mlx_lm.evaluate`, so that both draw the same examples."""


def run_tasks(request: RunTasks, control: JobControl, shelf: ModelShelf) -> dict[str, Any]:
    """Figures by task: {"tasks": {task: {metric: {"value", "stderr"}}}, "version", "model", "adapter"}.

    Raises:
        TunerError: the harness is not installed, knows no such task, cannot get its data, or the model cannot be had.
    """
    ready()
    lm_eval, kind = _library()
    target = target_of(request.target, request.adapter, runs_dir(request.runs_dir))
    subject = subject_of(target, shelf)
    control.check()
    model = kind.__new__(kind)  # its own start would load the model once more, without the adapter
    super(kind, model).__init__()
    model._model, model.tokenizer, model._sampler = subject.model, subject.base.tokenizer, None
    model._max_tokens, model._batch_size = request.max_tokens or None, request.batch_size
    model.use_chat_template = getattr(subject.base.tokenizer, "chat_template", None) is not None
    seeds = dict.fromkeys(("random_seed", "numpy_random_seed", "torch_random_seed", "fewshot_random_seed"), _SEED)
    with working_memory():
        try:
            told = lm_eval.simple_evaluate(
                model=model,
                tasks=list(request.tasks),
                apply_chat_template=model.use_chat_template,
                num_fewshot=request.shots,
                limit=request.limit or None,
                **seeds,
            )
        except Exception as error:  # of a library with a hundred tasks, each with code of its own
            raise TunerError(
                f"the harness could not run {', '.join(request.tasks)} ({brief(error)})",
                code="harness-failed",
                fix="check the names with `lm_eval --tasks list`, and that the Hub can be reached",
            ) from error
    return {
        "tasks": {task: _figures(found) for task, found in told["results"].items()},
        "version": str(getattr(lm_eval, "__version__", "")),
        "model": target.model,
        "adapter": str(target.adapter or ""),
    }


def _library() -> tuple[Any, Any]:
    try:
        import lm_eval
        from mlx_lm.evaluate import MLXLM
    except ImportError as error:
        raise TunerError(
            "tasks of the lm-evaluation-harness need the library lm_eval, which is not installed",
            code="no-harness",
            fix='install it with `pip install "tui-tuner[harness]"`',
        ) from error
    return lm_eval, MLXLM


def _figures(found: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """The harness' figures of a task ("acc,none" and "acc_stderr,none") by name."""
    figures: dict[str, dict[str, float | None]] = {}
    for key, value in found.items():
        name, _, variant = key.partition(",")
        if not isinstance(value, int | float) or isinstance(value, bool) or name.endswith("_stderr"):
            continue
        error = found.get(f"{name}_stderr,{variant}")
        known = float(error) if isinstance(error, int | float) else None
        figures[name if variant in ("", "none") else f"{name} ({variant})"] = {"value": float(value), "stderr": known}
    return figures
