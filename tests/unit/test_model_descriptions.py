"""What is said of a model that nobody has loaded: from its configuration and the headers of its weights alone."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.headers import LLAMA, Tensors, llama, packed, write_folder, write_header
from tui_tuner.errors import TunerError
from tui_tuner.models.describe import context_of, describe_model, unpacked_shape, within_layer
from tui_tuner.models.facts import ListedModel, fit
from tui_tuner.models.folder import locate, read_header, read_model_config, weight_files
from tui_tuner.models.inspect import Inspection, inspect_model, licence_of
from tui_tuner.models.memory import usual_memory
from tui_tuner.models.scheme import Params
from tui_tuner.models.shape import shape_from, shape_of

PLAIN = 2 * 100 * 64 + 64 + 2 * (4 * 64 * 64 + 3 * 64 * 128 + 2 * 64)
"""Parameters of `llama()`."""
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "plain", LLAMA, llama(), chat_template=TEMPLATE, eos_token="</s>")


@pytest.fixture(autouse=True)
def tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tokenizer without the library that takes seconds to import."""

    class Tokenizer:
        def apply_chat_template(self, messages: list[dict[str, str]], *, tokenize: bool) -> str:
            return "\n".join(f"{message['role']}: {message['content']}" for message in messages)

    monkeypatch.setattr("tui_tuner.models.load.load_tokenizer", lambda folder: Tokenizer())


def inspected(folder: Path) -> Inspection:
    return inspect_model(str(folder))


# -- at a glance -------------------------------------------------------------------------------------------------------


def test_a_plain_model_at_a_glance(model: Path) -> None:
    facts = describe_model(str(model))
    assert (facts.parameters, facts.bytes) == (PLAIN, (model / "model.safetensors").stat().st_size)
    assert (facts.layers, facts.hidden, facts.heads, facts.kv_heads) == (2, 64, 4, 2)
    assert (facts.vocabulary, facts.context, facts.dtype, facts.quantization) == (100, 4096, "bfloat16", "none")
    assert facts.tokens == {"eos": "</s>"} and facts.problems == [] and facts.chat_template == TEMPLATE
    assert dict(facts.modules)["mlp.down_proj"] == "64 × 128" and len(facts.modules) == 7


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"n_layer": 12, "n_embd": 768, "n_head": 12, "n_positions": 1024}, (12, 768, 12, 12, 1024)),
        ({"n_layers": 6, "d_model": 512, "n_heads": 8, "max_seq_len": 256, "n_head_kv": 1}, (6, 512, 8, 1, 256)),
        ({"text_config": {"num_hidden_layers": 3, "hidden_size": 9, "num_attention_heads": 2}}, (3, 9, 2, 2, 0)),
        ({"num_hidden_layers": "two", "hidden_size": 2.5, "num_attention_heads": True}, (0, 0, 0, 0, 0)),
        ({"num_hidden_layers": 1 << 60}, (0, 0, 0, 0, 0)),
    ],
)
def test_sizes_under_other_names_and_those_that_are_none(
    names: dict[str, Any], said: tuple[int, ...], tmp_path: Path
) -> None:
    facts = describe_model(str(write_folder(tmp_path / "m", names, llama(), chat_template=TEMPLATE)))
    assert (facts.layers, facts.hidden, facts.heads, facts.kv_heads, facts.context) == said
    assert context_of({"model_type": "x", **names}) == said[-1]


