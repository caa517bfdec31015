"""Which texts an evaluation measures on, and with which settings.

What a user leaves out is what the checkpoint's own run did, as its training.json says: always the
length and the cut of its sequences; all the rest only on the run's own held-out texts, which are
known by the hashes of their files. So the same texts give the figure that the run reported.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlm.data.texts.cleaning import CLEANING_VERSION, TextReport, read_texts
from mlm.data.texts.text_files import expand_files, file_identity
from mlm.data.tokens.corpus import texts_of_side
from mlm.errors import ConfigError

# Settings that are taken from a record, and the types that they have to be of.
_TAKEN: dict[str, tuple[type, ...]] = {
    "validation_split_percentage": (int, float),
    "text_column": (str,),
    "encoding": (str,),
    "max_seq_length": (int,),
    "line_by_line": (bool,),
    "max_eval_samples": (int,),
    "per_device_eval_batch_size": (int,),
}
_TAKEN_FOR_ANY_TEXTS = ("max_seq_length", "line_by_line", "validation_split_percentage")
_FILES = ("validation_file", "train_file")
_PRECISION_OF = {"float32": "fp32", "mixed_bfloat16": "bf16", "mixed_float16": "fp16"}


@dataclass(frozen=True)
class HeldOut:
    """The texts of an evaluation and its settings, which mean what they do in TrainingConfig.

    Either all of `validation_file` is measured on, or the share of `train_file` that a training on
    it holds out.
    """

    validation_file: Sequence[str] = ()
    train_file: Sequence[str] = ()
    validation_split_percentage: float = 5.0
    text_column: str | None = None
    encoding: str | None = None
    max_seq_length: int = 128
    line_by_line: bool = False
    max_eval_samples: int | None = None
    per_device_eval_batch_size: int = 32
    precision: str = "fp32"

    def texts(self) -> Iterator[str]:
        """The clean texts, each once, in the order of their files. Raises CorpusError."""
        if self.validation_file:
            return read_texts(
                self.validation_file,
                text_column=self.text_column,
                encoding=self.encoding,
                report=TextReport(),
            )
        return texts_of_side(
            "validation",
            train_files=self.train_file,
            text_column=self.text_column,
            encoding=self.encoding,
            validation_split_percentage=self.validation_split_percentage,
        )

    def __str__(self) -> str:
        """In words, for people."""
        share = f"the {self.validation_split_percentage:g} % held out of "
        files = ", ".join(self.validation_file or self.train_file)
        cut = "one document each" if self.line_by_line else "packed"
        limit = f", {self.max_eval_samples:,} at most" if self.max_eval_samples else ""
        sequences = f"sequences of {self.max_seq_length} tokens, {cut}{limit}"
        return f"{share if self.train_file else ''}{files}: {sequences}, {self.precision}"


def held_out(training: Mapping[str, Any] | None, **said: Any) -> tuple[HeldOut, float | None]:
    """What was said (None: nothing), then what the record of a training says, then the defaults.

    With it, where all is as in the recorded run, the loss that the run ended at, in nats.
    Raises ConfigError for settings that contradict each other, CorpusError for a missing file.
    """
    said = {n: v for n, v in said.items() if v is not None and (v or n not in _FILES)}
    _check(said)
    training = training if isinstance(training, Mapping) else {}
    taken = _settings_in(training)
    if not _is_of_run(said, training):
        known = {name: taken[name] for name in _TAKEN_FOR_ANY_TEXTS if name in taken}
        return HeldOut(**(known | said)), None
    files = {name: said[name] for name in _FILES if name in said}
    asked = HeldOut(**(taken | said))
    loss = _inside(training, "metrics", "after").get("loss")
    as_recorded = asked == HeldOut(**(taken | files)) and isinstance(loss, float)
    return asked, loss if as_recorded else None


def _check(said: Mapping[str, Any]) -> None:
    if ("validation_file" in said) == ("train_file" in said):
        raise ConfigError(
            "give either --validation_file, or --train_file for the share of it that a training "
            "holds out"
        )
    if "train_file" not in said and "validation_split_percentage" in said:
        raise ConfigError(
            "--validation_split_percentage goes with --train_file; all of a --validation_file is "
            "measured on: leave it out"
        )


def _settings_in(training: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in a record that are of the right type: anyone may have written it."""
    config = _inside(training, "config")
    found = {
        name: config[name] for name, types in _TAKEN.items() if type(config.get(name)) in types
    }
    policy = _inside(training, "hardware").get("policy")
    if isinstance(policy, str) and policy in _PRECISION_OF:
        found["precision"] = _PRECISION_OF[policy]
    return found


def _is_of_run(said: Mapping[str, Any], training: Mapping[str, Any]) -> bool:
    """Whether the files are, by their hashes, those that the recorded run held texts out of."""
    made_from = _inside(training, "corpus", "made_from")
    sources = _inside(made_from, "sources")
    if made_from.get("cleaning") != CLEANING_VERSION:
        return False
    if "train_file" not in said:
        return _contents(said["validation_file"]) == _hashes(sources.get("validation"))
    by_percentage = "validation" not in sources
    return by_percentage and _contents(said["train_file"]) == _hashes(sources.get("train"))


def _inside(record: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """A part of a record, or nothing where it is of another shape."""
    for name in names:
        part = record.get(name)
        record = part if isinstance(part, Mapping) else {}
    return record


def _contents(files: Sequence[str]) -> list[dict[str, Any]]:
    return _hashes([file_identity(url) for url in expand_files(files)])


def _hashes(identities: Any) -> list[dict[str, Any]]:
    """Identities of files without their names, which may change."""
    known = identities if isinstance(identities, list) else []
    return [
        {key: one[key] for key in one if key != "name"} for one in known if isinstance(one, dict)
    ]
