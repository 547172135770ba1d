"""Actions of the chat screen: each is a slash command, too.

While the input has the focus only keys work that no text field and no terminal takes; letters need `esc` first.
"""

from __future__ import annotations

from tui_tuner.ui.actions.model import Action

_CHAT = frozenset({"chat"})

CHAT_ACTIONS: list[Action] = [
    Action("chat.stop", "escape", "do('stop')", "Stop", "Stops the answer and keeps what was said.", "Talk", _CHAT,
           footer=True),
    Action("chat.voice", "ctrl+t", "do('voice')", "Base/adapter",
           "Switches who answers: the base model or the adapter.", "Who answers", _CHAT, footer=True),
    Action("chat.both", "ctrl+o", "do('both')", "Both",
           "Has base and adapter answer, side by side.", "Who answers", _CHAT, footer=True),
    Action("chat.columns", "f2,c", "do('adapter')", "Columns",
           "Chooses who answers: any model, adapter, run or checkpoint, up to four side by side.", "Who answers", _CHAT,
           footer=True),
    Action("chat.vote", "f8,v", "do('vote')", "Vote", "Says which answer is better.", "Judge", _CHAT, footer=True),
    Action("chat.again", "ctrl+g,a", "do('again')", "Again",
           "Asks again with another seed; the former answer stays on its branch.", "Talk", _CHAT, footer=True),
    Action("chat.edit", "f3,e", "do('edit')", "Edit",
           "Takes the last question back into the input, to send it anew in its place.", "Talk", _CHAT, footer=True),
    Action("chat.sampling", "f4,s", "do('sampling')", "Sampling",
           "Shows how answers are drawn, to change it: temperature, top-p, seed, named sets.", "Who answers", _CHAT,
           footer=True),
    Action("chat.inside", "f9,x", "do('inside')", "Inside",
           "Colours the answer's tokens by their probability; on a token, what else was likely.", "Judge", _CHAT,
           footer=True),
    Action("chat.offer", "ctrl+n,p", "offer", "Probe",
           "Puts the experiment's next probe prompt into the empty input.", "Talk", _CHAT, footer=True),
    Action("chat.clear", "ctrl+l", "do('clear')", "Clear",
           "Begins a new conversation; the old one stays among the transcripts.", "Talk", _CHAT, footer=True),
    Action("chat.transcripts", "f10,o", "do('open')", "Transcripts",
           "Lists the conversations that were kept, to go on with one, search, export or delete.", "Keep", _CHAT,
           footer=True),
    Action("chat.memory", "ctrl+r,m", "do('memory')", "Memory",
           "Whether the model is told the conversation so far, or each question stands alone.", "Who answers", _CHAT),
    Action("chat.undo", "u", "do('undo')", "Undo", "Takes the last question and its answers back.", "Talk", _CHAT,
           footer=True),
    Action("chat.redo", "U", "do('redo')", "Redo", "Brings back what was undone.", "Talk", _CHAT, footer=True),
    Action("chat.branch", "n", "do('branch')", "Next branch",
           "Goes to the next branch of the conversation.", "Talk", _CHAT, footer=True),
    Action("chat.row", "r", "do('row')", "Row",
           "Takes a row of the data set as the question, with its reference beside the answers.", "Talk", _CHAT,
           footer=True),
    Action("chat.keep", "k", "do('keep')", "Keep", "Adds the exchange to a file of training rows.", "Keep", _CHAT,
           footer=True),
    Action("chat.keep_probe", "g", "do('probe')", "Keep as probe",
           "Adds the question to the experiment's probe prompts.", "Keep", _CHAT),
    Action("chat.behaviour", "b", "do('behaviour')", "Behaviour",
           "Makes the exchange a behaviour test of the experiment.", "Keep", _CHAT),
    Action("chat.copy", "y", "do('copy')", "Copy", "Copies the answer.", "Keep", _CHAT),
    Action("chat.diff", "d", "do('diff')", "Differences", "Marks the words that differ between the answers.", "Judge",
           _CHAT, footer=True),
    Action("chat.blind", "w", "do('blind')", "Blind", "Hides who answers until you have voted.", "Judge", _CHAT),
    Action("chat.write", "i,enter", "write", "Write", "Puts the cursor into the input.", "Talk", _CHAT),
    Action("chat.slash", "slash", "write('/')", "Commands", "Lists the commands over the input.", "Talk", _CHAT),
]  # fmt: skip
