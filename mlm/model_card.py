"""The card of a checkpoint: README.md from what training.json and config.json say was measured.

What is not in those files is not in the card: a line whose figure is missing is left out.
"""

import dataclasses
import json
import logging
import math
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlm.config import TrainingConfig

logger = logging.getLogger(__name__)

FIGURES = (  # of metrics: key, title, format
    ("loss", "loss, nats per masked token", "{:.4f}"),
    ("perplexity", "masked-token perplexity", "{:.2f}"),
    ("top1", "right word ranked first", "{:.1%}"),
    ("top5", "right word among the first five", "{:.1%}"),
)
PROTOCOL = (
    "Figures are of held-out documents: 15 % of their tokens are chosen with a fixed seed whatever "
    "the training rate; of these, 80 % show the mask, 10 % a random word, 10 % themselves; the "
    "mean is over chosen tokens. Masked-token perplexity is exp(loss) and is not the perplexity "
    "of a left-to-right language model."
)
NOT_RECIPE = ("output_dir", "overwrite_output_dir", "push_to_hub", "hub_model_id")
CURVE_ROWS = 8


def write_model_card(folder: str | Path, repo_id: str | None = None) -> None:
    """Write README.md into a checkpoint folder.

    Args:
        folder: with config.json; training.json and tokenizer_config.json are read if present.
        repo_id: where it will be published, for the lines that say how to use it.
    """
    folder = Path(folder)
    training, config = _read(folder / "training.json"), _read(folder / "config.json")
    mask_token = _mask_token(folder)
    front = front_matter(training, config, mask_token)
    sections = [
        f"# {(repo_id or folder.resolve().name).split('/')[-1]}",
        _what_it_is(folder, training, config),
        _how_to_use(repo_id or folder.resolve().name, mask_token or "[MASK]"),
        _figures(training),
        _evaluations(training),
        _examples(training),
        _data(training),
        _recipe(training),
        _run(training),
        _limits(training, config),
    ]
    text = f"---\n{_yaml(front)}---\n\n" + "\n\n".join(filter(None, sections)) + "\n"
    beside = folder / ".README.md.new"
    beside.write_text(text, encoding="utf-8")
    beside.replace(folder / "README.md")


def add_measurements(
    folder: str | Path,
    *,
    evaluation: Mapping[str, Any] | None = None,
    examples: Iterable[Mapping[str, Any]] = (),
) -> None:
    """Record in training.json what was measured after the training; the card is not rewritten.

    Args:
        evaluation: `files`, `max_seq_length`, and the figures `tokens` and `words` as dicts.
        examples: `text`, and `output` as FillMask gives it; they replace earlier ones.
    """
    path = Path(folder) / "training.json"
    training = _read(path)
    if evaluation is not None:
        training["evaluations"] = [*training.get("evaluations", []), dict(evaluation)]
    training["examples"] = [dict(each) for each in examples] or training.get("examples", [])
    beside = path.with_name(".training.json.new")
    text = json.dumps(training, indent=1, ensure_ascii=False)
    beside.write_text(text + "\n", encoding="utf-8")
    beside.replace(path)


def front_matter(
    training: Mapping[str, Any], config: Mapping[str, Any], mask_token: str | None
) -> dict[str, Any]:
    """The metadata that the Hub reads: what the page is listed under, and its widget."""
    base = training.get("base_model") or {}
    tags = ["fill-mask", "masked-lm", config.get("model_type")]
    widget = [_widget(example) for example in training.get("examples", [])]
    fields = {
        "library_name": "transformers",
        "pipeline_tag": "fill-mask",
        "mask_token": mask_token,
        "base_model": base.get("repo_id"),
        "tags": [tag for tag in tags if tag],
        "widget": widget,
    }
    return {name: value for name, value in fields.items() if value}


def _widget(example: Mapping[str, Any]) -> dict[str, Any]:
    """An example with its measured output, as the Hub's page shows it before anyone asks."""
    output = [{"label": word, "score": score} for word, score in _words(example)]
    return {"text": example["text"]} | ({"output": output} if output else {})


def _words(example: Mapping[str, Any]) -> list[tuple[str, float]]:
    """(word, score) of an example's output, spelled as FillMask or as the Hub's widget does."""
    return [
        (str(each.get("token_str") or each.get("label")).strip(), round(float(each["score"]), 4))
        for each in example.get("output", [])
    ]


