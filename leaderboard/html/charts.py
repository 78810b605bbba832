"""Charts of the page as SVG: numbered marks, whiskers, a front; colours come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from markupsafe import Markup

from rpobench.terminal import escape_controls

WIDTH, HEIGHT = 360, 240
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 10, 40
MARK, DOT = 8, 2.5  # radius of a mark with its number, and of one too small for it
MOST_MARKS = 40  # of a series; a longer one is a line alone


@dataclass(frozen=True)
class Point:
    """A value with its interval.

    Attributes:
        x: Where it stands on the x-axis.
        y: The value.
        low: The lower end of its interval; the value itself where no interval is known.
        high: The upper end.
    """

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    """The points of one row of the table.

    Attributes:
        number: The row's number in the table, which its marks show.
        name: The row's label, for readers who cannot see the chart.
        points: The points, from left to right.
        line: Whether a line joins them.
        radius: Of the marks in pixels: `MARK`, `DOT`, or 0 for none.
    """

    number: int
    name: str
    points: Sequence[Point]
    line: bool = False
    radius: float = MARK


@dataclass(frozen=True)
class _Scale:
    """A linear axis from data to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values on the axis, three to six."""
        step = 10 ** math.floor(math.log10((self.high - self.low) / 3))
        step *= next(factor for factor in (1, 2, 5, 10) if (self.high - self.low) / (step * factor) <= 6)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)

        return [multiple * step for multiple in range(first, last + 1)]


def draw_chart(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    x_names: Sequence[str] = (),
    front: Sequence[tuple[float, float]] = (),
) -> Markup:
    """Draw a chart as SVG, with a title for screen readers.

    Args:
        title: What the chart shows.
        series: The rows with their points, at least one point together.
        x_label: What stands below the x-axis.
        y_label: What stands beside the y-axis.
        x_names: The names that stand on an x-axis without numbers; the x of a point is then an index into them.
        front: The points of a dashed line, from left to right.

    Returns:
        The picture.
    """
    points = list(chain.from_iterable(row.points for row in series))
    ends = [*(point.low for point in points), *(point.high for point in points)]
    x_axis = _axis([point.x for point in points], LEFT, WIDTH - RIGHT, name_count=len(x_names))
    y_axis = _axis(ends, HEIGHT - BOTTOM, TOP)

    parts = [_draw_frame(x_axis, y_axis, x_label, y_label, x_names)]
    if len(front) > 1:
        path = " ".join(f"{x_axis(x):.1f},{y_axis(y):.1f}" for x, y in front)
        parts.append(Markup('<polyline class="front" points="{}"/>').format(path))
    parts += [_draw_series(row, x_axis, y_axis, x_names) for row in series]

    name = escape_controls(title)
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>{}</svg>').format(
        WIDTH, HEIGHT, name, name, Markup("").join(parts)
    )


def draw_whisker(low: float, value: float, high: float, *, bounds: tuple[float, float], number: int) -> Markup:
    """Draw a value with its interval on one line; `bounds` are the lowest and highest end in the column."""
    axis = _axis(bounds, 6, 94)

    return Markup(
        '<svg class="whisker s{}" viewBox="0 0 100 12" role="img" aria-label="{:z.3f} to {:z.3f}">'
        '<line x1="{:.1f}" x2="{:.1f}" y1="6" y2="6"/><circle cx="{:.1f}" cy="6" r="3.5"/></svg>'
    ).format(number % 8, low, high, axis(low), axis(high), axis(value))


def draw_bar(helped: float, harmed: float) -> Markup:
    """Draw the shares of examples that got better and worse, from the middle to both sides."""
    return Markup(
        '<svg class="bar" viewBox="0 0 100 12" aria-hidden="true"><rect class="harmed" x="{:.1f}" y="1" width="{:.1f}"'
        ' height="10"/><rect class="helped" x="50" y="1" width="{:.1f}" height="10"/>'
        '<line x1="50" x2="50" y1="0" y2="12"/></svg>'
    ).format(50 - 50 * harmed, 50 * harmed, 50 * helped)


def pareto_front(points: Sequence[tuple[float, float]], *, higher_is_better: bool) -> list[tuple[float, float]]:
    """Choose the (cost, quality) points that no other beats in both, by rising cost."""
    sign = 1 if higher_is_better else -1
    front: list[tuple[float, float]] = []
    for cost, quality in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        if not front or sign * quality > sign * front[-1][1]:
            front.append((cost, quality))

    return front


def _axis(values: Sequence[float], start: float, end: float, *, name_count: int = 0) -> _Scale:
    """A scale with a margin around the values, or one with a place for each of so many names."""
    if name_count:
        return _Scale(-0.5, name_count - 0.5, start, end)

    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0  # where all values are equal, or all are 0

    return _Scale(low - margin, high + margin, start, end)


def _draw_frame(x_axis: _Scale, y_axis: _Scale, x_label: str, y_label: str, x_names: Sequence[str]) -> Markup:
    """Grid, ticks and labels."""
    text = Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>')
    grid = Markup('<line class="grid" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>')
    y_title = Markup('<text class="x label" transform="translate(11 {:.1f}) rotate(-90)">{}</text>')

    x_ticks = list(enumerate(x_names)) if x_names else [(tick, f"{tick:g}") for tick in x_axis.ticks()]
    parts = [text.format("x", x_axis(tick), HEIGHT - BOTTOM + 14, name) for tick, name in x_ticks]
    for tick in y_axis.ticks():
        parts.append(grid.format(LEFT, WIDTH - RIGHT, y=y_axis(tick)))
        parts.append(text.format("y", LEFT - 5, y_axis(tick) + 3, f"{tick:g}"))

    parts.append(text.format("x label", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_label))
    parts.append(y_title.format((TOP + HEIGHT - BOTTOM) / 2, y_label))

    return Markup("").join(parts)


def _draw_series(series: Series, x_axis: _Scale, y_axis: _Scale, x_names: Sequence[str]) -> Markup:
    parts = []
    if series.line and len(series.points) > 1:
        path = " ".join(f"{x_axis(point.x):.1f},{y_axis(point.y):.1f}" for point in series.points)
        parts.append(Markup('<polyline class="line" points="{}"/>').format(path))
    if series.radius and len(series.points) <= MOST_MARKS:
        parts += [_draw_mark(series, point, x_axis, y_axis, x_names) for point in series.points]

    return Markup('<g class="s{}">{}</g>').format(series.number % 8, Markup("").join(parts))


def _draw_mark(series: Series, point: Point, x_axis: _Scale, y_axis: _Scale, x_names: Sequence[str]) -> Markup:
    """A mark with its interval; its title says name, value and where it stands."""
    x, y = x_axis(point.x), y_axis(point.y)
    x_text = x_names[int(point.x)] if x_names else f"{point.x:g}"
    interval = f" [{point.low:z.3f}, {point.high:z.3f}]" if point.low != point.high else ""

    is_numbered = series.radius == MARK
    number = Markup('<text class="mark" x="{:.1f}" y="{:.1f}">{}</text>').format(x, y + 3, series.number)
    return Markup(
        '<g><title>{}: {}{} at {}</title><line x1="{x:.1f}" x2="{x:.1f}" y1="{:.1f}" y2="{:.1f}"/>'
        '<circle cx="{x:.1f}" cy="{:.1f}" r="{}"/>{}</g>'
    ).format(
        escape_controls(series.name),
        f"{point.y:z.3f}" if is_numbered else f"{point.y:.3g}",
        interval,
        x_text,
        y_axis(point.low),
        y_axis(point.high),
        y,
        series.radius,
        number if is_numbered else "",
        x=x,
    )
