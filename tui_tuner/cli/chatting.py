"""`tui-tuner chat`: the workbench on a chat, or answers on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui_tuner.cli import completing
from tui_tuner.cli.options import Adapter, Debug, Json, RunsDir, Trust
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.chat.sampling import Sampling
    from tui_tuner.chat.voices import Voice
    from tui_tuner.engine.worker import LocalEngine

_MOST = 4
"""Voices that can be compared, as many as columns have room on a screen."""


def _setting(name: str, text: str) -> Any:
    return typer.Option(name, help=text, show_default=False)


Compare = Annotated[
    str | None,
    typer.Option(
        "--compare",
        metavar="A,B[,C,D]",
        help="Ask these instead: base, RUN, RUN:STEP, RUN:best, an adapter folder, a model.",
    ),
]
Stop = Annotated[
    list[str] | None, typer.Option("--stop", metavar="TEXT", help="Ends the answer before this text. Repeatable.")
]
Reference = Annotated[
    str | None, typer.Option("--reference", metavar="TEXT", help="Tell the loss of this answer, too.")
]
Logprobs = Annotated[
    bool, typer.Option("--logprobs", help="With --json: each token with its probability and alternatives.")
]


Model = Annotated[
    str,
    typer.Argument(
        help="Model folder, hub name, embedded:phi3-tiny, or a run: RUN, RUN:STEP, RUN:best.",
        autocompletion=completing.answering,
    ),
]
Prompt = Annotated[str | None, typer.Option("--prompt", help="Answer this once on stdout; `-` reads it from stdin.")]
SamplingChoice = Annotated[
    str | None,
    typer.Option(
        "--sampling",
        help="A set of settings: greedy, careful, balanced, lively, or your own.",
        autocompletion=completing.among("greedy", "careful", "balanced", "lively"),
    ),
]
Temperature = Annotated[
    float | None, _setting("--temperature", "How freely words are drawn; 0, unless given, takes the likeliest.")
]
TopP = Annotated[float | None, _setting("--top-p", "Draw of the likeliest that hold this much probability, 0 to 1.")]
MinP = Annotated[
    float | None, _setting("--min-p", "Draw of those with this share of the likeliest's probability, 0 to 1.")
]
RepetitionPenalty = Annotated[
    float | None, _setting("--repetition-penalty", "Divides the logits of the last tokens; 1 is none.")
]
ChatTemplate = Annotated[
    str,
    typer.Option("--chat-template", help="A named chat template, or a Jinja file."),
]


def chat(
    model: Model,
    adapter: Adapter = None,
    prompt: Prompt = None,
    system: Annotated[str | None, typer.Option("--system", help="A system message before the conversation.")] = None,
    compare: Compare = None,
    sampling: SamplingChoice = None,
    max_tokens: Annotated[int | None, _setting("--max-tokens", "Cap on the answer's tokens; 256 unless given.")] = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    top_k: Annotated[int | None, _setting("--top-k", "Draw of so many of the likeliest; 0 is all.")] = None,
    min_p: MinP = None,
    repetition_penalty: RepetitionPenalty = None,
    seed: Annotated[int | None, _setting("--seed", "Of the sampling; a whole number.")] = None,
    stop: Stop = None,
    plain: Annotated[bool, typer.Option("--plain", help="The bare text goes in, without the chat template.")] = False,
    reference: Reference = None,
    logprobs: Logprobs = False,
    chat_template: ChatTemplate = "auto",
    runs_dir: RunsDir = None,
    trust: Trust = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Opens the workbench on a chat with the model; with --prompt it answers once on stdout."""
    from tui_tuner.paths import runs_dir as runs_place

    given = {
        "max_tokens": max_tokens, "temperature": temperature, "top_p": top_p, "top_k": top_k, "min_p": min_p,
        "repetition_penalty": repetition_penalty, "seed": seed,
    }  # fmt: skip
    chosen = _sampling(sampling, given, stop or ())
    place = runs_place(runs_dir)
    voice = _voice(model, adapter, chat_template, place)
    voices = _compared(compare, voice, place) if compare is not None else []
    if prompt is None:
        return _open_chat(voice, voices, system or "", chosen, plain=plain, runs_dir=runs_dir, json=json)
    if logprobs and not json:
        raise TunerError("--logprobs needs --json", code="usage", fix="give both", usage=True)
    text = sys.stdin.read() if prompt == "-" else prompt
    messages = ([{"role": "system", "content": system}] if system else []) + [{"role": "user", "content": text}]
    with opened(json=json, debug=debug) as output:
        asker = _Asker(output, messages, chosen, plain=plain, logprobs=logprobs, reference=reference)
        return asker.compare(voices) if compare is not None else asker.ask(voice)


def _sampling(name: str | None, given: Mapping[str, float | None], stop: Sequence[str]) -> Sampling:
    """The named set of settings, greedy without a name, with what was given beside it."""
    from tui_tuner.chat.sampling import GREEDY, named_set
    from tui_tuner.settings import load_settings

    chosen = named_set(name, GREEDY, load_settings().sampling) if name is not None else GREEDY
    for key, value in given.items():
        chosen = chosen if value is None else chosen.changed(key, str(value))
    return replace(chosen, stop=tuple(text.replace("\\n", "\n") for text in stop if text))


