"""What a checkpoint's own files say of it, and no more than has the shape that it is to have.

Anyone may have written them: what is of another shape is as good as not there.
"""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlm.checkpoint.folder import read_training
from mlm.checkpoint.strict_json import has_lone_surrogate

logger = logging.getLogger(__name__)

# A mapping names the parts to keep, `...` standing for any name; a list has the shape of all its
# entries; a function says whether a plain value will do.
Shape = Mapping[Any, Any] | list | Callable[[Any], bool]


def is_text(value: Any) -> bool:
    """A string that can be written to a file: no halves of characters."""
    return isinstance(value, str) and not has_lone_surrogate(value)


def is_count(value: Any) -> bool:
    return type(value) is int and is_number(value)


def is_number(value: Any) -> bool:
    """A number that can be read, so not NaN or infinity or of hundreds of digits."""
    return type(value) in (int, float) and abs(value) < 1e15


def is_setting(value: Any) -> bool:
    """A value of one field of TrainingConfig."""
    values = value if isinstance(value, list) else [value]
    return value is None or all(type(v) is bool or is_number(v) or is_text(v) for v in values)


def is_point(value: Any) -> bool:
    """[step, loss]"""
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value))


FIGURES = dict.fromkeys(("loss", "perplexity", "top1", "top5"), is_number)
COUNTED = FIGURES | {"num_tokens": is_count, "num_words": is_count}
EXAMPLE = {"text": is_text, "output": [{...: is_setting}]}
DOCUMENTS = {"documents": is_count, "tokens": is_count}
TRAINING: Mapping[Any, Any] = {
    "config": {...: is_setting},
    "base_model": {"repo_id": is_text, "commit": is_text},
    "corpus": {
        "fingerprint": is_text,
        "counts": {"train": DOCUMENTS, "validation": DOCUMENTS},
        "made_from": {"sources": {...: [{"name": is_text, "size": is_count, "sha256": is_text}]}},
        "report_line": is_text,
    },
    "metrics": {"before": COUNTED, "after": COUNTED},
    "loss_curve": [is_point],
    "validation_curve": [is_point],
    "tokens_per_second": is_number,
    "seconds": is_number,
    "steps": is_count,
    "skipped_steps": is_count,
    "best_step": is_count,
    "seed": is_count,
    "hardware": {...: is_setting},
    "versions": {...: is_setting},
    "examples": [EXAMPLE],
    "contrasts": [EXAMPLE],
    "card": {...: is_setting},
    "evaluations": [
        {"files": [is_text], "max_seq_length": is_count, "tokens": COUNTED, "words": COUNTED}
    ],
}
CONFIG: Shape = {"model_type": is_text, ...: is_count}


def training_of(folder: Path) -> dict[str, Any]:
    """training.json, what will do of it; {} if there is none."""
    return fitting(read_training(folder) or {}, TRAINING)


def figures_of_training(training: Any) -> dict[str, Any]:
    """Curves and figures of a training.json that was read already, what will do of them."""
    wanted = ("metrics", "loss_curve", "validation_curve")
    return fitting(training, {name: TRAINING[name] for name in wanted}) or {}


def config_of(folder: Path) -> dict[str, Any]:
    """The names and numbers in config.json."""
    return fitting(_read(folder / "config.json"), CONFIG)


def mask_token_of(folder: Path) -> str | None:
    """The mask token as the tokenizer's files spell it."""
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        token = _read(folder / name).get("mask_token")
        token = token.get("content") if isinstance(token, dict) else token
        if token and is_text(token):
            return token
    return None


def examples_of(training: Mapping[str, Any], kind: str = "examples") -> list[dict[str, Any]]:
    """The sentences that were tried, with or without an output; `kind` may be "contrasts"."""
    return [example for example in training.get(kind, []) if "text" in example]


def evaluations_of(training: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was measured after the training, of the same files and length the last alone."""
    last = {}
    for each in training.get("evaluations", []):
        files, length = each.get("files", []), each.get("max_seq_length", 128)
        last[tuple(files), length] = {**each, "files": files, "max_seq_length": length}
    return list(last.values())


def source_names(training: Mapping[str, Any], side: str) -> list[str]:
    """The files that the texts of one side are from: "train", or "validation" if it has own."""
    sources = training.get("corpus", {}).get("made_from", {}).get("sources", {})
    return [public_name(file["name"]) for file in sources.get(side, []) if "name" in file]


def public_name(name: str) -> str:
    """A file's name without the folders of this machine; what is on the Hub stays as it is."""
    is_local = "://" not in name and (name.startswith(("/", ".", "~")) or name.count("/") > 1)
    return Path(name).name if is_local else name


def words_of(example: Mapping[str, Any]) -> list[tuple[str, float]]:
    """(word, score) of an example's output, spelled as FillMask or as the Hub's widget does."""
    return [
        (str(word).strip(), round(float(each["score"]), 4))
        for each in example.get("output", [])
        if (word := each.get("token_str") or each.get("label")) and is_number(each.get("score"))
    ]


def fitting(value: Any, shape: Shape) -> Any:
    """The parts of `value` that have the shape, None where nothing of it has."""
    if isinstance(shape, Mapping):
        return _fitting_parts(value, shape) if isinstance(value, Mapping) else None
    if isinstance(shape, list):
        entries = value if isinstance(value, list) else []
        return [fit for entry in entries if (fit := fitting(entry, shape[0])) is not None]
    return value if shape(value) else None


def _fitting_parts(value: Mapping[str, Any], shape: Mapping[Any, Any]) -> dict[str, Any]:
    found = {
        name: fitting(part, shape.get(name, shape.get(...)))
        for name, part in value.items()
        if is_text(name) and (name in shape or ... in shape)
    }
    return {name: part for name, part in found.items() if part is not None}


def _read(path: Path) -> dict[str, Any]:
    """A JSON file as a dict, empty if there is none or it is torn."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        logger.warning("%s is no JSON; the card goes without it", path)
        return {}
    return content if isinstance(content, dict) else {}
