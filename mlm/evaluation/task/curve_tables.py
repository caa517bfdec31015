"""Tables of a learning curve, as text and as Markdown: scores, and labels saved."""

from collections.abc import Sequence

from mlm.evaluation.task.curve import Curve
from mlm.evaluation.task.labels_saved import labels_saved
from mlm.evaluation.task.metric_names import SHARES, TITLES, format_metric
from mlm.evaluation.task.seeds import Spread
from mlm.evaluation.task.tables import NO_VALUE, Table, as_markdown, as_text


def curve_text(curve: Curve) -> str:
    """Return the scores and the labels saved for a terminal."""
    return "\n\n".join(map(as_text, curve_tables(curve)))


def curve_markdown(curve: Curve) -> str:
    """Return the scores and the labels saved as Markdown that shows any name as it is."""
    return "\n\n".join(map(as_markdown, curve_tables(curve)))


def curve_tables(curve: Curve) -> list[Table]:
    """Return the table of scores, and with several systems that of labels saved by the first."""
    tables = [_scores(curve)]
    if len(curve.systems) > 1:
        tables.append(_saved(curve, curve.systems[0], curve.systems[1:]))
    return tables


def _scores(curve: Curve) -> Table:
    rows = [
        [f"{labels:,}", *(_cell(curve, system, labels) for system in curve.systems)]
        for labels in curve.sizes
    ]
    counts = [s.count for system in curve.systems for s in curve.spreads(system).values()]
    name = TITLES.get(curve.metric, curve.metric)
    title = f"{name[:1].upper()}{name[1:]} by number of labels"
    if max(counts) > 1:
        most = "" if min(counts) == max(counts) else "up to "
        title += f" (mean ± standard deviation, {most}{max(counts)} seeds)"
    return Table(title, ["labels", *curve.systems], rows, names_in_header=True)


def _cell(curve: Curve, system: str, labels: int) -> str:
    spread = curve.spreads(system).get(labels)
    return NO_VALUE if spread is None else format_spread(curve.metric, spread)


def format_spread(metric: str, spread: Spread) -> str:
    """Return mean and deviation for people: "83.1 ± 0.8 %"."""
    mean = format_metric(metric, spread.mean)
    if spread.deviation is None:
        return mean
    if metric in SHARES:
        return f"{100 * spread.mean:.1f} ± {100 * spread.deviation:.1f} %"
    return f"{mean} ± {format_metric(metric, spread.deviation)}"


def _saved(curve: Curve, adapted: str, others: Sequence[str]) -> Table:
    saved = {other: labels_saved(curve, adapted, other) for other in others}
    rows = [
        [f"{labels:,}", *(each[row].text() for each in saved.values())]
        for row, labels in enumerate(curve.spreads(adapted))
    ]
    title = f"Labels that each system needs for the score of {adapted}"
    return Table(title, ["labels", *others], rows, names_in_header=True, names_in_title=True)
