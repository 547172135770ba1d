"""Model cards: what a model that is handed on is made of, and what was measured of it. Nothing in them is guessed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def fused_card(run: str, model: str, document: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """The README.md of a merged model.

    Args:
        run: what the adapter is from.
        model: the base, as the configuration names it.
        document: of all ways that were tried.
        chosen: of the one that was written.
    """
    lines = [
        "---",
        "library_name: mlx",
        "tags:",
        "- mlx",
        "---",
        "",
        f"# {run}, merged into {model}",
        "",
        f"The adapter of `{run}` merged into `{model}`: {chosen['text']}.",
        "",
        f"Compared with base and adapter on {document['measured_on']}:",
        "",
        "| way | size | fine-tune kept | KL, nats per token | same likeliest token | loss |",
        "|---|---|---|---|---|---|",
    ]
    for way in document["ways"]:
        mark = " **(this one)**" if way["way"] == chosen["way"] else ""
        kept = "nothing to keep" if way["kept"] is None else f"{100 * way['kept']:.2f} %"
        lines.append(
            f"| {way['way']}{mark} | {way['bytes'] / 1e6:,.1f} MB | {kept} | {way['kl']:.3g} | "
            f"{100 * way['top1_agreement']:.2f} % | {way['loss']['fused']:.4f} |"
        )
    losses = chosen["loss"]
    lines += ["", f"The base alone has a loss of {losses['base']:.4f}, with its adapter {losses['adapter']:.4f}.", ""]
    return "\n".join(lines)
