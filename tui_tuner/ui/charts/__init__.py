"""Line charts for the terminal: one widget, and the pure modules that it is made of.

``raster``, ``scale``, ``units``, ``smooth``, ``viewport`` and ``series`` are arithmetic; ``grid``, ``header`` and
``paint`` put characters in place; ``interaction`` and ``line_chart`` are the only ones that know textual. Nothing here
may import a machine-learning library.
"""

from tui_tuner.ui.charts.line_chart import LineChart

__all__ = ["LineChart"]
