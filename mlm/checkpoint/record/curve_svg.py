"""The loss curve of a training as SVG: for a page with its own style sheet, and as a file."""

import math
from collections.abc import Sequence

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 48, 16, 16, 40
TICKS = 5
MAX_POINTS = 400  # of a curve; more make no difference in 640 pixels
LOSS = "loss in nats a chosen token"  # fixed: published cards are compared as text

Curve = Sequence[Sequence[float]]  # points, each [step, loss]

# The file is shown on pages that may be dark, so it sets its own background.
STYLE = (
    "svg{background:#fff;font:13px system-ui,sans-serif}text{fill:#4b5563}"
    ".mlm-grid-line{stroke:#e5e7eb}.mlm-line{fill:none;stroke-width:2;stroke-linejoin:round}"
    ".mlm-line-training{stroke:#9ca3af}.mlm-line-validation{stroke:#c2410c;stroke-width:2.5}"
    ".mlm-dot{fill:#c2410c}"
)
LEGEND = (("training batches", "mlm-line-training"), ("held-out texts", "mlm-line-validation"))


def training_curve(training: Curve, validation: Curve) -> str:
    """Return an HTML figure of loss against steps, styled by the page; "" below two points."""
    summary = curve_in_words(training, validation)
    if not summary:
        return ""
    return (
        f'<figure class="mlm-curve"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Loss against steps: {summary}">{_plot_elements(training, validation)}</svg>'
        '<figcaption><span class="mlm-key mlm-key-training"></span> training batches '
        f'<span class="mlm-key mlm-key-validation"></span> held-out texts: {LOSS}, {summary}.'
        "</figcaption></figure>"
    )


def curve_picture(training: Curve, validation: Curve) -> str:
    """Return the content of an SVG file of loss against steps; "" below two points."""
    summary = curve_in_words(training, validation)
    if not summary:
        return ""
    curves = zip(LEGEND, (training, validation), strict=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img"><title>Loss against steps: {summary}</title>'
        f'<style>{STYLE}</style><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f"{_plot_elements(training, validation)}"
        f"{_legend([entry for entry, curve in curves if curve])}</svg>\n"
    )


def curve_in_words(training: Curve, validation: Curve) -> str:
    """Return the first and last point as text, for screen readers; "" below two points."""
    if len(training) + len(validation) < 2:
        return ""
    ends = validation or training
    return f"from {ends[0][1]:.2f} at step {ends[0][0]:,} to {ends[-1][1]:.2f} at {ends[-1][0]:,}"


def _plot_elements(training: Curve, validation: Curve) -> str:
    training, validation = _downsample(training), _downsample(validation)
    points = [*training, *validation]
    last = max(step for step, _ in points) or 1
    plot = _Plot(last, *_bounds([loss for _, loss in points]))
    lines = plot.polyline(training, LEGEND[0][1]) + plot.polyline(validation, LEGEND[1][1])
    return f"{plot.grid()}{lines}{plot.dots(validation)}"


def _downsample(curve: Curve) -> Curve:
    """Return at most MAX_POINTS of a curve's points, with its first and last."""
    stride = -(-(len(curve) - 1) // (MAX_POINTS - 1))
    return [*curve[:-1:stride], curve[-1]] if stride > 1 else curve


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    """Return a legend for the top right, where a falling curve leaves room."""
    left = WIDTH - RIGHT - 220
    rows = [(name, css, TOP + 15 + 18 * row) for row, (name, css) in enumerate(entries)]
    keys = "".join(
        f'<line class="mlm-line {css}" x1="{left}" x2="{left + 28}" y1="{y - 4}" y2="{y - 4}"/>'
        f'<text x="{left + 38}" y="{y}">{name}</text>'
        for name, css, y in rows
    )
    return f'{keys}<text x="{left + 38}" y="{TOP + 15 + 18 * len(rows)}">{LOSS}</text>'


class _Plot:
    """Maps steps and losses to coordinates of the picture, and draws them."""

    def __init__(self, last: float, low: float, high: float):
        self._last, self._low, self._high = last, low, high

    def polyline(self, curve: Curve, name: str) -> str:
        points = " ".join(f"{self._x(step):.1f},{self._y(loss):.1f}" for step, loss in curve)
        return f'<polyline class="mlm-line {name}" points="{points}"/>' if curve else ""

    def dots(self, curve: Curve) -> str:
        return "".join(
            f'<circle class="mlm-dot" cx="{self._x(step):.1f}" cy="{self._y(loss):.1f}" r="3.5"/>'
            for step, loss in curve
        )

    def grid(self) -> str:
        fractions = [i / (TICKS - 1) for i in range(TICKS)]
        losses = "".join(
            self._loss_tick(self._low + i * (self._high - self._low)) for i in fractions
        )
        steps = "".join(map(self._step_tick, _round_steps(self._last)))
        axis = f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">steps</text>'
        return f"{losses}{steps}{axis}"

    def _loss_tick(self, loss: float) -> str:
        y = self._y(loss)
        return (
            f'<line class="mlm-grid-line" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" '
            f'y2="{y:.1f}"/><text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{loss:g}</text>'
        )

    def _step_tick(self, step: float) -> str:
        anchor = "end" if step == self._last else "middle"
        return (
            f'<text x="{self._x(step):.1f}" y="{HEIGHT - BOTTOM + 20}" '
            f'text-anchor="{anchor}">{step:,.0f}</text>'
        )

    def _x(self, step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / self._last

    def _y(self, loss: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (self._high - loss) / (self._high - self._low)


def _round_steps(last: float) -> list[float]:
    """Return zero and the multiples of a round number up to the last step, 7 at most."""
    rough = max(abs(last) / 6, 1.0)
    size = 10.0 ** math.floor(math.log10(rough))
    each = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    return [each * i for i in range(int(last / each) + 1)]


def _bounds(losses: Sequence[float]) -> tuple[float, float]:
    """Return round numbers below and above the losses, between which the ticks are round too."""
    low, high = min(losses), max(losses)
    rough = max(high - low, 1e-3) / (TICKS - 1)
    size = 10.0 ** math.floor(math.log10(rough))
    for step in (size, 2 * size, 2.5 * size, 5 * size, 10 * size, 20 * size):
        bottom = math.floor(low / step) * step
        if bottom + step * (TICKS - 1) >= high:
            break
    return round(bottom, 10), round(bottom + step * (TICKS - 1), 10)
