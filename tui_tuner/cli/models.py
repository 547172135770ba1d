"""The commands about models themselves: what one is, another form of it, and a run merged into its base."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tui_tuner.cli.hub import fetching, telling
from tui_tuner.cli.options import Debug, Json, RunsDir
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError

Model = Annotated[str, typer.Argument(help="Model folder, hub name, or embedded:phi3-tiny.")]
To = Annotated[Path | None, typer.Option("--to", help="The folder to be made; without it nothing is written.")]
Data = Annotated[str, typer.Option("--data", help="Source of the rows to measure on, best your own.")]
Rows = Annotated[int, typer.Option("--rows", min=0, help="At most so many rows.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a model that is there.")]


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
            size = megabytes(model.bytes) if model.bytes else "–"
            fits = [_FITS[told["fits"].get(use)] for use in ("run", "train")]
            output.say(f"{model.path:<44}{size:>9}{bits:>6}  {fits[0]:<12}{fits[1]:<12}{_remark(model)}".rstrip())
        output.say(f"A job can have {megabytes(usable)} of memory on this machine.")
    return 0


_FITS = {"fits": "✓ fits", "tight": "▲ tight", "too large": "✗ too large", None: "–"}


def _remark(model: Any) -> str:
    """What else a person should know, in a few words."""
    if model.problem:
        return f"✗ {model.problem}"
    where = {"absent": "not on this machine", "cache": "in the Hub's cache"}.get(model.source, model.architecture)
    return f"{where}, {model.made_as}" if model.made_as else where


def inspect(model: Model, json: Json = False, debug: Debug = False) -> int:
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


def convert(
    model: Model,
    to: To = None,
    bits: Annotated[int | None, typer.Option("--bits", help="2, 3, 4, 5, 6 or 8.", show_default=False)] = None,
    group_size: Annotated[
        int | None, typer.Option("--group-size", help="Weights that share a scale: 32, 64 or 128.", show_default=False)
    ] = None,
    mode: Annotated[str, typer.Option("--mode", help="affine, mxfp4, nvfp4 or mxfp8.")] = "affine",
    recipe: Annotated[
        str, typer.Option("--recipe", help="Mixed bits: mixed_2_6, mixed_3_4, mixed_3_6 or mixed_4_6.")
    ] = "",
    dtype: Annotated[
        str, typer.Option("--dtype", help="Type of what is not quantized: float16, bfloat16 or float32.")
    ] = "",
    dequantize: Annotated[bool, typer.Option("--dequantize", help="Take quantization off.")] = False,
    data: Data = "",
    rows: Rows = 40,
    force: Force = False,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Quantizes, de-quantizes or casts a model and measures what that did; without --to it forecasts only."""
    from tui_tuner.engine.model_requests import ConvertModel

    with opened(json=json, debug=debug) as output:
        request = ConvertModel(
            model, to, bits, group_size, mode, recipe, dtype, dequantize, data, rows, force
        )  # fmt: skip
        found = done(request, output)
        if json:
            output.document(found)
            return 0
        output.say(
            f"{found['scheme']}: {megabytes(found['bytes_before'])} → {megabytes(found['bytes'])}, "
            f"{found['bits_per_weight']:.2f} bits a weight"
        )
        for note in found["notes"]:
            output.say(f"  {note}")
        if to is None:
            output.say("nothing was written; --to FOLDER makes it")
        elif found["perplexity"] is not None:
            before, after = found["perplexity"]["before"], found["perplexity"]["after"]
            output.say(f"perplexity {before:.4f} → {after:.4f} on {found['measured_on']}")
            output.say(f"KL {found['kl']:.3g} nats per token, same likeliest token {found['top1_agreement']:.1%}")
        _variants(found["variants"], output)
        if to is not None:
            output.say(f"model {found['path']}")
    return 0


def fuse(
    run: Annotated[str, typer.Argument(help="A run, RUN:STEP, RUN:best; or a model, with --adapter.")],
    to: To = None,
    adapter: Annotated[Path | None, typer.Option("--adapter", help="Adapter folder to merge into a model.")] = None,
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
            output.say(
                f"  {sign} {one['way']:<12} {megabytes(one['bytes']):>10}  kept {kept:>9}  KL {one['kl']:.2g}  "
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
    run: Annotated[str, typer.Argument(help="A run, RUN:STEP, RUN:best; or a model, with --adapter.")],
    format: Annotated[str, typer.Option("--as", help="mlx, peft or gguf.")],
    to: Annotated[Path, typer.Option("--to", help="The folder to be made; for gguf the file.")],
    adapter: Annotated[Path | None, typer.Option("--adapter", help="Adapter folder, for a model.")] = None,
    runs_dir: RunsDir = None,
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
    model: Annotated[str, typer.Option("--model", help="The base it is for.")],
    to: Annotated[Path, typer.Option("--to", help="The adapter folder to be made.")],
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


def _variants(variants: list[dict[str, Any]], output: Output) -> None:
    if not variants:
        return
    output.say("variants made of this model:")
    for one in variants:
        worth = "" if one["perplexity"] is None else f"  perplexity {one['perplexity']:.4f}  KL {one['kl']:.2g}"
        output.say(
            f"  {megabytes(one['bytes']):>10}  {one['bits_per_weight']:5.2f} bits{worth}  "
            f"{one['tokens_per_second']:,.0f} tokens/s  {one['scheme']}  {one['path']}"
        )


def megabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def done(request: Any, output: Output, stopped: str = "stopped; nothing was written") -> dict[str, Any]:
    """The result of a request, its progress told on the way.

    Args:
        stopped: what is said when it was stopped.

    Raises:
        TunerError: it failed, or was stopped.
    """
    from tui_tuner.cli.headless import perform

    look = telling(request.progress, output)
    found = perform(request, look)
    if found is None:
        raise TunerError(stopped, code="stopped")
    return dict(found)
