"""Chat templates by name: what they write, what is found out about any template, and that one is used everywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.models import make_model, make_rows, make_tokenizer
from tui_tuner.chat.sampling import Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.config import Experiment, anchored
from tui_tuner.data.chatforms import NAMES, RECORDED, suggestion, template_text
from tui_tuner.data.formprobe import CALLS, form_of, put_template
from tui_tuner.engine.dataset import data_facts
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import ChatTurn, RunExperiment
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.errors import TunerError
from tui_tuner.models.load import load_tokenizer
from tui_tuner.paths import resolve_model
from tui_tuner.runs import RunFolder

pytestmark = pytest.mark.mlx

TURNS = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "1."},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "2."},
]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders of tiny models by family."""
    place, made = tmp_path_factory.mktemp("families"), dict[str, Path]()

    def get(kind: str) -> Path:
        if kind not in made:
            architecture = kind if kind in ("phi3", "llama", "qwen2") else "llama"
            made[kind] = make_model(place / kind, architecture, hidden=16, layers=1, intermediate=16)
            if architecture != kind:
                make_tokenizer(place / kind, kind)
                _end_with(made[kind], kind)
        return made[kind]

    return get


def _end_with(folder: Path, kind: str) -> None:
    """The configuration's end token is the new tokenizer's."""
    ends = {"gemma": "<end_of_turn>", "plain": "<|endoftext|>"}
    added = json.loads((folder / "tokenizer.json").read_text("utf-8"))["added_tokens"]
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["eos_token_id"] = next(token["id"] for token in added if token["content"] == ends[kind])
    (folder / "config.json").write_text(json.dumps(config))


def with_own(folder: Path, template: str, to: Path) -> Path:
    """A copy of a model folder whose own template is another."""
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    path = to / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "chat_template": template}))
    return to


def rendered(tokenizer: Any, messages: list[dict[str, Any]], *, asks: bool = False) -> str:
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=asks))


# What the published descriptions of the formats show, for the conversation above; {end} is the tokenizer's end token.
WRITTEN = {
    "chatml": "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nOne?<|im_end|>\n<|im_start|>assistant\n1."
    "<|im_end|>\n<|im_start|>user\nTwo?<|im_end|>\n<|im_start|>assistant\n2.<|im_end|>\n",
    "llama-3": "<|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|><|start_header_id|>user"
    "<|end_header_id|>\n\nOne?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n1.<|eot_id|><|start_header_id|>user"
    "<|end_header_id|>\n\nTwo?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n2.<|eot_id|>",
    "llama-2": "[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nOne? [/INST] 1. {end}[INST] Two? [/INST] 2. {end}",
    "mistral": "[INST] Be kind.\n\nOne? [/INST] 1.{end}[INST] Two? [/INST] 2.{end}",
    "gemma": "<start_of_turn>user\nBe kind.\n\nOne?<end_of_turn>\n<start_of_turn>model\n1.<end_of_turn>\n"
    "<start_of_turn>user\nTwo?<end_of_turn>\n<start_of_turn>model\n2.<end_of_turn>\n",
    "phi-3": "<|system|>\nBe kind.<|end|>\n<|user|>\nOne?<|end|>\n<|assistant|>\n1.<|end|>\n<|user|>\nTwo?<|end|>\n"
    "<|assistant|>\n2.<|end|>\n{end}",
    "zephyr": "<|system|>\nBe kind.{end}\n<|user|>\nOne?{end}\n<|assistant|>\n1.{end}\n<|user|>\nTwo?{end}\n"
    "<|assistant|>\n2.{end}\n",
    "vicuna": "Be kind. USER: One? ASSISTANT: 1.{end}USER: Two? ASSISTANT: 2.{end}",
    "alpaca": "Be kind.\n\n### Instruction:\nOne?\n\n### Response:\n1.{end}\n\n### Instruction:\nTwo?\n\n"
    "### Response:\n2.{end}",
    "plain": "Be kind.\n\nUser: One?\n\nAssistant: 1.{end}\n\nUser: Two?\n\nAssistant: 2.{end}",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_named_template_writes_its_format(name: str, folder_of: Callable[[str], Path]) -> None:
    tokenizer = load_tokenizer(folder_of("plain"), template_text(name))
    full = rendered(tokenizer, TURNS)
    assert full == WRITTEN[name].format(end="<|endoftext|>")
    prompt = rendered(tokenizer, TURNS[:-1], asks=True)
    assert full.startswith(prompt) and full[len(prompt) :].strip().startswith("2.")
    form = form_of(tokenizer)
    assert (form.refusal, form.system, form.dropped, form.marked, form.fits) == ("", "kept", frozenset(), True, True)


@pytest.mark.parametrize("name", NAMES)
def test_a_named_template_loses_nothing_in_silence(name: str, folder_of: Callable[[str], Path]) -> None:
    tokenizer = load_tokenizer(folder_of("plain"), template_text(name))
    tool = [TURNS[1], {"role": "tool", "content": "seven"}, TURNS[2]]
    call = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}
    for messages, tools in ((tool, None), ([TURNS[1], call], None), (TURNS[1:3], [{"function": {"name": "f"}}])):
        try:
            said = tokenizer.apply_chat_template(messages, tools=tools, tokenize=False)
        except Exception as error:
            assert name in str(error)
        else:
            assert messages is tool and "seven" in said, said


