"""Actions of the app itself and of the home, train and runs screens."""

from __future__ import annotations

from tui_tuner.ui.actions.model import Action

MODES: dict[str, tuple[str, str, str]] = {
    "home": ("0", "Home", "What you can start, and what you did last"),
    "models": ("1", "Models", "The models: which there are, what they are, what can be made of them"),
    "data": ("2", "Data", "The data exactly as the model will see it"),
    "config": ("3", "Config", "Every setting of the experiment"),
    "train": ("4", "Train", "The run: stages, curves, result"),
    "benchmark": ("5", "Benchmark", "Before against after, row by row"),
    "chat": ("6", "Chat", "Talk to the model, with and without the adapter"),
    "runs": ("7", "Runs", "Every run and its state"),
}
"""Mode name → (key, label, what it shows), in the order of the tabs."""

_TRAIN = frozenset({"train"})
_RUNS = frozenset({"runs"})
_HOME = frozenset({"home"})

APP_ACTIONS: list[Action] = [
    *(
        Action(f"app.{mode}", f"{key},alt+{key}", f"app.mode('{mode}')", label, f"{about}.", "Go to", priority=False)
        for mode, (key, label, about) in MODES.items()
    ),
    Action("app.back", "escape", "back", "Back", "Leaves a text field; from there, goes home.", "Go to", palette=False),
    Action("app.start", "f5", "app.start_run", "Start", "Starts a run of the experiment that is set up.", "Run"),
    Action("app.enqueue", "f6", "app.enqueue", "Queue",
           "Puts a run of the experiment that is set up at the end of the queue.", "Run"),
    Action("app.help", "question_mark,f1", "app.help", "Help", "Shows every key of this screen.", "App", footer=True),
    Action(
        "app.palette", "ctrl+p", "app.command_palette", "Commands", "Finds anything the app can do by its name.", "App",
        footer=True, priority=True, palette=False,
    ),
    Action("app.theme", "t", "app.next_theme", "Theme", "Switches between the dark and the light theme.", "App"),
    Action("app.screenshot", "ctrl+s", "app.save_picture", "Picture", "Saves the screen as an SVG picture.", "App"),
    Action(
        "app.quit", "ctrl+q", "app.quit", "Quit", "Leaves the app; asks first when a run is going.", "App",
        footer=True, priority=True,
    ),
]  # fmt: skip

