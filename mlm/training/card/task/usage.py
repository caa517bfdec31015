"""The sections on use: how to load a classifier, and how it reads texts."""

from mlm.checkpoint.record.markdown import section
from mlm.training.card.names import Names
from mlm.training.card.stated import stated_facts
from mlm.training.card.task.metadata import pipeline_tag
from mlm.training.card.task.task_record import SIDES, TaskRecord
from mlm.training.card.task.wording import SIDE_NAMES

TEXT = '"A text to label."'
PAIR = '{"text": "The first text.", "text_pair": "The second one."}'
OWN = "With the project that trained it, which cleans and cuts texts as in the training:"
JOINED = (
    "The head alone is here, because the encoder is that of the bundled model beside it. "
    "`bundled_classifier(folder)` of `mlm.hub.bundled` joins both to a folder that `transformers` "
    "loads."
)
KEPT = {
    "head": "its beginning is read",
    "tail": "its end is read",
    "head_tail": "its beginning and its end are read: a quarter of the tokens from the beginning, "
    "the others from the end",
}
HTML = {
    "auto": "HTML tags were removed from the texts where they were surely markup",
    "yes": "HTML tags were removed from the texts",
}


def usage_section(names: Names, record: TaskRecord) -> str:
    """Return the lines that load and run the model, with transformers and with the project."""
    text = PAIR if record.is_of_pairs else TEXT
    alone = _with_transformers(names, record, text) if names.transformers else JOINED
    return f"""## How to use it

{alone}

{_difference(record) if names.transformers else ""}{OWN}

```python
from mlm import Classifier

Classifier.from_pretrained("{names.ours}")({text})
```

{_command(names, record)}{_space(stated_facts(record.training).space)}"""


def _with_transformers(names: Names, record: TaskRecord, text: str) -> str:
    revision = f', revision="{names.revision}"' if names.revision else ""
    how = ', aggregation_strategy="first"' if record.task.is_of_tokens else ""
    return f"""With `transformers` alone:

```python
from transformers import pipeline

classify = pipeline("{pipeline_tag(record)}", model="{names.transformers}"{revision}{how})
classify({text}{_arguments(record)})
```"""


def _command(names: Names, record: TaskRecord) -> str:
    if record.is_of_pairs:
        return (
            "A file of pairs, in two columns: `mlm classify FILE.csv --text_column_names A B "
            f"--model_name_or_path {names.ours}`."
        )
    command = f"`mlm classify {TEXT} --model_name_or_path {names.ours}`"
    return f"On the command line: {command}, or a file instead of the text."


def _space(space: str | None) -> str:
    if space is None:
        return ""
    link = f"[{space}](https://huggingface.co/spaces/{space})"
    return f"\n\nIn a browser, with nothing to install: {link}."


def _arguments(record: TaskRecord) -> str:
    """Return the arguments that ask for all labels, and cut texts as in the training."""
    if record.task.is_of_tokens:  # that pipeline takes none, and cuts at the model's limit
        return ""
    length = f", max_length={record.length}" if record.length else ""
    return f", top_k=None, truncation=True{length}"


def _difference(record: TaskRecord) -> str:
    """Return in which answers transformers differs from what was measured; "" if in none."""
    if record.task.is_of_tokens:
        if not record.length:
            return ""
        return (
            f"The training read {record.length} tokens of a text; `transformers` reads as many as "
            "the model takes.\n\n"
        )
    if record.truncation in (None, "head"):
        return ""
    longer = f"longer than {record.length} tokens" if record.length else "that is cut"
    end = "end" if record.truncation == "tail" else "beginning and end"
    return (
        f"`transformers` keeps the beginning of a text {longer}. This model was trained and "
        f"measured on the {end} (`--truncation {record.truncation}`), so answers to such texts "
        "differ, and the figures below do not hold there.\n\n"
    )


def reading_section(record: TaskRecord) -> str:
    """Return how texts are cut and cleaned, and how many were cut."""
    return section("How it reads texts", " ".join(filter(None, [_cut(record), _html(record)])))


def _cut(record: TaskRecord) -> str:
    if not record.length or not record.truncation:
        return ""
    kept = KEPT["head" if record.task.is_of_tokens else record.truncation]
    what = "a text"
    if record.is_of_pairs:
        what, kept = "a pair of texts", f"the longer one is cut first, of which {kept}"
    rule = f"Of {what} with more than {record.length} tokens, special ones included, {kept}."
    return " ".join(filter(None, [rule, _cut_texts(record)]))


def _cut_texts(record: TaskRecord) -> str:
    """Return how many texts of each side were cut; "" if it is not known."""
    numbers = [
        f"{counts['cut_texts']:,} of {counts['documents']:,} {SIDE_NAMES[side]} texts"
        for side in SIDES
        if {"cut_texts", "documents"} <= (counts := record.counts.get(side, {})).keys()
    ]
    return f"That was so for {', '.join(numbers)}." if numbers else ""


def _html(record: TaskRecord) -> str:
    cleaning = HTML.get(str(record.training.get("config", {}).get("clean_html")))
    return f"{cleaning}; `transformers` leaves them in." if cleaning else ""
