"""The embedded world keeps its promises: what is to be taught was never seen, and the model folder is what it says."""

from __future__ import annotations

import json
import random
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.paths import resolve_data, resolve_model
from tui_tuner.quickstart.build.__main__ import PLAYERS, write_players
from tui_tuner.quickstart.build.names import FIRST_NAMES, SURNAMES, TEAMS
from tui_tuner.quickstart.build.pretrain import Recipe
from tui_tuner.quickstart.build.samples import SAMPLES, articles, instructions, recipes, statistics, write_samples
from tui_tuner.quickstart.build.skills import HOUSE_STYLE, SKILLS, draw_conversation
from tui_tuner.quickstart.build.tokenizer import SPECIAL, build_tokenizer, encode_conversation
from tui_tuner.quickstart.build.world import EXAM, PRETRAIN, TABLE, mentions, part_of, players_table, reserved_pairs

ROOT = Path(__file__).resolve().parents[2]
MODEL = Path(resolve_model("embedded:phi3-tiny", None))
DRAWN = 4000


@pytest.fixture(scope="module")
def players() -> list[dict[str, Any]]:
    return json.loads(Path(resolve_data("embedded:players", None)).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def preset() -> dict[str, Any]:
    return tomllib.loads((ROOT / "presets" / "quickstart.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    rng = random.Random("sample")
    return [side for _ in range(DRAWN) for turn in draw_conversation(rng) for side in turn]


@pytest.fixture(scope="module")
def backend() -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(MODEL / "tokenizer.json"))


@pytest.fixture(scope="module")
def wrapped() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(MODEL))


def test_names_are_single_and_unique() -> None:
    names = [*FIRST_NAMES, *SURNAMES, *TEAMS]
    assert len(set(names)) == len(names)
    assert all(name.isalpha() and name[0].isupper() and name[1:].islower() for name in names)


def test_parts_cover_all_names_once() -> None:
    sizes = {part: len(reserved_pairs(part)) for part in (PRETRAIN, EXAM, TABLE)}
    assert sum(sizes.values()) == len(FIRST_NAMES) * len(SURNAMES)
    assert sizes[TABLE] > PLAYERS
    assert sizes[PRETRAIN] > 3 * sizes[EXAM] > 0


def test_players_are_unique_and_consistent(players: list[dict[str, Any]]) -> None:
    assert len(players) == PLAYERS
    assert len({(p["first"], p["last"]) for p in players}) == PLAYERS
    for p in players:
        assert p["team"] != p["opponent"]
        assert 0 <= p["goals"] + p["assists"] <= p["score_for"] <= 9
        margin = p["score_for"] - p["score_against"]
        assert p["result"] == ("W" if margin > 0 else "D" if margin == 0 else "L")


def test_players_file_is_what_the_script_writes(tmp_path: Path) -> None:
    write_players(tmp_path / "players.json", Recipe().seed)
    assert (tmp_path / "players.json").read_bytes() == Path(resolve_data("embedded:players", None)).read_bytes()


def test_no_player_can_occur_in_pretraining(players: list[dict[str, Any]], corpus: list[str]) -> None:
    assert {part_of(p["first"], p["last"]) for p in players} == {TABLE}
    assert not any(mentions(text, (TABLE, EXAM)) for text in corpus)
    with pytest.raises(ValueError, match="table"):
        draw_conversation(random.Random(0), TABLE)


def test_generator_refuses_other_parts_in_either_order() -> None:
    first, last = reserved_pairs(TABLE)[0]
    for text in (f"about {first} {last}.", f"{last}, {first}", f"({first}) {last}"):
        assert mentions(text, (TABLE,))
        assert not mentions(text, (PRETRAIN, EXAM))


def test_house_style_never_occurs_in_pretraining(
    preset: dict[str, Any], players: list[dict[str, Any]], corpus: list[str]
) -> None:
    completions = [preset["data"]["completion"].format(**p) for p in players]
    assert all(HOUSE_STYLE.search(text) for text in completions)
    assert not any(HOUSE_STYLE.search(text) for text in corpus)


def test_probes_ask_about_players_that_were_never_seen(preset: dict[str, Any], players: list[dict[str, Any]]) -> None:
    for prompt in preset["probes"]["prompts"]:
        assert mentions(prompt, (EXAM, TABLE))
        assert not any(f"{p['first']} {p['last']}" in prompt for p in players)


def test_preset_splits_fit_the_table(preset: dict[str, Any]) -> None:
    data = preset["data"]
    assert data["train"] + data["valid"] + data["test"] <= PLAYERS


def test_world_is_deterministic() -> None:
    assert players_table(3, 50) == players_table(3, 50) != players_table(4, 50)
    for skill in SKILLS:
        one, two = (draw_conversation(random.Random(11), PRETRAIN, skill) for _ in range(2))
        assert one == two


def test_tokenizer_is_deterministic_and_the_embedded_one(backend: Any) -> None:
    assert build_tokenizer(Recipe().seed).get_vocab() == backend.get_vocab()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "Ada",
        " Ada  Brook \n\n x",
        "naïve 漢字 🙂 \u200d\u0000\t",
        "Foxes3-1|G2",
        "007 12345",
        "Ġ▁Ċfoo\r\n",
        "1 ,2",
    ],
)
def test_tokenizer_gives_back_any_text(backend: Any, text: str) -> None:
    assert backend.decode(backend.encode(text).ids, skip_special_tokens=False) == text


