"""Which keys two experiments differ in."""

from __future__ import annotations

import tomllib

from tui_tuner.config import experiment_from_text
from tui_tuner.config.difference import Difference, between

BASE = '[model]\npath = "m"\n[data]\nsource = "d"\n'


def test_only_what_differs_is_told_in_the_order_of_the_form_as_toml() -> None:
    a = experiment_from_text(BASE + "[train]\nlearning_rate = 1e-4\niters = 20\n", "a")
    b = experiment_from_text(
        '[train]\niters = 30\nlearning_rate = 1e-4\n[adapter]\ntargets = ["mlp"]\n'
        '[model]\npath = "the \\"m\\""\n[data]\nsource = "d"\n'
        '[[behaviour.cases]]\nname = "c"\nprompt = "p"\nmust_not = ["x"]\n',
        "b",
    )
    found = between(a, b)
    assert [each.key for each in found] == ["model.path", "adapter.targets", "train.iters", "behaviour.cases"]
    assert found[:3] == [
        Difference("model.path", '"m"', '"the \\"m\\""'),
        Difference("adapter.targets", "[]", '["mlp"]'),
        Difference("train.iters", "20", "30"),
    ]
    assert [tomllib.loads(f"x = {each.new}")["x"] for each in found][:3] == ['the "m"', ["mlp"], 30]
    assert tomllib.loads(f"x = {found[3].new}")["x"][0]["must_not"] == ["x"]
    assert [(each.old, each.new) for each in between(b, a)] == [(each.new, each.old) for each in found]
    assert between(a, a.model_copy(deep=True)) == []
