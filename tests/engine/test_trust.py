"""What a model folder may not do: lead out of itself, or have its code run without a consent to exactly that code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.commands import Tuner, tuner
from tui_tuner.errors import TunerError
from tui_tuner.models import trust
from tui_tuner.models.folder import check_folder, read_model_config
from tui_tuner.models.load import load_base, load_tokenizer, skeleton
from tui_tuner.models.trust import allow, remote_code
from tui_tuner.paths import resolve_model

MARK = "code-was-run"
__all__ = ["tuner"]


@pytest.fixture(autouse=True)
def nothing_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_allowed", set())


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(resolve_model("embedded:phi3-tiny", None), tmp_path / "acme-model"))


def edit(path: Path, **changes: object) -> None:
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, **changes}))


def with_model_file(folder: Path) -> None:
    (folder / "own.py").write_text(
        f"from pathlib import Path\nPath({str(folder.parent / MARK)!r}).touch()\n"
        "from mlx_lm.models.phi3 import Model, ModelArgs\n"
    )
    edit(folder / "config.json", model_file="own.py")


def with_auto_map(folder: Path) -> None:
    (folder / "modeling_own.py").write_text(f"from pathlib import Path\nPath({str(folder.parent / MARK)!r}).touch()\n")
    edit(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling_own.Own"})


def with_tokenizer(folder: Path) -> None:
    (folder / "tokenization_own.py").write_text(
        f"from pathlib import Path\nPath({str(folder.parent / MARK)!r}).touch()\n"
        "from transformers import PreTrainedTokenizerFast\n"
        "class Own(PreTrainedTokenizerFast):\n    pass\n"
    )
    edit(
        folder / "tokenizer_config.json",
        tokenizer_class="Own",
        auto_map={"AutoTokenizer": [None, "tokenization_own.Own"]},
    )


BRINGS = [with_model_file, with_auto_map, with_tokenizer]


def by_name(function: Callable[[Path], None]) -> str:
    return function.__name__.replace("_", " ")


@pytest.mark.parametrize("spoil", BRINGS, ids=by_name)
def test_code_is_refused_in_one_sentence_that_spells_the_consent(spoil: Callable[[Path], None], model: Path) -> None:
    spoil(model)
    for load in (check_folder, load_tokenizer, load_base, skeleton):
        with pytest.raises(TunerError) as caught:
            load(model)
        assert caught.value.code == "model-remote-code"
    code = remote_code(model, read_model_config(model))
    assert code is not None and code.name == "acme-model"
    assert f"--trust-remote-code {code.consent}" in caught.value.sentence() and "\n" not in caught.value.sentence()
    assert not (model.parent / MARK).exists()


@pytest.mark.parametrize("spoil", BRINGS, ids=by_name)
def test_a_consent_holds_for_exactly_this_code(spoil: Callable[[Path], None], model: Path) -> None:
    spoil(model)
    code = remote_code(model, read_model_config(model))
    assert code is not None
    allow(code.consent)
    assert len(load_base(model).model.layers) == 4
    # mlx-lm and transformers run what the model asks them to, and of an entry for other programs nothing.
    assert (model.parent / MARK).exists() == (code.of_model or code.of_tokenizer) == (spoil is not with_auto_map)
    written = next(model.glob("*own*.py"))
    written.write_text(written.read_text() + "# changed\n")
    with pytest.raises(TunerError) as caught:
        load_base(model)
    assert caught.value.code == "model-remote-code" and code.consent not in caught.value.sentence()


def test_a_consent_to_another_model_or_to_any_code_is_none(model: Path) -> None:
    with_model_file(model)
    for text in ("acme-model", "yes", "acme-model@", "*@0123456789abcdef0", ""):
        with pytest.raises(TunerError) as caught:
            allow(text)
        assert caught.value.code == "bad-consent" and caught.value.usage
    code = remote_code(model, read_model_config(model))
    assert code is not None
    allow(f"other@{code.hash}")
    with pytest.raises(TunerError):
        check_folder(model)


@pytest.mark.parametrize(
    "entry",
    [
        {"auto_map": {"AutoTokenizer": "else/where--code.Own"}},
        {"auto_map": ["../code.Own"]},
        {"model_file": "../own.py"},
        {"model_file": "/tmp/own.py"},
        {"model_file": "own.pyc"},
    ],
    ids=str,
)
def test_code_from_elsewhere_is_never_run(entry: dict[str, object], model: Path) -> None:
    edit(model / "config.json", **entry)
    with pytest.raises(TunerError) as caught:
        check_folder(model)
    assert caught.value.code == "model-outside"


@pytest.mark.parametrize("reference", ["modeling_own.Own", "owner/other--modeling_own.Own"])
def test_code_that_stayed_on_the_hub_is_no_reason_to_refuse_a_model(
    reference: str, model: Path, tmp_path: Path
) -> None:
    """As with Phi-3: its configuration names code for other programs, which no download brings."""
    snapshot = tmp_path / "models--owner--own" / "snapshots" / "0123"
    shutil.copytree(model, snapshot)
    edit(snapshot / "config.json", auto_map={"AutoModelForCausalLM": reference})
    assert remote_code(snapshot, json.loads((snapshot / "config.json").read_text())) is None
    load_base(snapshot)
    if "--" not in reference:  # the same with the file beside it is refused
        (snapshot / "modeling_own.py").write_text("")
        with pytest.raises(TunerError) as caught:
            check_folder(snapshot)
        assert caught.value.code == "model-remote-code"


def link_out(folder: Path) -> None:
    shutil.move(folder / "tokenizer.json", folder.parent / "tokenizer.json")
    (folder / "tokenizer.json").symlink_to("../tokenizer.json")


def config_link_out(folder: Path) -> None:
    shutil.move(folder / "config.json", folder.parent / "config.json")
    (folder / "config.json").symlink_to(folder.parent / "config.json")


def weights_link_out(folder: Path) -> None:
    shutil.move(folder / "model.safetensors", folder.parent / "w")
    (folder / "model.safetensors").symlink_to(folder.parent / "w")


def vocabulary_out(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", vocab_file="../../vocab.json")


def tokenizer_elsewhere(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", tokenizer_file=str(Path(__file__)))


def template_out(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", chat_template_file="../template.jinja")


@pytest.mark.parametrize(
    "spoil",
    [link_out, config_link_out, weights_link_out, vocabulary_out, tokenizer_elsewhere, template_out],
    ids=by_name,
)
def test_what_leads_out_of_the_folder_is_refused(spoil: Callable[[Path], None], model: Path) -> None:
    spoil(model)
    with pytest.raises(TunerError) as caught:
        load_base(model)
    assert caught.value.code == "model-outside" and str(model) in caught.value.where


def index_out(folder: Path, name: str) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "sub/model.safetensors", ".."])
def test_an_index_that_names_files_elsewhere_is_refused(name: str, model: Path) -> None:
    index_out(model, name)
    with pytest.raises(TunerError) as caught:
        check_folder(model)
    assert caught.value.code == "model-bad-index"


def test_the_links_of_the_hubs_cache_are_no_way_out(model: Path, tmp_path: Path) -> None:
    home = tmp_path / "hub" / "models--acme--tiny"
    shot = home / "snapshots" / ("a" * 40)
    shot.mkdir(parents=True)
    shutil.copytree(model, home / "blobs")
    for blob in (home / "blobs").iterdir():
        (shot / blob.name).symlink_to(f"../../blobs/{blob.name}")
    assert check_folder(shot)["model_type"] == "phi3"
    other = tmp_path / "hub" / "models--acme--other" / "blobs"
    other.mkdir(parents=True)
    shutil.move(home / "blobs" / "config.json", other / "config.json")
    (shot / "config.json").unlink()
    (shot / "config.json").symlink_to("../../../models--acme--other/blobs/config.json")
    with pytest.raises(TunerError) as caught:
        check_folder(shot)
    assert caught.value.code == "model-outside"


@pytest.mark.parametrize(
    "content",
    [b"\x00\xff", b"[" * 100_000, b'{"model_type": 3}', b"{" + b'"a":{' * 50_000, b'"phi3"', b" " * (17 << 20)],
    ids=["bytes", "nested", "type", "deep", "text", "huge"],
)
def test_a_config_that_is_none(content: bytes, model: Path) -> None:
    (model / "config.json").write_bytes(content)
    with pytest.raises(TunerError) as caught:
        load_base(model)
    assert caught.value.code == "model-bad-config" and "\n" not in caught.value.sentence()


def test_a_nested_index_and_tokenizer_configuration(model: Path) -> None:
    (model / "tokenizer_config.json").write_bytes(b"[" * 100_000)
    with pytest.raises(TunerError):
        load_base(model)
    (model / "model.safetensors.index.json").write_bytes(b"[" * 100_000)
    with pytest.raises(TunerError) as caught:
        check_folder(model)
    assert caught.value.code == "model-bad-index"


def test_a_name_left_over_from_its_makers_machine_is_no_way_out(model: Path) -> None:
    edit(model / "tokenizer_config.json", special_tokens_map_file="/nowhere/special_tokens_map.json")
    check_folder(model)


def test_the_commands_ask_for_the_consent_and_take_it(model: Path, tuner: Tuner) -> None:
    with_model_file(model)
    refused = tuner("convert", str(model), "--bits", "8")
    assert refused.status == 1 and "--trust-remote-code acme-model@" in refused.err
    consent = refused.err.partition("--trust-remote-code ")[2].split()[0]
    taken = tuner("inspect", str(model), "--trust-remote-code", consent, "--json")
    assert taken.status == 0 and taken.document["problems"] == []
    wrong = tuner("inspect", str(model), "--trust-remote-code", "acme-model")
    assert wrong.status == 2 and "NAME@HASH" in wrong.err


def test_a_copy_of_a_model_never_asks_for_code(model: Path, tmp_path: Path, tuner: Tuner) -> None:
    with_auto_map(model)
    code = remote_code(model, read_model_config(model))
    assert code is not None
    made = tuner(
        "convert", str(model), "--bits", "8", "--rows", "0", "--to", str(tmp_path / "eight"),
        "--trust-remote-code", code.consent,
    )  # fmt: skip
    assert made.status == 0, made.err
    assert "auto_map" not in json.loads((tmp_path / "eight" / "config.json").read_text())
    assert not (model.parent / MARK).exists()
