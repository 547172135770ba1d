"""From a plan and rows to a quantized module tree, by whichever learned method. Called on the MLX thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tui_tuner.errors import TunerError, brief
from tui_tuner.models.learned.methods import refused
from tui_tuner.models.load import Base
from tui_tuner.models.quantize import Plan
from tui_tuner.runs.control import StopRequested


def learn(
    base: Base,
    tree: Any,
    made: Plan,
    rows: Sequence[Sequence[int]],
    *,
    tell: Callable[[str, int, int], None] = lambda what, done, total: None,
    check: Callable[[], None] = lambda: None,
) -> Plan:
    """Carries a plan of `planning.plan_learned` out.

    Args:
        base: the unquantized model, which is not changed.
        tree: a module tree of one's own on its arrays, which becomes the new model; of no use after an error.
        rows: token ids to learn from, two tokens each at least.
        tell: called with what is done, how much of it, and of how much.
        check: called between rows, steps and modules; it may raise to end the work.

    Returns:
        The plan as it was carried out, with what happened in its notes.

    Raises:
        TunerError: the method fails on this architecture (code "method-refused").
    """
    assert made.scheme.learned is not None
    method = made.scheme.learned.method
    try:
        if method == "dynamic":
            from tui_tuner.models.learned.dynamic import learn_dynamic

            return learn_dynamic(base.model, tree, made, rows, tell, check)
        if method == "dwq":
            from tui_tuner.models.learned.dwq import learn_dwq

            return learn_dwq(base.model, tree, made, rows, tell, check)
        if method == "gptq":
            from tui_tuner.models.learned.gptq import learn_gptq

            return learn_gptq(tree, made, rows, tell, check)
        from tui_tuner.models.learned.awq import learn_awq

        return learn_awq(tree, base.config, made, rows, tell, check)
    except (TunerError, StopRequested):
        raise
    except (KeyError, AttributeError, NotImplementedError, ValueError, TypeError, IndexError) as error:
        # mlx-lm's methods reach into modules by name and shape, and architectures differ.
        raise refused(method, f"fails on this model ({brief(error)})", "take another method") from error
