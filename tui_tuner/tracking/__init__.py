"""A copy of a run's figures for an experiment tracker: Trackio or Weights & Biases, when somebody asked for it.

Everything is read from the event log, by a process of its own. Nothing here may hold up, stop or fail a run, send a
row, an answer or a text of the configuration that was not asked for, or need a tracker's library to be installed.
"""
