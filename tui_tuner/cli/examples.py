"""What the help of each command ends with: examples, and what its exit status says beyond done, failed and wrong usage.

Both the help and the manual pages are written from here; a test reads every example as the command line would. It is
imported only when somebody asks for help.
"""

from __future__ import annotations

from dataclasses import dataclass

STATUS = "0 when it is done, 1 when the job failed or was stopped, 2 when the command was wrong."

TOPICS: dict[str, tuple[str, ...]] = {
    "Begin": ("quickstart", "run", "resume", "attach", "serve"),
    "Presets": ("presets", "diff", "save-preset", "import-config", "export-config"),
    "Before a run": ("data", "check", "forecast"),
    "While it runs": ("stop", "steer", "advice", "probes", "system"),
    "Several runs": ("queue", "sweep", "runs", "label", "delete", "restore"),
    "Did it help?": ("evaluate", "checkpoints", "score", "compare", "report", "track", "bundle", "replay"),
    "Models": ("models", "download", "upload", "inspect", "convert", "fuse", "export", "import"),
    "Chat": ("chat", "chats"),
    "The program": ("keys", "man"),
}
"""Every command that is shown, under what it is for."""


@dataclass(frozen=True)
class Ending:
    """What a command's help ends with.

    Attributes:
        examples: what it is good for, and the command line that does it, without the program's name.
        status: what its exit status says, where that is more than `STATUS`.
    """

    examples: tuple[tuple[str, str], ...]
    status: str = STATUS


def _of(*examples: tuple[str, str], one: str = "") -> Ending:
    """An ending.

    Args:
        one: what exit status 1 says, besides that something failed.
    """
    return Ending(
        examples,
        f"0 when it is done, 1 {one} or anything else failed, 2 when the command was wrong." if one else STATUS,
    )


