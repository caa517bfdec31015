"""The sections of a card on the model's origin: its texts, the command, the training run."""

import dataclasses
import shlex
from collections.abc import Iterable, Mapping

from mlm.checkpoint.record.markdown import code, code_block, format_value, section, table
from mlm.checkpoint.record.reading import public_name
from mlm.training.card.stated import stated_facts
from mlm.training.card.training_json import Corpus, TrainingJson
from mlm.training.config import TrainingConfig
from mlm.training.run_settings import RunSettings
from mlm.training.setting import GROUPS, default_of, settings_of

SHOWN_OF_HASH = 16  # hexadecimal digits; training.json has all
# The order in which cards name the settings of a masked LM, before those that follow in any order
# of their groups. It is fixed: a card with another one counts as edited.
FIRST_SETTINGS = (
    "train_file token_store validation_file validation_split_percentage text_column "
    "encoding encoding_errors clean_html max_train_samples max_eval_samples "
    "line_by_line group_by_length model_name_or_path model_revision model_type "
    "config_overrides vocab_size tokenizer_type cased add_words_file suggest_words "
    "freeze_layers max_seq_length mlm_probability final_mlm_probability "
    "mask_replace_prob random_replace_prob whole_word_mask span_mask "
)


def data_section(training: TrainingJson) -> str:
    """Return the texts: data sets and licence, files, sizes, fingerprint."""
    corpus = training.get("corpus", {})
    return section(
        "Data",
        datasets_line(training),
        files_table(corpus),
        sizes_table(corpus.get("counts", {}), ("train", "validation"), "documents"),
        corpus.get("report_line", "").split("\n")[0],
        fingerprint_line(corpus),
    )


def datasets_line(training: TrainingJson) -> str:
    """Return the data sets on the Hub, and the licence of the texts."""
    stated = stated_facts(training)
    links = (f"[{name}](https://huggingface.co/datasets/{name})" for name in stated.datasets)
    datasets = f"Texts of {', '.join(links)}." if stated.datasets else ""
    licence = stated.dataset_licence
    licensed = f"Licence of the texts: {licence}." if licence else ""
    return " ".join(filter(None, [datasets, licensed]))


def fingerprint_line(corpus: Corpus) -> str:
    """Return the hash of the texts in a sentence; "" if there is none."""
    fingerprint = corpus.get("fingerprint")
    if not fingerprint:
        return ""
    return f"Fingerprint of the corpus as it was cleaned and cut: {code(fingerprint)}."


def files_table(corpus: Corpus) -> str:
    """Return the files that texts were read from; "" if none is known."""
    rows = [
        (
            code(public_name(file["name"])),
            side,
            format_value(file.get("size"), "{:,}"),
            code(f"{file['sha256'][:SHOWN_OF_HASH]}…") if file.get("sha256") else "",
        )
        for side, files in corpus.get("made_from", {}).get("sources", {}).items()
        for file in files
        if "name" in file
    ]
    return table(["file", "given for", "bytes", "sha256"], rows) if rows else ""


def sizes_table(
    counts: Mapping[str, Mapping[str, int]], sides: Iterable[str], documents: str
) -> str:
    """Return the numbers of texts and tokens by side; `documents` is the heading of the former."""
    rows = [
        (side, *(format_value(counts[side].get(key), "{:,}") for key in ("documents", "tokens")))
        for side in sides
        if side in counts
    ]
    return table(["", documents, "tokens"], rows) if rows else ""


def recipe_section(training: TrainingJson) -> str:
    """Return the command that repeats the training; "" if its settings are not known."""
    settings = training.get("config")
    if not settings:
        return ""
    commit = training.get("base_model", {}).get("commit")
    recipe = recipe_of(TrainingConfig, settings, commit)
    places = {name: place for place, name in enumerate(FIRST_SETTINGS.split())}
    ordered = sorted(recipe, key=lambda name: places.get(name, len(places)))
    return command_section("mlm train", {name: recipe[name] for name in ordered})


def recipe_of(
    config_class: type[RunSettings], settings: Mapping[str, object], commit: str | None
) -> dict[str, object]:
    """Return the settings of a card's recipe: those that are not the default, without folders.

    They are in the order of their groups.

    Args:
        config_class: The class of the settings.
        settings: Their values by name; any may be absent.
        commit: That of the initial checkpoint; None if it was not fetched from the Hub.
    """
    if commit:  # the revision may have been a branch, which has moved since
        settings = {**settings, "model_revision": commit}
    about, recipe = settings_of(config_class), {}
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    for name in sorted(about, key=lambda name: GROUPS.index(about[name].group)):
        default = default_of(fields[name])
        value = settings.get(name, default)
        if value == default or not about[name].in_recipe:
            continue
        is_path = about[name].path is not None and value is not True
        recipe[name] = _without_folders(value) if is_path else value
    return recipe


def _without_folders(value: object) -> object:
    if isinstance(value, list):
        return [public_name(str(each)) for each in value]
    return public_name(str(value))


def command_section(command: str, recipe: Mapping[str, object]) -> str:
    """Return the section with a command and its settings."""
    lines = " \\\n    ".join([command, *_flags(recipe)])
    return section(
        "Recipe", "Settings that are not named have their defaults.", code_block("sh", lines)
    )


def _flags(recipe: Mapping[str, object]) -> Iterable[str]:
    """Yield `--name value` for each setting."""
    for name, value in recipe.items():
        if value is True:
            yield f"--{name}"
        else:
            values = value if isinstance(value, list) else [value]
            yield f"--{name} {shlex.join(map(str, values))}"


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
