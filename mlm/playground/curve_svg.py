"""A training curve as an inline SVG: no library, colours by CSS classes."""

import math
from collections.abc import Sequence

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 48, 16, 16, 40
TICKS = 5

Curve = Sequence[Sequence[float]]  # [step, loss]


def training_curve(training: Curve, validation: Curve) -> str:
    """Loss against steps, of the training batches and of the held-out texts; "" without points."""
    points = [*training, *validation]
    if len(points) < 2:
        return ""
    last = max(step for step, _ in points) or 1
    low, high = _bounds([loss for _, loss in points])
    plot = _Plot(last, low, high)
    ends = validation or training
    told = f"from {ends[0][1]:.2f} at step {ends[0][0]:,} to {ends[-1][1]:.2f} at {ends[-1][0]:,}"
    return (
        f'<figure class="mlm-curve"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Loss against steps: {told}">{plot.grid()}'
        f"{plot.line(training, 'mlm-line-training')}"
        f"{plot.line(validation, 'mlm-line-validation')}{plot.dots(validation)}</svg>"
        '<figcaption><span class="mlm-key mlm-key-training"></span> training batches '
        '<span class="mlm-key mlm-key-validation"></span> held-out texts: loss in nats a chosen '
        f"token, {told}.</figcaption></figure>"
    )


class _Plot:
    """Steps and losses to places in the picture."""

    def __init__(self, last: float, low: float, high: float):
        self._last, self._low, self._high = last, low, high

    def line(self, curve: Curve, name: str) -> str:
        places = " ".join(f"{self._x(step):.1f},{self._y(loss):.1f}" for step, loss in curve)
        return f'<polyline class="mlm-line {name}" points="{places}"/>' if curve else ""

    def dots(self, curve: Curve) -> str:
        return "".join(
            f'<circle class="mlm-dot" cx="{self._x(step):.1f}" cy="{self._y(loss):.1f}" r="3.5"/>'
            for step, loss in curve
        )

    def grid(self) -> str:
        parts = []
        for i in range(TICKS):
            share = i / (TICKS - 1)
            loss = self._low + share * (self._high - self._low)
            step = share * self._last
            x, y = self._x(step), self._y(loss)
            parts.append(
                f'<line class="mlm-grid-line" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" '
                f'y2="{y:.1f}"/><text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
                f'{loss:g}</text><text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" '
                f'text-anchor="{"end" if i == TICKS - 1 else "middle"}">{step:,.0f}</text>'
            )
        axis = f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">steps</text>'
        return "".join(parts) + axis

    def _x(self, step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / self._last

    def _y(self, loss: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (self._high - loss) / (self._high - self._low)


def _bounds(losses: Sequence[float]) -> tuple[float, float]:
    """Round numbers below and above, so far apart that the ticks between them are round as well."""
    low, high = min(losses), max(losses)
    rough = max(high - low, 1e-3) / (TICKS - 1)
    size = 10.0 ** math.floor(math.log10(rough))
    for step in (size, 2 * size, 2.5 * size, 5 * size, 10 * size, 20 * size):
        bottom = math.floor(low / step) * step
        if bottom + step * (TICKS - 1) >= high:
            break
    return round(bottom, 10), round(bottom + step * (TICKS - 1), 10)