@pytest.mark.parametrize(
    ("family", "name"), [("phi3", "phi-3"), ("llama", "llama-3"), ("qwen2", "chatml"), ("gemma", "gemma")]
)
def test_named_templates_equal_those_of_the_families(family: str, name: str, folder_of: Callable[[str], Path]) -> None:
    own, chosen = load_tokenizer(folder_of(family)), load_tokenizer(folder_of(family), template_text(name))
    assert suggestion(own) == name
    for messages in (TURNS[1:], TURNS[1:3], *([TURNS] if family != "gemma" else [])):
        assert chosen.apply_chat_template(messages) == own.apply_chat_template(messages)
        asked = messages[:-1]
        assert rendered(chosen, asked, asks=True) == rendered(own, asked, asks=True)
    assert chosen.eos_token_ids == own.eos_token_ids


def test_the_embedded_model_writes_phi_3_without_an_end() -> None:
    folder = Path(resolve_model("embedded:phi3-tiny", None))
    own, chosen = load_tokenizer(folder), load_tokenizer(folder, template_text("phi-3"))
    assert rendered(chosen, TURNS) == rendered(own, TURNS) + str(own.eos_token)
    assert rendered(chosen, TURNS[:-1], asks=True) == rendered(own, TURNS[:-1], asks=True)


# -- what is found out ------------------------------------------------------------------------------------------------

EACH = "{% for m in messages %}"
TAIL = "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
GOOD = EACH + "<|{{ m.role }}|>{{ m.content }}<|end|>" + TAIL


