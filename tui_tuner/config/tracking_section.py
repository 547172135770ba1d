"""The section `[tracking]`: whether a run's figures also go to an experiment tracker, and under which names.

As in the rest of the model, the text under a key is its help. Nothing is sent unless `to` names somebody; how it is
sent is `tui_tuner.tracking`'s matter.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from tui_tuner.config.types import AS_LIST, ConflictError, Line, Name, Names, Section, Switch

TrackerName = Literal["trackio", "wandb"]
"""The trackers that there are."""
TRACKERS: tuple[TrackerName, ...] = get_args(TrackerName)


class TrackingSection(Section):
    """Experiment trackers that get the run's figures as well; nothing is sent unless one is named."""

    to: Annotated[list[TrackerName], AS_LIST] = Field(default_factory=list)
    """Which trackers get a copy of the run's figures: "trackio" keeps them on this machine (or in a Space on the Hub),
    "wandb" sends them to Weights & Biases. Empty sends nothing. The library must be installed beside tui_tuner; when it
    fails, the run goes on."""
    project: Name = "tui-tuner"
    """The project that the run is filed under there."""
    name: Line = ""
    """What the run is called there; empty takes the name of its folder, which no other run has."""
    entity: Line = ""
    """The user or team at Weights & Biases whose project it is; empty takes your own. Trackio has none."""
    space: Line = ""
    """The Space on the Hugging Face Hub that Trackio sends to, such as "me/trackio"; empty keeps everything on this
    machine."""
    tags: Names = Field(default_factory=list)
    """Words by which the run can be found there, beside its name."""
    offline: Switch = False
    """Whether nothing goes over the network: Weights & Biases writes files into the run's folder, for `wandb sync`
    later, and Trackio stays on this machine."""
    samples: Switch = False
    """Whether texts go along: probes with their answers, prompts, templates, system messages, behaviour cases and
    notes. Off, only figures, settings and names go."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.to)) < len(self.to):
            raise ConflictError("to", "names a tracker twice", "name each tracker once")
        return self
