"""The chart widget: curves in braille with axes, legend, crosshair, zoom and pan.

The widget keeps what to show and turns a painted picture into strips; painting is :mod:`.paint`'s and steering is
:mod:`.interaction`'s. A frame is painted once per change and kept, so that a screen may ask for its lines as often as
it likes. The widget must never read files, start threads or know what a run is: it is handed arrays.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import ClassVar

from numpy.typing import ArrayLike
from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.color import Color, ColorParseError
from textual.geometry import Region
from textual.reactive import reactive
from textual.strip import Strip

from tui_tuner.ui.charts.grid import SERIES, Span
from tui_tuner.ui.charts.header import Look
from tui_tuner.ui.charts.marks import Level, Mark
from tui_tuner.ui.charts.mouse import Pointed
from tui_tuner.ui.charts.paint import Scene, paint
from tui_tuner.ui.charts.series import Series, Style
from tui_tuner.ui.charts.units import Unit

PARTS = ("title", "label", "axis", "grid", "crosshair", "marker", "empty", "legend", "readout")
"""Component classes ``line-chart--<part>``, in the order of the style numbers in :mod:`.grid`."""
COLORS = 8
"""Component classes ``line-chart--series-1`` to ``-8``; later series reuse them with another marker."""
_RAW = 0.42


class LineChart(Pointed):
    """Curves over x. See :meth:`set_series`; style it with the component classes ``line-chart--…``.

    Set only colours and text styles on those classes: backgrounds come from the widget. The colours of the series are
    Okabe and Ito's, darkened for light themes, so that colour-blind people can tell them apart; each series also has a
    marker of its own, in the legend and on the curve.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"line-chart--{part}" for part in PARTS} | {
        f"line-chart--series-{number}" for number in range(1, COLORS + 1)
    }
    DEFAULT_CSS = """
    LineChart {
        width: 1fr;
        height: 1fr;
        min-height: 4;
        & > .line-chart--title { color: $foreground; text-style: bold; }
        & > .line-chart--label { color: $foreground 65%; }
        & > .line-chart--axis { color: $foreground 40%; }
        & > .line-chart--grid { color: $foreground 12%; }
        & > .line-chart--crosshair { color: $foreground 70%; }
        & > .line-chart--marker { color: $text-accent; }
        & > .line-chart--empty { color: $foreground 60%; text-style: italic; }
        & > .line-chart--legend { color: $foreground 85%; }
        & > .line-chart--readout { color: $foreground; text-style: bold; }
        &:focus > .line-chart--title { text-style: bold underline; }
        & > .line-chart--series-1 { color: #56b4e9; }
        & > .line-chart--series-2 { color: #f0a830; }
        & > .line-chart--series-3 { color: #2fc79a; }
        & > .line-chart--series-4 { color: #e58fbf; }
        & > .line-chart--series-5 { color: #f0e442; }
        & > .line-chart--series-6 { color: #ff7f50; }
        & > .line-chart--series-7 { color: #8f9bff; }
        & > .line-chart--series-8 { color: #c0c0c0; }
        &:light > .line-chart--series-1 { color: #0072b2; }
        &:light > .line-chart--series-2 { color: #a86500; }
        &:light > .line-chart--series-3 { color: #00795a; }
        &:light > .line-chart--series-4 { color: #a8487f; }
        &:light > .line-chart--series-5 { color: #7a7000; }
        &:light > .line-chart--series-6 { color: #c04a00; }
        &:light > .line-chart--series-7 { color: #4450c8; }
        &:light > .line-chart--series-8 { color: #555555; }
        &:ansi > .line-chart--label { color: ansi_default; }
        &:ansi > .line-chart--axis { color: ansi_bright_black; }
        &:ansi > .line-chart--grid { color: ansi_bright_black; text-style: dim; }
        &:ansi > .line-chart--crosshair { color: ansi_default; }
        &:ansi > .line-chart--empty { color: ansi_default; }
        &:ansi > .line-chart--legend { color: ansi_default; }
        &:ansi > .line-chart--series-1 { color: ansi_blue; }
        &:ansi > .line-chart--series-2 { color: ansi_yellow; }
        &:ansi > .line-chart--series-3 { color: ansi_green; }
        &:ansi > .line-chart--series-4 { color: ansi_magenta; }
        &:ansi > .line-chart--series-5 { color: ansi_cyan; }
        &:ansi > .line-chart--series-6 { color: ansi_red; }
        &:ansi > .line-chart--series-7 { color: ansi_bright_blue; }
        &:ansi > .line-chart--series-8 { color: ansi_default; }
    }
    """

    title: reactive[str] = reactive("")
    """Plain text at the top left; never read as markup."""
    y_label: reactive[str] = reactive("")
    """What y is, with its unit, behind the title."""
    unit: reactive[Unit] = reactive[Unit]("plain")
    """How y values are written."""
    x_label: reactive[str] = reactive("step")
    x_unit: reactive[Unit] = reactive[Unit]("integer")
    empty_text: reactive[str] = reactive("no points yet")
    """Shown in the middle while no series has a finite point."""
    legend: reactive[bool] = reactive(True)
    """Whether names and values stand above the plot; off where the screen tells them beside it."""
    glyphs: reactive[str] = reactive("braille")
    """``braille``, or ``blocks`` or ``ascii`` for terminals that cannot draw it."""

    def __init__(
        self,
        title: str = "",
        *,
        y_label: str = "",
        unit: Unit = "plain",
        x_label: str = "step",
        x_unit: Unit = "integer",
        empty_text: str = "no points yet",
        log_y: bool = False,
        smoothing: float = 0.0,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
        disabled: bool = False,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes, disabled=disabled)
        for attribute, value in (("title", title), ("y_label", y_label), ("unit", unit), ("x_label", x_label),
                                 ("x_unit", x_unit), ("empty_text", empty_text), ("log_y", log_y),
                                 ("smoothing", smoothing)):  # fmt: skip
            self.set_reactive(getattr(type(self), attribute), value)
        self._series: dict[str, Series] = {}
        self._marks: tuple[Mark, ...] = ()
        self._levels: tuple[Level, ...] = ()
        self._version = 0
        self._frame: list[Strip] = []
        self._shown: list[Strip] = []
        self._frame_key: Hashable = None
        self._palette: dict[int, RichStyle] = {}

    @property
    def series(self) -> list[Series]:
        return list(self._series.values())

    @property
    def markers(self) -> tuple[Mark, ...]:
        """The vertical markers as set."""
        return self._marks

    def set_series(
        self,
        name: str,
        x: ArrayLike,
        y: ArrayLike,
        style: Style = "line",
        color: str | None = None,
        *,
        smooth: bool = True,
        slot: int | None = None,
        dash: int = 0,
    ) -> None:
        """Show a curve, or replace the points of the one with this name. Later series lie in front of earlier ones.

        ``x`` and ``y`` are equally long (ValueError otherwise) and borrowed: append behind them freely, but change no
        point in place. y that is not finite is a gap. ``style`` ``"points"`` draws the marker at every point and no
        line. ``color`` is a CSS colour or ``"$variable"`` of the theme; without it the series keeps the component
        class of its place for as long as it exists. ``smooth=False`` exempts a curve from smoothing, which misleads
        where points are few and exact (validation). ``slot`` fixes the place that gives colour and marker, so that a
        curve keeps both while others come and go; ``dash`` is 0 for a solid line, 1 to 3 for broken ones. Raises
        textual's ColorParseError for a colour that is none.
        """
        if color is not None and not color.startswith("$"):
            Color.parse(color)
        one = self._series.get(name)
        if one is None:
            one = Series(name, self._free_slot() if slot is None else slot)
        one.set_points(x, y)
        if one.color != color:
            self._palette.clear()
        one.style, one.color, one.smooth, one.dash = style, color, smooth, dash
        self._series[name] = one
        self._changed()

    def clear_series(self, name: str | None = None) -> None:
        """Take away one series (nothing happens when there is none of that name), or all of them."""
        if name is None:
            self._series.clear()
        else:
            self._series.pop(name, None)
        self._palette.clear()
        self._changed()

    def set_markers(self, markers: Iterable[Mark | tuple[float, str, str]]) -> None:
        """Replace the marks on the x axis: (x, glyph, label), or a ``Mark`` that says more. None widens the x range."""
        marks = tuple(mark if isinstance(mark, Mark) else Mark(*mark) for mark in markers)
        if marks != self._marks:
            self._marks = marks
            self._changed()

    def set_levels(self, levels: Iterable[Level]) -> None:
        """Replace the horizontal lines."""
        found = tuple(levels)
        if found != self._levels:
            self._levels = found
            self._changed()

    def follow_tail(self, span: float | None = None) -> None:
        """Follow the newest points, showing the last ``span`` of x (None: everything)."""
        self.viewport.show_tail(span)
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        self._shown = self.frame()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        frame = self._shown  # what a frame depends on is looked at once for all its lines
        return frame[y] if y < len(frame) else Strip.blank(self.size.width, self.rich_style)

    def frame(self) -> list[Strip]:
        """The strips of the present picture; painted anew only when something that shows has changed."""
        width, height = self.size
        key = (self._version, width, height, self._look(), self.viewport.window, self.viewport.follow, self.cursor,
               self.app.theme)  # fmt: skip
        if key != self._frame_key:
            self._frame = self._painted(width, height)
            self._frame_key = key
        return self._frame

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._palette = {}
        self._frame_key = None

    def _painted(self, width: int, height: int) -> list[Strip]:
        view = self.viewport
        extent = view.high - view.low
        low, high = view.window
        scene = Scene(
            look=self._look(),
            series=self.series,
            marks=self._marks,
            window=view.window,
            crosshair=self.cursor,
            share=100 * (high - low) / extent if view.zoomed and extent > 0 else None,
            follow=view.follow,
            levels=self._levels,
        )
        lines, self.plot = paint(scene, width, height)
        return [self._strip(line, width) for line in lines]

    def _strip(self, spans: list[Span], width: int) -> Strip:
        palette = self._palette
        return Strip([Segment(text, palette.get(style) or self._style(style)) for text, style in spans], width)

    def _look(self) -> Look:
        return Look(self.title, self.unit, self.y_label, self.x_label, self.x_unit, self.empty_text, self.log_y,
                    self.smoothing, self.glyphs, self.legend)  # fmt: skip

    def _changed(self) -> None:
        self._version += 1
        ends = [(float(one.x[0]), float(one.x[-1])) for one in self._series.values() if len(one.x)]
        if ends:
            self.viewport.set_extent(min(low for low, _ in ends), max(high for _, high in ends))
        self.refresh()

    def _free_slot(self) -> int:
        taken = {one.slot for one in self._series.values()}
        return next(slot for slot in range(len(taken) + 1) if slot not in taken)

    def _style(self, number: int) -> RichStyle:
        """The style behind a style number, looked up once per theme and set of series."""
        if number == 0:
            style = self.rich_style
        elif number < SERIES:
            style = self.get_component_rich_style(f"line-chart--{PARTS[number - 1]}")
        else:
            style = self._series_style(*divmod(number - SERIES, 2))
        self._palette[number] = style
        return style

    def _series_style(self, index: int, raw: int) -> RichStyle:
        one = self.series[index]
        style = self.get_component_rich_style(f"line-chart--series-{one.slot % COLORS + 1}")
        if one.color is not None:
            text = self.app.theme_variables.get(one.color[1:], "") if one.color.startswith("$") else one.color
            try:
                style += RichStyle.from_color(Color.parse(text).rich_color)
            except ColorParseError:
                pass
        if not raw or style.color is None or self.rich_style.bgcolor is None:
            return style
        if self.app.native_ansi_color:  # the terminal's colours cannot be mixed; it can dim one
            return style + RichStyle(dim=True)
        back, front = Color.from_rich_color(self.rich_style.bgcolor), Color.from_rich_color(style.color)
        return style + RichStyle.from_color(back.blend(front, _RAW).rich_color)
