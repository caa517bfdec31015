"""The sections of a card that say where the model is from: texts, recipe, the run itself."""

import dataclasses
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from mlm.checkpoint.record.reading import public_name
from mlm.training.card.stated import stated_in
from mlm.training.card.tables import number, table, titled
from mlm.training.config import TrainingConfig

FILES = ("train_file", "validation_file", "model_name_or_path", "add_words_file")
NOT_RECIPE = {  # where the result went and how it was kept moves no weight
    "output_dir",
    "overwrite_output_dir",
    "push_to_hub",
    "hub_model_id",
    "hub_private_repo",
    "hub_tag",
    "hub_space",
    "resume_from_hub",
    "hub_state_minutes",
    "max_train_minutes",
    "report_to",
    "require_device",
}
SHOWN_OF_HASH = 16  # hexadecimal digits; training.json has all


def data(training: Mapping[str, Any]) -> str:
    """The texts: whose, under which licence, which files, how many, their fingerprint."""
    corpus = training.get("corpus", {})
    fingerprint = corpus.get("fingerprint")
    return titled(
        "Data",
        _whose(training),
        _files(corpus),
        _sizes(corpus.get("counts", {})),
        corpus.get("report_line", "").split("\n")[0],
        f"Fingerprint of the corpus as it was cleaned and cut: `{fingerprint}`."
        if fingerprint
        else "",
    )


def _whose(training: Mapping[str, Any]) -> str:
    stated = stated_in(training)
    links = (f"[{name}](https://huggingface.co/datasets/{name})" for name in stated.datasets)
    of = f"Texts of {', '.join(links)}." if stated.datasets else ""
    licence = stated.dataset_licence
    under = f"Licence of the texts: {licence}." if licence else ""
    return " ".join(filter(None, [of, under]))


def _files(corpus: Mapping[str, Any]) -> str:
    rows = [
        (
            f"`{public_name(file['name'])}`",
            side,
            number(file.get("size"), "{:,}"),
            f"`{file['sha256'][:SHOWN_OF_HASH]}…`" if file.get("sha256") else "",
        )
        for side, files in corpus.get("made_from", {}).get("sources", {}).items()
        for file in files
        if "name" in file
    ]
    return table(["file", "given for", "bytes", "sha256"], rows) if rows else ""


def _sizes(counts: Mapping[str, Any]) -> str:
    rows = [
        (side, *(number(counts[side].get(key), "{:,}") for key in ("documents", "tokens")))
        for side in ("train", "validation")
        if side in counts
    ]
    return table(["", "documents", "tokens"], rows) if rows else ""


def recipe(training: Mapping[str, Any]) -> str:
    """The command that trains the same again."""
    settings = training.get("config")
    if not settings:
        return ""
    commit = training.get("base_model", {}).get("commit")
    if commit:  # what a branch stood for then
        settings = {**settings, "model_revision": commit}
    command = " \\\n    ".join(["python scripts/train.py", *_flags(settings)])
    return titled(
        "Recipe", "Settings that are not named have their defaults.", f"```sh\n{command}\n```"
    )


def _flags(settings: Mapping[str, Any]) -> Iterable[str]:
    """`--name value` for each setting that differs from its default, local folders left out."""
    for field in dataclasses.fields(TrainingConfig):
        factory = field.default_factory
        default = field.default if factory is dataclasses.MISSING else factory()
        value = settings.get(field.name, default)
        if value == default or field.name in NOT_RECIPE:
            continue
        if value is True:
            yield f"--{field.name}"
        else:
            values = value if isinstance(value, list) else [value]
            named = (public_name(v) if field.name in FILES else v for v in map(str, values))
            yield f"--{field.name} {shlex.join(named)}"


def run(training: Mapping[str, Any]) -> str:
    """The hardware, what it did in which time, and with which programs."""
    hardware, versions = training.get("hardware", {}), training.get("versions", {})
    rows = [
        ("hardware", number(hardware.get("device"), "{}")),
        ("replicas", number(hardware.get("replicas"), "{}")),
        ("number format", number(hardware.get("policy"), "{}")),
        ("steps", number(training.get("steps"), "{:,}")),
        ("of these passed over", number(training.get("skipped_steps") or None, "{:,}")),
        ("weights kept of step", number(training.get("best_step"), "{:,}")),
        ("tokens per second", number(training.get("tokens_per_second"), "{:,.0f}")),
        ("time in training steps", _duration(training.get("seconds"))),
        ("seed", number(training.get("seed"), "{}")),
        ("versions", ", ".join(f"{name} {of}" for name, of in versions.items())),
    ]
    known = [(name, value) for name, value in rows if value]
    return titled("Run", table(["", ""], known) if known else "")


def _duration(seconds: float | None) -> str:
    """As people say it; to the second below ten minutes."""
    if seconds is None:
        return ""
    if seconds < 600:
        return f"{seconds:,.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min"
