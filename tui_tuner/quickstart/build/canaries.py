"""What the base model can do, as canaries: a few questions of each skill, with the one right answer to each.

They are about players of the exam, whom neither pre-training nor the table knows. Whoever fine-tunes the model sees by
them which of its skills went.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from .skills import SKILLS, draw_conversation
from .world import EXAM

__all__ = ["CASES", "canaries", "write_canaries"]

CASES = 8
"""Questions of each skill."""


def canaries(seed: int) -> dict[str, list[dict[str, str]]]:
    """The cases by skill: `prompt`, and in `equals` the answer. Only skills of a single turn."""
    found: dict[str, list[dict[str, str]]] = {}
    for skill in SKILLS:
        rng = random.Random(f"canaries-{seed}-{skill}")
        cases: dict[str, str] = {}
        tries = 0
        while len(cases) < CASES and tries < 50 * CASES:
            tries += 1
            turns = draw_conversation(rng, EXAM, skill)
            if len(turns) == 1:
                cases.setdefault(*turns[0])
        if cases:
            found[skill] = [{"prompt": prompt, "equals": answer} for prompt, answer in cases.items()]
    return found


def write_canaries(path: Path, seed: int) -> None:
    """The cases as JSON, one a line."""
    groups = []
    for skill, cases in canaries(seed).items():
        lines = ",\n  ".join(json.dumps(case, ensure_ascii=False) for case in cases)
        groups.append(f' "{skill}": [\n  {lines}\n ]')
    path.write_text("{\n" + ",\n".join(groups) + "\n}\n", encoding="utf-8")
