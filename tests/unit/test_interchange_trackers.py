"""What other tools' files say of trackers: brought over with a mark; a file that asks for none sends nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tui_tuner.config.interchange.importing import import_text

FILES: list[tuple[str, str, dict[str, Any]]] = [
    ("mlx-lm", "model: m\nreport_to: wandb,swanlab\nproject_name: mine\n", {"to": ["wandb"], "project": "mine"}),
    ("mlx-lm", "model: m\nreport_to: swanlab\nproject_name: mine\n", {}),
    ("axolotl", "wandb_project: p\nwandb_entity: me\nwandb_name: n\nwandb_mode: offline\n",
     {"to": ["wandb"], "project": "p", "entity": "me", "name": "n", "offline": True}),
    ("axolotl", "wandb_project: p\nwandb_mode: disabled\nreport_to: tensorboard\n", {}),
    ("axolotl", "use_trackio: true\ntrackio_project_name: p\n", {"to": ["trackio"], "project": "p"}),
    ("llama-factory", "report_to: none\nrun_name: x\nfinetuning_type: lora\n", {}),
    ("unsloth", "training: {report_to: [trackio], project: p, trackio_space_id: me/s, run_name: r}\n",
     {"to": ["trackio"], "space": "me/s", "project": "p", "name": "r"}),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "text", "ours"), FILES, ids=range(len(FILES)))
def test_trackers_come_over(dialect: str, text: str, ours: dict[str, Any]) -> None:
    found = import_text(text, "f", dialect)
    assert dict(found.tables.get("tracking", {})) == ours
    if ours:
        asks = [entry for entry in found.entries if entry.ours == "tracking.to"]
        assert all(entry.warning for entry in asks) and (asks or any("tracking.to" in note for note in found.notes))
    assert found.experiment(["model.path=m", "data.source=d"]).tracking.to == ours.get("to", [])
