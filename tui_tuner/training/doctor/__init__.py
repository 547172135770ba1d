"""The rules behind `tui_tuner.training.advice`, by what they look at: losses, validations, and the machine.

Each rule is a function of a `Case` that returns one `Advice` or None. Its docstring gives the thresholds and why they
are what they are; docs/advice.md says the same to people. No rule may do I/O, import mlx, or depend on the clock.
"""
