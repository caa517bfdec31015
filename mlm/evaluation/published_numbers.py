"""Hold a checkpoint against numbers that others published for the model of its name.

The reference file is JSON with any of

    tutorial               text, model, before_finetuning_top5: {score, token, token_str} each
    model_cards            a list of {model, text, top5: [word, token, score] each}
    pseudo_log_likelihood  cases: {model, text, per_token or pll or both};
                           weights_probe: {model, what, value}

What was measured on other weights (after a fine-tuning, a model from scratch) is not compared.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlm.checkpoint.strict_json import parse_strictly
from mlm.errors import CheckpointError, ConfigError
from mlm.inference.fill_mask import FillMask

TOLERANCE = 1e-3
FORM = "mlm/evaluation/published_numbers.py"  # which describes the file
PROBE = re.compile(r"word_embeddings\.weight\[(?:\w+=)?(\d+), (\d+)\]")


class Word(NamedTuple):
    """A published candidate: its text, its id (None where not told) and its probability."""

    text: str
    token: int | None
    score: float


@dataclass(frozen=True)
class Published:
    """What was published for one text, or of the weights; exactly one of the last four is set."""

    model: str
    text: str
    top: tuple[Word, ...] = ()
    per_token: tuple[float, ...] = ()  # log-probability of each token, in nats, it alone masked
    total: float | None = None  # their sum
    weight: float | None = None  # one number of the embedding, named by `text`


class Comparison(NamedTuple):
    """One published number and ours.

    `published` is None for a word that only we have; `ours` is NaN for one of another id.
    """

    text: str
    word: str
    published: float | None
    ours: float

    @property
    def difference(self) -> float:
        return abs(self.ours - self.published) if self.published is not None else math.inf

    @property
    def agrees(self) -> bool:
        return self.difference <= TOLERANCE


def read_reference(path: Path) -> list[Published]:
    """Everything in a reference file that can be compared; ConfigError if it is not one."""
    try:
        content = parse_strictly(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): name a file") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; name a reference file") from None
    try:
        published = [*_candidates(content), *_likelihoods(content)]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{path} is no reference file ({reason}): see {FORM}") from None
    if not published:
        raise ConfigError(f"{path} holds nothing to compare: see {FORM} for its form")
    return published


def _candidates(content: dict[str, Any]) -> Iterator[Published]:
    tutorial = content.get("tutorial")
    if tutorial:
        words = [
            Word(entry["token_str"], int(entry["token"]), float(entry["score"]))
            for entry in tutorial["before_finetuning_top5"]
        ]
        yield Published(tutorial["model"], tutorial["text"], top=tuple(words))
    for card in content.get("model_cards", []):
        words = [Word(text, int(token), float(score)) for text, token, score in card["top5"]]
        yield Published(card["model"], card["text"], top=tuple(words))


def _likelihoods(content: dict[str, Any]) -> Iterator[Published]:
    measured = content.get("pseudo_log_likelihood", {})
    for case in measured.get("cases", []):
        if "per_token" in case:
            values = tuple(map(float, case["per_token"]))
            yield Published(case["model"], case["text"], per_token=values)
        if "pll" in case:
            yield Published(case["model"], case["text"], total=float(case["pll"]))
    probe = measured.get("weights_probe")
    if probe:
        yield Published(probe["model"], probe["what"], weight=float(probe["value"]))


# Which model a folder holds


def told_model(folder: Path, published: list[Published]) -> tuple[str, str]:
    """The name of the folder's model, and where it was read: among the names published.

    Looked at: the folder's name, `_name_or_path` in config.json, the README's own example.
    Raises ConfigError where none of them tells.
    """
    names = sorted({entry.model for entry in published})
    if folder.resolve().name.lower() in names:
        return folder.resolve().name.lower(), "the folder's name"
    origin = _read_origin(folder / "config.json").rstrip("/").split("/")[-1].lower()
    if origin in names:
        return origin, "_name_or_path in config.json"
    in_readme = _names_in_readme(folder / "README.md", names)
    if len(in_readme) == 1:
        return in_readme.pop(), "the example in README.md"
    raise ConfigError(
        f"Nothing in {folder} tells which model it is: say --model with one of {', '.join(names)}"
    )


def _read_origin(path: Path) -> str:
    try:
        origin = json.loads(path.read_bytes()[:65_536]).get("_name_or_path")
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""
    return origin if isinstance(origin, str) else ""


def _names_in_readme(path: Path, names: list[str]) -> set[str]:
    if not path.is_file():
        return set()
    with path.open(encoding="utf-8", errors="replace") as file:
        text = file.read(2**20)
    return {name for name in names if re.search(_mention(name), text)}


def _mention(name: str) -> str:
    return rf"(?:model\s*=|from_pretrained\()\s*['\"](?:[\w.-]+/)?{re.escape(name)}['\"]"


# The comparison


def compare(folder: Path, published: list[Published], model: str) -> list[Comparison]:
    """Each number published for `model`, and the folder's; ConfigError if there is none."""
    wanted = [entry for entry in published if entry.model == model]
    if not wanted:
        names = ", ".join(sorted({entry.model for entry in published}))
        raise ConfigError(f"Nothing was published for {model!r}: say --model with one of {names}")
    fill = FillMask.from_pretrained(folder, engine="keras")
    if fill.checkpoint.fresh_head:
        raise CheckpointError(
            f"{folder} has no masked-LM head, so it predicts nothing yet: use one that has."
        )
    return [comparison for entry in wanted for comparison in _compared(fill, entry)]


