"""From a model's name to what others can use: inspect, convert, train, merge, hand on, and stock mlx-lm at the end.

Every command is the program's own, and what it makes is loaded by stock `mlx_lm generate` in a process of its own,
which knows nothing of this program.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from tests.support.commands import Said
from tests.support.families import FAMILIES, ODD, make_family
from tests.support.models import make_rows
from tui_tuner.models.scheme import DTYPES, MODES, RECIPES

pytestmark = pytest.mark.mlx

Tuner = Callable[..., Said]
STEPS = 20
EMBEDDED = "embedded:phi3-tiny"
PROMPT = make_rows(60)[4]["prompt"]


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Models by family, made when first asked for."""
    place, made = tmp_path_factory.mktemp("families"), dict[str, str]()

    def get(name: str) -> str:
        if name == EMBEDDED:
            return name
        if name not in made:
            made[name] = str(make_family(place / name, name))
        return made[name]

    return get


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in make_rows(60)))
    return path


def said(tuner: Tuner, *arguments: str | Path) -> Any:
    found = tuner(*arguments, "--json")
    assert found.status == 0, (arguments, found.out, found.err)
    return found.document


def stock_answer(model: str | Path, prompt: str, adapter: Path | None = None) -> str:
    """What stock mlx-lm's own command answers greedily."""
    from tui_tuner.paths import resolve_model

    command = [sys.executable, "-m", "mlx_lm", "generate", "--model", resolve_model(str(model), None)]
    command += ["--prompt", prompt, "--max-tokens", "16", "--temp", "0", "--verbose", "False"]
    command += ["--adapter-path", str(adapter)] if adapter is not None else []
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return ended.stdout


def weight_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def quantized(model: str) -> bool:
    from tui_tuner.paths import resolve_model

    return "quantization" in json.loads(Path(resolve_model(model, None), "config.json").read_text())


def trained(tuner: Tuner, here: Path, model: str, rows: Path, method: str) -> Path:
    preset = {
        "run": {"name": f"chain-{method}", "seed": 3},
        "model": {"path": model},
        "data": {"source": str(rows), "valid": 8, "test": 10},
        "adapter": {"rank": 4, "method": method},
        "train": {
            "iters": STEPS,
            "batch_size": 4,
            "learning_rate": 2e-4,
            "eval_every": STEPS,
            "save_every": STEPS,
            "max_seq_length": 128,
        },
        "evaluation": {"enabled": False},
    }
    (here / "chain.toml").write_text(tomli_w.dumps(preset))
    document = said(tuner, "run", here / "chain.toml")
    assert document["steps"] == STEPS
    return Path(document["run"])


CHAINS = [("llama", "lora", 4)]
"""The chain that most people go; all others take long."""
EVERY_CHAIN = [
    (name, method, bits)
    for name in (*FAMILIES, EMBEDDED)
    for method, bits in (("lora", 0), ("lora", 4), ("dora", 0), ("dora", 4), ("full", 0))
    if (name, method, bits) not in CHAINS
] + [(name, method, bits) for name in ODD for method, bits in (("lora", 0), ("lora", 4), ("full", 0))]


def chains(cases: list[tuple[str, str, int]], *marks: Any) -> list[Any]:
    return [pytest.param(*case, marks=marks, id="-".join(map(str, case))) for case in cases]


@pytest.mark.parametrize(("name", "method", "bits"), [*chains(CHAINS), *chains(EVERY_CHAIN, pytest.mark.slow)])
def test_a_model_goes_the_whole_way(
    name: str, method: str, bits: int, family: Callable[[str], str], rows: Path, here: Path, tuner: Tuner
) -> None:
    model = family(name)
    found = said(tuner, "inspect", model)
    assert not found["problems"] and found["parameters"] > 0 and found["sample"]
    if bits:
        asked = ("--bits", str(bits), "--group-size", "32", "--data", rows, "--rows", "6")
        model = said(tuner, "convert", model, *asked, "--to", here / "base")["path"]
        assert said(tuner, "inspect", model)["quantization"].startswith(f"{bits} bits")
    run = trained(tuner, here, model, rows, method)

    merged = said(tuner, "fuse", run, "--rows", "6", "--to", here / "merged")
    assert merged["holds"] and merged["kept"] == pytest.approx(1.0, abs=0.01)
    exact = "float" if quantized(model) else "plain"
    if merged["way"] != exact:  # 8 bits keep the fine-tune, and may round one answer of many otherwise
        assert stock_answer(here / "merged", PROMPT)
        merged = said(tuner, "fuse", run, "--way", exact, "--rows", "6", "--to", here / "exact")
    assert merged["exact"]["same"] == merged["exact"]["of"] > 0
    wanted = stock_answer(model, PROMPT, run / "adapters")
    assert stock_answer(merged["path"], PROMPT) == wanted

    said(tuner, "export", run, "--as", "mlx", "--to", here / "mlx")
    assert (here / "mlx" / "adapters.safetensors").read_bytes() == (run / "adapters/adapters.safetensors").read_bytes()
    assert stock_answer(model, PROMPT, here / "mlx") == wanted
    if method == "full" or name in ("mixtral", "qwen2_moe"):
        refused = tuner("export", run, "--as", "peft", "--to", here / "peft", "--json")
        assert refused.document["error"]["code"] == "peft-unsupported" and not (here / "peft").exists()
    else:
        said(tuner, "export", run, "--as", "peft", "--to", here / "peft")
        said(tuner, "import", here / "peft", "--model", model, "--to", here / "back")
        assert stock_answer(model, PROMPT, here / "back") == wanted
    assert not [path.name for path in here.iterdir() if path.name.startswith(".")]