@pytest.mark.parametrize(
    ("quantization", "words"),
    [
        ({"bits": 4, "group_size": 64}, "4 bits, group 64"),
        ({"bits": 4, "group_size": 64, "mode": "affine"}, "4 bits, group 64"),
        ({"bits": 4, "group_size": 16, "mode": "nvfp4"}, "4 bits, group 16, nvfp4"),
        ({"quant_method": "gptq", "bits": 4}, "4 bits, gptq"),
        ({"bits": "four"}, "yes"),
        ({}, "none"),
    ],
)
def test_quantization_in_words(quantization: dict[str, Any], words: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", {**LLAMA, "quantization": quantization}, llama(), chat_template=TEMPLATE)
    assert describe_model(str(folder)).quantization == words


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_a_quantized_model_has_as_many_parameters_as_before(bits: int, tmp_path: Path) -> None:
    config = {**LLAMA, "quantization": {"bits": bits, "group_size": 32}}
    folder = write_folder(tmp_path / "q", config, packed(llama(), bits), chat_template=TEMPLATE)
    facts, shape = describe_model(str(folder)), shape_of(folder)
    assert facts.parameters == shape.parameters == PLAIN
    assert dict(facts.modules)["mlp.up_proj"] == "128 × 64"
    assert shape.quantized == Params(bits, 32) and shape.bytes < facts.bytes
    assert inspected(folder).quantized == {f"at {bits} bits in groups of 32": 16}


@pytest.mark.parametrize("layer", [0, 1])
def test_bits_of_a_module_of_its_own_count_for_it_alone(layer: int, tmp_path: Path) -> None:
    own = f"model.layers.{layer}.mlp.down_proj"
    tensors = packed(llama(), 4)
    tensors[f"{own}.weight"] = ("U32", [64, 128 * 8 // 32])
    quantization = {"bits": 4, "group_size": 32, own: {"bits": 8, "group_size": 32}}
    folder = write_folder(tmp_path / "q", {**LLAMA, "quantization": quantization}, tensors, chat_template=TEMPLATE)
    found = inspected(folder)
    assert found.facts.parameters == PLAIN
    ways = ["1 × at 8 bits in groups of 32", "1 × at 4 bits in groups of 32"]
    assert found.ways["mlp.down_proj"] == ", ".join(ways if layer == 0 else reversed(ways))
    assert unpacked_shape(f"{own}.weight", tensors, quantization) == [64, 128]
    (down,) = [matrix for matrix in shape_of(folder).matrices if matrix.path == "mlp.down_proj"]
    assert down.inputs == 128 and down.quantized == Params(4 if layer else 8, 32), "the first layer speaks for all"


@given(st.integers(1, 4), st.sampled_from([32, 64, 96]), st.sampled_from([64, 128]), st.sampled_from([2, 4, 8]))
@settings(max_examples=15)
def test_weights_are_counted_the_same_wherever_they_are_counted(
    layers: int, hidden: int, inner: int, bits: int
) -> None:
    plain: Tensors = llama(layers, hidden, inner)
    config = {**LLAMA, "model_type": "llama", "hidden_size": hidden, "num_hidden_layers": layers}
    whole = shape_from(config, dict(plain))  # type: ignore[arg-type]
    small = shape_from({**config, "quantization": {"bits": bits, "group_size": 32}}, packed(plain, bits))
    assert whole.parameters == small.parameters == sum(math.prod(shape) for _, shape in plain.values())
    assert whole.bytes == 2 * whole.parameters
    # By the closed form and by the tensors it is as many bytes.
    assert whole.stored(bits, 32).bytes == pytest.approx(small.bytes, rel=1e-12)


# -- tokenizer ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "template"),
    [
        ({"chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]}, "D"),
        ({"chat_template": [{"name": "tool_use", "template": "T"}]}, "T"),
        ({"chat_template": []}, ""),
        ({}, ""),
    ],
)
def test_of_several_templates_the_default_one_counts(entries: dict[str, Any], template: str, tmp_path: Path) -> None:
    facts = describe_model(str(write_folder(tmp_path / "m", LLAMA, llama(), **entries)))
    assert facts.chat_template == template
    told = [problem for problem in facts.problems if "no chat template" in problem]
    assert bool(told) == (not template) and all("model.chat_template" in one for one in told)


def test_a_template_in_a_file_of_its_own_goes_before(model: Path) -> None:
    (model / "chat_template.jinja").write_text("own {{ messages }}", encoding="utf-8")
    assert describe_model(str(model)).chat_template == "own {{ messages }}"


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "there is no"), ("{", "cannot be read"), ("[" * 99_999, "cannot")],
    ids=["missing", "torn", "deep"],
)
def test_a_tokenizer_configuration_that_cannot_be_read_is_a_problem_and_no_end(
    text: str | None, said: str, model: Path
) -> None:
    path = model / "tokenizer_config.json"
    path.unlink() if text is None else path.write_text(text)
    found = inspected(model)
    told = [problem for problem in found.facts.problems if "special tokens and chat template are unknown" in problem]
    assert len(told) == 1 and said in told[0] and "tokenizer_config.json" in told[0]
    assert (
        found.sample == ""
        and found.facts.parameters == PLAIN
        and any(line.startswith("  ✗ ") for line in found.lines())
    )


def test_special_tokens_may_be_written_with_their_properties(tmp_path: Path) -> None:
    tokens = {"eos_token": {"content": "<eos>", "lstrip": False}, "bos_token": None, "pad_token": 3, "unk_token": "?"}
    facts = describe_model(str(write_folder(tmp_path / "m", LLAMA, llama(), **tokens)))
    assert facts.tokens == {"eos": "<eos>", "unk": "?"}


# -- in full -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "bytes_each", "words"),
    [("F32", 4, "float32"), ("F16", 2, "float16"), ("BF16", 2, "bfloat16"), ("F64", 8, "float64"), ("U16", 2, "u16"),
     ("F8_E4M3", 1, "f8_e4m3"), ("I8", 1, "i8")],
)  # fmt: skip
def test_every_type_is_counted_by_its_size(kind: str, bytes_each: int, words: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", LLAMA, llama(kind=kind), chat_template=TEMPLATE)
    found = inspected(folder)
    assert found.types == {kind: PLAIN * bytes_each}
    assert set(found.ways.values()) == {words}
    assert found.facts.dtype == (words if kind.startswith(("F", "B")) and "8" not in kind else "unknown")


def test_lines_stand_under_each_other_and_say_all(model: Path) -> None:
    found = inspected(model)
    lines = found.lines()
    modules = [line for line in lines if " × " in line]
    assert len(modules) == 7 and len({line.index(" × ") > 0 and line.index("bfloat16") for line in modules}) == 1
    text = "\n".join(lines)
    assert f"llama, {PLAIN:,} parameters, 2 layers" in text and "heads 4 (2 for keys and values)" in text
    assert "has weights of its own" in text and "licence        not stated" in text and "eos            </s>" in text
    assert "other matrices:" in text and "lm_head" in text.partition("other matrices:")[2]
    assert "    user: What is two plus two?\n    assistant: Four." in text
    assert not any(line != line.rstrip() for line in lines)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TunerError("the tokenizer is torn", where="m", fix="copy it"), "m: the tokenizer is torn; copy it."),
        (ValueError("no system turn"), "the chat template refuses a plain conversation: no system turn"),
    ],
)
def test_a_template_that_refuses_is_a_problem_of_the_model(
    error: Exception, said: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> None:
        raise error

    monkeypatch.setattr("tui_tuner.models.load.load_tokenizer", fail)
    found = inspected(model)
    assert found.sample == "" and found.facts.problems == [said] and found.lines()[-1] == f"  ✗ {said}"


@pytest.mark.parametrize(
    ("entry", "tied", "words"),
    [
        ({"tie_word_embeddings": True}, True, "shares the embedding"),
        ({"tie_word_embeddings": False}, False, "has weights of its own"),
        ({"tie_word_embeddings": None}, None, ""),
        ({"tie_word_embeddings": "yes"}, None, ""),
    ],
)
def test_a_head_that_is_not_known_to_be_tied_is_not_spoken_of(
    entry: dict[str, Any], tied: bool | None, words: str, tmp_path: Path
) -> None:
    found = inspected(write_folder(tmp_path / "m", {**LLAMA, **entry}, llama(), chat_template=TEMPLATE))
    heads = [line for line in found.lines() if line.startswith("  head ")]
    assert found.tied is tied and heads == ([f"  head           {words}"] if words else [])


def test_a_model_inside_of_another_tells_whether_its_head_is_tied(tmp_path: Path) -> None:
    config = {"model_type": "gemma3", "text_config": {**LLAMA, "tie_word_embeddings": True}}
    assert inspected(write_folder(tmp_path / "m", config, llama(), chat_template=TEMPLATE)).tied is True


def test_weights_that_cannot_be_read_leave_what_the_configuration_says(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"no header")
    found = inspected(model)
    assert found.facts.layers == 2 and found.facts.parameters == 0 and found.memory == {} and found.types == {}
    assert any("damaged or cut short" in problem for problem in found.facts.problems)
    assert json.loads(json.dumps(found.as_json()))["stored"] == []


@pytest.mark.parametrize(
    ("card", "files", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n# A", [], "apache-2.0"),
        ("---\r\nlicense: mit\r\n---\r\n", ["LICENSE"], "mit"),
        ('---\nlicense: "llama3"\n---\n', [], "llama3"),
        ("---\nlicense: 'cc-by-4.0'  # of the data, too\n---\n", [], "cc-by-4.0"),
        ("---\nlanguage: en\nlicense:\n- mit\n- apache-2.0\n---\n", [], "mit"),
        ("---\nlicense:\ntags: x\n---\n", ["LICENSE.txt"], "LICENSE.txt"),
        ("# no block\nlicense: mit\n", ["LICENCE"], "LICENCE"),
        ("text\n---\nlicense: mit\n---\n", [], ""),
        (None, [], ""),
    ],
)
def test_the_licence_is_that_of_the_card_else_the_file(
    card: str | None, files: list[str], licence: str, tmp_path: Path
) -> None:
    if card is not None:
        (tmp_path / "README.md").write_bytes(card.encode())
    for name in files:
        (tmp_path / name).touch()
    assert licence_of(tmp_path, {}) == licence
    assert licence_of(tmp_path, {"license": "from the configuration"}) == "from the configuration"


def test_memory_is_told_by_the_closed_form(model: Path) -> None:
    found = inspected(model)
    assert found.memory == usual_memory(shape_of(model)) and found.memory["train"] > found.memory["run"] > 0


# -- places and files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "inner"),
    [
        ("model.layers.12.mlp.up_proj", "mlp.up_proj"),
        ("transformer.h.3.attn.c_attn", "attn.c_attn"),
        ("layers.0.q", "q"),
        ("language_model.model.layers.1.a.layers.2.b", "a.layers.2.b"),
        ("lm_head", ""),
        ("model.layers.norm", ""),
    ],
)
def test_paths_within_a_layer(path: str, inner: str) -> None:
    assert within_layer(path) == inner


