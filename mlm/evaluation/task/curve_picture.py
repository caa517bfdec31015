"""A learning curve as an SVG picture, for a card and a page, light or dark as the reader's screen.

Each system has a line of its means with a marker of its own shape, a band of one standard deviation
on both sides, and its name at the end of the line. A system without any training has no line: its
level is a dashed line through the whole plot.
"""

import textwrap
from collections.abc import Mapping
from html import escape
from typing import NamedTuple

from mlm.evaluation.task.curve import Curve
from mlm.evaluation.task.curve_axes import DIGIT, Axes, round_scores, spread_apart
from mlm.evaluation.task.metric_names import SHARES, TITLES, format_metric
from mlm.evaluation.task.seeds import Spread
from mlm.evaluation.task.tables import printable

WIDTH, HEIGHT = 720, 420
TOP, BOTTOM = 52, 60
LETTER, LINE = 11.5, 21  # of a name on a small screen, where the letters are larger
LONGEST, MOST_LINES = 16, 3  # letters a line, lines of a name
MARGIN = 20
LEAST_RANGE = 0.1  # of the scores on the axis, if they are shares
LEAST_SHARE = 0.01  # else: of the largest of them
NAME_GAP = 20  # between the end of the plot and the names

LIGHT = ("#c2410c", "#1d4ed8", "#57606a", "#0f766e", "#7c3aed", "#a21caf")
DARK = ("#fb923c", "#93c5fd", "#b6bec9", "#5eead4", "#c4b5fd", "#f0abfc")
STYLE = (
    "text{font:14px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#4b5563}"
    "text.t{font-size:16px;font-weight:600;fill:#111827}text.n{font-weight:600;fill:currentColor}"
    ".p{fill:#fff}.g{stroke:#e5e7eb}.b{fill:currentColor;opacity:.14}"
    ".l{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}.l0{stroke-width:3}"
    ".d{stroke-dasharray:7 5}.k{fill:none;stroke:currentColor;opacity:.55}"
    ".m{fill:currentColor;stroke:#fff;stroke-width:1.5}"
    "{light}"
    "@media(prefers-color-scheme:dark){text{fill:#a7b0bd}text.t{fill:#f3f4f6}.p{fill:#111827}"
    ".g{stroke:#2d3748}.b{opacity:.2}.m{stroke:#111827}{dark}}"
    "@media(max-width:480px){text{font-size:18px}text.t{font-size:20px}}"
)


class _Line(NamedTuple):
    """A system as it is drawn: its number decides on colour and marker."""

    number: int
    name: str
    spreads: Mapping[int, Spread]

    @property
    def is_level(self) -> bool:
        return list(self.spreads) == [0]

    @property
    def css(self) -> str:
        return f"s{self.number % len(LIGHT)}"

    @property
    def end(self) -> tuple[int, float]:
        labels = max(self.spreads)
        return labels, self.spreads[labels].mean


def curve_svg(curve: Curve) -> str:
    """Return the content of an SVG file; names of systems are escaped."""
    lines = [
        _Line(number, printable(system), curve.spreads(system))
        for number, system in enumerate(curve.systems)
    ]
    axes = _axes(curve, lines)
    title, description = _title(curve), _description(curve, lines)
    drawn = [*(_band(axes, line) for line in lines), *(_line(axes, line) for line in lines[::-1])]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" aria-labelledby="t d"><title id="t">{escape(title)}</title>'
        f'<desc id="d">{escape(description)}</desc><style>{_style()}</style>'
        f'<rect class="p" width="{WIDTH}" height="{HEIGHT}"/>'
        f"{_heading(title, axes)}{_grid(curve, axes)}{''.join(drawn)}{_names(axes, lines)}</svg>\n"
    )


def _style() -> str:
    light, dark = (
        "".join(f".s{i}{{color:{color}}}" for i, color in enumerate(colors))
        for colors in (LIGHT, DARK)
    )
    return STYLE.replace("{light}", light).replace("{dark}", dark)


def _title(curve: Curve) -> str:
    name = TITLES.get(curve.metric, printable(curve.metric))
    return f"{name[:1].upper()}{name[1:]} by number of labels"


def _description(curve: Curve, lines: list[_Line]) -> str:
    """Return the ends of all lines in words, for those who do not see the picture."""
    ends = []
    for line in lines:
        words = [
            f"{format_metric(curve.metric, line.spreads[labels].mean)} with {labels:,} labels"
            for labels in dict.fromkeys((min(line.spreads), max(line.spreads)))
        ]
        ends.append(f"{line.name}: {', '.join(words)}")
    return f"{'; '.join(ends)}. Bands are one standard deviation over the seeds on both sides."


def _axes(curve: Curve, lines: list[_Line]) -> Axes:
    ends = [end for line in lines for spread in line.spreads.values() for end in _ends(spread)]
    is_share = curve.metric in SHARES
    scores = round_scores(
        min(ends),
        max(ends),
        least=LEAST_RANGE if is_share else LEAST_SHARE * max(map(abs, ends)) or 1.0,
        limits=(0, 1) if is_share else None,
    )
    longest = max(len(row) for rows in _rows(lines) for row in rows)
    left = MARGIN + DIGIT * max(len(_tick(curve, score)) for score in scores)
    right = WIDTH - NAME_GAP - LETTER * longest - MARGIN / 2
    return Axes(left, right, TOP, HEIGHT - BOTTOM, curve.sizes, scores)


def _ends(spread: Spread) -> tuple[float, float]:
    """Return one standard deviation below and above the mean."""
    deviation = spread.deviation or 0
    return spread.mean - deviation, spread.mean + deviation


