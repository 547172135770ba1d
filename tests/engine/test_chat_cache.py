"""What was read of a conversation is not read again, the answers stay what they were, and no two models share it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.test_adapters import logits, saved
from tests.support.families import make_family
from tests.support.models import make_model
from tui_tuner.chat.answering import answer, prompt_of
from tui_tuner.chat.inside import look_inside
from tui_tuner.chat.prompt_cache import PromptCaches
from tui_tuner.chat.reply import ChatReply
from tui_tuner.chat.sampling import Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.config import AdapterSection
from tui_tuner.engine import chatting, shelf
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import ChatTurn, LookInside
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.models.device import DeviceMemory
from tui_tuner.models.load import Base, load_base
from tui_tuner.runs.control import JobControl

pytestmark = pytest.mark.mlx
PATIENCE = 120.0
QUESTIONS = ["what is the red fox?", "who runs with the blue owl and the bear?", "where is it?", "and then?"]
TRIMMABLE = ("llama", "phi3", "gemma2")
"""The others have a window that moves on, or a recurrent state."""


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory, model_of: Callable[..., Path]) -> Callable[[str], Base]:
    place, made = tmp_path_factory.mktemp("families"), dict[str, Base]()

    def get(name: str) -> Base:
        if name not in made:
            made[name] = load_base(model_of() if name == "phi3" else make_family(place / name, name))
        return made[name]

    return get


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine()
    engine.start()
    yield engine
    assert engine.shutdown(PATIENCE)


def ended(handle: JobHandle) -> JobHandle:
    assert handle.finished.wait(PATIENCE)
    return handle


def ask(base: Base, messages: list[dict[str, str]], caches: PromptCaches | None, **options: Any) -> ChatReply:
    sampling = Sampling(**{"max_tokens": 16, **options})
    return answer(
        base.model,
        base.tokenizer,
        messages,
        sampling=sampling,
        write=lambda text: None,
        control=JobControl(),
        caches=caches,
        voice="me",
    )


def talk(base: Base, questions: list[str], caches: PromptCaches | None, **options: Any) -> list[ChatReply]:
    """A conversation, question after question."""
    messages: list[dict[str, str]] = []
    replies = []
    for question in questions:
        messages.append({"role": "user", "content": question})
        replies.append(ask(base, messages, caches, **options))
        messages.append({"role": "assistant", "content": replies[-1].text})
    return replies


@pytest.mark.parametrize("options", [{}, {"temperature": 1.0, "seed": 5}, {"repetition_penalty": 1.3}])
@pytest.mark.parametrize("family", ["llama", "phi3", "gemma2", "gemma3", "mamba"])
def test_a_conversation_is_read_once(family: str, options: dict[str, Any], bases: Callable[[str], Base]) -> None:
    """What a turn reads does not grow with what was said before, and the answers are those of reading it all."""
    base, caches = bases(family), PromptCaches(1 << 40)
    anew, kept = talk(base, QUESTIONS, None, **options), talk(base, QUESTIONS, caches, **options)
    assert [reply.token_ids for reply in kept] == [reply.token_ids for reply in anew]
    assert [reply.reused for reply in anew] == [0] * 4
    assert kept[0].reused == 0
    for before, reply in itertools.pairwise(kept):
        assert reply.reused >= before.prompt_tokens - 1
        assert reply.prompt_tokens - reply.reused <= 16 + 40  # at most the last answer and the new question
    assert len(caches) == 1


@pytest.mark.parametrize("family", ["llama", "phi3", "gemma2", "gemma3", "mamba"])
def test_an_edited_turn_is_gone_back_to(family: str, bases: Callable[[str], Base]) -> None:
    base, caches = bases(family), PromptCaches(1 << 40)
    replies = talk(base, QUESTIONS[:3], caches)
    told = [{"role": "user", "content": QUESTIONS[0]}, {"role": "assistant", "content": replies[0].text}]
    edited = [*told, {"role": "user", "content": "who runs with the green goal?"}]
    reply = ask(base, edited, caches)
    assert reply.token_ids == ask(base, edited, None).token_ids
    if family in TRIMMABLE:
        shared = len(prompt_of(told[:1], base.tokenizer, plain=False))
        assert shared <= reply.reused < reply.prompt_tokens
    again = ask(base, edited, caches, temperature=1.0, seed=3)  # regenerated
    assert again.reused == again.prompt_tokens - 1
    assert again.token_ids == ask(base, edited, None, temperature=1.0, seed=3).token_ids


@pytest.mark.parametrize("family", ["llama", "gemma3", "mamba"])
def test_a_look_inside_reads_only_the_answer_again(family: str, bases: Callable[[str], Base]) -> None:
    base, caches = bases(family), PromptCaches(1 << 40)
    reply = talk(base, QUESTIONS[:1], caches)[0]
    messages = [{"role": "user", "content": QUESTIONS[0]}]
    prompt = prompt_of(messages, base.tokenizer, plain=False)
    options = {"caches": caches, "voice": "me"}
    seen = look_inside(base.model, base.tokenizer, prompt, reply.token_ids, **options)  # type: ignore[arg-type]
    anew = look_inside(base.model, base.tokenizer, prompt, reply.token_ids)
    assert seen.losses == pytest.approx(anew.losses, abs=1e-4)
    assert seen.pieces == anew.pieces
    assert set(seen.rank) == {0}
    messages += [{"role": "assistant", "content": reply.text}, {"role": "user", "content": QUESTIONS[1]}]
    assert ask(base, messages, caches).token_ids == ask(base, messages, None).token_ids


def test_a_prompt_of_many_pieces_that_is_stopped_is_kept_as_far_as_it_was_read(bases: Callable[[str], Base]) -> None:
    base, caches = bases("llama"), PromptCaches(1 << 40)
    long = [{"role": "user", "content": "the fox " * 600}]

    class Impatient(JobControl):
        looks = 0

        @property
        def stop_requested(self) -> bool:
            self.looks += 1
            return self.looks == 2

    options: dict[str, Any] = {"sampling": Sampling(max_tokens=4), "write": lambda text: None, "voice": "me"}
    stopped = answer(base.model, base.tokenizer, long, control=Impatient(), caches=caches, **options)
    assert (stopped.finish, stopped.tokens) == ("stopped", 0)
    whole = answer(base.model, base.tokenizer, long, control=JobControl(), caches=caches, **options)
    assert whole.reused == 1024 < whole.prompt_tokens
    anew = answer(base.model, base.tokenizer, long, control=JobControl(), **options)
    assert whole.token_ids == anew.token_ids


def test_what_is_kept_is_bounded(bases: Callable[[str], Base]) -> None:
    base = bases("llama")
    caches = PromptCaches(1 << 40, most=2)
    for voice in "abc":
        answer(
            base.model,
            base.tokenizer,
            [{"role": "user", "content": "who?"}],
            sampling=Sampling(max_tokens=2),
            write=lambda text: None,
            control=JobControl(),
            caches=caches,
            voice=voice,
        )
    prompt = prompt_of([{"role": "user", "content": "who?"}], base.tokenizer, plain=False)
    assert len(caches) == 2
    size = caches.size
    assert size > 0
    assert caches.take("a", prompt) is None
    found = caches.take("c", prompt)
    assert found is not None and found[1] == len(prompt) - 1
    caches.keep("c", (prompt[:-1], found[0]))
    assert caches.size <= size
    small = PromptCaches(1)
    small.keep("c", (prompt[:-1], found[0]))
    assert len(small) == 0


# -- adapters -------------------------------------------------------------------------------------------------------


def test_adapters_go_on_and_off_one_base(model_of: Callable[..., Path], tmp_path: Path, monkeypatch: Any) -> None:
    """What comes out afterwards is bit for bit what came before, and each adapter is read once."""
    import numpy as np

    loads: list[Path] = []
    load = shelf.load_adapter
    monkeypatch.setattr(
        shelf, "load_adapter", lambda base, folder, file: loads.append(folder) or load(base, folder, file)
    )
    models = ModelShelf()
    base = models.base(str(model_of()))
    trees = {None: base.model}
    for number, method in enumerate(("lora", "dora", "full")):
        section = AdapterSection(method=method, rank=2, layers=2)
        _, folder = saved(base, section, tmp_path / str(number))
        trees[folder] = models.with_adapter(base, folder)
    before = {adapter: np.array(logits(tree)) for adapter, tree in trees.items()}
    assert len({array.tobytes() for array in before.values()}) == 4
    for adapter in [*trees, *reversed(trees)]:
        tree = models.with_adapter(base, adapter)
        assert tree is trees[adapter]
        assert np.array_equal(np.array(logits(tree)), before[adapter])
    file = tmp_path / "0" / "adapters.safetensors"
    assert models.with_adapter(base, file) is trees[tmp_path / "0"]  # a weights file, as a checkpoint is
    assert len(loads) == 3
    file.write_bytes(file.read_bytes())
    assert models.with_adapter(base, file.parent) is not trees[tmp_path / "0"]
    for number in range(8):
        _, folder = saved(base, AdapterSection(rank=2, layers=1), tmp_path / f"more{number}")
        models.with_adapter(base, folder)
    assert len(models._trees) == 6


def test_voices_share_a_base_and_nothing_that_was_read(
    engine: LocalEngine, model_of: Callable[..., Path], tmp_path: Path, monkeypatch: Any
) -> None:
    loads: list[Path] = []
    load = shelf.load_base
    monkeypatch.setattr(shelf, "load_base", lambda folder, form: loads.append(folder) or load(folder, form))
    model = str(model_of())
    _, folder = saved(load_base(Path(model)), AdapterSection(rank=4, layers=3, scale=30.0), tmp_path / "adapter")
    question = [{"role": "user", "content": QUESTIONS[0]}]

    def turn(adapter: Path | None) -> ChatReply:
        handle = ended(engine.submit(ChatTurn(Voice(model, adapter), question, Sampling(max_tokens=8))))
        assert isinstance(handle.result, ChatReply), handle.error
        return handle.result

    first = [turn(adapter) for adapter in (None, folder, folder / "adapters.safetensors")]
    assert [reply.reused for reply in first[:2]] == [0, 0]
    assert first[2].reused == first[2].prompt_tokens - 1
    assert first[0].text != first[1].text == first[2].text
    again = [turn(adapter) for adapter in (folder, None)]
    assert [reply.text for reply in again] == [first[1].text, first[0].text]
    assert all(reply.reused == reply.prompt_tokens - 1 for reply in again)
    seen = ended(engine.submit(LookInside(Voice(model), question, first[0].text, tuple(first[0].token_ids)))).result
    other = ended(engine.submit(LookInside(Voice(model, folder), question, "", tuple(first[0].token_ids)))).result
    assert set(seen.rank) == {0}
    assert other.mean > seen.mean
    weights = folder / "adapters.safetensors"
    weights.write_bytes(weights.read_bytes())  # written again, as by a run: what was read with it counts no more
    assert turn(folder).reused == 0
    assert loads == [Path(model)]


def test_a_model_that_cannot_fit_is_refused_in_a_sentence(
    engine: LocalEngine, model_of: Callable[..., Path], monkeypatch: Any
) -> None:
    question = [{"role": "user", "content": "who?"}]
    with monkeypatch.context() as patch:
        patch.setattr(chatting, "device_memory", lambda: DeviceMemory(0, 200_000))
        refused = ended(engine.submit(ChatTurn(Voice(str(model_of())), question, Sampling(max_tokens=2))))
        assert refused.error is not None and refused.error.code == "no-memory"
        assert "this machine has 200 kB of memory" in refused.error.sentence()
    assert (
        ended(engine.submit(ChatTurn(Voice(str(model_of())), question, Sampling(max_tokens=2)))).status
        is JobStatus.DONE
    )


def test_a_conversation_that_cannot_be_held_beside_the_model_is_refused_in_a_sentence(
    engine: LocalEngine, tmp_path: Path, monkeypatch: Any
) -> None:
    roomy = make_model(tmp_path / "roomy", "llama", settings={"max_position_embeddings": 16384})
    long = [{"role": "user", "content": "who " * 9000}]
    with monkeypatch.context() as patch:
        patch.setattr(chatting, "device_memory", lambda: DeviceMemory(0, 40_000_000))
        refused = ended(engine.submit(ChatTurn(Voice(str(roomy)), long, Sampling(max_tokens=2))))
        assert refused.error is not None and refused.error.code == "no-memory"
        told = refused.error.sentence()
        assert "a conversation of 9,0" in told and "this machine has 40.0 MB of memory" in told
        short = [{"role": "user", "content": "who?"}]
        assert ended(engine.submit(ChatTurn(Voice(str(roomy)), short, Sampling(max_tokens=2)))).error is None
