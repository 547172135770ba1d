"""What the screens are put together from, named by the screen: widgets, what they draw, and what the engine was asked.

What several screens use is named by the one that had it first, such as the lists and panes of `data_list` and
`data_pane`. Whatever asks the engine never waits for it: answers are looked at when the engine says that something
changed.
"""