def _tick(curve: Curve, score: float) -> str:
    return f"{100 * score:g} %" if curve.metric in SHARES else f"{score:g}"


def _heading(title: str, axes: Axes) -> str:
    return f'<text class="t" x="{axes.left}" y="28">{escape(title)}</text>'


def _grid(curve: Curve, axes: Axes) -> str:
    scores = (
        f'<path class="g" d="M{axes.left} {axes.y(score):.1f}H{axes.right}"/>'
        f'<text x="{axes.left - 9}" y="{axes.y(score) + 5:.1f}" text-anchor="end">'
        f"{_tick(curve, score)}</text>"
        for score in axes.scores
    )
    sizes = (
        f'<path class="g" d="M{axes.x(size):.1f} {axes.bottom}v6"/>'
        f'<text x="{axes.x(size):.1f}" y="{axes.bottom + 24}" text-anchor="middle">{size:,}</text>'
        for size in axes.size_ticks()
    )
    caption = (
        f'<text x="{(axes.left + axes.right) / 2:.1f}" y="{HEIGHT - 10}" text-anchor="middle">'
        "labels to train on, logarithmic</text>"
    )
    return "".join([*scores, *sizes, _axis_break(axes), caption])


def _axis_break(axes: Axes) -> str:
    """Return the mark between 0 and the logarithmic part; "" without a 0, or with nothing else."""
    if axes.sizes[0] != 0 or len(axes.sizes) == 1:
        return ""
    x = axes.left + axes.zero_gap / 2
    return (
        f'<path class="p" d="M{x - 5:.1f} {axes.bottom - 2}h10v4h-10z"/>'
        f'<path class="g" d="M{x - 8:.1f} {axes.bottom + 5}l6 -10m4 10l6 -10"/>'
    )


def _band(axes: Axes, line: _Line) -> str:
    ends = [(axes.x(labels), *_ends(spread)) for labels, spread in line.spreads.items()]
    below = [f"{x:.1f} {axes.y(low):.1f}" for x, low, _ in ends]
    above = [f"{x:.1f} {axes.y(high):.1f}" for x, _, high in ends]
    if len(ends) == 1:  # a bar: a band would have no width
        return f'<path class="k {line.css}" d="M{below[0]}L{above[0]}"/>'
    return f'<path class="b {line.css}" d="M{"L".join([*below, *above[::-1]])}Z"/>'


def _line(axes: Axes, line: _Line) -> str:
    points = [(axes.x(labels), axes.y(spread.mean)) for labels, spread in line.spreads.items()]
    markers = "".join(_marker(line.number, x, y) for x, y in points)
    if line.is_level:
        points.append((axes.right, points[0][1]))
    solid = points[1:] if 0 in line.spreads else points  # 0 is not on the logarithmic axis
    paths = _path(line, points[:2], "l d") if 0 in line.spreads else ""
    paths += _path(line, solid, "l d" if line.number >= len(LIGHT) else "l")
    return f'<g class="{line.css}">{paths}{markers}</g>'


def _path(line: _Line, points: list[tuple[float, float]], css: str) -> str:
    if len(points) < 2:
        return ""
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="{css} l{line.number}" d="M{path}"/>'


def _marker(number: int, x: float, y: float) -> str:
    """Return a disc, a square, a diamond or a triangle, which differ without colours too."""
    match number % 4:
        case 0:
            return f'<circle class="m" cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>'
        case 1:
            return f'<rect class="m" x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9"/>'
        case 2:
            return f'<path class="m" d="M{x:.1f} {y - 6.5:.1f}l6.5 6.5l-6.5 6.5l-6.5 -6.5z"/>'
        case _:
            return f'<path class="m" d="M{x:.1f} {y - 6.5:.1f}l6.2 11h-12.4z"/>'


def _names(axes: Axes, lines: list[_Line]) -> str:
    """Return the names to the right of the plot, each with a line from the end of its curve."""
    rows = _rows(lines)
    wanted = [axes.y(line.end[1]) for line in lines]
    heights = [float(LINE * len(each)) for each in rows]
    placed = spread_apart(wanted, heights, TOP - LINE / 2, HEIGHT - BOTTOM + LINE / 2)
    return "".join(
        _name(axes, line, each, at) for line, each, at in zip(lines, rows, placed, strict=True)
    )


def _name(axes: Axes, line: _Line, rows: list[str], at: float) -> str:
    labels, score = line.end
    start = axes.right if line.is_level else axes.x(labels)
    left, first = axes.right + NAME_GAP, at - LINE * (len(rows) - 1) / 2 + 5
    spans = "".join(
        f'<tspan x="{left:.1f}" y="{first + LINE * i:.1f}">{escape(row)}</tspan>'
        for i, row in enumerate(rows)
    )
    lead = f"M{start + 8:.1f} {axes.y(score):.1f}L{left - 5:.1f} {at:.1f}"
    return f'<g class="{line.css}"><path class="k" d="{lead}"/><text class="n">{spans}</text></g>'


def _rows(lines: list[_Line]) -> list[list[str]]:
    """Return each name in rows; in fewer of them, and cut, where all would not fit."""
    for most in range(MOST_LINES, 0, -1):
        rows = [
            textwrap.wrap(line.name, LONGEST, max_lines=most, placeholder=" …") or ["-"]
            for line in lines
        ]
        if LINE * sum(map(len, rows)) <= HEIGHT - TOP - BOTTOM + LINE:
            break
    return rows
