"""Facts from a checkpoint's training.json, config.json and tokenizer files, for cards and pages.

Only values of the expected shape are returned; see schema.py.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlm.checkpoint.folder import read_training
from mlm.checkpoint.record.schema import CONFIG, TRAINING, is_number, is_text, keep_fields
from mlm.checkpoint.strict_json import JsonObject

logger = logging.getLogger(__name__)

Record = Mapping[str, Any]  # the content of training.json, or of an object in it
ScoredWord = tuple[str, float]  # a word and its probability


def training_of(folder: Path) -> JsonObject:
    """Return the content of training.json; empty if it does not exist."""
    return keep_fields(read_training(folder) or {}, TRAINING)


def figures_of_training(training: object) -> JsonObject:
    """Return the metrics and curves of a training.json that was already read."""
    wanted = ("metrics", "loss_curve", "validation_curve")
    content = training if isinstance(training, Mapping) else {}
    return keep_fields(content, {name: TRAINING[name] for name in wanted})


def config_of(folder: Path) -> JsonObject:
    """Return the model type and the integers of config.json."""
    return keep_fields(_read_json(folder / "config.json"), CONFIG)


def mask_token_of(folder: Path) -> str | None:
    """Return the mask token as the tokenizer's files spell it; None if they name none."""
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        token: object = _read_json(folder / name).get("mask_token")
        if isinstance(token, dict):
            token = token.get("content")
        if token and is_text(token):
            return token
    return None


def examples_of(training: Record, kind: str = "examples") -> list[JsonObject]:
    """Return the example sentences, with or without an output; `kind` may be "contrasts"."""
    return [example for example in training.get(kind, []) if "text" in example]


def evaluations_of(training: Record) -> list[JsonObject]:
    """Return the evaluations after training; of the same files and length, only the last."""
    last = {}
    for each in training.get("evaluations", []):
        files, length = each.get("files", []), each.get("max_seq_length", 128)
        last[tuple(files), length] = {**each, "files": files, "max_seq_length": length}
    return list(last.values())


def source_names(training: Record, side: str) -> list[str]:
    """Return the files of one side of the texts: "train", or "validation" if it has its own."""
    sources = training.get("corpus", {}).get("made_from", {}).get("sources", {})
    return [public_name(file["name"]) for file in sources.get(side, []) if "name" in file]


def public_name(name: str) -> str:
    """Return a file's name without the folders of this machine; an id on the Hub stays as it is."""
    is_local = "://" not in name and (name.startswith(("/", ".", "~")) or name.count("/") > 1)
    return Path(name).name if is_local else name


def words_of(example: Record) -> list[ScoredWord]:
    """Return the words and scores of an example, with the keys of FillMask or the Hub's widget."""
    return [
        (str(word).strip(), round(float(each["score"]), 4))
        for each in example.get("output", [])
        if (word := each.get("token_str") or each.get("label")) and is_number(each.get("score"))
    ]


def _read_json(path: Path) -> JsonObject:
    """Return the object in a JSON file; empty if the file does not exist or is torn."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        logger.warning("%s is not JSON; the model card is written without it", path)
        return {}
    return content if isinstance(content, dict) else {}