@pytest.mark.parametrize(
    ("template", "found"),
    [
        (GOOD, {"refusal": "", "system": "kept", "marked": True, "fits": True, "end_text": "<|end|>"}),
        ("{{ messages[0].content.nothing.there }}", {"refusal": "'str object' has no attribute 'nothing'"}),
        ("{{ messages[0].content }}<|end|>", {"dropped": frozenset({"assistant", "tool"})}),
        (EACH + "{{ m.content }}\n{% endfor %}", {"marked": False}),
        (EACH + "<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}", {"marked": False}),
        (GOOD.replace("<|assistant|>{% endif", "<|assistant|>Think:{% endif"), {"marked": True, "fits": False}),
        (EACH + "{% if m.role != 'system' %}<|{{ m.role }}|>{{ m.content }}{% endif %}" + TAIL, {"system": "dropped"}),
        (EACH + "{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}" + GOOD[len(EACH):],
         {"system": "refused", "dropped": frozenset()}),
        (EACH + "<|im_start|>{{ m.role }} {{ m.content }}<|im_end|>" + TAIL,
         {"strange": ("<|im_start|>", "<|im_end|>"), "end": None}),
        ("{% set last = messages[-2:] %}" + GOOD.replace("in messages", "in last"),
         {"dropped": frozenset({"earlier answers", "system"})}),
    ],
)  # fmt: skip
def test_what_a_template_does_is_found_out(
    template: str, found: dict[str, Any], folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    form = form_of(load_tokenizer(with_own(folder_of("phi3"), template, tmp_path / "own")))
    assert form.present and form.suggested == "phi-3"
    for key, value in found.items():
        seen = getattr(form, key)
        if key == "dropped":
            seen -= {CALLS}  # none of these writes them
        assert value in seen if key == "refusal" and value else seen == value, (key, seen)


def test_a_missing_template_is_found_out(folder_of: Callable[[str], Path]) -> None:
    form = form_of(load_tokenizer(folder_of("plain")))
    assert (form.present, form.suggested) == (False, "plain")


def test_a_chosen_template_ends_answers_where_it_says(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    folder = with_own(folder_of("qwen2"), "", tmp_path / "base")
    tokenizer = load_tokenizer(folder)
    end = tokenizer.get_vocab()["<|im_end|>"]
    tokenizer.eos_token_ids = {tokenizer.get_vocab()["<|endoftext|>"]}  # as base models have it
    put_template(tokenizer, template_text("chatml"))
    assert end in tokenizer.eos_token_ids


# -- what is said of it -----------------------------------------------------------------------------------------------


def experiment(model: Path, source: Path, template: str = "auto", **data: Any) -> Experiment:
    return Experiment.model_validate(
        {"model": {"path": str(model), "chat_template": template}, "data": {"source": str(source), **data},
         "train": {"max_seq_length": 256}}
    )  # fmt: skip


def rows_file(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def problems(made: Experiment) -> dict[str, Any]:
    return {problem.code: problem for problem in data_facts(made).report.problems}


def test_a_model_without_a_template_is_offered_one_by_name(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    source = rows_file(tmp_path / "rows.jsonl", make_rows(40))
    problem = problems(experiment(folder_of("plain"), source))["no-chat-template"]
    assert (problem.severity, problem.count, problem.step) == ("error", 40, "")
    assert problem.change == (("model.chat_template", "plain"),) and "chatml" in problem.fix
    assert not data_facts(experiment(folder_of("plain"), source, "plain")).report.errors


@pytest.mark.parametrize(
    ("template", "code", "severity"),
    [
        ("{{ messages[0].content.nothing.there }}", "chat-template", "error"),
        ("<|user|>{{ messages[0].content }}<|end|>", "lost-words", "error"),
        (EACH + "{{ m.content }}\n" + "{% endfor %}", "unmarked-answers", "warning"),
        (GOOD.replace("<|end|>", "<|user|>"), "never-stops", "warning"),
    ],
)
def test_a_wrong_template_is_told_with_one_to_take(
    template: str, code: str, severity: str, folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    source = rows_file(tmp_path / "rows.jsonl", make_rows(40))
    model = with_own(folder_of("phi3"), template, tmp_path / "own")
    problem = problems(experiment(model, source))[code]
    assert problem.severity == severity
    assert problem.change == (("model.chat_template", "phi-3"),)
    assert code not in problems(experiment(model, source, "phi-3"))


def test_another_familys_template_is_told(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    source = rows_file(tmp_path / "rows.jsonl", make_rows(40))
    problem = problems(experiment(folder_of("phi3"), source, "chatml"))["template-tokens"]
    assert problem.severity == "warning" and '"<|im_start|>", "<|im_end|>"' in problem.message
    assert not {"template-tokens", "never-stops", "lost-words"} & set(problems(experiment(folder_of("phi3"), source)))


def test_refused_system_messages_are_folded_by_a_fix(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    some = [{"messages": [TURNS[0], {"role": "user", "content": f"{n}?"}, TURNS[2]]} for n in range(40)]
    source = rows_file(tmp_path / "rows.jsonl", some)
    problem = problems(experiment(folder_of("gemma"), source))["system-role"]
    assert (problem.severity, problem.count, problem.step) == ("error", 40, "fold-system")
    found = data_facts(experiment(folder_of("gemma"), source, fixes=["fold-system"]))
    assert not found.report.errors and found.tokens["rows"] == 40
    assert "system-role" not in problems(experiment(folder_of("gemma"), source, "gemma"))


def test_lost_system_messages_are_told(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    template = EACH + "{% if m.role != 'system' %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endif %}" + TAIL
    model = with_own(folder_of("phi3"), template, tmp_path / "own")
    turns = [[{"role": "user", "content": f"{n}?"}, TURNS[2]] for n in range(43)]
    some = [{"messages": ([TURNS[0]] if n < 3 else []) + turn} for n, turn in enumerate(turns)]
    problem = problems(experiment(model, rows_file(tmp_path / "rows.jsonl", some)))["lost-words"]
    assert (problem.severity, problem.count, problem.step) == ("warning", 3, "fold-system")


@pytest.mark.parametrize(
    ("choice", "said"),
    [("chatm", 'did you mean "chatml"'), ("no/such.jinja", "take one of auto"), ("broken.jinja", "line 1"),
     ("empty.jinja", "it is empty"), ("latin.jinja", "not UTF-8")],
)  # fmt: skip
def test_a_template_that_is_none_is_refused(choice: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "broken.jinja").write_text("{% for m in messages %}")
    (tmp_path / "empty.jinja").write_text(" \n")
    (tmp_path / "latin.jinja").write_bytes(b"\xe4")
    with pytest.raises(TunerError) as caught:
        template_text(choice, tmp_path)
    assert caught.value.code == "unknown-chat-template" and said in caught.value.sentence()


def test_a_file_counts_from_the_preset_and_a_name_is_no_path(tmp_path: Path) -> None:
    (tmp_path / "own.jinja").write_text(GOOD)
    (tmp_path / "gemma").mkdir()
    for choice, kept in (("own.jinja", str(tmp_path / "own.jinja")), ("gemma", "gemma"), ("auto", "auto")):
        made = anchored(experiment(tmp_path, tmp_path, choice), tmp_path)
        assert made.model.chat_template == kept
    assert template_text("own.jinja", tmp_path) == GOOD


def ended(handle: JobHandle) -> JobHandle:
    assert handle.finished.wait(120)
    return handle


# -- one form everywhere ----------------------------------------------------------------------------------------------


def test_a_run_trains_answers_and_chats_in_one_form(
    new_run: Callable[..., RunFolder], folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    template = tmp_path / "house.jinja"
    template.write_text(EACH + "[{{ m.role }}] {{ m.content }}{{ eos_token if m.role == 'assistant' }}\n{% endfor %}"
                        "{% if add_generation_prompt %}[assistant] {% endif %}")  # fmt: skip
    run = new_run(
        model={"path": str(folder_of("plain")), "chat_template": str(template)},
        train={"iters": 4, "eval_every": 2, "save_every": 2},
        probes={"prompts": ["what is the fox?"]},
    )
    text = template.read_text()
    engine = LocalEngine()
    engine.start()
    try:
        assert ended(engine.submit(RunExperiment(run.path))).status is JobStatus.DONE
        assert (run.adapters / RECORDED).read_text() == text
        lines = (run.evaluation / "before.jsonl").read_text("utf-8").splitlines()
        asked = [json.loads(line)["prompt"] for line in lines]
        assert asked and all(re.fullmatch(r"\[user\] what is [^\n]+\n\[assistant\] ", prompt) for prompt in asked)
        template.write_text(GOOD)  # what a run trained with holds, whatever becomes of the file
        words = [{"role": "user", "content": "what is the fox?"}]
        model = str(folder_of("plain"))
        tuned = ended(engine.submit(ChatTurn(Voice(model, run.adapters), words, Sampling(max_tokens=3))))
        own = load_tokenizer(folder_of("plain"), text)
        length = len(own.apply_chat_template(words, add_generation_prompt=True))
        assert tuned.result.prompt_tokens == length
        base = ended(engine.submit(ChatTurn(Voice(model, template="alpaca"), words, Sampling(max_tokens=3))))
        assert base.result.prompt_tokens > length
        bare = ended(engine.submit(ChatTurn(Voice(model), words, Sampling(max_tokens=3))))
        assert (bare.result.plain, tuned.result.plain, base.result.plain) == (True, False, False)
        assert bare.result.prompt_tokens == len(own.encode(words[0]["content"]))
    finally:
        assert engine.shutdown(60)
