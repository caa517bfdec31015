"""Lines on a run that has ended: figures before and after, a verdict, best words, what to do next.

They are made of training.json's content, so that a run which ended earlier has them as well.
"""

import math
import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mlm.checkpoint.strict_json import JsonObject
from mlm.terminal.tables import format_number, format_table
from mlm.training.card.training_json import Example

if TYPE_CHECKING:
    from mlm.training.config import TrainingConfig

NOTICEABLE = 0.005  # a relative change of the perplexity below this is called none
FEW_TOKENS = 500  # with less, the standard error of top-1 is more than 2 percentage points
FIGURES = (  # key of a figure, title, format
    ("perplexity", "perplexity of masked tokens", format_number),
    ("loss", "loss, nats per masked token", "{:.4f}".format),
    ("top1", "right token ranked first (top-1)", "{:.1%}".format),
    ("top5", "right token among the first five", "{:.1%}".format),
)
NOTHING_BETTER = (
    "no better on held-out texts: each evaluation was worse than the one before the first step, so "
    "the initial weights are kept (--load_best_model_at_end); try a lower --learning_rate"
)
CAN_RECITE = (
    "a model can recite what it was trained on: publish it only if whoever loads it may read "
    "these texts"
)


def outcome_lines(
    config: "TrainingConfig",
    record: JsonObject,
    examples_before: Sequence[Example] = (),
) -> list[str]:
    """Return lines on a run that has ended.

    Args:
        config: of the run.
        record: the content of its training.json.
        examples_before: best words of the initial checkpoint for the same texts as `examples`.
    """
    before, after = record["metrics"]["before"], record["metrics"]["after"]
    lines = ["", _figures_table(before, after)]
    if config.load_best_model_at_end and record.get("best_step") == 0:
        lines.append(NOTHING_BETTER)
    else:
        lines.append(verdict(before, after, is_new=not config.model_name_or_path))
    if after["num_tokens"] < FEW_TOKENS:
        lines.append("with so few held-out tokens this may be chance: hold out more texts")
    examples = record.get("examples") or []
    lines += _words(examples_before, examples)
    if not config.push_to_hub:  # else it was said before the first step
        lines += ["", CAN_RECITE]
    text = examples[0]["text"] if examples else next(iter(config.example_texts), "")
    return [
        *lines,
        "",
        "next:",
        *_next_steps(config.output_dir, text, is_published=config.push_to_hub),
    ]


def finished_lines(config: "TrainingConfig", record: JsonObject) -> list[str]:
    """Return lines on a run that the same command finished earlier."""
    return [
        f"finished already: {config.output_dir} holds the result of this command "
        f"({record.get('steps', 0):,} steps); nothing is done",
        *outcome_lines(config, record),
        "to train again: --overwrite_output_dir, or another --output_dir",
    ]


def verdict(before: JsonObject, after: JsonObject, *, is_new: bool) -> str:
    """Return in one line whether the training helped, by the figures on held-out texts.

    is_new: whether the model was trained from scratch, so that its first figures are of chance.
    """
    ratio = math.exp(min(after["loss"] - before["loss"], 700.0))  # it may have diverged
    change = abs(1 - ratio)
    size = f"{change:.1%}" if change < 10 else f"{format_number(ratio)} times"
    figures = (
        f"perplexity {format_number(before['perplexity'])} -> {format_number(after['perplexity'])}"
        f", {size}; top-1 {before['top1']:.1%} -> {after['top1']:.1%}"
    )
    if change < NOTICEABLE:
        reason = (
            "the new model has learned nothing yet"
            if is_new
            else "the model knew the language of these texts"
        )
        return (
            f"no better on held-out texts: {figures}; {reason}: try more texts, more steps "
            "(--num_train_epochs) or a higher --learning_rate"
        )
    if ratio > 1:
        return (
            f"worse on held-out texts: {figures}; try a lower --learning_rate, fewer steps or "
            "--load_best_model_at_end"
        )
    return f"better on held-out texts: {figures}"


def _figures_table(before: JsonObject, after: JsonObject) -> str:
    rows = [
        (title, formatted(before[key]), formatted(after[key])) for key, title, formatted in FIGURES
    ]
    return format_table([f"{after['num_tokens']:,} held-out tokens", "before", "after"], rows)


def _words(before: Sequence[Example], after: Iterable[Example]) -> list[str]:
    """Return the best words for each example, without and with the training."""
    earlier = {example["text"]: example["output"] for example in before}
    lines = []
    for example in after:
        lines += ["", f"best words for {example['text']!r}:"]
        if example["text"] in earlier:
            lines.append(f"  before: {_listed(earlier[example['text']])}")
        lines.append(f"  after:  {_listed(example['output'])}")
    return lines


def _listed(output: list[dict[str, Any]]) -> str:
    return ", ".join(f"{each['token_str']} {each['score']:.0%}" for each in output)


def _next_steps(folder: str, text: str, *, is_published: bool) -> list[str]:
    quoted = shlex.quote(folder)
    steps = [
        ("try it", f"mlm fill {_quoted(text)} --model_name_or_path {quoted}" if text else ""),
        ("look at it on a page", f"mlm serve {quoted}"),
        ("measure it on other texts", f"mlm evaluate {quoted} --validation_file FILE"),
        ("publish it", "" if is_published else f"mlm push {quoted} OWNER/NAME --private"),
    ]
    return [f"  {command}  # {purpose}" for purpose, command in steps if command]


def _quoted(text: str) -> str:
    """Return a shell word; in double quotes, which every shell knows, if none would take effect."""
    return shlex.quote(text) if set(text) & set('"$`\\!%') else f'"{text}"'
