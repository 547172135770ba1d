"""Widgets that more than one screen uses. None of them knows the engine; they draw what they are given."""
