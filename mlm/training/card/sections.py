"""All sections of a card, in order, as Markdown; a section without known facts is "".

The measured ones are in figures.py and those on the model's origin in origin.py. Here are the
summary, the usage and the limits.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from mlm.checkpoint.record.markdown import section
from mlm.checkpoint.record.reading import public_name, words_of
from mlm.training.card.figures import best_words_table, evaluations_section, figures_section
from mlm.training.card.model_facts import family_phrase, origin_sentence, shape_sentence
from mlm.training.card.names import Names
from mlm.training.card.origin import data_section, recipe_section, run_section
from mlm.training.card.stated import StatedFacts, stated_facts
from mlm.training.card.training_json import TrainingJson, evaluations_in, examples_in

SENTENCE = "I have watched this {} and it was awesome."  # for a card without examples
CONTRASTS = (
    "The best words for sentences that differ in little. Where the answers differ, it took that "
    "from its texts, and carries it into whatever is built on it."
)


def all_sections(
    folder: Path,
    names: Names,
    training: TrainingJson,
    config: Mapping[str, object],
    mask_token: str,
) -> list[str]:
    """Return everything below the title, in order.

    Args:
        folder: The checkpoint folder, of which the parameters are counted.
        names: The model's names.
        training: The content of training.json.
        config: The names and numbers of config.json.
        mask_token: The tokenizer's mask token.
    """
    return [
        _summary(folder, training, config),
        _usage_section(names, training, mask_token),
        section("Examples", best_words_table(training)),
        figures_section(training),
        evaluations_section(training),
        _limits_section(training, config),
        data_section(training),
        recipe_section(training),
        run_section(training),
    ]


def _summary(folder: Path, training: TrainingJson, config: Mapping[str, object]) -> str:
    family = family_phrase(config)
    kind = f"A masked language model{family}: it says which words fit a gap in a sentence."
    shape = shape_sentence(folder, config)
    return " ".join(filter(None, [kind, shape, _origin(training), _accuracy(training)]))


def _origin(training: TrainingJson) -> str:
    from_scratch = "It was trained from scratch on the texts below."
    return origin_sentence(training, "adapted") or (from_scratch if training.get("config") else "")


def _accuracy(training: TrainingJson) -> str:
    """Return its accuracy in a sentence: on the last other texts measured, else on its held-out."""
    where, figures = "On held-out documents", training.get("metrics", {}).get("after", {})
    for record in evaluations_in(training):
        tokens = record.get("tokens", {})
        if "top1" in tokens:
            files = ", ".join(f"`{public_name(name)}`" for name in record["files"])
            where, figures = f"On other texts ({files})", tokens
    if not {"top1", "top5"} <= figures.keys():
        return ""
    return (
        f"{where} it ranks the right token first for {figures['top1']:.1%} of those that it has to "
        f"predict, and among its first five for {figures['top5']:.1%}."
    )


def _usage_section(names: Names, training: TrainingJson, mask_token: str) -> str:
    tried = examples_in(training)
    sentence = tried[0]["text"] if tried else SENTENCE.format(mask_token)
    quoted = json.dumps(sentence, ensure_ascii=False)  # a Python string too, on one line
    best = ", ".join(f"{word} {score:.1%}" for word, score in words_of(tried[0])) if tried else ""
    measured = f"\n# {best}" if best else ""
    revision = f', revision="{names.revision}"' if names.revision else ""
    return f"""## How to use it

With `transformers` alone:

```python
from transformers import pipeline

fill_mask = pipeline("fill-mask", model="{names.transformers}"{revision})
fill_mask({quoted}){measured}
```

With the project that trained it:

```python
from mlm import FillMask

FillMask.from_pretrained("{names.ours}").fill({quoted})
```

{_page(names, stated_facts(training).space)}"""


def _page(names: Names, space: str | None) -> str:
    command = f"`mlm serve {names.ours}`"
    if space is None:
        return f"In a browser, on the project's own page: {command}."
    link = f"[{space}](https://huggingface.co/spaces/{space})"
    return f"In a browser, with nothing to install: {link}; on your own machine: {command}."


def _limits_section(training: TrainingJson, config: Mapping[str, object]) -> str:
    contrasts = best_words_table(training, "contrasts")
    limits = [
        *_limits_of_length(training, config),
        *_limits_of_texts(training, stated_facts(training)),
    ]
    lines = "\n".join(f"- {limit}" for limit in limits)
    return section("Limits and biases", lines, *([CONTRASTS, contrasts] if contrasts else []))


def _limits_of_length(training: TrainingJson, config: Mapping[str, object]) -> list[str]:
    length = training.get("config", {}).get("max_seq_length")
    positions = config.get("max_position_embeddings")
    trained = (
        f"It was trained and measured on sequences of at most {length} tokens" if length else ""
    )
    most = f"it takes at most {positions:,} tokens" if isinstance(positions, int) else ""
    limit = "; ".join(filter(None, [trained, most]))
    return [f"{limit[0].upper()}{limit[1:]}."] if limit else []


def _limits_of_texts(training: TrainingJson, stated: StatedFacts) -> list[str]:
    after = training.get("metrics", {}).get("after", {})
    codes = ", ".join(f"`{code}`" for code in stated.languages)
    missed = f"{1 - after['top5']:.1%}" if "top5" in after else ""
    lines = [
        f"Its texts are in {codes}; other languages were not measured." if codes else "",
        f"Of the tokens that it has to predict, {missed} are not among its first five."
        if missed
        else "",
        "It knows how its texts speak, their errors and prejudices included; a likely word is not "
        "a true statement, and its probabilities do not judge anybody.",
        "Its figures hold for texts like those it was measured on; others were not measured.",
    ]
    return [line for line in lines if line]
