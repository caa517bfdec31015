"""One text as a training step sees it: what is chosen, what is hidden, and what the model guesses.

The choosing and the corrupting are those of masking.py, which the training itself uses.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mlm.data.batches import MIN_SEQ_LENGTH
from mlm.data.batches.masking import mask_tokens, max_targets_per_row
from mlm.data.tokens.token_facts import TokenFacts
from mlm.errors import InputError
from mlm.inference.engines.keras_engine import Question
from mlm.inference.filling import find_masks
from mlm.inference.masked_text import check_text
from mlm.inference.predictor import Predictor
from mlm.inference.ranking import best_first
from mlm.inference.vocabulary import Vocabulary

MAX_TOKENS = 128  # of a text that is drawn
GUESSES = 3
LARGEST_SEED = 2**32 - 1

Fate = Literal["mask", "random", "same"]


@dataclass(frozen=True)
class Prediction:
    """What the model says of a chosen token, and what that costs.

    fate: what the token became: the mask, a random word, or itself.
    shown: what the model saw.
    guesses: its best words and their probabilities.
    probability: that it gave the right token.
    rank: of the right token, from 0.
    """

    fate: Fate
    shown: str
    guesses: tuple[tuple[str, float], ...]
    probability: float
    rank: int

    @property
    def loss(self) -> float:
        """In nats."""
        return -math.log(max(self.probability, 1e-300))


@dataclass(frozen=True)
class ExampleToken:
    """A token of the text; `prediction` is None where it was not chosen."""

    token: str
    special: bool
    prediction: Prediction | None


@dataclass(frozen=True)
class MaskedExample:
    """A text, masked once."""

    tokens: tuple[ExampleToken, ...]
    mlm_probability: float
    seed: int

    @property
    def predictions(self) -> list[Prediction]:
        return [token.prediction for token in self.tokens if token.prediction]

    @property
    def loss(self) -> float | None:
        """What a training step would make smaller: nats a chosen token; None if none was."""
        losses = [prediction.loss for prediction in self.predictions]
        return sum(losses) / len(losses) if losses else None


def mask_example(
    predictor: Predictor,
    vocabulary: Vocabulary,
    facts: TokenFacts,
    text: Any,
    *,
    seed: int,
    mlm_probability: float = 0.15,
) -> MaskedExample:
    """Mask a text once, as training does, and ask the model for what was chosen.

    Args:
        seed: another one is another draw.
        mlm_probability: the share of tokens to choose.
    Raises:
        InputError: not a text, with a mask in it, empty, or of more than 128 tokens.
        ConfigError: a share outside [0, 1].
    """
    check_text(text)
    ids = np.array(predictor.read(text), np.int32)
    special = np.isin(ids, facts.special_ids)
    if find_masks(text, vocabulary.token_str(predictor.mask_id)):
        raise InputError("The text has a mask: the draw hides its words, write one in its place.")
    _check_tokens(ids, special)
    masked = mask_tokens(
        ids[None],
        special[None],
        np.random.default_rng([seed]),
        mlm_probability=mlm_probability,
        max_targets=max_targets_per_row(max(MIN_SEQ_LENGTH, len(ids)), mlm_probability),
        mask_token_id=facts.mask_id,
        random_word_ids=facts.random_word_ids,
    )
    shown = masked.masked_ids[0]
    chosen = masked.masked_positions[0][masked.weights[0] > 0].tolist()
    predictions: dict[int, Prediction] = {}
    if chosen:
        (rows,) = predictor.log_probabilities([Question(shown.tolist(), chosen)])
        predictions = {
            at: _prediction(vocabulary, facts, int(ids[at]), int(shown[at]), row)
            for at, row in zip(chosen, rows, strict=True)
        }
    tokens = (
        ExampleToken(_name(vocabulary, int(token_id)), bool(special[at]), predictions.get(at))
        for at, token_id in enumerate(ids)
    )
    return MaskedExample(tuple(tokens), mlm_probability, seed)


def _check_tokens(ids: np.ndarray, special: np.ndarray) -> None:
    if special.all():
        raise InputError("There is no word in the text that the model knows: write a sentence.")
    if len(ids) > MAX_TOKENS:
        raise InputError(
            f"The text has {len(ids)} tokens; at most {MAX_TOKENS} are drawn: shorten it."
        )


def _prediction(
    vocabulary: Vocabulary, facts: TokenFacts, label: int, shown: int, row: np.ndarray
) -> Prediction:
    ids = vocabulary.ids[vocabulary.ids < len(row)]
    best = ids[best_first(row[ids], GUESSES)].tolist()
    fate: Fate = "mask" if shown == facts.mask_id else "same" if shown == label else "random"
    return Prediction(
        fate,
        _name(vocabulary, shown),
        tuple((_name(vocabulary, token_id), math.exp(row[token_id])) for token_id in best),
        math.exp(row[label]),
        int((row > row[label]).sum()),
    )


def _name(vocabulary: Vocabulary, token_id: int) -> str:
    """A token as a reader sees it; "…ing" goes on a word."""
    joined = "…" if vocabulary.goes_on(token_id, "a") else ""
    return joined + vocabulary.spelling([token_id])
