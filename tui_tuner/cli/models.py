"""The commands about models themselves: which there are, what one is, and a run merged into its base or handed on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tui_tuner import units
from tui_tuner.cli import completing
from tui_tuner.cli.hub import fetching
from tui_tuner.cli.modeloptions import Data, Force, Model, Rows, To, done
from tui_tuner.cli.options import Adapted, Adapter, Debug, Json, RunsDir, Trust
from tui_tuner.cli.output import opened


def models(runs_dir: RunsDir = None, json: Json = False, debug: Debug = False) -> int:
    """Lists the models there are: embedded, local, in the Hub's cache, and named by presets and runs."""
    from tui_tuner.engine.modelshelves import list_models, usable_memory

    with opened(json=json, debug=debug) as output:
        found, usable = list_models(runs_dir), usable_memory()
        if json:
            output.document([model.as_json(usable) for model in found])
            return 0
        output.say(f"{'':<44}{'size':>9}{'bits':>6}  {'to run':<12}{'to train':<12}")
        for model in found:
            told = model.as_json(usable)
            bits = f"{model.bits:.1f}" if model.bits else "–"
            size = units.size(model.bytes, fine=True) if model.bytes else "–"
            fits = [_FITS[told["fits"].get(use)] for use in ("run", "train")]
            output.say(f"{model.path:<44}{size:>9}{bits:>6}  {fits[0]:<12}{fits[1]:<12}{_remark(model)}".rstrip())
        output.say(f"A job can have {units.size(usable, fine=True)} of memory on this machine.")
    return 0


_FITS = {"fits": "✓ fits", "tight": "▲ tight", "too large": "✗ too large", None: "–"}


def _remark(model: Any) -> str:
    """What else a person should know, in a few words."""
    if model.problem:
        return f"✗ {model.problem}"
    where = {"absent": "not on this machine", "cache": "in the Hub's cache"}.get(model.source, model.architecture)
    return f"{where}, {model.made_as}" if model.made_as else where


def inspect(model: Model, trust: Trust = None, json: Json = False, debug: Debug = False) -> int:
    """Tells what a model is: sizes, types, modules that can be trained, template, memory, and what is wrong with it."""
    from tui_tuner.models.inspect import inspect_model

    with opened(json=json, debug=debug) as output:
        with fetching(output):
            found = inspect_model(model)
        if json:
            output.document(found.as_json())
        else:
            for line in found.lines():
                output.say(line)
        return 1 if found.facts.problems else 0


def fuse(
    run: Adapted,
    to: To = None,
    adapter: Adapter = None,
    way: Annotated[
        str,
        typer.Option("--way", help="stock, finer, 8bit, float, dequantized or plain; else the smallest that holds."),
    ] = "",
    data: Data = "",
    rows: Rows = 40,
    force: Force = False,
    lossy: Annotated[
        bool, typer.Option("--lossy", help="Write the model although it does not keep the fine-tune.")
    ] = False,
    runs_dir: RunsDir = None,
    trust: Trust = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Merges an adapter into its base, and proves on held-out rows how much of the fine-tune is kept."""
    from tui_tuner.engine.model_requests import FuseAdapter

    with opened(json=json, debug=debug) as output:
        found = done(FuseAdapter(run, to, adapter, way, data, rows, runs_dir, force, lossy), output)
        if json:
            output.document(found)
            return 0
        output.say(f"measured on {found['measured_on']}")
        for one in found["ways"]:
            kept = "–" if one["kept"] is None else f"{100 * one['kept']:.2f} %"
            sign = "✓" if one["holds"] else "✗"
            size = units.size(one["bytes"], fine=True)
            output.say(
                f"  {sign} {one['way']:<12} {size:>10}  kept {kept:>9}  KL {one['kl']:.2g}  "
                f"same token {one['top1_agreement']:.1%}  loss {one['loss']['fused']:.4f}  "
                f"answers {one['exact']['same']}/{one['exact']['of']}  {one['text']}"
            )
        if found["recommended"] == "apart":
            output.say(
                "none keeps the fine-tune: leave the adapter beside the base, as `mlx_lm --adapter-path` takes it"
            )
        else:
            output.say(f"recommended: {found['recommended']}")
        output.say(f"model {found['path']}" if found["path"] else "nothing was written; --to FOLDER makes it")
    return 0


def export(
    run: Adapted,
    format: Annotated[
        str, typer.Option("--as", help="mlx, peft or gguf.", autocompletion=completing.among("mlx", "peft", "gguf"))
    ],
    to: Annotated[Path, typer.Option("--to", help="The folder to be made; for gguf the file.")],
    adapter: Adapter = None,
    runs_dir: RunsDir = None,
    trust: Trust = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Hands an adapter on: as mlx-lm's, as one of PEFT, or merged into a GGUF file."""
    from tui_tuner.engine.model_requests import ExportAdapter

    with opened(json=json, debug=debug) as output:
        found = done(ExportAdapter(run, to, format, adapter, runs_dir), output)
        if json:
            output.document(found)
        else:
            output.say(f"{found['path']}: {', '.join(found['files'])}")
    return 0


def import_(
    source: Annotated[Path, typer.Argument(help="The folder that PEFT's save_pretrained wrote.")],
    model: Annotated[str, typer.Option("--model", help="The base it is for.", autocompletion=completing.models)],
    to: Annotated[Path, typer.Option("--to", help="The adapter folder to be made.")],
    trust: Trust = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Takes an adapter of PEFT in, and tries it on its base."""
    from tui_tuner.engine.model_requests import ImportAdapter

    with opened(json=json, debug=debug) as output:
        found = done(ImportAdapter(source, model, to), output)
        if json:
            output.document(found)
        else:
            output.say(f"{found['path']}: moves the base by {found['changes']:.3g} nats per token on plain text")
    return 0
