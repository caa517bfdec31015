"""The sections of a card in Markdown, in order; each "" where nothing is known.

`training` and `config` hold what record.py found fit: any part may be absent. What was measured is
in figures.py, where it is from in origin.py; here are what it is, how to use it, and its limits.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlm.checkpoint.record.reading import evaluations_of, examples_of, public_name, words_of
from mlm.training.card import figures, origin
from mlm.training.card.stated import Stated, stated_in
from mlm.training.card.tables import titled

SENTENCE = "I have watched this {} and it was awesome."  # where no example was tried
SHAPE = (  # of config.json: key, what it counts
    ("num_hidden_layers", "layers"),
    ("n_layers", "layers"),  # DistilBERT's word for it
    ("hidden_size", "wide"),
    ("dim", "wide"),
    ("vocab_size", "entries in its vocabulary"),
)
CONTRASTS = (
    "The best words for sentences that differ in little. Where the answers differ, it took that "
    "from its texts, and carries it into whatever is built on it."
)


@dataclass(frozen=True)
class Names:
    """title: of the card; theirs: what transformers loads it by; ours: what this project does."""

    title: str
    theirs: str
    ours: str


def all_sections(
    folder: Path,
    names: Names,
    training: Mapping[str, Any],
    config: Mapping[str, Any],
    mask_token: str,
) -> list[str]:
    """What stands below the title, in order."""
    return [
        _what_it_is(folder, training, config),
        _how_to_use(names, training, mask_token),
        titled("Examples", figures.best_words(training)),
        figures.figures(training),
        figures.evaluations(training),
        _limits(training, config),
        origin.data(training),
        origin.recipe(training),
        origin.run(training),
    ]


def _what_it_is(folder: Path, training: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    shape = [f"{config[key]:,} {name}" for key, name in SHAPE if isinstance(config.get(key), int)]
    size = _num_parameters(folder)
    if size:
        shape.append(f"{size:,} parameters")
    kind = f" of the {config['model_type']} family" if config.get("model_type") else ""
    said = f"A masked language model{kind}: it says which words fit a gap in a sentence."
    has = f"It has {', '.join(shape)}." if shape else ""
    return " ".join(filter(None, [said, has, _origin(training), _in_short(training)]))


def _origin(training: Mapping[str, Any]) -> str:
    base = training.get("base_model", {})
    if repo_id := base.get("repo_id"):
        page = f"https://huggingface.co/{repo_id}"
        commit = base.get("commit")
        at = f" at commit [`{commit[:12]}`]({page}/tree/{commit})" if commit else ""
        return f"It was adapted from [{repo_id}]({page}){at}."
    settings = training.get("config", {})
    if settings.get("model_name_or_path"):
        return f"It was adapted from `{public_name(str(settings['model_name_or_path']))}`."
    return "It was trained from scratch on the texts below." if settings else ""


def _in_short(training: Mapping[str, Any]) -> str:
    """How good it is, in a sentence; on other texts than its own where that was measured."""
    after = training.get("metrics", {}).get("after", {})
    where, found = "On held-out documents", after
    for measured in evaluations_of(training):
        if "top1" in measured.get("tokens", {}):
            files = ", ".join(f"`{public_name(name)}`" for name in measured["files"])
            where, found = f"On other texts ({files})", measured["tokens"]
    if not {"top1", "top5"} <= found.keys():
        return ""
    return (
        f"{where} it ranks the right token first for {found['top1']:.1%} of those it is asked "
        f"for, and among its first five for {found['top5']:.1%}."
    )


def _how_to_use(names: Names, training: Mapping[str, Any], mask_token: str) -> str:
    tried = examples_of(training)
    sentence = tried[0]["text"] if tried else SENTENCE.format(mask_token)
    quoted = json.dumps(sentence, ensure_ascii=False)  # a Python string too, on one line
    best = ", ".join(f"{word} {score:.1%}" for word, score in words_of(tried[0])) if tried else ""
    measured = f"\n# {best}" if best else ""
    return f"""## How to use it

With `transformers` alone:

```python
from transformers import pipeline

fill_mask = pipeline("fill-mask", model="{names.theirs}")
fill_mask({quoted}){measured}
```

With the project that trained it:

```python
from mlm import FillMask

FillMask.from_pretrained("{names.ours}").fill({quoted})
```

{_page(names, stated_in(training).space)}"""


def _page(names: Names, space: str | None) -> str:
    own = f"`MLM_MODEL={names.ours} python app.py`"
    if space is None:
        return f"In a browser, on the project's own page: {own}."
    link = f"[{space}](https://huggingface.co/spaces/{space})"
    return f"In a browser, with nothing to install: {link}; on your own machine: {own}."


def _limits(training: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    contrasts = figures.best_words(training, "contrasts")
    lines = [*_limits_of_length(training, config), *_limits_of_texts(training, stated_in(training))]
    told = "\n".join(f"- {line}" for line in lines)
    return titled("Limits and biases", told, *([CONTRASTS, contrasts] if contrasts else []))


def _limits_of_length(training: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    length = training.get("config", {}).get("max_seq_length")
    positions = config.get("max_position_embeddings")
    trained = (
        f"It was trained and measured on sequences of at most {length} tokens" if length else ""
    )
    most = f"it takes at most {positions:,} tokens" if isinstance(positions, int) else ""
    told = "; ".join(filter(None, [trained, most]))
    return [f"{told[0].upper()}{told[1:]}."] if told else []


def _limits_of_texts(training: Mapping[str, Any], stated: Stated) -> list[str]:
    after = training.get("metrics", {}).get("after", {})
    codes = ", ".join(f"`{code}`" for code in stated.languages)
    missed = f"{1 - after['top5']:.1%}" if "top5" in after else ""
    lines = [
        f"Its texts are in {codes}; other languages were not measured." if codes else "",
        f"Of the tokens it is asked for, {missed} are not among its first five." if missed else "",
        "It knows how its texts speak, their errors and prejudices included; a likely word is not "
        "a true statement, and its probabilities are no judgement on anybody.",
        "Its figures hold for texts like those it was measured on; others were not measured.",
    ]
    return [line for line in lines if line]


def _num_parameters(folder: Path) -> int:
    """Numbers in the weight files; 0 where there are none."""
    from safetensors import safe_open

    total = 0
    for path in folder.glob("model*.safetensors"):
        with safe_open(path, "numpy") as tensors:
            names = tensors.keys()
            total += sum(math.prod(tensors.get_slice(name).get_shape()) for name in names)
    return total
