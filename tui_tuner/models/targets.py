"""From the names people know to the modules a model has.

Other tools speak of `q_proj`, `k_proj`, `v_proj`, `gate_proj` and `up_proj`; some models fuse them. A name that is not
there is looked up as a part of a fused module, and whoever asks is told what is trained instead. It must never match
silently, and never match nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field

from tui_tuner.errors import TunerError
from tui_tuner.units import listed

# What each name is fused into, in architectures that mlx-lm knows; the first that exists is meant.
_FUSED: dict[str, tuple[str, ...]] = {
    "q_proj": ("qkv_proj", "Wqkv", "query_key_value", "c_attn", "in_proj", "query"),
    "k_proj": ("qkv_proj", "Wqkv", "query_key_value", "c_attn", "in_proj", "key"),
    "v_proj": ("qkv_proj", "Wqkv", "query_key_value", "c_attn", "in_proj", "value"),
    "o_proj": ("out_proj", "dense", "c_proj", "wo", "attn_out"),
    "gate_proj": ("gate_up_proj", "w1", "c_fc", "fc1"),
    "up_proj": ("gate_up_proj", "w3", "c_fc", "fc1"),
    "down_proj": ("w2", "c_proj", "fc2"),
}
_ATTENTION = ("attn", "attention", "mixer")
_MLP = ("mlp", "feed_forward", "ffn", "block_sparse_moe", "experts")
GROUPS = ("attention", "mlp", "linear")


@dataclass(frozen=True)
class Targets:
    """The module paths within a layer to train, and what a person should know about how they were found."""

    modules: list[str]
    notes: list[str] = field(default_factory=list)


def resolve(available: Sequence[str], wanted: Sequence[str]) -> Targets:
    """Matches names with the linear modules that a layer has.

    Args:
        available: module paths within a layer, such as `self_attn.qkv_proj`.
        wanted: paths, last parts of paths, groups (`attention`, `mlp`, `linear`), or names of other tools.

    Raises:
        TunerError: for a name that matches nothing, with what there is.
    """
    if not wanted:
        return Targets(list(available))
    chosen: set[str] = set()
    renamed: dict[str, list[str]] = {}
    for name in wanted:
        exact = [path for path in available if path == name or path.endswith(f".{name}")]
        if exact:
            chosen.update(exact)
        elif group := _group(available, name):
            chosen.update(group)
        elif fused := _fused(available, name):
            chosen.update(fused)
            renamed.setdefault(", ".join(fused), []).append(name)
        else:
            raise _unknown(available, name)
    notes = [f"this model fuses {listed(names)} into {module}: that is trained" for module, names in renamed.items()]
    return Targets([path for path in available if path in chosen], notes)


def aliases(available: Sequence[str]) -> dict[str, list[str]]:
    """Names of other tools that this model has under another one, or as a part of another one: what they mean here."""
    found = {}
    for name in _FUSED:
        if not any(path.rsplit(".", 1)[-1] == name for path in available) and (fused := _fused(available, name)):
            found[name] = fused
    return found


def _group(available: Sequence[str], name: str) -> list[str]:
    if name == "linear":
        return list(available)
    marks = {"attention": _ATTENTION, "mlp": _MLP}.get(name)
    return [path for path in available if marks and any(mark in path.split(".")[0] for mark in marks)]


def _fused(available: Sequence[str], name: str) -> list[str]:
    last = name.rsplit(".", 1)[-1]
    inside = _ATTENTION if last in ("q_proj", "k_proj", "v_proj", "o_proj") else _MLP
    for candidate in _FUSED.get(last, ()):
        found = [p for p in available if p.rsplit(".", 1)[-1] == candidate and any(m in p for m in inside)]
        if found:
            return found
    return []


def _unknown(available: Sequence[str], name: str) -> TunerError:
    short = [path.rsplit(".", 1)[-1] for path in available]
    near = difflib.get_close_matches(name, [*available, *short, *GROUPS], n=1)
    return TunerError(
        f'the model has no module "{name}" to train; it has {", ".join(available)}, and the groups {listed(GROUPS)}',
        code="target-not-found",
        where="adapter.targets",
        fix=f"did you mean {near[0]}?" if near else "choose from these",
    )
