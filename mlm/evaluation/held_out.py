"""The texts and settings of an evaluation, and the tokens of the texts.

Settings that the user does not give come from the checkpoint's training.json, so that the training
run's own texts give the loss that it reported. The length and layout of the sequences are always
taken from there; the other settings only if the texts are those that the run held out, as the
hashes of their files show.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from mlm.checkpoint.tokenizer import encode_texts
from mlm.data.texts.cleaning import CLEANING_VERSION, read_texts
from mlm.data.texts.text_files import expand_files, file_identity
from mlm.data.texts.text_report import TextReport
from mlm.data.tokens.corpus import texts_of_side
from mlm.data.tokens.token_store import Split
from mlm.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# Settings that are taken from the record of a training run, and the types that they must have.
_RECORDED_TYPES: dict[str, tuple[type, ...]] = {
    "validation_split_percentage": (int, float),
    "text_column": (str,),
    "encoding": (str,),
    "encoding_errors": (str,),
    "clean_html": (str,),
    "max_seq_length": (int,),
    "line_by_line": (bool,),
    "max_eval_samples": (int,),
    "per_device_eval_batch_size": (int,),
}
_TAKEN_FOR_ANY_TEXTS = ("max_seq_length", "line_by_line", "validation_split_percentage")
_FILES = ("validation_file", "train_file")
_PRECISION_OF_POLICY = {"float32": "fp32", "mixed_bfloat16": "bf16", "mixed_float16": "fp16"}

_Settings = dict[str, Any]  # fields of HeldOut by name


class HeldOutSettings(TypedDict, total=False):
    """Settings of an evaluation as a user gives them; None counts as not given."""

    train_file: Sequence[str] | None
    validation_split_percentage: float | None
    text_column: str | None
    encoding: str | None
    encoding_errors: str | None
    clean_html: str | None
    max_seq_length: int | None
    line_by_line: bool | None
    max_eval_samples: int | None
    per_device_eval_batch_size: int | None
    precision: str | None


@dataclass(frozen=True)
class HeldOut:
    """The texts of an evaluation and its settings, which mean what they do in TrainingConfig.

    The texts are all those of `validation_file`, or the share of `train_file` that a training on it
    holds out.
    """

    validation_file: Sequence[str] = ()
    train_file: Sequence[str] = ()
    validation_split_percentage: float = 5.0
    text_column: str | None = None
    encoding: str | None = None
    encoding_errors: str = "strict"
    clean_html: str = "auto"
    max_seq_length: int = 128
    line_by_line: bool = False
    max_eval_samples: int | None = None
    per_device_eval_batch_size: int = 32
    precision: str = "fp32"

    def texts(self, report: TextReport | None = None) -> Iterator[str]:
        """Yield the clean texts, each once, in the order of their files. Raises CorpusError."""
        report = report or TextReport()
        if self.validation_file:
            return read_texts(self.validation_file, **self._reading(), report=report)
        return texts_of_side(
            "validation",
            train_files=self.train_file,
            **self._reading(),
            validation_split_percentage=self.validation_split_percentage,
            report=report,
        )

    def _reading(self) -> dict[str, Any]:
        """Return the settings of read_texts."""
        names = ("text_column", "encoding", "encoding_errors", "clean_html")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        """Return the texts and settings as one line for people."""
        share = f"the {self.validation_split_percentage:g} % held out of "
        files = ", ".join(self.validation_file or self.train_file)
        layout = "one document each" if self.line_by_line else "packed"
        limit = f", {self.max_eval_samples:,} at most" if self.max_eval_samples else ""
        sequences = f"sequences of {self.max_seq_length} tokens, {layout}{limit}"
        return f"{share if self.train_file else ''}{files}: {sequences}, {self.precision}"


def resolve_held_out(
    training: object,
    *,
    validation_file: Sequence[str] = (),
    **given: Unpack[HeldOutSettings],
) -> tuple[HeldOut, float | None]:
    """Return all settings of an evaluation, and the loss of the training run if they are its own.

    Each setting is the one given, else the one that training.json records, else the default.

    Args:
        training: The content of training.json; another shape counts as absent.
        validation_file: Files of which all texts are measured on; none with `train_file`.
        **given: Other fields of HeldOut.

    Returns:
        The settings; the final validation loss of the run, in nats, or None if anything differs.

    Raises:
        ConfigError: The settings contradict each other.
        CorpusError: A file is missing.
    """
    settings: _Settings = {
        name: value
        for name, value in {**given, "validation_file": validation_file}.items()
        if value is not None and (value or name not in _FILES)
    }
    _check_files(settings)
    record = training if isinstance(training, Mapping) else {}
    recorded = _recorded_settings(record)
    if not _are_texts_of_run(settings, record):
        always = {name: recorded[name] for name in _TAKEN_FOR_ANY_TEXTS if name in recorded}
        return HeldOut(**(always | settings)), None
    files = {name: settings[name] for name in _FILES if name in settings}
    held_out = HeldOut(**(recorded | settings))
    loss = _section(record, "metrics", "after").get("loss")
    if held_out == HeldOut(**(recorded | files)) and isinstance(loss, float):
        return held_out, loss
    return held_out, None


def tokenize_held_out(
    held_out: HeldOut, tokenizer: "PreTrainedTokenizerFast", report: TextReport | None = None
) -> Split:
    """Return the tokens of the texts, with a separator after each; CorpusError if none.

    `report` gets the counts and notes of reading them.
    """
    return tokenize_texts(read_held_out(held_out, report), tokenizer)


def read_held_out(held_out: HeldOut, report: TextReport | None = None) -> list[str]:
    """Return the clean texts; CorpusError if there are none."""
    texts = list(held_out.texts(report))
    if not texts:
        files = ", ".join(held_out.validation_file or held_out.train_file)
        raise CorpusError(f"no text to measure on in {files}; give files with more texts in them")
    return texts


def tokenize_texts(texts: list[str], tokenizer: "PreTrainedTokenizerFast") -> Split:
    """Return the tokens of the texts, with a separator after each."""
    documents = [[*ids, tokenizer.sep_token_id] for ids in encode_texts(tokenizer, texts)]
    return Split(
        tokens=np.concatenate([np.asarray(ids, np.int32) for ids in documents]),
        offsets=np.cumsum([0, *map(len, documents)], dtype=np.int64),
    )


def _check_files(settings: Mapping[str, object]) -> None:
    if ("validation_file" in settings) == ("train_file" in settings):
        raise ConfigError(
            "give either --validation_file, or --train_file for the share of it that a training "
            "holds out"
        )
    if "train_file" not in settings and "validation_split_percentage" in settings:
        raise ConfigError(
            "--validation_split_percentage goes with --train_file; all of a --validation_file is "
            "measured on: leave it out"
        )


def _recorded_settings(record: Mapping[str, object]) -> _Settings:
    """Return the settings in a record that have the right type: anyone may have written it."""
    config = _section(record, "config")
    found: _Settings = {
        name: config[name]
        for name, types in _RECORDED_TYPES.items()
        if type(config.get(name)) in types
    }
    policy = _section(record, "hardware").get("policy")
    if isinstance(policy, str) and policy in _PRECISION_OF_POLICY:
        found["precision"] = _PRECISION_OF_POLICY[policy]
    return found


def _are_texts_of_run(settings: _Settings, record: Mapping[str, object]) -> bool:
    """Return whether the files have the hashes of those that the recorded run held texts out of."""
    made_from = _section(record, "corpus", "made_from")
    sources = _section(made_from, "sources")
    if made_from.get("cleaning") != CLEANING_VERSION:
        return False
    if "train_file" not in settings:
        return _hash_files(settings["validation_file"]) == _hashes(sources.get("validation"))
    by_percentage = "validation" not in sources
    return by_percentage and _hash_files(settings["train_file"]) == _hashes(sources.get("train"))


def _section(record: Mapping[str, object], *names: str) -> Mapping[str, object]:
    """Return a nested part of a record, empty if it is absent or not a mapping."""
    for name in names:
        part = record.get(name)
        record = part if isinstance(part, Mapping) else {}
    return record


def _hash_files(files: Sequence[str]) -> list[dict[str, object]]:
    return _hashes([file_identity(url) for url in expand_files(files)])


def _hashes(identities: object) -> list[dict[str, object]]:
    """Return the identities of files without their names, which may change."""
    known = identities if isinstance(identities, list) else []
    return [
        {key: one[key] for key in one if key != "name"} for one in known if isinstance(one, dict)
    ]
