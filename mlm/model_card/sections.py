"""The sections of a card in Markdown, each "" where nothing is known.

`training` and `config` hold what record.py found fit: any part may be absent.
"""

import dataclasses
import math
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlm.config import TrainingConfig
from mlm.model_card.record import examples_of, words_of

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


def all_sections(
    folder: Path, name: str, training: Mapping[str, Any], config: Mapping[str, Any], mask_token: str
) -> list[str]:
    """What stands below the title, in order; `name` is what the checkpoint is loaded by."""
    return [
        _what_it_is(folder, training, config),
        _how_to_use(name, mask_token),
        _figures(training),
        _evaluations(training),
        _examples(training),
        _data(training),
        _recipe(training),
        _run(training),
        _limits(training, config),
    ]


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
    base = training.get("base_model", {})
    if base.get("repo_id"):
        commit = f" at commit `{base['commit']}`" if base.get("commit") else ""
        return f"It was adapted from [{base['repo_id']}](https://hf.co/{base['repo_id']}){commit}."
    settings = training.get("config", {})
    if settings.get("model_name_or_path"):
        return f"It was adapted from `{_public_name(str(settings['model_name_or_path']))}`."
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
    points = training.get("validation_curve", [])
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
        files = " ".join(_public_name(name) for name in measured.get("files", []))
        command = f"python scripts/evaluate.py FOLDER --validation_file {files}"
        length = f" --max_seq_length {measured.get('max_seq_length', 128)}"
        parts.append(_measured(measured.get("tokens", {}), measured.get("words", {})))
        parts.append(f"Measured with `{command}{length}`.")
    return "\n\n".join(["## Measured on other texts", *parts]) if parts else ""


def _measured(tokens: Mapping[str, Any], words: Mapping[str, Any]) -> str:
    rows = [
        ("masked-token perplexity", _number(tokens.get("perplexity"), "{:.2f}"), ""),
        ("ranked first", *(_number(of.get("top1"), "{:.2%}") for of in (tokens, words))),
        ("among the first five", *(_number(of.get("top5"), "{:.2%}") for of in (tokens, words))),
        (
            "measured on",
            _number(tokens.get("num_tokens"), "{:,}"),
            _number(words.get("num_words"), "{:,}"),
        ),
    ]
    return _table(["", "masked tokens", "whole masked words"], rows)


def _examples(training: Mapping[str, Any]) -> str:
    rows = [
        (example["text"], ", ".join(f"{word} {score:.1%}" for word, score in words_of(example)))
        for example in examples_of(training)
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
    named = [file["name"] for side in sources.values() for file in side if "name" in file]
    files = [f"- `{_public_name(name)}`" for name in named]
    parts = [
        "\n".join(files),
        _table(["", "documents", "tokens"], rows) if rows else "",
        corpus.get("report_line", "").split("\n")[0],
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
            named = (_public_name(v) if _names_a_file(field.name) else v for v in map(str, values))
            yield f"--{field.name} {shlex.join(named)}"


def _names_a_file(setting: str) -> bool:
    return setting in ("train_file", "validation_file", "model_name_or_path")


def _run(training: Mapping[str, Any]) -> str:
    hardware, versions = training.get("hardware", {}), training.get("versions", {})
    rows = [
        ("hardware", ", ".join(f"{key} {value}" for key, value in hardware.items())),
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
