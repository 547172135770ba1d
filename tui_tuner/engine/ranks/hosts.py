"""Which ranks there are and where they run: from a number, or from a hosts file of mlx's launcher. No mlx in here."""

from __future__ import annotations

import json
import secrets
import socket
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_tuner.config import Experiment
from tui_tuner.errors import TunerError

HERE = "127.0.0.1"
_PORTS = range(20000, 32000)  # below those that systems hand out by themselves
_TRIES = 100
BACKENDS = ("ring", "jaccl", "jaccl-ring", "nccl")
_EXAMPLE = (
    '{"backend": "ring", "hosts": [{"ssh": "mac-1", "ips": ["10.0.0.1"]}, {"ssh": "mac-2", "ips": ["10.0.0.2"]}]}'
)


@dataclass(frozen=True)
class RankPlan:
    """The ranks of a run.

    Attributes:
        hosts: by rank, the name that its machine is reached by.
        backend: what they talk over, one of `BACKENDS`.
        file: the hosts file, None for ranks on this machine.
    """

    hosts: tuple[str, ...]
    backend: str = "ring"
    file: Path | None = None

    @property
    def size(self) -> int:
        """How many ranks there are."""
        return len(self.hosts)

    @property
    def here(self) -> bool:
        """Whether all of them run on this machine."""
        return set(self.hosts) <= {HERE, "localhost"}

    @property
    def most_on_a_host(self) -> int:
        """How many share the machine that has the most of them."""
        return max(Counter(self.hosts).values())

    def options(self) -> list[str]:
        """What the commands `run` and `resume` are given to have these ranks."""
        return ["--hosts", str(self.file)] if self.file is not None else ["-n", str(self.size)]

    def launcher_options(self) -> list[str]:
        """What mlx's launcher is given.

        Raises:
            TunerError: when no ports are free for ranks on this machine.
        """
        options = ["--backend", self.backend]
        if self.here and self.backend == "ring":  # two runs at once must not meet on the launcher's fixed ports
            options += ["--starting-port", str(_free_ports(self.size))]
        if self.file is not None:
            # The launcher gives each rank of a host a GPU of its own by this number.
            several = ["--repeat-hosts", str(self.most_on_a_host)] if self.backend == "nccl" else []
            return [*options, *several, "--hostfile", str(self.file)]
        return [*options, "--hosts", HERE, "--repeat-hosts", str(self.size)]


def plan_ranks(number: int | None, file: Path | None) -> RankPlan | None:
    """The ranks that a command's options ask for; None for an ordinary run.

    Args:
        number: of `-n`: so many ranks on this machine.
        file: of `--hosts`.

    Raises:
        TunerError: when both are given, or the file is none.
    """
    if number is not None and file is not None:
        raise TunerError("-n and --hosts exclude each other", code="usage", fix="give one of them", usage=True)
    if file is not None:
        return _read(file.expanduser().absolute())
    return RankPlan((HERE,) * number) if number is not None and number > 1 else None


def check_ranks(experiment: Experiment, plan: RankPlan) -> None:
    """Makes sure that ranks can train it: each gets rows of a batch, and the model is there from the start.

    Raises:
        TunerError: `batch-and-ranks` when there are fewer rows than ranks, or, in stock mode, rows that are left over;
            `ranks-and-bits` when the model has to be quantized first.
    """
    model, train, size = experiment.model, experiment.train, plan.size
    if model.bits:
        raise TunerError(
            "several ranks cannot wait for a model to be quantized",
            code="ranks-and-bits",
            where="model.bits",
            fix=f"make it first with `tui-tuner convert {model.path} --bits {model.bits} --to FOLDER`, and name that "
            "folder as model.path",
        )
    if train.batch_size < size:
        what, fix = f"a batch of {train.batch_size} has fewer rows than there are ranks ({size})", f"{size} or more"
    elif train.mode == "stock" and train.batch_size % size:
        what = f"in stock mode {size} ranks cannot share a batch of {train.batch_size} evenly"
        fix = f"a multiple of {size}, or train.mode to fast"
    else:
        return
    raise TunerError(what, code="batch-and-ranks", where="train.batch_size", fix=f"set it to {fix}", usage=True)


def _read(file: Path) -> RankPlan:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _wrong(file, f"cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise _wrong(file, "is not valid JSON") from error
    given: Any = content.get("hosts") if isinstance(content, dict) else content
    if not isinstance(given, list) or not given:
        raise _wrong(file, "lists no hosts")
    backend = str(content.get("backend") or "ring") if isinstance(content, dict) else "ring"
    if backend not in BACKENDS:
        raise _wrong(file, f"names a backend that is not supported, “{backend}” (there are {', '.join(BACKENDS)})")
    for number, host in enumerate(given):
        if not isinstance(host, dict) or not isinstance(host.get("ssh"), str) or not host["ssh"]:
            raise _wrong(file, f"names no `ssh` for rank {number}")
        if not host.get("ips") and (backend == "ring" or number == 0):
            raise _wrong(file, f"lists no `ips` for rank {number}")
    return RankPlan(tuple(host["ssh"] for host in given), backend, file)


def _wrong(file: Path, what: str) -> TunerError:
    return TunerError(
        f"the hosts file {what}", code="bad-hosts", where=str(file), fix=f"write it like {_EXAMPLE}", usage=True
    )


def _free_ports(count: int) -> int:
    """The first of `count` ports in a row that nobody listens on, looked for from a place chosen by chance."""
    for _ in range(_TRIES):
        start = _PORTS.start + secrets.randbelow(len(_PORTS) - count)
        if all(_is_free(port) for port in range(start, start + count)):
            return start
    raise TunerError("no ports are free for the ranks to talk over", code="ranks-not-connected", where=HERE)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HERE, port))
        except OSError:
            return False
    return True