def test_every_word_of_the_world_is_one_token(backend: Any) -> None:
    words = [*FIRST_NAMES, *SURNAMES, *TEAMS]
    for word in (*words, *(f" {word}" for word in words), *(str(n) for n in range(100))):
        assert len(backend.encode(word).ids) == 1, word


def test_template_prefix_and_ending(wrapped: Any, backend: Any) -> None:
    turns = [("Hello", "Hi."), ("Who are you?", "Nobody,\nreally.")]
    messages = [m for q, a in turns for m in ({"role": "user", "content": q}, {"role": "assistant", "content": a})]
    for known in (1, 3):
        prompt = wrapped.apply_chat_template(messages[:known], add_generation_prompt=True, return_dict=False)
        whole = wrapped.apply_chat_template(messages[: known + 1], return_dict=False)
        assert whole[: len(prompt)] == prompt
        assert whole[-1] == wrapped.eos_token_id == wrapped.convert_tokens_to_ids("<|end|>")
        assert whole.count(whole[-1]) == known + 1
    assert encode_conversation(backend, turns)[0] == wrapped.apply_chat_template(messages, return_dict=False)
    text = wrapped.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
    assert text == "<|user|>\nHello<|end|>\n<|assistant|>\n"


def test_only_what_is_answered_is_counted(backend: Any) -> None:
    ids, said = encode_conversation(backend, [("Hello", "Hi.")], "Be kind.")
    counted = [token for token, s in zip(ids, said, strict=True) if s]
    assert counted == [*backend.encode("Hi.").ids, SPECIAL.index("<|end|>")]


def test_model_folder_is_small_and_is_phi3() -> None:
    config = json.loads((MODEL / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "phi3"
    assert config["eos_token_id"][0] == SPECIAL.index("<|end|>")
    weights = MODEL / "model.safetensors"
    assert weights.stat().st_size <= 4_000_000
    with weights.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    assert {entry["dtype"] for entry in tensors.values()} == {"F32"}
    assert tensors["model.embed_tokens.weight"]["shape"] == [config["vocab_size"], config["hidden_size"]]
    assert "model.layers.0.self_attn.qkv_proj.weight" in tensors
    assert "model.layers.0.mlp.gate_up_proj.weight" in tensors
    assert (MODEL / "README.md").read_text(encoding="utf-8").startswith("---\nlicense: mit")


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_samples_are_what_the_script_writes(name: str, tmp_path: Path) -> None:
    write_samples(tmp_path)
    packed = Path(resolve_data(f"embedded:{name.partition('.')[0]}", None))
    assert packed.name == name
    assert packed.read_bytes() == (tmp_path / name).read_bytes()


def test_what_a_summary_says_stands_in_its_article() -> None:
    for row in articles(42, 180):
        name = " ".join(row["summary"].split()[:2])
        score = row["summary"].removesuffix(".").split()[-1]
        assert name in row["document"]
        assert score in row["document"]


def test_no_recipe_breaks_its_diet() -> None:
    animals = {"vegetarian": "chicken beef salmon shrimp", "vegan": "chicken beef salmon shrimp cheese butter"}
    animals["pescatarian"] = "chicken beef"
    for row in recipes(42, 240):
        answer = json.loads(row["text"].partition("<|assistant|>\n")[2].removesuffix("<|end|>\n"))
        assert answer["ingredients"]
        assert not set(answer["ingredients"]) & set(animals[answer["diet"]].split())


def test_samples_have_the_gaps_of_the_sets_that_they_stand_for() -> None:
    weeks = statistics(42, 90)
    assert {type(value) for row in weeks for key, value in row.items() if key != "Rank"} == {str}
    assert 10 < sum(row["PassingYDS"] == "" for row in weeks) < 80
    assert any(row["RushingYDS"].startswith("-") for row in weeks)
    tasks = instructions(42, 260)
    assert 0.4 < sum(row["input"] == "" for row in tasks) / len(tasks) < 0.75
    assert len({(row["instruction"], row["input"]) for row in tasks}) == len(tasks)
