"""The sections of a card on the model's origin: its texts, the command, the training run."""

import dataclasses
import shlex
from collections.abc import Iterable, Mapping

from mlm.checkpoint.record.markdown import format_value, section, table
from mlm.checkpoint.record.reading import public_name
from mlm.training.card.stated import stated_facts
from mlm.training.card.training_json import Corpus, TrainingJson
from mlm.training.config import TrainingConfig
from mlm.training.setting import default_of, settings_of

SHOWN_OF_HASH = 16  # hexadecimal digits; training.json has all


def data_section(training: TrainingJson) -> str:
    """Return the texts: data sets and licence, files, sizes, fingerprint."""
    corpus = training.get("corpus", {})
    fingerprint = corpus.get("fingerprint")
    return section(
        "Data",
        _datasets(training),
        _files_table(corpus),
        _sizes_table(corpus.get("counts", {})),
        corpus.get("report_line", "").split("\n")[0],
        f"Fingerprint of the corpus as it was cleaned and cut: `{fingerprint}`."
        if fingerprint
        else "",
    )


def _datasets(training: TrainingJson) -> str:
    stated = stated_facts(training)
    links = (f"[{name}](https://huggingface.co/datasets/{name})" for name in stated.datasets)
    datasets = f"Texts of {', '.join(links)}." if stated.datasets else ""
    licence = stated.dataset_licence
    licensed = f"Licence of the texts: {licence}." if licence else ""
    return " ".join(filter(None, [datasets, licensed]))


def _files_table(corpus: Corpus) -> str:
    rows = [
        (
            f"`{public_name(file['name'])}`",
            side,
            format_value(file.get("size"), "{:,}"),
            f"`{file['sha256'][:SHOWN_OF_HASH]}…`" if file.get("sha256") else "",
        )
        for side, files in corpus.get("made_from", {}).get("sources", {}).items()
        for file in files
        if "name" in file
    ]
    return table(["file", "given for", "bytes", "sha256"], rows) if rows else ""


def _sizes_table(counts: Mapping[str, Mapping[str, int]]) -> str:
    rows = [
        (side, *(format_value(counts[side].get(key), "{:,}") for key in ("documents", "tokens")))
        for side in ("train", "validation")
        if side in counts
    ]
    return table(["", "documents", "tokens"], rows) if rows else ""


def recipe_section(training: TrainingJson) -> str:
    """Return the command that repeats the training; "" if its settings are not known."""
    settings = training.get("config")
    if not settings:
        return ""
    commit = training.get("base_model", {}).get("commit")
    if commit:  # the revision may have been a branch, which has moved since
        settings = {**settings, "model_revision": commit}
    command = " \\\n    ".join(["mlm train", *_flags(settings)])
    return section(
        "Recipe", "Settings that are not named have their defaults.", f"```sh\n{command}\n```"
    )


def _flags(settings: Mapping[str, object]) -> Iterable[str]:
    """Yield `--name value` for each setting that is not the default, without local folders."""
    about = settings_of(TrainingConfig)
    for field in dataclasses.fields(TrainingConfig):
        default = default_of(field)
        value = settings.get(field.name, default)
        if value == default or not about[field.name].in_recipe:
            continue
        if value is True:
            yield f"--{field.name}"
        else:
            values = value if isinstance(value, list) else [value]
            is_path = about[field.name].path is not None
            shown = (public_name(v) if is_path else v for v in map(str, values))
            yield f"--{field.name} {shlex.join(shown)}"


def run_section(training: TrainingJson) -> str:
    """Return the hardware of the training run, its steps and speed, and its library versions."""
    hardware, versions = training.get("hardware", {}), training.get("versions", {})
    rows = [
        ("hardware", format_value(hardware.get("device"), "{}")),
        ("replicas", format_value(hardware.get("replicas"), "{}")),
        ("number format", format_value(hardware.get("policy"), "{}")),
        ("steps", format_value(training.get("steps"), "{:,}")),
        ("non-finite steps skipped", format_value(training.get("skipped_steps") or None, "{:,}")),
        ("weights kept of step", format_value(training.get("best_step"), "{:,}")),
        ("tokens per second", format_value(training.get("tokens_per_second"), "{:,.0f}")),
        ("time in training steps", _format_duration(training.get("seconds"))),
        ("seed", format_value(training.get("seed"), "{}")),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]
    known = [(name, value) for name, value in rows if value]
    return section("Run", table(["", ""], known) if known else "")


def _format_duration(seconds: float | None) -> str:
    """Return a duration in hours and minutes, or in seconds below ten minutes."""
    if seconds is None:
        return ""
    if seconds < 600:
        return f"{seconds:,.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min"
