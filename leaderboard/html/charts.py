"""Charts of the page as SVG: numbered marks, whiskers, a front; colours come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rpobench.terminal import escape_controls

WIDTH, HEIGHT = 360, 240
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 10, 40
MARK, DOT = 8, 2.5  # radius of a mark with its number, and of one too small for it


@dataclass(frozen=True)
class Point:
    """A value with its interval (equal to it where unknown)."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    """The points of one row of the table, by its number there; joined by a line, marked with the number, or both.

    `radius` is that of the marks: `MARK`, `DOT`, or 0 for none.
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
        return [place * step for place in range(first, last + 1)]


def chart(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    x_names: Sequence[str] = (),
    front: Sequence[tuple[float, float]] = (),
) -> Markup:
    """An SVG picture with a title for screen readers. With `x_names` x counts them from 0; `front` is a dashed line."""
    points = [point for one in series for point in one.points]
    across = _axis([point.x for point in points], LEFT, WIDTH - RIGHT, names=len(x_names))
    up = _axis([value for point in points for value in (point.low, point.high)], HEIGHT - BOTTOM, TOP)
    parts = [_frame(across, up, x_label, y_label, x_names)]
    if len(front) > 1:
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in front)
        parts.append(Markup('<polyline class="front" points="{}"/>').format(path))
    parts += [_drawn(one, across, up, x_names) for one in series]
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>{}</svg>').format(
        WIDTH, HEIGHT, escape_controls(title), escape_controls(title), Markup("").join(parts)
    )


def whisker(low: float, value: float, high: float, *, bounds: tuple[float, float], number: int) -> Markup:
    """A value with its interval on one line; `bounds` are those of the column."""
    across = _axis(bounds, 6, 94)
    return Markup(
        '<svg class="whisker s{}" viewBox="0 0 100 12" role="img" aria-label="{:z.3f} to {:z.3f}">'
        '<line x1="{:.1f}" x2="{:.1f}" y1="6" y2="6"/><circle cx="{:.1f}" cy="6" r="3.5"/></svg>'
    ).format(number % 8, low, high, across(low), across(high), across(value))


def bar(helped: float, harmed: float) -> Markup:
    """Shares of examples that got better and worse, from the middle to both sides."""
    return Markup(
        '<svg class="bar" viewBox="0 0 100 12" aria-hidden="true"><rect class="harmed" x="{:.1f}" y="1" width="{:.1f}"'
        ' height="10"/><rect class="helped" x="50" y="1" width="{:.1f}" height="10"/>'
        '<line x1="50" x2="50" y1="0" y2="12"/></svg>'
    ).format(50 - 50 * harmed, 50 * harmed, 50 * helped)


def pareto(points: Sequence[tuple[float, float]], *, higher_is_better: bool) -> list[tuple[float, float]]:
    """The (cost, quality) points that no other beats in both, by rising cost."""
    sign = 1 if higher_is_better else -1
    front: list[tuple[float, float]] = []
    for cost, quality in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        if not front or sign * quality > sign * front[-1][1]:
            front.append((cost, quality))
    return front


def _axis(values: Sequence[float], start: float, end: float, *, names: int = 0) -> _Scale:
    if names:
        return _Scale(-0.5, names - 0.5, start, end)
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return _Scale(low - margin, high + margin, start, end)


def _frame(across: _Scale, up: _Scale, x_label: str, y_label: str, x_names: Sequence[str]) -> Markup:
    named = list(enumerate(x_names)) if x_names else [(tick, f"{tick:g}") for tick in across.ticks()]
    text = Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>')
    parts = [text.format("x", across(place), HEIGHT - BOTTOM + 14, name) for place, name in named]
    for tick in up.ticks():
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>').format(
            LEFT, WIDTH - RIGHT, y=up(tick)
        ))  # fmt: skip
        parts.append(text.format("y", LEFT - 5, up(tick) + 3, f"{tick:g}"))
    parts.append(text.format("x label", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_label))
    parts.append(Markup('<text class="x label" transform="translate(11 {:.1f}) rotate(-90)">{}</text>').format(
        (TOP + HEIGHT - BOTTOM) / 2, y_label
    ))  # fmt: skip
    return Markup("").join(parts)


def _drawn(one: Series, across: _Scale, up: _Scale, x_names: Sequence[str]) -> Markup:
    parts = []
    if one.line and len(one.points) > 1:
        path = " ".join(f"{across(point.x):.1f},{up(point.y):.1f}" for point in one.points)
        parts.append(Markup('<polyline class="line" points="{}"/>').format(path))
    if one.radius and len(one.points) <= 40:
        parts += [_mark(one, point, across, up, x_names) for point in one.points]
    return Markup('<g class="s{}">{}</g>').format(one.number % 8, Markup("").join(parts))


def _mark(one: Series, point: Point, across: _Scale, up: _Scale, x_names: Sequence[str]) -> Markup:
    x, y = across(point.x), up(point.y)
    where = x_names[int(point.x)] if x_names else f"{point.x:g}"
    interval = f" [{point.low:z.3f}, {point.high:z.3f}]" if point.low != point.high else ""
    number = Markup('<text class="mark" x="{:.1f}" y="{:.1f}">{}</text>').format(x, y + 3, one.number)
    return Markup(
        '<g><title>{}: {}{} at {}</title><line x1="{x:.1f}" x2="{x:.1f}" y1="{:.1f}" y2="{:.1f}"/>'
        '<circle cx="{x:.1f}" cy="{:.1f}" r="{}"/>{}</g>'
    ).format(
        escape_controls(one.name), f"{point.y:z.3f}" if one.radius == MARK else f"{point.y:.3g}", interval, where,
        up(point.low), up(point.high), y, one.radius, number if one.radius == MARK else "", x=x,
    )  # fmt: skip
