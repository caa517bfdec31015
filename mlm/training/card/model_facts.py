"""Facts on a model in a sentence, for the summary of any card: its shape, its origin."""

import math
from collections.abc import Mapping
from pathlib import Path

from mlm.checkpoint.record.markdown import code
from mlm.checkpoint.record.reading import public_name
from mlm.training.card.training_json import TrainingJson

SHAPE = (  # key of config.json, unit
    ("num_hidden_layers", "layers"),
    ("n_layers", "layers"),  # DistilBERT
    ("hidden_size", "wide"),
    ("dim", "wide"),  # DistilBERT
    ("vocab_size", "entries in its vocabulary"),
)


def shape_sentence(folder: Path, config: Mapping[str, object]) -> str:
    """Return layers, width, vocabulary and parameters of a model; "" if nothing is known."""
    shape = [f"{config[key]:,} {name}" for key, name in SHAPE if isinstance(config.get(key), int)]
    size = num_parameters(folder)
    if size:
        shape.append(f"{size:,} parameters")
    return f"It has {', '.join(shape)}." if shape else ""


def family_phrase(config: Mapping[str, object]) -> str:
    """Return " of the bert family" by config.json's model type; "" without one."""
    return f" of the {config['model_type']} family" if config.get("model_type") else ""


def origin_sentence(training: TrainingJson, verb: str) -> str:
    """Return the checkpoint that the training began with; "" if it is not known.

    verb: "adapted", "fine-tuned".
    """
    base = training.get("base_model", {})
    if repo_id := base.get("repo_id"):
        page = f"https://huggingface.co/{repo_id}"
        commit = base.get("commit")
        at = f" at commit [`{commit[:12]}`]({page}/tree/{commit})" if commit else ""
        return f"It was {verb} from [{repo_id}]({page}){at}."
    name = training.get("config", {}).get("model_name_or_path")
    return f"It was {verb} from {code(public_name(str(name)))}." if name else ""


def num_parameters(folder: Path) -> int:
    """Return the count of numbers in the weight files; 0 without any."""
    from safetensors import safe_open

    total = 0
    for path in folder.glob("model*.safetensors"):
        with safe_open(path, "numpy") as tensors:
            names = tensors.keys()
            total += sum(math.prod(tensors.get_slice(name).get_shape()) for name in names)
    return total
