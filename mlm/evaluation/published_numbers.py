"""Regression check of a checkpoint against the numbers that others published for its model.

The file of published numbers is JSON with any of

    tutorial               text, model, before_finetuning_top5: {score, token, token_str} each
    model_cards            a list of {model, text, top5: [word, token, score] each}
    pseudo_log_likelihood  cases: {model, text, per_token or pll or both};
                           weights_probe: {model, what, value}

Numbers of other weights (after a fine-tuning, of a model trained from scratch) are not compared.
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
FORM = "mlm/evaluation/published_numbers.py"  # describes the file
PROBE = re.compile(r"word_embeddings\.weight\[(?:\w+=)?(\d+), (\d+)\]")


class Candidate(NamedTuple):
    """A published word, its token id (None if not published) and its probability."""

    text: str
    token: int | None
    score: float


@dataclass(frozen=True)
class PublishedNumbers:
    """Numbers published for one text or for the weights; one of the last four fields is set.

    Attributes:
        model: Name of the model, without its owner.
        text: The text, or the name of the weight.
        top: The best words for the mask of the text, best first.
        per_token: Log-probability of each token, in nats, with only that token masked.
        total: Sum of such log-probabilities.
        weight: One number of the embedding.
    """

    model: str
    text: str
    top: tuple[Candidate, ...] = ()
    per_token: tuple[float, ...] = ()
    total: float | None = None
    weight: float | None = None


class Comparison(NamedTuple):
    """One published number and ours.

    `published` is None for a word that only our answer has. `ours` is NaN if the published word is
    not in our vocabulary under its id.
    """

    text: str
    word: str
    published: float | None
    ours: float

    @property
    def difference(self) -> float:
        """Absolute difference; infinite if the number was not published, NaN if we have none."""
        return abs(self.ours - self.published) if self.published is not None else math.inf

    @property
    def agrees(self) -> bool:
        """True if the difference is at most TOLERANCE; False for NaN."""
        return self.difference <= TOLERANCE


def read_published_numbers(path: Path) -> list[PublishedNumbers]:
    """Return everything in a file that can be compared; ConfigError if it has another form."""
    try:
        content = parse_strictly(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): name a file") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; name a file of published numbers") from None
    try:
        published = [*_read_candidates(content), *_read_likelihoods(content)]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(
            f"{path} is not a file of published numbers ({reason}): see {FORM} for its form"
        ) from None
    if not published:
        raise ConfigError(f"{path} holds nothing to compare: see {FORM} for its form")
    return published


def _read_candidates(content: dict[str, Any]) -> Iterator[PublishedNumbers]:
    tutorial = content.get("tutorial")
    if tutorial:
        words = [
            Candidate(entry["token_str"], int(entry["token"]), float(entry["score"]))
            for entry in tutorial["before_finetuning_top5"]
        ]
        yield PublishedNumbers(tutorial["model"], tutorial["text"], top=tuple(words))
    for card in content.get("model_cards", []):
        words = [Candidate(text, int(token), float(score)) for text, token, score in card["top5"]]
        yield PublishedNumbers(card["model"], card["text"], top=tuple(words))


def _read_likelihoods(content: dict[str, Any]) -> Iterator[PublishedNumbers]:
    measured = content.get("pseudo_log_likelihood", {})
    for case in measured.get("cases", []):
        if "per_token" in case:
            values = tuple(map(float, case["per_token"]))
            yield PublishedNumbers(case["model"], case["text"], per_token=values)
        if "pll" in case:
            yield PublishedNumbers(case["model"], case["text"], total=float(case["pll"]))
    probe = measured.get("weights_probe")
    if probe:
        yield PublishedNumbers(probe["model"], probe["what"], weight=float(probe["value"]))


# The model of a folder


def identify_model(folder: Path, published: list[PublishedNumbers]) -> tuple[str, str]:
    """Return the name of the folder's model, and which file or name gave it.

    The name is one of those in `published`. It is looked for in the folder's name, in
    `_name_or_path` of config.json, and in the code example of README.md, in this order.

    Raises:
        ConfigError: None of the three names a model, or README.md names several.
    """
    names = sorted({entry.model for entry in published})
    if folder.resolve().name.lower() in names:
        return folder.resolve().name.lower(), "the folder's name"
    origin = _read_origin(folder / "config.json").rstrip("/").split("/")[-1].lower()
    if origin in names:
        return origin, "_name_or_path in config.json"
    in_readme = _find_names(folder / "README.md", names)
    if len(in_readme) == 1:
        return in_readme.pop(), "the example in README.md"
    raise ConfigError(
        f"{folder} does not name its model: give --model with one of {', '.join(names)}"
    )


def _read_origin(path: Path) -> str:
    try:
        origin = json.loads(path.read_bytes()[:65_536]).get("_name_or_path")
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""
    return origin if isinstance(origin, str) else ""


def _find_names(readme: Path, names: list[str]) -> set[str]:
    """Return the names in a README's code, as `model="NAME"` or `from_pretrained("NAME")`."""
    if not readme.is_file():
        return set()
    with readme.open(encoding="utf-8", errors="replace") as file:
        text = file.read(2**20)
    return {name for name in names if re.search(_loading_pattern(name), text)}


