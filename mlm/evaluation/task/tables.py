"""Tables of a task's figures: as text for a terminal, and as Markdown for a card."""

from typing import NamedTuple

from mlm.checkpoint.record.markdown import escape_markdown
from mlm.checkpoint.record.markdown import table as markdown_table
from mlm.evaluation.task.label_figures import LabelFigures
from mlm.evaluation.task.metric_names import SHARES, TITLES, format_metric
from mlm.evaluation.task.task_figures import TaskFigures, format_range
from mlm.terminal.tables import format_table, line_width

MAX_CLASSES = 12  # of a confusion matrix that a person can read
MAX_PAIRS = 10  # confused pairs instead of it
MAX_ROWS = 40  # labels, those with the most support
LONGEST_NAME = 28  # characters in a terminal
NO_VALUE = "-"


class Table(NamedTuple):
    """A table without its layout.

    Attributes:
        title: A line above it.
        header: Names of the columns; the first column holds names, the others numbers.
        rows: Cells.
        num_names: How many columns from the left hold names of labels, which are not ours.
        names_in_header: Whether the header has names of labels too, behind its first cell.
        names_in_title: Whether the title has.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    num_names: int = 0
    names_in_header: bool = False
    names_in_title: bool = False


def text_tables(figures: TaskFigures) -> str:
    """Return all tables of the figures for a terminal, an empty line between them."""
    return "\n\n".join(as_text(table) for table in tables_of(figures))


def markdown_tables(figures: TaskFigures) -> str:
    """Return all tables of the figures as Markdown that shows any label's name as it is."""
    return "\n\n".join(as_markdown(table) for table in tables_of(figures))


def tables_of(figures: TaskFigures) -> list[Table]:
    """Return the metrics, the figures by label, and the confusions, as far as the task has them."""
    tables = [_metrics_table(figures)]
    if figures.per_label:
        tables.append(_label_table(figures))
    if figures.confusion_cells and len(figures.labels) <= MAX_CLASSES:
        tables.append(_confusion_table(figures))
    elif figures.confusion_cells:
        tables.append(_pairs_table(figures))
    return tables


def _metrics_table(figures: TaskFigures) -> Table:
    rows = []
    for name, value in figures.metrics.items():
        ends = figures.intervals.get(name)
        unit = " %" if name in SHARES else ""
        interval = format_range(name, *ends) + unit if ends else NO_VALUE
        rows.append([metric_title(figures, name), format_metric(name, value), interval])
    header = ["", "value", "95 % interval"]
    return Table(f"Figures of {figures.count()}", header, rows, num_names=1)


def metric_title(figures: TaskFigures, name: str) -> str:
    """Return a metric's title; the F1 of two labels says which one it is of."""
    title = TITLES.get(name, name)
    is_of_second = name == "f1" and figures.problem_type == "single_label_classification"
    return f"{title} of {printable(figures.labels[1])}" if is_of_second else title


def _label_table(figures: TaskFigures) -> Table:
    shown = list(figures.per_label)
    kind = "type of entity" if figures.is_of_entities else "label"
    title = f"By {kind}"
    if len(shown) > MAX_ROWS:
        title += f" (the {MAX_ROWS} with the most support, of {len(shown):,})"
        shown = sorted(shown, key=lambda label: -label.support)[:MAX_ROWS]
    header = [kind, "precision", "recall", "F1", "support", "predicted"]
    return Table(title, header, [_label_row(each) for each in shown], num_names=1)


def _label_row(figures: LabelFigures) -> list[str]:
    shares = (figures.precision, figures.recall, figures.f1)
    return [
        figures.label,
        *(NO_VALUE if share is None else format_metric("f1", share) for share in shares),
        f"{figures.support:,}",
        f"{figures.predicted:,}",
    ]


def _confusion_table(figures: TaskFigures) -> Table:
    rows = zip(figures.labels, figures.confusion.tolist(), strict=True)
    return Table(
        "Confusion matrix (rows: the right label, columns: the predicted one)",
        ["", *figures.labels],
        [[label, *(f"{count:,}" for count in counts)] for label, counts in rows],
        num_names=1,
        names_in_header=True,
    )


def _pairs_table(figures: TaskFigures) -> Table:
    wrong = [cell for cell in figures.confusion_cells if cell[0] != cell[1]]
    shown = sorted(wrong, key=lambda cell: -cell[2])[:MAX_PAIRS]
    support = {each.label: each.support for each in figures.per_label}
    rows = [
        [
            figures.labels[label],
            figures.labels[predicted],
            f"{count:,}",
            format_metric("recall", count / support[figures.labels[label]]),
        ]
        for label, predicted, count in shown
    ]
    pairs = f"{len(shown)} of {len(wrong):,} pairs"
    title = f"Most frequent confusions ({pairs}; no matrix above {MAX_CLASSES} labels)"
    return Table(title, ["right label", "predicted", "texts", "of the label"], rows, num_names=2)


def as_text(table: Table) -> str:
    """Return a table for a terminal; long names are cut."""
    rows = [[*map(_shorten, row[: table.num_names]), *row[table.num_names :]] for row in table.rows]
    header = list(map(_shorten, table.header))
    if table.names_in_header and table.num_names:
        header, rows = _fit(header, rows)
    return format_table(header, rows, title=printable(table.title))


def _fit(header: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of a matrix; if the header is too wide, its names become numbers."""
    first, narrowest = max(len(row[0]) for row in rows), len("1,000")
    if first + sum(2 + max(len(name), narrowest) for name in header[1:]) <= line_width():
        return header, rows
    numbered = [[f"{i} {row[0]}", *row[1:]] for i, row in enumerate(rows, 1)]
    return ["", *map(str, range(1, len(header)))], numbered


def as_markdown(table: Table) -> str:
    """Return a table as Markdown that shows any name as it is."""
    rows = [[*map(_escape, row[: table.num_names]), *row[table.num_names :]] for row in table.rows]
    header = table.header
    if table.names_in_header:
        header = [header[0], *map(_escape, header[1:])]
    title = _escape(table.title) if table.names_in_title else table.title
    return f"{title}:\n\n{markdown_table(header, rows)}"


def _shorten(name: str) -> str:
    plain = printable(name)
    return plain if len(plain) <= LONGEST_NAME else plain[: LONGEST_NAME - 1] + "…"


def _escape(name: str) -> str:
    return escape_markdown(printable(name))


def printable(name: str) -> str:
    """Return a stranger's name in one line, without control characters."""
    shown = (
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in " ".join(name.split())
    )
    return "".join(shown)