def _compared(fill: FillMask, entry: Published) -> Iterator[Comparison]:
    if entry.top:
        yield from _compared_words(fill, entry)
    elif entry.weight is not None:
        yield Comparison(entry.text, "", entry.weight, _weight(fill, entry.text))
    else:
        words, values = log_probabilities(fill, entry.text)
        if entry.total is not None:
            yield Comparison(entry.text, "all, log", entry.total, sum(values))
            return
        if len(values) != len(entry.per_token):
            raise CheckpointError(
                f"{entry.text!r} has {len(values)} tokens here and {len(entry.per_token)} where it "
                "was measured: the tokenizer is another."
            )
        for word, theirs, ours in zip(words, entry.per_token, values, strict=True):
            yield Comparison(entry.text, f"{word}, log", theirs, ours)


def _compared_words(fill: FillMask, entry: Published) -> Iterator[Comparison]:
    """The published words, and those of our best that would have had to be among them."""
    answer: list[dict[str, Any]] = fill(entry.text, top_k=fill.vocab_size)
    if isinstance(answer[0], list):
        raise ConfigError(f"{entry.text!r} has {len(answer)} masks; a reference has one")
    ours = {candidate["token"]: candidate for candidate in answer}
    of_word = {candidate["token_str"].strip(): candidate for candidate in reversed(answer)}
    for word in entry.top:
        found = of_word.get(word.text.strip()) if word.token is None else ours.get(word.token)
        same = found is not None and found["token_str"].strip() == word.text.strip()
        yield Comparison(
            entry.text, word.text, word.score, found["score"] if found and same else math.nan
        )
    known = {word.text.strip() for word in entry.top}
    least = min(word.score for word in entry.top)
    for candidate in answer[: len(entry.top)]:
        word = candidate["token_str"].strip()
        if word not in known and candidate["score"] > least + TOLERANCE:
            yield Comparison(entry.text, word, None, candidate["score"])


def log_probabilities(fill: FillMask, text: str) -> tuple[list[str], list[float]]:
    """Each token of a text and the log-probability, in nats, that it has when it alone is masked.

    Source: Salazar et al. 2020, Masked Language Model Scoring.
    """
    tokenizer, model = fill.checkpoint.tokenizer, fill.checkpoint.model
    ids = np.array(tokenizer(text).input_ids, np.int32)
    special = tokenizer.get_special_tokens_mask(ids.tolist(), already_has_special_tokens=True)
    places = np.flatnonzero(np.logical_not(special))
    masked = np.repeat(ids[None], len(places), axis=0)
    masked[np.arange(len(places)), places] = tokenizer.mask_token_id
    batch = {
        "input_ids": masked,
        "attention_mask": np.ones_like(masked),
        "masked_positions": places[:, None].astype(np.int32),
    }
    logits = np.asarray(model.predict_on_batch(batch), np.float64)[:, 0]
    shifted = logits - logits.max(axis=-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    words = [tokenizer.decode([token]).strip() for token in ids[places].tolist()]
    return words, logs[np.arange(len(places)), ids[places]].tolist()


def _weight(fill: FillMask, what: str) -> float:
    place = PROBE.search(what)
    if not place:
        raise ConfigError(f"{what!r} is no place in the embedding; word_embeddings.weight[i, j] is")
    table = np.asarray(fill.checkpoint.model.embeddings.word_embeddings)
    row, column = map(int, place.groups())
    if row >= table.shape[0] or column >= table.shape[1]:
        return math.nan
    return float(table[row, column])


def table(comparisons: list[Comparison]) -> str:
    """The comparisons as aligned text, a line each, with the ones that do not agree marked."""
    lines = [("text", "word", "published", "ours", "difference")]
    for one in comparisons:
        theirs = "not in it" if one.published is None else f"{one.published:.6f}"
        ours = "not in it" if math.isnan(one.ours) else f"{one.ours:.6f}"
        apart = f"{one.difference:.6f}" if math.isfinite(one.difference) else ""
        mark = "" if one.agrees else "differs"
        lines.append((one.text, one.word, theirs, ours, f"{apart:8}  {mark}"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rows = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return "\n".join(rows)
