"""Actions of the models, data, config, benchmark and chat screens."""

from __future__ import annotations

from tui_tuner.ui.actions.model import Action

_MODELS = frozenset({"models"})
_DATA = frozenset({"data"})
_CONFIG = frozenset({"config"})
_BENCHMARK = frozenset({"benchmark"})
_CHAT = frozenset({"chat"})

WORKSHOP_ACTIONS: list[Action] = [
    Action("models.zoom", "z", "zoom", "Enlarge", "Gives the pane with the focus all the room, and back.", "View",
           _MODELS, footer=True),
    Action("models.subject", "s", "subject", "Run/experiment",
           "Switches between the experiment being set up and the run being looked at.", "View", _MODELS, footer=True),
    Action("models.again", "r", "again", "Read again", "Reads the model folder again.", "View", _MODELS, footer=True),

    Action("data.form", "v", "form(1)", "Form",
           "Steps the row through record, conversation and tokens.", "Row", _DATA, footer=True),
    Action("data.form_back", "V", "form(-1)", "Form back", "Steps back through the row's forms.", "Row", _DATA),
    Action("data.ids", "i", "ids", "Ids",
           "Shows the tokens one below the other, with their places and ids, or as text again.", "Row", _DATA),
    Action("data.fix", "x", "fix", "Fix",
           "Applies the fix or setting that would mend the selected problem to the experiment, or takes the fix back.",
           "Problems", _DATA, footer=True),
    Action("data.problems", "o", "problems", "Problems",
           "Lists what the linter found in any row, or the rows again.", "Problems", _DATA, footer=True),
    Action("data.figures", "f", "figures", "Figures",
           "Shows the figures of all rows: lengths, what is cut, padding, answers; again, the rows.", "View", _DATA,
           footer=True),
    Action("data.mapping", "m", "mapping", "Mapping",
           "Shows what the source was taken for and how rows are made of it, to change it; again, the rows.", "View",
           _DATA, footer=True),
    Action("data.open", "l", "open_source", "Load data",
           "Opens other data: a path, `hf:owner/name`, one of the last, or a file from the folders.", "View", _DATA,
           footer=True),
    Action("data.search", "slash", "search", "Search",
           "Lists the rows that have a text in their prompt or answer.", "Find", _DATA, footer=True),
    Action("data.order", "b", "order", "By length",
           "Orders the listed rows: as they are, longest first, shortest first.", "Find", _DATA, footer=True),
    Action("data.go", "g", "go_to", "Go to row",
           "Asks for a row: `12`, or with its split `valid 3`.", "Find", _DATA, footer=True),
    Action("data.next", "n,j", "row(1)", "Next", "Goes to the next row.", "Row", _DATA, footer=True),
    Action("data.previous", "p,k", "row(-1)", "Previous", "Goes to the previous row.", "Row", _DATA),
    Action("data.zoom", "z", "zoom", "Enlarge", "Gives the pane with the focus all the room, and back.", "View",
           _DATA, footer=True),
    Action("data.subject", "s", "subject", "Run/experiment",
           "Switches between the experiment being set up and the run being looked at.", "View", _DATA, footer=True),
    Action("data.again", "r", "again", "Read again", "Reads and prepares the data again.", "View", _DATA, footer=True),

    Action("config.search", "slash", "search", "Search",
           "Shows the keys whose name, value or help has the words you type.", "Find", _CONFIG, footer=True),
    Action("config.changed", "c", "changed_only", "Changed",
           "Shows only what differs from the default, or everything.", "Find", _CONFIG, footer=True),
    Action("config.file", "v", "file", "As file",
           "Shows the experiment as the TOML file that repeats it.", "View", _CONFIG, footer=True),
    Action("config.subject", "s", "subject", "Run/experiment",
           "Switches between the experiment being set up and the run being looked at.", "View", _CONFIG, footer=True),

    Action("benchmark.order", "o", "order", "Order",
           "Orders the rows: as they are, most lost first, most gained first.", "Rows", _BENCHMARK, footer=True),
    Action("benchmark.metric", "m", "metric", "Metric",
           "Steps through the metric that rows are ordered by.", "Rows", _BENCHMARK, footer=True),
    Action("benchmark.compare", "w", "compare", "Mark words",
           "Marks what changed between the answers, or what the reference has too.", "Rows", _BENCHMARK,
           footer=True),
    Action("benchmark.next", "n,j", "row(1)", "Next", "Goes to the next row.", "Rows", _BENCHMARK),
    Action("benchmark.previous", "p,k", "row(-1)", "Previous", "Goes to the previous row.", "Rows", _BENCHMARK),
    Action("benchmark.zoom", "z", "zoom", "Enlarge", "Gives the pane with the focus all the room, and back.", "View",
           _BENCHMARK, footer=True),

    Action("chat.stop", "escape", "stop", "Stop", "Stops the answer and keeps what was said.", "Talk", _CHAT,
           footer=True, palette=False),
    Action("chat.voice", "ctrl+t", "voice", "Base/adapter",
           "Switches who answers: the base model or the adapter.", "Talk", _CHAT, footer=True),
    Action("chat.both", "ctrl+o", "both", "Both",
           "Has base and adapter answer in turn, one below the other.", "Talk", _CHAT, footer=True),
    Action("chat.probe", "ctrl+n,p", "probe", "Probe",
           "Puts the experiment's next probe prompt into the empty input.", "Talk", _CHAT, footer=True),
    Action("chat.memory", "ctrl+r", "memory", "Memory",
           "Whether the model is told the conversation so far, or each question stands alone.", "Talk", _CHAT),
    Action("chat.clear", "ctrl+l", "clear", "Clear", "Empties the conversation.", "Talk", _CHAT, footer=True),
    Action("chat.write", "i,enter", "write", "Write", "Puts the cursor into the input.", "Talk", _CHAT, palette=False),
]  # fmt: skip