SHELL_ACTIONS: list[Action] = [
    Action("home.quickstart", "q", "quickstart", "Quickstart",
           "Runs the whole loop on the embedded tiny model.", "Start", _HOME, footer=True),
    Action("home.queue", "p", "queue", "Queue on/off",
           "Pauses the queue, so that nothing more begins; the same key goes on.", "Queue", _HOME, footer=True),
    Action("train.pause", "space,p", "pause", "Pause",
           "Pauses between two steps; the same key goes on.", "Run", _TRAIN, footer=True),
    Action("train.stop", "s", "stop", "Stop",
           "Stops and saves after the current step; the run can be resumed.", "Run", _TRAIN, footer=True),
    Action("train.resume", "r", "resume", "Resume",
           "Goes on exactly where the run was stopped or interrupted.", "Run", _TRAIN, footer=True),
    Action("train.learning_rate", "n", "learning_rate", "Rate",
           "Sets another learning rate, as a figure or as a factor.", "Run", _TRAIN, footer=True),
    Action("train.advice", "a", "advice", "Advice",
           "Goes to the run doctor's advice; there, offers a new run that follows what is selected.", "Advice",
           _TRAIN, footer=True),
    Action("train.mark_advice", "x", "mark_advice", "Mark",
           "Marks the selected advice, so that several are followed together.", "Advice", _TRAIN, footer=True),
    Action("train.probes", "b", "probes", "Probes",
           "Shows what the model says to fixed prompts as it learns, step by step; asks them now, adds one.",
           "Run", _TRAIN, footer=True),
    Action("train.log_scale", "l", "log_scale", "Log scale",
           "Switches the loss axis between linear and logarithmic.", "Chart", _TRAIN, footer=True),
    Action("train.smoothing", "m", "smoothing", "Smoothing",
           "Steps through the strengths of smoothing of the loss curve.", "Chart", _TRAIN, footer=True),
    Action("train.evaluate", "e", "evaluate_now", "Validate now",
           "Measures the validation loss after the current step.", "Run", _TRAIN),
    Action("train.checkpoint", "c", "checkpoint_now", "Checkpoint now",
           "Writes a checkpoint after the current step.", "Run", _TRAIN),
    Action("train.finish_epoch", "w", "finish_epoch", "Finish after this epoch",
           "Ends training when this epoch is through, and evaluates as usual.", "Run", _TRAIN),
    Action("train.panel", "v", "next_panel", "Lower pane",
           "Steps the lower panel through result, samples, advice and log.", "Chart", _TRAIN, footer=True),
    Action("runs.open", "enter", "open", "Open", "Opens the run on the train screen.", "Run", _RUNS,
           footer=True, palette=False),
    Action("runs.resume", "r", "resume", "Resume",
           "Goes on exactly where the run was stopped or interrupted.", "Run", _RUNS, footer=True),
    Action("runs.benchmark", "b", "benchmark", "Benchmark", "Opens the run's before and after.", "Run", _RUNS,
           footer=True),
    Action("runs.chat", "c", "chat", "Chat", "Talks to the run's result.", "Run", _RUNS, footer=True),
    Action("runs.reuse", "u", "reuse", "Use config",
           "Loads the run's configuration as the experiment to edit and start.", "Run", _RUNS, footer=True),
    Action("runs.queue", "p", "queue", "Queue on/off",
           "Pauses the queue, so that nothing more begins; the same key goes on.", "Queue", _RUNS, footer=True),
    Action("runs.sooner", "minus,left_square_bracket", "sooner", "Sooner", "Moves the run up in the queue.", "Queue",
           _RUNS, footer=True),
    Action("runs.later", "plus,right_square_bracket", "later", "Later", "Moves the run down in the queue.", "Queue",
           _RUNS, footer=True),
    Action("runs.enqueue", "a", "enqueue", "Add to queue",
           "Puts a run that was stopped, or never began, at the end of the queue.", "Queue", _RUNS, footer=True),
    Action("runs.remove", "x", "remove", "Take out",
           "Takes the run out of the queue; the folder of one that never began is put aside.", "Queue", _RUNS,
           footer=True),
    Action("runs.sweep", "w", "sweep", "Sweep",
           "Shows the runs of the run's sweep side by side, ranked and compared.", "Queue", _RUNS, footer=True),
    Action("runs.find", "slash", "find", "Find",
           "Finds runs by words, states and figures: `state:finished lr>=1e-4 model:phi`; escape empties it.", "List",
           _RUNS, footer=True),
    Action("runs.sort", "s", "sort", "Sort",
           "Steps through the orders: newest, best validation loss, oldest, name, state, longest.", "List", _RUNS,
           footer=True),
    Action("runs.group", "g", "group", "Groups",
           "Folds the sweep under the cursor to its heading, and back; elsewhere groups sweeps, or lists each run.",
           "List", _RUNS),
    Action("runs.mark", "space", "mark", "Mark", "Marks the run, so that several are handled together.", "List", _RUNS,
           footer=True),
    Action("runs.note", "t", "note", "Tags, note", "Notes something of the run: tags and a line of text.", "Note",
           _RUNS, footer=True),
    Action("runs.pin", "i", "pin", "Pin", "Keeps the chosen runs before all others, or no longer.", "Note", _RUNS),
    Action("runs.archive", "h", "archive", "Archive",
           "Leaves the chosen runs out of the list, unless `is:archived` asks for them; again brings them back.",
           "Note", _RUNS),
    Action("runs.delete", "d", "delete", "Delete",
           "Puts the chosen runs aside; z brings them back, and later `tui-tuner restore`.", "Note", _RUNS,
           footer=True),
    Action("runs.undelete", "z", "undelete", "Undelete", "Brings the last deleted runs back.", "Note", _RUNS,
           footer=True),
]  # fmt: skip