def test_a_file_is_no_model_and_a_name_is_not_fetched_unasked(model: Path, tmp_path: Path) -> None:
    with pytest.raises(TunerError) as caught:
        locate(str(model / "config.json"))
    assert caught.value.code == "model-not-a-folder"
    for path in ("", "x" * 5_000, str(tmp_path / "nothing"), "~nobody/model"):
        with pytest.raises(TunerError, match="no such model folder") as caught:
            locate(path)
        assert caught.value.code == "model-not-found" and caught.value.fix


def test_a_name_that_is_not_in_the_cache_says_how_to_fetch_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(TunerError, match="not on this machine yet") as caught:
        locate("acme/one", download=False)
    assert caught.value.fix == "`tui-tuner download acme/one` fetches it"


def test_a_configuration_without_end_is_not_read(model: Path) -> None:
    with (model / "config.json").open("r+b") as handle:
        handle.truncate(17 << 20)
    with pytest.raises(TunerError, match=r"config\.json has 18 MB, which no configuration needs"):
        read_model_config(model)


@pytest.mark.parametrize("key", ["quantization", "quantization_config", "text_config"])
def test_a_table_that_is_none_is_named(key: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", {**LLAMA, key: [4]}, llama())
    with pytest.raises(TunerError, match=f"{key} in config.json is no table"):
        read_model_config(folder)


def test_what_was_written_in_a_header_is_what_is_read(tmp_path: Path) -> None:
    tensors = {"a": ("F32", [2, 3]), "none": ("BF16", [0, 7]), "one": ("I64", []), "ä.weight": ("U8", [5])}
    size = write_header(tmp_path / "model.safetensors", tensors)
    assert size == 24 + 0 + 8 + 5
    assert read_header(tmp_path / "model.safetensors") == tensors
    assert weight_files(tmp_path) == [tmp_path / "model.safetensors"]
    with (tmp_path / "model.safetensors").open("r+b") as handle:
        handle.truncate((tmp_path / "model.safetensors").stat().st_size - 1)
    with pytest.raises(TunerError, match="damaged or cut short"):
        read_header(tmp_path / "model.safetensors")


# -- whether it fits ---------------------------------------------------------------------------------------------------


@given(st.integers(-5, 10**12), st.integers(-5, 10**12))
@settings(max_examples=60)
def test_more_need_never_fits_better(needed: int, usable: int) -> None:
    order = ["fits", "tight", "too large"]
    found = fit(needed, usable)
    assert (found is None) == (needed <= 0 or usable <= 0)
    if found is not None:
        more = fit(needed * 2, usable)
        assert more is not None and order.index(more) >= order.index(found)
        assert (found == "too large") == (needed > 0.9 * usable)


def test_a_model_in_a_line_knows_its_bits_when_it_knows_both() -> None:
    one = ListedModel("m", "m", "local", bytes=4_500, parameters=8_000, memory={"run": 70, "train": 95})
    assert one.bits == 4.5
    assert one.as_json(100)["fits"] == {"run": "fits", "train": "too large"}
    assert one.as_json()["fits"] == {"run": None, "train": None}
    assert ListedModel("m", "m", "absent").bits is None
