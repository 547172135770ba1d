"""How much memory a base takes, and how much more the same base with an adapter beside it: MODEL.

Prints bytes in use: with the base loaded, and with a second tree on its arrays that has an adapter on every linear
module, both having answered a row.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

from tui_tuner.models.libraries import ready


def main() -> None:
    ready()
    import mlx.core as mx

    from tui_tuner.config import AdapterSection
    from tui_tuner.evaluation.generate import greedy_answers
    from tui_tuner.models.adapters import attach
    from tui_tuner.models.load import fresh_tree, load_base
    from tui_tuner.runs.control import JobControl

    base = load_base(Path(sys.argv[1]))
    prompt = list(base.tokenizer.encode("one two three"))

    def used(*models: object) -> int:
        for model in models:
            list(greedy_answers(model, base.tokenizer, [prompt], max_tokens=4, batch_size=1, control=JobControl()))
        gc.collect()
        mx.clear_cache()
        return int(mx.get_active_memory())

    alone = used(base.model)
    tree = fresh_tree(base)
    attach(tree, AdapterSection(rank=8))
    tree.eval()
    mx.eval(tree.parameters())
    print(json.dumps({"base": alone, "both": used(base.model, tree)}))


if __name__ == "__main__":
    main()
