"""The probes of a run: fixed prompts, answered by the untrained model and again and again by the model in training.

An answer is greedy and belongs to a step; what has one is not asked again, also after a resumption. Asking must never
change what is trained: whoever calls keeps the random key. A prompt that cannot be asked costs a run that goes on
nothing but a line in its log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tui_tuner.config import Experiment
from tui_tuner.data.examples import opening_tokens
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.generate import greedy_answers
from tui_tuner.runs import Event
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.probes import added_prompts, prompt_of
from tui_tuner.runs.progress import Emit, Throttle


def probe_tokens(experiment: Experiment, tokenizer: Any) -> dict[str, list[int]]:
    """Token ids of each of the configured probes, by prompt.

    Raises:
        TunerError: the model's chat template refuses one, and so the experiment.
    """
    found = {}
    for number, prompt in enumerate(experiment.probes.prompts, 1):
        try:
            found[prompt] = opening_tokens(prompt, tokenizer)
        except TunerError as error:
            where = f"probes.prompts, item {number}"
            raise TunerError(error.message, code=error.code, where=where, fix=error.fix) from error
    return found


class Probes:
    """Asks a run's probes. Called on the MLX thread only.

    Args:
        experiment: for the prompts and the longest answer.
        tokenizer: the model's.
        tree: the model in training, in training mode.
        untrained: makes the model as it was before the first step, in evaluation mode; called anew each time, so that
            nobody holds on to it.
        events: requests of the run's log, for prompts that were added on the way, and the answers there are.
        from_step: the step the run goes on from; answers beyond it are void.

    Raises:
        TunerError: as `probe_tokens`.
    """

    def __init__(
        self,
        experiment: Experiment,
        tokenizer: Any,
        tree: Any,
        *,
        untrained: Callable[[], Any],
        events: Sequence[Event] = (),
        from_step: int = 0,
        emit: Emit,
        control: JobControl,
    ) -> None:
        self._experiment, self._tokenizer, self._tree, self._untrained = experiment, tokenizer, tree, untrained
        self._emit, self._control = emit, control
        self._ids = probe_tokens(experiment, tokenizer)
        for prompt in added_prompts(events):
            self._take(prompt)
        samples = (event for event in events if event["type"] == "sample" and event["step"] <= from_step)
        self._answered = {(int(sample["step"]), str(sample["prompt"])) for sample in samples}

    # -- what the loop asks for -----------------------------------------------------------------------------------
    def ask(self, step: int) -> None:
        """Answers what has no answer yet: by the untrained model, and by the one after `step` updates.

        Each answer is an event as soon as it is whole.

        Raises:
            StopRequested: between two tokens, once a stop is asked.
        """
        first, now = self._open(0), self._open(step) if step else []
        tell = Throttle(self._emit, "probes", len(first) + len(now))
        if first:
            self._ask_untrained(first, tell)
        if now:
            self._tree.eval()
            try:
                self._answer(self._tree, step, now, tell, len(first))
            finally:
                self._tree.train()

    def _ask_untrained(self, prompts: list[str], tell: Throttle) -> None:
        """Step 0; weights to start from that are no longer there cost the answers, not the run."""
        try:
            model = self._untrained()
        except TunerError as error:
            self._warn(f"what the model said before training cannot be had: {error.sentence()}")
            self._answered.update((0, prompt) for prompt in prompts)  # once in a session is enough
            tell(len(prompts))
            return
        self._answer(model, 0, prompts, tell, 0)

    def admit(self, value: Any) -> bool:
        """Takes in a wish: a new prompt, or None for those there are; whether there is anything to ask."""
        if value is not None:
            return self._take(value)
        if not self._ids:
            self._warn("there are no probes to ask: add a prompt, or give some in probes.prompts")
        return bool(self._ids)

    def rewind(self, step: int) -> None:
        """Forgets what was answered beyond `step`: the run went back to it."""
        self._answered = {known for known in self._answered if known[0] <= step}

    # -- prompts --------------------------------------------------------------------------------------------------
    def _take(self, value: Any) -> bool:
        """Makes a text one of the probes; says so in the log when it cannot be one."""
        try:
            prompt = prompt_of(value)
            ids = self._ids.get(prompt) or opening_tokens(prompt, self._tokenizer)
        except TunerError as error:
            self._warn(f"the probe is left out: {error.sentence()}")
            return False
        longest = self._experiment.train.max_seq_length
        if len(ids) > longest:
            self._warn(f"the probe is left out: it has {len(ids)} tokens, and train.max_seq_length is {longest}")
            return False
        self._ids[prompt] = ids
        return True

    def _warn(self, text: str) -> None:
        self._emit("log", level="warning", text=text)

    # -- answers --------------------------------------------------------------------------------------------------
    def _open(self, step: int) -> list[str]:
        return [prompt for prompt in self._ids if (step, prompt) not in self._answered]

    def _answer(self, model: Any, step: int, prompts: list[str], tell: Throttle, before: int) -> None:
        """Answers prompts with a tree in evaluation mode; `before` were answered already at this look."""
        settings, done = self._experiment.evaluation, before

        def between(made: int) -> None:
            if done < before + len(prompts):  # the last answer tells for itself
                tell(done, f"step {step}: {made:,} tokens")
            # A pause waits for the end of it, which is near: somebody may have paused in order to ask.
            self._control.check()

        for answer in greedy_answers(
            model,
            self._tokenizer,
            [self._ids[prompt] for prompt in prompts],
            max_tokens=self._experiment.probes.max_tokens or settings.max_tokens,
            batch_size=min(len(prompts), settings.batch_size),
            control=self._control,
            between=between,
        ):
            prompt = prompts[answer.index]
            self._emit("sample", step=step, prompt=prompt, text=answer.text)
            self._answered.add((step, prompt))
            done += 1
            tell(done)
