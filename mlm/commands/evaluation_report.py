"""The figures of an evaluation or a comparison, as text for people and as JSON for scripts."""

import dataclasses
import json
import math
import textwrap
from typing import TYPE_CHECKING

from mlm.evaluation.shared_words import SEED, WORD_SHARE
from mlm.terminal.tables import PLAIN_WIDTH, format_number, format_table
from mlm.training.outcome import FEW_TOKENS

if TYPE_CHECKING:
    from mlm.evaluation.checkpoint_evaluation import Evaluation
    from mlm.evaluation.model_comparison import Comparison, ModelFigures, Verdict

OWN_TOKENS = (
    "The models have different vocabularies: compare their bits a character and whole words; "
    "perplexity, loss and accuracy of tokens are of each model's own tokens."
)


def evaluation_text(measured: "Evaluation") -> str:
    """Return the settings and figures of one model as lines."""
    tokens, words = measured.tokens, measured.words
    lines = [
        *([measured.texts_report] if measured.texts_report else []),
        str(measured.held_out),
        f"masked-token perplexity {format_number(tokens.perplexity)} (loss {tokens.loss:.4f} nats)",
        f"masked tokens: top-1 {tokens.top1:.2%}, top-5 {tokens.top5:.2%} of {tokens.num_tokens:,}",
        f"whole words:   top-1 {words.top1:.2%}, top-5 {words.top5:.2%} of {words.num_words:,}"
        if words.num_words
        else "whole words:   none was masked in so few texts; give more",
    ]
    if tokens.num_tokens < FEW_TOKENS:
        lines.append("with so few masked tokens these figures may be chance: give more texts")
    if measured.recorded_loss is not None:
        lines.append(f"training.json has a loss of {measured.recorded_loss:.4f} for the same texts")
    return "\n".join(lines)


def evaluation_json(name: str, measured: "Evaluation") -> str:
    """Return the settings and figures of one model as JSON."""
    return _json(
        {
            "model": name,
            "settings": dataclasses.asdict(measured.held_out),
            "tokens": measured.tokens.to_dict(),
            "words": dataclasses.asdict(measured.words),
            "recorded_loss": measured.recorded_loss,
        }
    )


def comparison_text(compared: "Comparison") -> str:
    """Return the protocol, a table with a column for each model, and the verdict."""
    names = [model.name for model in compared.models]
    rows = [
        ["perplexity", *(format_number(model.tokens.perplexity) for model in compared.models)],
        ["loss, nats a token", *(f"{model.tokens.loss:.4f}" for model in compared.models)],
        ["tokens, top-1", *(f"{model.tokens.top1:.2%}" for model in compared.models)],
        ["tokens, top-5", *(f"{model.tokens.top5:.2%}" for model in compared.models)],
        ["bits a character", *(f"{model.bits_per_character:.4f}" for model in compared.models)],
        ["nats a character", *(f"{model.nats_per_character:.4f}" for model in compared.models)],
        ["whole words, top-1", *(f"{model.words.top1:.2%}" for model in compared.models)],
        ["whole words, top-5", *(f"{model.words.top5:.2%}" for model in compared.models)],
    ]
    notes = verdict_text(compared)
    if not compared.same_vocabulary:
        notes = f"{OWN_TOKENS} {notes}"
    table = format_table(["", *names], rows)
    return f"{_wrapped(_protocol(compared))}\n\n{table}\n\n{_wrapped(notes)}"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, PLAIN_WIDTH, break_long_words=False, break_on_hyphens=False)


def _protocol(compared: "Comparison") -> str:
    tokens = ", ".join(f"{model.tokens.num_tokens:,}" for model in compared.models)
    left_out = ""
    if compared.num_left_out:
        left_out = (
            f"; {compared.num_left_out:,} more, which the tokenizers do not spell alike, are left "
            "out for all"
        )
    return (
        f"{compared.held_out}. {compared.num_documents:,} documents. With seed {SEED}, "
        f"15% of each model's own tokens are masked ({tokens}), and {WORD_SHARE:.0%} of the "
        f"words, the same for all models: {compared.num_words:,} words of "
        f"{compared.num_characters:,} characters{left_out}."
    )


def verdict_text(compared: "Comparison") -> str:
    """Return in a sentence which model is better, by how much, and how sure that is."""
    verdict = compared.verdict
    best, other = (_named(compared, name) for name in (verdict.best, verdict.next_best))
    bits = f"{best.bits_per_character:.4f} against {other.bits_per_character:.4f} bits a character"
    words = f"it names {best.words.top1:.2%} against {other.words.top1:.2%} of the hidden words"
    if verdict.is_clear:
        opening = f"{best.name} is better than {other.name}: {bits}, and {words}"
    else:
        opening = f"No clear winner: {best.name} has {bits} of {other.name}, and {words}"
    others = f"; {other.name} is the next best" if len(compared.models) > 2 else ""
    return f"{opening}{others}. {_certainty(verdict)}"


def _certainty(verdict: "Verdict") -> str:
    error, difference = verdict.standard_error, verdict.difference
    if error is None:
        return "The words are of one document, so it cannot be said how sure that is."
    said = f"The difference, {difference:.4f}, is"
    if not difference or not error:
        return f"{said} the same in all documents."
    size = f"{said} {difference / error:.1f} times its standard error over documents, {error:.4f}"
    if verdict.is_clear:
        return f"{size}."
    return (
        f"{size}; with {verdict.num_documents:,} documents, {verdict.errors_needed:g} times would "
        "be clear."
    )


def _named(compared: "Comparison", name: str) -> "ModelFigures":
    return next(model for model in compared.models if model.name == name)


def comparison_json(compared: "Comparison") -> str:
    """Return the protocol, the figures of each model and the verdict as JSON."""
    verdict = compared.verdict
    return _json(
        {
            "settings": dataclasses.asdict(compared.held_out),
            "num_documents": compared.num_documents,
            "num_words": compared.num_words,
            "num_characters": compared.num_characters,
            "num_left_out": compared.num_left_out,
            "same_vocabulary": compared.same_vocabulary,
            "models": [_model(model) for model in compared.models],
            "verdict": {
                **dataclasses.asdict(verdict),
                "is_clear": verdict.is_clear,
                "text": verdict_text(compared),
            },
        }
    )


def _model(model: "ModelFigures") -> dict[str, object]:
    return {
        "model": model.name,
        "tokens": model.tokens.to_dict(),
        "words": dataclasses.asdict(model.words),
        "bits_per_character": model.bits_per_character,
        "nats_per_character": model.nats_per_character,
    }


def _json(content: dict[str, object]) -> str:
    return json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: object) -> object:
    """Replace numbers that JSON does not have, such as the share of no words, by None."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
