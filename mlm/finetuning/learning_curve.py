"""The learning curve: what the adaptation is worth, by the number of labels.

Each point is a linear probe: the encoder as it is, and a classifier fitted to its features of the
sampled texts. So each system encodes every text once, and a point takes a second. Points are saved
as they come; the same command goes on where it was stopped.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlm.backend.atomic_files import replace_file
from mlm.checkpoint.strict_json import JsonObject
from mlm.data.examples.encoded_examples import EncodedExamples
from mlm.data.labelled.labelled_texts import LabelledTexts
from mlm.data.labelled.sampling import rows_per_class, sample_rows
from mlm.errors import CheckpointError, ConfigError
from mlm.evaluation.task.curve import Curve, CurvePoint
from mlm.evaluation.task.curve_tables import curve_text
from mlm.evaluation.task.mcnemar import McNemar, mcnemar
from mlm.evaluation.task.metric_names import HEADLINES, resolve_metric
from mlm.evaluation.task_evaluator import figures_of_logits
from mlm.finetuning.comparison import base_model_of, make_systems
from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.features import weights_hash
from mlm.finetuning.systems import ADAPTED, BASE, System
from mlm.finetuning.zero_shot_run import open_masked_lm, zero_shot_figures
from mlm.terminal.progress import progress

if TYPE_CHECKING:
    from mlm.finetuning.preparation import FinetuningPreparation

CURVE = "curve.json"  # in an output folder
VERSION = 2  # of how a point is computed; raise it to draw saved curves again


@dataclass
class CurveRecord:
    """The points of a curve so far, and the comparisons at its end; plain values on disk.

    key: hash of what the points depend on; another key starts again.
    """

    key: str
    metric: str
    points: list[CurvePoint] = field(default_factory=list)
    comparisons: dict[str, McNemar] = field(default_factory=dict)
    is_complete: bool = False

    def curve(self) -> Curve:
        """Return the points as a curve, the adapted model first."""
        systems = dict.fromkeys(point.system for point in self.points)
        return Curve(self.metric, tuple(self.points), tuple(systems))

    def has(self, system: str, labels: int, seed: int) -> bool:
        """Return whether a point is there."""
        return any((p.system, p.labels, p.seed) == (system, labels, seed) for p in self.points)

    def to_dict(self) -> JsonObject:
        """Return what JSON can hold."""
        return {
            "key": self.key,
            "curve": self.curve().to_dict() if self.points else None,
            "comparisons": {name: vars(test) for name, test in self.comparisons.items()},
            "is_complete": self.is_complete,
        }

    def save(self, path: Path) -> None:
        """Write the record."""
        replace_file(path, json.dumps(self.to_dict(), indent=1) + "\n")


def curve_of_run(
    config: FinetuningConfig, prepared: "FinetuningPreparation", report: Callable[[str], None]
) -> CurveRecord:
    """Return the learning curve of a run: the one that is saved if it is complete, else drawn."""
    texts = prepared.texts
    side = "validation" if texts.test is None else "test"
    test: LabelledTexts = getattr(texts, side)
    metric = _metric(config, texts.train)
    path = Path(config.output_dir) / CURVE
    record = saved_record(path, _key(config, prepared, metric), metric)
    samples = list(samples_of(config, texts.train, report))
    if not samples:
        raise ConfigError(
            f"--labels_per_class is {' '.join(config.labels_per_class)}, more than the training "
            "texts have; give smaller numbers, or `all`"
        )
    if not record.is_complete:
        report(f"learning curve: linear probes, measured on {len(test):,} {side} texts")
        if config.zero_shot:
            _draw_zero_labels(record, config, prepared, test, report)
            record.save(path)
        systems = make_systems(config, prepared.device, texts.train, test, report)
        draw_curve(record, systems, samples, prepared.examples[side], path)
    report("\n".join(curve_lines(record)))
    return record


def draw_curve(
    record: CurveRecord,
    systems: Sequence[System],
    samples: Sequence["Sample"],
    test: EncodedExamples,
    path: Path,
) -> None:
    """Add the points that a record lacks, and the comparisons; save it after each point.

    systems: the adapted model first; samples: the largest last; test: what to measure on.
    """
    correct: dict[str, np.ndarray] = {}
    work = [(system, sample) for system in systems for sample in samples]
    with progress("drawing the curve", total=len(work), unit="points") as bar:
        for system, sample in work:
            is_last = sample is samples[-1]
            if is_last or not record.has(system.name, len(sample.rows), sample.seed):
                logits = system.logits(sample.rows, sample.seed)
                score = figures_of_logits(test, logits).score(record.metric)
                _add_point(record, system.name, sample, score)
                if is_last:
                    correct[system.name] = _is_correct(test, logits)
                record.save(path)
            bar.advance()
    record.comparisons, record.is_complete = _comparisons(correct), True
    record.save(path)


def _draw_zero_labels(
    record: CurveRecord,
    config: FinetuningConfig,
    prepared: "FinetuningPreparation",
    test: LabelledTexts,
    report: Callable[[str], None],
) -> None:
    """Add the points of no labels: the masked LMs themselves as classifiers; see zero_shot.py."""
    models = {ADAPTED: (config.model_name_or_path, config.model_revision)}
    if "base" in config.compare:
        models[BASE] = base_model_of(config, prepared.checkpoint)
    no_labels = Sample(np.empty(0, np.int64), config.seed)
    for system, (name, revision) in models.items():
        if name is None or record.has(system, 0, config.seed):
            continue
        try:
            figures = zero_shot_figures(config, open_masked_lm(name, revision), test, report)
        except (ConfigError, CheckpointError) as error:
            if system == ADAPTED:
                raise
            report(f"{system} has no point of 0 labels: {error}")
        else:
            _add_point(record, system, no_labels, figures.score(record.metric))


def curve_lines(record: CurveRecord) -> list[str]:
    """Return the tables of a curve and its comparisons, for the terminal."""
    if not record.points:
        return [f"the learning curve has no points: {record.metric} is undefined on these texts"]
    lines = ["", curve_text(record.curve())]
    if record.comparisons:
        lines += ["", "with the most labels, on the same texts:"]
    for name, test in record.comparisons.items():
        lines.append(f"  {test.line(before=name, after=ADAPTED)}")
    return [*lines, ""]


@dataclass(frozen=True)
class Sample:
    """Rows of the training texts, drawn by a seed."""

    rows: np.ndarray
    seed: int


def samples_of(
    config: FinetuningConfig, train: LabelledTexts, report: Callable[[str], None]
) -> Iterator[Sample]:
    """Yield the samples of all sizes and seeds, the largest last; all texts have one seed."""
    has_classes = train.task.problem_type == "single_label_classification"
    if not has_classes:
        report(f"--labels_per_class counts texts: a {train.task.problem_type} has no classes")
    sizes = sorted({int(size) for size in config.labels_per_class if size != "all"})
    most = _most_per_class(train) if has_classes else len(train)
    for size in sizes:
        if size > most:
            report(_left_out(size, most, has_classes=has_classes))
            continue
        for seed in range(config.seed, config.seed + config.seeds):
            rows = (rows_per_class if has_classes else sample_rows)(train, size, seed)
            yield Sample(np.array(rows), seed)
    if "all" in config.labels_per_class:
        yield Sample(np.arange(len(train)), config.seed)


def _left_out(size: int, most: int, *, has_classes: bool) -> str:
    if has_classes:
        return f"{size:,} labels a class left out: the smallest class has {most:,} training texts"
    return f"{size:,} labels left out: there are {most:,} training texts"


def _most_per_class(train: LabelledTexts) -> int:
    return min(train.labels.count(name) for name in train.task.labels)


def _metric(config: FinetuningConfig, train: LabelledTexts) -> str:
    task = train.task
    if config.metric_name is None:
        return HEADLINES[task.problem_type]
    return resolve_metric(config.metric_name, task.problem_type, len(task.labels))


def _add_point(record: CurveRecord, system: str, sample: Sample, score: float) -> None:
    if np.isfinite(score) and not record.has(system, len(sample.rows), sample.seed):
        record.points.append(CurvePoint(system, len(sample.rows), sample.seed, score))


def _is_correct(test: EncodedExamples, logits: np.ndarray) -> np.ndarray:
    """Return whether each text is right, (E,) bool; nothing where that is not yes or no."""
    if test.task.problem_type != "single_label_classification":
        return np.empty(0, bool)
    correct: np.ndarray = logits.argmax(-1) == test.labels
    return correct


def _comparisons(correct: dict[str, np.ndarray]) -> dict[str, McNemar]:
    """Return McNemar's test of the adapted model against each other one, with the most labels."""
    adapted = correct.get(ADAPTED, np.empty(0))
    return {
        name: mcnemar(other, adapted)
        for name, other in correct.items()
        if name != ADAPTED and len(other) == len(adapted) > 0
    }


def _key(config: FinetuningConfig, prepared: "FinetuningPreparation", metric: str) -> str:
    """Return a hash of all that the points depend on."""
    digest = hashlib.sha256(prepared.fingerprint.encode())
    digest.update(weights_hash(prepared.model).encode())
    names = ["labels_per_class", "seeds", "seed", "compare", "class_weights"]
    if config.zero_shot:
        names += ["zero_shot", "label_words", "calibration"]
    settings = [getattr(config, name) for name in names]
    settings += [config.base_model_name_or_path, config.classifier_pooling, metric, VERSION]
    digest.update(json.dumps(settings).encode())
    return digest.hexdigest()


def saved_record(path: Path, key: str, metric: str) -> CurveRecord:
    """Return the record in a file if it is of this very curve, else an empty one."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        if saved["key"] == key and saved["curve"]:
            points = list(Curve.from_dict(saved["curve"]).points)
            tests = {name: McNemar.from_dict(each) for name, each in saved["comparisons"].items()}
            return CurveRecord(key, metric, points, tests, bool(saved["is_complete"]))
    except (OSError, ValueError, KeyError, TypeError, CheckpointError):
        pass  # there is none, or it is damaged: its points are drawn again
    return CurveRecord(key, metric)