class _Asker:
    """Asks voices one question and tells what they answer."""

    def __init__(
        self,
        output: Output,
        messages: list[dict[str, str]],
        sampling: Sampling,
        *,
        plain: bool,
        logprobs: bool,
        reference: str | None,
    ) -> None:
        self._output, self._messages, self._sampling = output, messages, sampling
        self._plain, self._logprobs, self._reference = plain, logprobs, reference

    def ask(self, voice: Voice) -> int:
        """One answer.

        Raises:
            TunerError: it failed, or was stopped before it began.
        """
        from tui_tuner.cli.headless import one_engine

        with one_engine() as engine:
            document = self._answer(engine, voice)
        if self._output.json:
            self._output.document(document)
        return self._status(document)

    def _status(self, document: Mapping[str, Any]) -> int:
        """1 for an answer that was stopped, of which that is said."""
        if document["finish"] != "stopped":
            return 0
        self._output.note(f"stopped after {document['tokens']} tokens; the same command asks anew")
        return 1

    def compare(self, voices: list[Voice]) -> int:
        """An answer of each; one that fails is told of, and does not end the others."""
        from tui_tuner.cli.headless import one_engine

        documents: list[dict[str, Any]] = []
        failed = 0
        with one_engine() as engine:
            for number, voice in enumerate(voices):
                if not self._output.json:
                    self._output.say(("\n" if number else "") + f"── {voice.label}")
                try:
                    documents.append({"label": voice.label, **self._answer(engine, voice)})
                    if status := self._status(documents[-1]):
                        failed += status
                        break
                except TunerError as error:
                    failed += 1
                    documents.append({"label": voice.label, **error.as_json()})
                    if not self._output.json:
                        self._output.error(error)
                    if error.code == "stopped":
                        break
        if self._output.json:
            self._output.document({"answers": documents})
        return 1 if failed else 0

    def _answer(self, engine: LocalEngine, voice: Voice) -> dict[str, Any]:
        from tui_tuner.cli.headless import attend
        from tui_tuner.engine.requests import ChatTurn, LookInside

        turn = ChatTurn(voice, self._messages, self._sampling, plain=self._plain)
        reply = attend(engine, turn, self._streaming(turn.sink.take))
        if reply is None:
            raise TunerError("stopped before the answer began", code="stopped")
        document: dict[str, Any] = reply.as_json()
        if not self._output.json:
            self._output.stream("\n")
        if self._logprobs:
            look = LookInside(voice, self._messages, reply.text, tuple(reply.token_ids), plain=self._plain)
            document["logprobs"] = attend(engine, look).as_json()
        if self._reference is not None:
            inside = attend(engine, LookInside(voice, self._messages, self._reference, plain=self._plain))
            document["reference"] = {
                "tokens": len(inside.losses),
                "loss": inside.mean,
                "perplexity": inside.perplexity,
                **({"logprobs": inside.as_json()} if self._logprobs else {}),
            }
            if not self._output.json and inside.mean is not None:
                self._output.say(f"the reference: {inside.mean:.4f} nats a token, perplexity {inside.perplexity:.2f}")
        return document

    def _streaming(self, take: Callable[[], str]) -> Callable[[], None]:
        def show() -> None:
            if not self._output.json and (text := take()):
                self._output.stream(text)

        return show


def _voice(model: str, adapter: Path | None, template: str, runs: Path) -> Voice:
    """Whom the arguments name: a model, alone or with an adapter, or a run."""
    from tui_tuner.chat.voices import Voice
    from tui_tuner.engine.voices import run_of, voice_of_run

    run = None
    if adapter is None:
        try:
            run, which = run_of(model, runs)
        except TunerError as error:
            if error.code == "run-ambiguous":
                raise
    if run is None:
        return Voice(model, adapter, "base" if adapter is None else str(adapter), template)
    voice = voice_of_run(run, which)
    return voice if template == "auto" else replace(voice, template=template)


def _compared(text: str, here: Voice, runs: Path) -> list[Voice]:
    """The voices of `--compare`.

    Raises:
        TunerError: one of them is nobody, or they are too many.
    """
    from tui_tuner.engine.voices import voice_of

    voices = [voice_of(spec, runs, here) for spec in text.split(",") if spec.strip()]
    if not 2 <= len(voices) <= _MOST:
        raise TunerError(
            f"{len(voices)} voices cannot be compared",
            code="usage",
            where="--compare",
            fix=f"name two to {_MOST}, with commas between them",
            usage=True,
        )
    return voices


def _open_chat(
    voice: Voice,
    voices: list[Voice],
    system: str,
    sampling: Sampling,
    *,
    plain: bool,
    runs_dir: Path | None,
    json: bool,
) -> int:
    from tui_tuner.cli.output import has_terminal

    if json or not has_terminal():
        raise TunerError(
            "chat needs a prompt where there is no terminal",
            code="usage",
            fix='give one with --prompt "…"',
            usage=True,
        )
    from tui_tuner.cli.screen import open_workbench
    from tui_tuner.models.adapters import read_adapter_config
    from tui_tuner.models.folder import check_folder, locate
    from tui_tuner.paths import is_repository_name, resolve_model
    from tui_tuner.ui.state import ChatTarget

    # A mistake is said here and not behind a screen; what the hub may have to send first, the screen waits for.
    found = resolve_model(voice.model, None)
    if found != voice.model or not is_repository_name(voice.model):
        check_folder(locate(voice.model))
    if voice.adapter is not None:
        read_adapter_config(voice.adapter.parent if voice.adapter.is_file() else voice.adapter)
    target = ChatTarget(found, voice.adapter, system, sampling, voice.template, plain, tuple(voices))
    return open_workbench(runs_dir, chat=target)