def _loading_pattern(name: str) -> str:
    return rf"(?:model\s*=|from_pretrained\()\s*['\"](?:[\w.-]+/)?{re.escape(name)}['\"]"


# The comparison


def compare(folder: Path, published: list[PublishedNumbers], model: str) -> list[Comparison]:
    """Return each number published for `model` beside the folder's own.

    Raises:
        ConfigError: Nothing was published for `model`, or a text has several masks.
        CheckpointError: The folder has no masked-LM head, or another tokenizer.
    """
    entries = [entry for entry in published if entry.model == model]
    if not entries:
        names = ", ".join(sorted({entry.model for entry in published}))
        raise ConfigError(f"Nothing was published for {model!r}: give --model with one of {names}")
    fill = FillMask.from_pretrained(folder, engine="keras")
    if fill.checkpoint.fresh_head:
        raise CheckpointError(
            f"{folder} has no masked-LM head, so it cannot predict: give a checkpoint with one"
        )
    return [comparison for entry in entries for comparison in _compare_entry(fill, entry)]


def _compare_entry(fill: FillMask, entry: PublishedNumbers) -> Iterator[Comparison]:
    if entry.top:
        yield from _compare_candidates(fill, entry)
    elif entry.weight is not None:
        yield Comparison(entry.text, "", entry.weight, _embedding_weight(fill, entry.text))
    else:
        words, values = log_probabilities(fill, entry.text)
        if entry.total is not None:
            yield Comparison(entry.text, "all, log", entry.total, sum(values))
            return
        if len(values) != len(entry.per_token):
            raise CheckpointError(
                f"{entry.text!r} has {len(values)} tokens here, but {len(entry.per_token)} were "
                "published: the tokenizer differs"
            )
        for word, theirs, ours in zip(words, entry.per_token, values, strict=True):
            yield Comparison(entry.text, f"{word}, log", theirs, ours)


def _compare_candidates(fill: FillMask, entry: PublishedNumbers) -> Iterator[Comparison]:
    """Yield the published words, then those of our best whose score should have been published."""
    answer: list[dict[str, Any]] = fill(entry.text, top_k=fill.vocab_size)
    if isinstance(answer[0], list):
        raise ConfigError(f"{entry.text!r} has {len(answer)} masks; a published text has one")
    by_id = {candidate["token"]: candidate for candidate in answer}
    by_word = {candidate["token_str"].strip(): candidate for candidate in reversed(answer)}
    for word in entry.top:
        found = by_word.get(word.text.strip()) if word.token is None else by_id.get(word.token)
        same = found is not None and found["token_str"].strip() == word.text.strip()
        yield Comparison(
            entry.text, word.text, word.score, found["score"] if found and same else math.nan
        )
    published = {word.text.strip() for word in entry.top}
    lowest = min(word.score for word in entry.top)
    for candidate in answer[: len(entry.top)]:
        word = candidate["token_str"].strip()
        if word not in published and candidate["score"] > lowest + TOLERANCE:
            yield Comparison(entry.text, word, None, candidate["score"])


def log_probabilities(fill: FillMask, text: str) -> tuple[list[str], list[float]]:
    """Return the tokens of a text and the log-probability, in nats, of each if only it is masked.

    Source: Salazar et al. 2020, Masked Language Model Scoring.
    """
    tokenizer, model = fill.checkpoint.tokenizer, fill.checkpoint.model
    ids = np.array(tokenizer(text).input_ids, np.int32)
    special = tokenizer.get_special_tokens_mask(ids.tolist(), already_has_special_tokens=True)
    positions = np.flatnonzero(np.logical_not(special))
    masked = np.repeat(ids[None], len(positions), axis=0)
    masked[np.arange(len(positions)), positions] = tokenizer.mask_token_id
    batch = {
        "input_ids": masked,
        "attention_mask": np.ones_like(masked),
        "masked_positions": positions[:, None].astype(np.int32),
    }
    logits = np.asarray(model.predict_on_batch(batch), np.float64)[:, 0]
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    words = [tokenizer.decode([token]).strip() for token in ids[positions].tolist()]
    return words, log_probs[np.arange(len(positions)), ids[positions]].tolist()


def _embedding_weight(fill: FillMask, name: str) -> float:
    """Return one number of the word embeddings, NaN if the table has no such row or column."""
    indices = PROBE.search(name)
    if not indices:
        raise ConfigError(f"cannot read the weight {name!r}: write word_embeddings.weight[i, j]")
    table = np.asarray(fill.checkpoint.model.embeddings.word_embeddings)
    row, column = map(int, indices.groups())
    if row >= table.shape[0] or column >= table.shape[1]:
        return math.nan
    return float(table[row, column])


def table(comparisons: list[Comparison]) -> str:
    """Return the comparisons as aligned text, a line each; `differs` marks a disagreement."""
    lines = [("text", "word", "published", "ours", "difference")]
    for one in comparisons:
        theirs = "not in it" if one.published is None else f"{one.published:.6f}"
        ours = "not in it" if math.isnan(one.ours) else f"{one.ours:.6f}"
        difference = f"{one.difference:.6f}" if math.isfinite(one.difference) else ""
        mark = "" if one.agrees else "differs"
        lines.append((one.text, one.word, theirs, ours, f"{difference:8}  {mark}"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rows = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return "\n".join(rows)