ENDINGS: dict[str, Ending] = {
    "": _of(
        ("Open the workbench", ""),
        ("Begin a preset's run at once, shortened", "--preset quickstart --set train.iters=50 --start"),
    ),
    "quickstart": _of(
        ("See the whole loop", "quickstart"),
        ("The same in a script, as one JSON document", "quickstart --json"),
    ),
    "run": _of(
        ("Train a preset with two keys changed", "run quickstart --set train.iters=200 --set adapter.rank=4"),
        ("Train with two processes of this machine", "run my-preset.toml -n 2"),
        one="when the run was stopped",
    ),
    "resume": _of(
        ("Go on with the newest run", "resume last"),
        one="when the run was stopped again",
    ),
    "attach": _of(
        ("Watch the newest run, in whichever process it is", "attach last"),
        ("Watch a run of stock mlx-lm", "attach --log train.log"),
        ("Wait for a run's end in a script", "attach last --follow"),
        one="with --follow when the run failed or was stopped,",
    ),
    "serve": _of(
        ("Open the workbench in a browser here", "serve --open-browser"),
        ("Any free port, its address as JSON", "serve --port 0 --json"),
        one="when it was ended before all windows had saved their runs",
    ),
    "presets": _of(("Which presets there are", "presets")),
    "diff": _of(("What the newest run did otherwise than its preset", "diff quickstart last")),
    "save-preset": _of(
        ("Keep what a run was trained with", "save-preset players-long --from last --set train.iters=800"),
    ),
    "import-config": _of(
        ("Only see what would become of each key", "import-config lora_config.yaml"),
        ("Make it a preset", "import-config lora_config.yaml --to mine"),
    ),
    "export-config": _of(
        ("A file for mlx_lm.lora --config", "export-config last --to stock.yaml"),
        ("A preset, with its rows prepared", "export-config quickstart --data rows --to stock.yaml"),
    ),
    "data": _of(
        ("Look at a file as a model would see it", "data rows.jsonl --model embedded:phi3-tiny"),
        one="when a problem blocks training",
    ),
    "check": _of(
        ("Look whether a preset would run", "check quickstart"),
        one="when something would fail",
    ),
    "forecast": _of(
        ("Memory, time and disk of a run", "forecast quickstart"),
        ("What to change so that it fits in 16 GB", "forecast xsum-phi3 --fit --memory 16"),
        one="with --fit when no change makes it fit,",
    ),
    "stop": _of(
        ("Stop the newest run and save it", "stop last"),
        one="when nobody runs it",
    ),
    "steer": _of(
        ("Half the learning rate after this step", "steer last learning-rate x0.5"),
        ("Validate now", "steer last evaluate"),
        one="when nobody runs the run, its training is over",
    ),
    "advice": _of(("What the run doctor noticed", "advice last")),
    "probes": _of(("How answers to fixed prompts changed", "probes last")),
    "queue": _of(
        ("Put a run at the end of the queue", "queue add quickstart --set train.iters=200"),
        ("Let the second go first", "queue move 2 top"),
        ("Work it off here, one run after the other", "queue run"),
        one="when a run that it worked off did not finish",
    ),
    "sweep": _of(
        ("What would be queued", "sweep facts-phi3.5 --dry-run"),
        ("Queue, work off and compare", "sweep facts-phi3.5 --run"),
        one="when a run of it did not finish",
    ),
    "runs": _of(
        ("All runs, the newest first", "runs"),
        ("Finished ones with a high rate, the best first", "runs 'state:finished lr>=1e-4 sort:best'"),
    ),
    "label": _of(("Note why a run was made", "label last --tag paper --note 'rank 4, as in table 2'")),
    "delete": _of(
        ("Put a run aside", "delete quickstart-20260302-095400"),
        ("Free the space of all that were", "delete --for-good --yes"),
    ),
    "restore": _of(("Bring a run back", "restore quickstart-20260302-095400")),
    "evaluate": _of(
        ("Fifty rows with an adapter", "evaluate embedded:phi3-tiny --adapter adapters --data rows.jsonl --limit 50"),
        ("A checkpoint of a run, kept with it", "evaluate last:100 --label step-100"),
    ),
    "checkpoints": _of(
        ("Score every checkpoint of a run", "checkpoints last"),
        ("Make the best one its adapter", "checkpoints last --use best"),
    ),
    "score": _of(
        ("Predictions and references in one file", "score predictions.jsonl"),
        ("In two text files, a line each", "score said.txt --references right.txt --metrics rouge1,bleu"),
    ),
    "compare": _of(
        ("A run's answers after against before", "compare last"),
        ("Two files of anybody's", "compare before.jsonl after.jsonl"),
    ),
    "report": _of(
        ("One page with charts", "report last --html report.html"),
        ("A line per row, for a spreadsheet", "report last --format csv --out rows.csv"),
    ),
    "track": _of(
        ("Keep a finished run in Trackio, on this machine", "track last --to trackio"),
        ("Send a run to Weights & Biases as it goes on", "track last --to wandb --project players --follow"),
        one="when a tracker is not installed, refused, or failed on the way",
    ),
    "bundle": _of(("A run in one file, for somebody else", "bundle last --to players.tar.gz")),
    "replay": _of(
        ("What differs between there and here", "replay players.tar.gz --check"),
        ("Run it again with the data", "replay players.tar.gz --data rows.jsonl"),
    ),
    "models": _of(("Which models there are, and whether they fit", "models")),
    "download": _of(("How much it would be, and whether there is room", "download owner/name --plan")),
    "upload": _of(("A run's adapter, for yourself", "upload last --repo ada/players-lora --private")),
    "inspect": _of(("What a model is made of", "inspect embedded:phi3-tiny")),
    "convert": _of(
        ("Only forecast", "convert owner/name --bits 4"),
        ("Quantize, and measure on your rows what it cost", "convert owner/name --bits 4 --to small --data rows.jsonl"),
    ),
    "fuse": _of(
        ("Measure how much of the fine-tune a merge would keep", "fuse last"),
        ("Merge the best checkpoint", "fuse last:best --to merged"),
        one="when the merged model would not keep the fine-tune",
    ),
    "export": _of(
        ("An adapter for PEFT", "export last --as peft --to my-adapter"),
        ("One file for llama.cpp", "export last --as gguf --to my-model.gguf"),
    ),
    "import": _of(("An adapter of PEFT", "import peft-folder --model embedded:phi3-tiny --to adapters")),
    "chat": _of(
        ("Talk to the newest run", "chat last"),
        ("One answer on stdout, base beside adapter", "chat last --prompt 'Who won?' --compare base,last"),
    ),
    "chats": _of(
        ("What was said about something", "chats --search 'Herons away'"),
        ("One conversation as Markdown", "chats last --export herons.md"),
    ),
    "system": _of(
        ("What this machine is at, and what of it cannot be had", "system"),
        ("A line of JSON every ten seconds", "system --watch --every 10 --json"),
    ),
    "keys": _of(("Every action with its id and its keys", "keys")),
    "man": _of(
        ("Read a page", "man run | man -l -"),
        ("Install all pages for yourself", "man --to ~/.local/share/man/man1"),
    ),
}
"""Every command that is shown, the program itself under the empty name."""
