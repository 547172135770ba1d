"""What a rank other than 0 does: wait until the training begins, train along, and end. On the MLX thread.

It writes nothing of the run but its own log: rank 0 holds the lock, and checks, prepares, evaluates and judges.
"""

from __future__ import annotations

from typing import Any

from tui_tuner.config import load_experiment
from tui_tuner.data.prepare import read_prepared
from tui_tuner.engine.awake import kept_awake
from tui_tuner.engine.chat_form import form_of_run
from tui_tuner.engine.consent import allow_code
from tui_tuner.engine.new_run import read_base
from tui_tuner.engine.output import printing_to
from tui_tuner.engine.patience import Patience
from tui_tuner.engine.requests import RankPlace
from tui_tuner.engine.rows import tokenised
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.engine.train_stage import TrainStage, make_order
from tui_tuner.errors import TunerError, brief
from tui_tuner.models.device import working_memory
from tui_tuner.models.libraries import ready
from tui_tuner.runs import EventTail, RunFolder
from tui_tuner.runs.control import JobControl
from tui_tuner.training.distributed import Group
from tui_tuner.training.ranks import ALONE, Ranks

_LOOK = 0.5


def connect(place: RankPlace) -> Ranks:
    """The group of the ranks, once all of them are there.

    Raises:
        TunerError: `ranks-not-connected`.
    """
    if place.size == 1:
        return ALONE
    import mlx.core as mx

    try:
        group = mx.distributed.init(strict=True, backend=place.backend)
        found = int(group.size())
    except (RuntimeError, ValueError) as error:
        raise _unconnected(f"({brief(error)})") from error
    if found != place.size:
        raise _unconnected(f"(there are {found} of {place.size})")
    return Group(group)


def join_run(folder: RunFolder, control: JobControl, shelf: ModelShelf, place: RankPlace) -> dict[str, Any]:
    """Trains along with rank 0 when the run comes to it; returns how that ended.

    Raises:
        TunerError: when this machine has not what it needs, or another rank is gone.
    """
    ready()
    with printing_to(folder.path / f"engine-rank{place.rank}.log"), kept_awake(), working_memory():
        tail = EventTail(folder.events)
        tail.poll()  # of earlier sessions
        experiment = load_experiment(folder.config)
        ranks = connect(place)
        form = form_of_run(folder, experiment)
        # Now, so that what is missing is missed early.
        allow_code(experiment)
        base = shelf.base(experiment.model.path, read_base(folder), form)
        if not _training_begins(tail, control):
            return {"status": "finished"}
        train, valid = tokenised(experiment, base, prepared := read_prepared(folder.data))
        stage = TrainStage(
            folder,
            experiment,
            base,
            make_order(experiment, train, valid, place.size),
            prepared.valid,
            emit=lambda type, **fields: None,
            advise=lambda advice: None,
            control=control,
            patience=Patience(control, lambda seconds: None),
            ranks=ranks,
        )
        return {"status": stage.run().status}


def _training_begins(tail: EventTail, control: JobControl) -> bool:
    """Waits for rank 0 to come to the training; False when there is none to come, or a stop is asked."""
    while not control.stop_requested:
        begun = ended = False
        for event in tail.poll():
            if event["type"] == "run_started":
                begun = ended = False
            elif event["type"] == "stage" and event.get("status") == "running":
                begun, ended = event.get("name") == "train", event.get("name") in ("evaluate", "verdict")
            ended = ended or event["type"] == "run_finished"
        if begun or ended:
            return not ended
        control.wait_for_stop(_LOOK)
    return False


def _unconnected(why: str) -> TunerError:
    return TunerError(
        f"the ranks could not be connected {why}",
        code="ranks-not-connected",
        fix="check that each address in the hosts file is the machine's own and can be reached from the others",
    )