# sections, each "" where nothing is known


def _what_it_is(folder: Path, training: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    shape = [
        f"{config[key]:,} {name}"
        for key, name in (
            ("num_hidden_layers", "layers"),
            ("n_layers", "layers"),  # DistilBERT's word for it
            ("hidden_size", "wide"),
            ("dim", "wide"),
            ("vocab_size", "entries in its vocabulary"),
        )
        if isinstance(config.get(key), int)
    ]
    size = _num_parameters(folder)
    if size:
        shape.append(f"{size:,} parameters")
    kind = f" of the {config['model_type']} family" if config.get("model_type") else ""
    said = f"A masked language model{kind}: it says which words fit a gap in a sentence."
    return " ".join(filter(None, [said, _sentence(", ".join(shape)), _origin(training)]))


def _origin(training: Mapping[str, Any]) -> str:
    base = training.get("base_model") or {}
    if base.get("repo_id"):
        commit = f" at commit `{base['commit']}`" if base.get("commit") else ""
        return f"It was adapted from [{base['repo_id']}](https://hf.co/{base['repo_id']}){commit}."
    settings = training.get("config", {})
    if settings.get("model_name_or_path"):
        return f"It was adapted from `{_public_name(settings['model_name_or_path'])}`."
    return "It was trained from scratch on the texts below." if settings else ""


def _how_to_use(name: str, mask_token: str) -> str:
    sentence = f"I have watched this {mask_token} and it was awesome."
    return f"""## How to use it

With `transformers` alone:

```python
from transformers import pipeline

fill_mask = pipeline("fill-mask", model="{name}")
fill_mask("{sentence}")
```

With the project that trained it, as a page in the browser: `MLM_MODEL={name} python app.py`; as a
function: `mlm.FillMask.from_pretrained("{name}").fill("{sentence}")`."""


def _figures(training: Mapping[str, Any]) -> str:
    metrics = training.get("metrics", {})
    columns = [name for name in ("before", "after") if metrics.get(name)]
    rows = [
        (title, *(_number(metrics[name].get(key), style) for name in columns))
        for key, title, style in FIGURES
        if any(key in metrics[name] for name in columns)
    ]
    if not rows:
        return ""
    counted = metrics[columns[-1]].get("num_tokens")
    size = f" {counted:,} tokens were chosen." if counted else ""
    heads = ["", *(f"{name} training" for name in columns)]
    parts = ["## Figures", _table(heads, rows), PROTOCOL + size, _curve(training)]
    return "\n\n".join(filter(None, parts))


def _curve(training: Mapping[str, Any]) -> str:
    points = training.get("validation_curve") or []
    if len(points) < 2:
        return ""
    stride = -(-(len(points) - 1) // (CURVE_ROWS - 1))
    chosen = [*points[:-1:stride], points[-1]]
    rows = [(f"{point[0]:,}", f"{point[1]:.4f}") for point in chosen]
    return "On the way:\n\n" + _table(["step", "validation loss"], rows)


def _evaluations(training: Mapping[str, Any]) -> str:
    """Measurements on texts that no training saw, each with the command that repeats it."""
    parts = []
    for measured in training.get("evaluations", []):
        tokens, words = measured["tokens"], measured["words"]
        rows = [
            ("masked-token perplexity", f"{tokens['perplexity']:.2f}", ""),
            ("ranked first", f"{tokens['top1']:.2%}", f"{words['top1']:.2%}"),
            ("among the first five", f"{tokens['top5']:.2%}", f"{words['top5']:.2%}"),
            ("measured on", f"{tokens['num_tokens']:,}", f"{words['num_words']:,}"),
        ]
        files = " ".join(_public_name(name) for name in measured["files"])
        command = f"python scripts/evaluate.py FOLDER --validation_file {files}"
        length = f" --max_seq_length {measured['max_seq_length']}"
        parts.append(_table(["", "masked tokens", "whole masked words"], rows))
        parts.append(f"Measured with `{command}{length}`.")
    return "\n\n".join(["## Measured on other texts", *parts]) if parts else ""


def _examples(training: Mapping[str, Any]) -> str:
    rows = [
        (example["text"], ", ".join(f"{word} {score:.1%}" for word, score in _words(example)))
        for example in training.get("examples", [])
        if example.get("output")
    ]
    return "## Examples\n\n" + _table(["sentence", "best words"], rows) if rows else ""


def _data(training: Mapping[str, Any]) -> str:
    corpus = training.get("corpus", {})
    counts = corpus.get("counts", {})
    rows = [
        (side, *(_number(counts[side].get(key), "{:,}") for key in ("documents", "tokens")))
        for side in ("train", "validation")
        if side in counts
    ]
    sources = corpus.get("made_from", {}).get("sources", {})
    files = [f"- `{_public_name(f['name'])}`" for side in sources.values() for f in side or []]
    parts = [
        "\n".join(files),
        _table(["", "documents", "tokens"], rows) if rows else "",
        (corpus.get("report_line") or "").split("\n")[0],
        f"Fingerprint of the corpus as it was cleaned and cut: `{corpus['fingerprint']}`."
        if corpus.get("fingerprint")
        else "",
    ]
    return "\n\n".join(["## Data", *filter(None, parts)]) if any(parts) else ""


def _recipe(training: Mapping[str, Any]) -> str:
    settings = training.get("config")
    if not settings:
        return ""
    lines = ["python scripts/train.py", *_flags(settings)]
    command = " \\\n    ".join(lines)
    return f"## Recipe\n\nSettings that are not named have their defaults.\n\n```sh\n{command}\n```"


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
            named = (_public_name(v) if _names_a_file(field.name) else str(v) for v in values)
            yield f"--{field.name} {shlex.join(named)}"


def _names_a_file(setting: str) -> bool:
    return setting in ("train_file", "validation_file", "model_name_or_path")


def _run(training: Mapping[str, Any]) -> str:
    hardware, versions = training.get("hardware"), training.get("versions", {})
    if isinstance(hardware, Mapping):
        hardware = ", ".join(f"{key} {value}" for key, value in hardware.items())
    rows = [
        ("hardware", hardware),
        ("steps", _number(training.get("steps"), "{:,}")),
        ("tokens per second", _number(training.get("tokens_per_second"), "{:,.0f}")),
        ("time", _number(training.get("seconds"), "{:,.0f} s")),
        ("seed", _number(training.get("seed"), "{}")),
        ("versions", ", ".join(f"{name} {number}" for name, number in versions.items())),
    ]
    known = [(name, value) for name, value in rows if value]
    return "## Run\n\n" + _table(["", ""], known) if known else ""


def _limits(training: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    length = training.get("config", {}).get("max_seq_length")
    positions = config.get("max_position_embeddings")
    lines = [
        f"- It was trained on sequences of at most {length} tokens." if length else "",
        f"- It takes at most {positions:,} tokens." if isinstance(positions, int) else "",
        "- It knows how its texts speak, their errors and prejudices included; "
        "a likely word is not a true statement.",
        "- Its figures hold for texts like those it was measured on; others were not measured.",
    ]
    return "## Limits\n\n" + "\n".join(filter(None, lines))


# small things


def _read(path: Path) -> dict[str, Any]:
    """A JSON file as a dict, empty if there is none or it is torn."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        logger.warning("%s is no JSON; the card goes without it", path)
        return {}
    return content if isinstance(content, dict) else {}


def _mask_token(folder: Path) -> str | None:
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        token = _read(folder / name).get("mask_token")
        if token:
            return token["content"] if isinstance(token, dict) else token
    return None


def _num_parameters(folder: Path) -> int:
    """Numbers in the weight files; 0 where there are none."""
    from safetensors import safe_open

    total = 0
    for path in folder.glob("model*.safetensors"):
        with safe_open(path, "numpy") as tensors:
            names = tensors.keys()
            total += sum(math.prod(tensors.get_slice(name).get_shape()) for name in names)
    return total


def _public_name(name: str) -> str:
    """A file's name without the folders of this machine; what is on the Hub stays as it is."""
    is_local = "://" not in name and (name.startswith(("/", ".", "~")) or name.count("/") > 1)
    return Path(name).name if is_local else name


def _sentence(text: str) -> str:
    return f"It has {text}." if text else ""


def _number(value: Any, style: str) -> str:
    return "" if value is None else style.format(value)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; what could end a cell is escaped."""

    def line(cells: Iterable[str]) -> str:
        escaped = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
        return f"| {' | '.join(escaped)} |"

    heads = list(heads)
    return "\n".join([line(heads), "|---" * len(heads) + "|", *map(line, rows)])


def _yaml(fields: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True)