def conversions() -> list[tuple[str, ...]]:
    """Every way of storing a model that mlx knows, as options."""
    bits, groups = MODES["affine"]
    found = [("--bits", str(each), "--group-size", str(group)) for each in bits for group in groups]
    found += [("--mode", mode) for mode in MODES if mode != "affine"]
    found += [("--recipe", recipe, "--group-size", "32") for recipe in RECIPES]
    found += [("--dtype", dtype) for dtype in DTYPES if dtype != "float32"]
    return [*found, ("--bits", "4", "--group-size", "32", "--dtype", "bfloat16")]


@pytest.mark.parametrize(
    "name",
    ["gemma3", *(pytest.param(name, marks=pytest.mark.slow) for name in (*FAMILIES, *ODD) if name != "gemma3")],
)
def test_every_conversion_that_applies_is_what_was_forecast(
    name: str, family: Callable[[str], str], rows: Path, here: Path, tuner: Tuner, request: pytest.FixtureRequest
) -> None:
    every = conversions()
    few = not any(mark.name == "slow" for mark in request.node.iter_markers())
    for number, asked in enumerate(every[1::4] if few else every):
        plan = tuner("convert", family(name), *asked, "--json")
        if plan.status:  # what does not apply says so before anything is written
            assert plan.document["error"]["code"] == "bad-scheme" and "--recipe" in asked, (asked, plan.out)
            continue
        place = here / f"new-{number}"
        made = tuner("convert", family(name), *asked, "--to", place, "--data", rows, "--rows", "3", "--json")
        if made.status:
            # mlx multiplies experts in half precision on a GPU only: said, and nothing is kept of what cannot be tried.
            assert name in ODD and "--dtype" in asked and not place.exists(), (asked, made.out)
            assert made.document["error"]["code"] == "convert-broken"
            continue
        document = made.document
        assert document["bytes"] == plan.document["bytes"]
        assert weight_bytes(place) == pytest.approx(plan.document["bytes_on_disk"], rel=0.01), asked
        assert document["unquantized"] == plan.document["unquantized"]
        assert document["memory"]["after"] >= document["bytes"] and document["kl"] >= 0
        assert said(tuner, "inspect", place)["bytes"] == weight_bytes(place)


def test_what_is_stored_so_already_is_not_copied(
    family: Callable[[str], str], here: Path, rows: Path, tuner: Tuner
) -> None:
    llama = family("llama")
    for model, asked in ((llama, ("--dequantize",)), (llama, ("--dtype", "float32"))):
        refused = tuner("convert", model, *asked, "--to", here / "new", "--json")
        assert refused.document["error"]["code"] == "nothing-to-do" and not (here / "new").exists()
    four = said(tuner, "convert", llama, "--bits", "4", "--group-size", "32", "--rows", "2", "--to", here / "four")
    again = tuner("convert", four["path"], "--bits", "4", "--group-size", "32", "--to", here / "new", "--json")
    assert again.document["error"]["code"] == "nothing-to-do" and not (here / "new").exists()
    eight = said(tuner, "convert", four["path"], "--bits", "8", "--group-size", "32", "--to", here / "eight")
    assert any("quantized already" in note for note in eight["notes"])
    # Back from 4 bits is larger, and says what the 4 bits said.
    plain = said(tuner, "convert", four["path"], "--dequantize", "--data", rows, "--to", here / "plain")
    assert plain["kl"] < 1e-6 and plain["bytes"] > 3 * four["bytes"]
