"""The command that stores a model in another way, and tells what that did to it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tui_tuner import units
from tui_tuner.cli import completing
from tui_tuner.cli.modeloptions import Data, Force, Model, Rows, To, done
from tui_tuner.cli.options import Debug, Json, Trust
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError
from tui_tuner.models.learned.methods import Learned

Bits = Annotated[int | None, typer.Option("--bits", help="Bits of a weight: 2, 3, 4, 5, 6 or 8.", show_default=False)]
GroupSize = Annotated[
    int | None,
    typer.Option(
        "--group-size",
        help="Weights that share a scale: 32, 64 or 128; mxfp4 and mxfp8 have 32, nvfp4 16.",
        show_default=False,
    ),
]
Mode = Annotated[
    str,
    typer.Option(
        "--mode",
        help="How numbers are stored: affine, mxfp4, nvfp4 or mxfp8.",
        autocompletion=completing.among("affine", "mxfp4", "nvfp4", "mxfp8"),
    ),
]
Recipe = Annotated[
    str, typer.Option("--recipe", help="Mixtures of bits of mlx-lm: mixed_2_6, mixed_3_4, mixed_3_6 or mixed_4_6.")
]
Dtype = Annotated[
    str,
    typer.Option(
        "--dtype",
        help="Type of what is not quantized: float16, bfloat16 or float32.",
        autocompletion=completing.among("float16", "bfloat16", "float32"),
    ),
]
Method = Annotated[
    str,
    typer.Option(
        "--method",
        help="Learn from rows of --data how to round: dynamic, awq, dwq or gptq.",
        autocompletion=completing.among("dynamic", "awq", "dwq", "gptq"),
    ),
]
Samples = Annotated[
    int | None,
    typer.Option(
        "--samples",
        help="Rows that a method looks at, at most; 128 unless given, for dwq 1024.",
        show_default=False,
    ),
]
TargetBits = Annotated[
    float | None,
    typer.Option(
        "--target-bits",
        help="dynamic: bits per weight of the whole model; else halfway between what is possible.",
        show_default=False,
    ),
]
HighBits = Annotated[
    int | None,
    typer.Option(
        "--high-bits",
        help="dynamic: bits of modules that get more than --bits; else the next there are.",
        show_default=False,
    ),
]
RestBits = Annotated[
    int | None,
    typer.Option("--rest-bits", help="Bits of embeddings; 4 for awq, 6 for gptq unless given.", show_default=False),
]
Grid = Annotated[
    int | None, typer.Option("--grid", help="awq: steps of its search; 20 unless given.", show_default=False)
]
LearningRate = Annotated[
    float | None,
    typer.Option("--learning-rate", help="dwq: rate for scales and offsets; 1e-6 unless given.", show_default=False),
]
Iterations = Annotated[
    int | None,
    typer.Option("--iterations", help="dwq: steps of four rows; else each row once.", show_default=False),
]


def convert(
    model: Model,
    to: To = None,
    bits: Bits = None,
    group_size: GroupSize = None,
    mode: Mode = "affine",
    recipe: Recipe = "",
    dtype: Dtype = "",
    dequantize: Annotated[bool, typer.Option("--dequantize", help="Take quantization off.")] = False,
    method: Method = "",
    samples: Samples = None,
    target_bits: TargetBits = None,
    high_bits: HighBits = None,
    rest_bits: RestBits = None,
    grid: Grid = None,
    learning_rate: LearningRate = None,
    iterations: Iterations = None,
    data: Data = "",
    rows: Rows = 40,
    force: Force = False,
    trust: Trust = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Quantizes, de-quantizes or casts a model and measures what that did; without --to it forecasts only."""
    from tui_tuner.engine.model_requests import ConvertModel

    with opened(json=json, debug=debug) as output:
        own = (samples, target_bits, high_bits, rest_bits, grid, learning_rate, iterations)
        learned = _learned(method, *own)
        request = ConvertModel(
            model, to, bits, group_size, mode, recipe, dtype, dequantize, data, rows, force, learned
        )  # fmt: skip
        found = done(request, output)
        if json:
            output.document(found)
        else:
            _say(found, output)
    return 0


def _learned(method: str, *own: Any) -> Learned | None:
    """The method with its settings.

    Raises:
        TunerError: there is no such method, or a setting is not its own or is given without one.
    """
    if method:
        return Learned(method, *own)
    if any(value is not None for value in own):
        raise TunerError(
            "settings of a learned method are given, and no method",
            code="bad-scheme",
            fix="name it with --method",
            usage=True,
        )
    return None


def _say(found: dict[str, Any], output: Output) -> None:
    """A document for a person."""
    output.say(
        f"{found['scheme']}: {units.size(found['bytes_before'], fine=True)} → {units.size(found['bytes'], fine=True)}, "
        f"{found['bits_per_weight']:.2f} bits a weight"
    )
    for note in found["notes"]:
        output.say(f"  {note}")
    if "path" not in found:
        output.say("nothing was written; --to FOLDER makes it")
    else:
        if found["calibrated_on"]:
            output.say(f"learned from {found['calibrated_on']}")
        if found["perplexity"] is not None:
            before, after = found["perplexity"]["before"], found["perplexity"]["after"]
            output.say(f"perplexity {before:.4f} → {after:.4f} on {found['measured_on']}")
            output.say(f"KL {found['kl']:.3g} nats per token, same likeliest token {found['top1_agreement']:.1%}")
    _variants(found["variants"], output)
    if "path" in found:
        output.say(f"model {found['path']}")


def _variants(variants: list[dict[str, Any]], output: Output) -> None:
    if not variants:
        return
    output.say("variants made of this model:")
    for one in variants:
        worth = ""
        if one["perplexity"] is not None:
            moved = f"{one['perplexity_before']:.4f} → {one['perplexity']:.4f}"
            worth = f"  perplexity {moved}  KL {one['kl']:.2g}  same token {one['top1']:.1%}"
        memory = f"  {units.size(one['memory'], fine=True)} to answer" if one["memory"] else ""
        output.say(
            f"  {units.size(one['bytes'], fine=True):>10}  {one['bits_per_weight']:5.2f} bits{worth}  "
            f"{one['tokens_per_second']:,.0f} tokens/s{memory}  {one['scheme']}  {one['path']}"
        )
