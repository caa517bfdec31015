"""One text as a training step sees it: the target positions, the corruption, the predictions.

The positions are drawn and the text is corrupted by masking.py, as in training.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlm.data.batches import MIN_SEQ_LENGTH
from mlm.data.batches.masking import Masked, mask_tokens, max_targets_per_row
from mlm.data.tokens.token_facts import TokenFacts
from mlm.errors import InputError
from mlm.inference.engines.engine import Question
from mlm.inference.filling import find_masks
from mlm.inference.masked_text import check_text
from mlm.inference.predictor import Predictor
from mlm.inference.ranking import best_first
from mlm.inference.reading_losses import find_losses
from mlm.inference.vocabulary import Vocabulary

MAX_TOKENS = 128  # of a text
GUESSES = 3  # for each target position
LARGEST_SEED = 2**32 - 1

Fate = Literal["mask", "random", "same"]


@dataclass(frozen=True)
class Prediction:
    """The model's prediction at a target position.

    fate: what the token was replaced by: the mask, a random word, or itself.
    shown: the token that the model saw.
    guesses: the most probable tokens and their probabilities.
    probability: of the right token.
    rank: of the right token, from 0.
    """

    fate: Fate
    shown: str
    guesses: tuple[tuple[str, float], ...]
    probability: float
    rank: int

    @property
    def loss(self) -> float:
        """The cross-entropy in nats."""
        return -math.log(max(self.probability, 1e-300))


@dataclass(frozen=True)
class ExampleToken:
    """A token of the text; `prediction` is None except at target positions."""

    token: str
    special: bool
    prediction: Prediction | None


@dataclass(frozen=True)
class MaskedExample:
    """A text that was masked once."""

    tokens: tuple[ExampleToken, ...]
    mlm_probability: float
    seed: int
    note: str | None = None  # what the model does not see of the text

    @property
    def predictions(self) -> list[Prediction]:
        """The predictions at the target positions, from left to right."""
        return [token.prediction for token in self.tokens if token.prediction]

    @property
    def loss(self) -> float | None:
        """The masked-LM loss: mean cross-entropy of the targets in nats; None without targets."""
        losses = [prediction.loss for prediction in self.predictions]
        return sum(losses) / len(losses) if losses else None


def mask_example(
    predictor: Predictor,
    vocabulary: Vocabulary,
    facts: TokenFacts,
    text: object,
    *,
    seed: int,
    mlm_probability: float = 0.15,
) -> MaskedExample:
    """Mask a text once, as training does, and predict the tokens at the target positions.

    Args:
        predictor: encodes the text and asks the model.
        vocabulary: of the tokenizer.
        facts: of the tokenizer.
        text: of at most 128 tokens.
        seed: of the draw.
        mlm_probability: share of the tokens that become targets, in [0, 1].

    Raises:
        InputError: not a string, a mask in it, no words, or too many tokens.
        ConfigError: mlm_probability is outside [0, 1].
    """
    plain = check_text(text)
    input_ids, offsets = predictor.encode_with_offsets(plain)
    ids = np.array(input_ids, np.int32)
    special = np.isin(ids, facts.special_ids)
    if find_masks(plain, vocabulary.token_str(predictor.mask_id)):
        raise InputError(
            "The text has a mask, but the draw masks words itself: write a word in its place."
        )
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
    predictions = _predict_targets(predictor, vocabulary, facts, ids, masked)
    tokens = (
        ExampleToken(_token_name(vocabulary, int(token_id)), bool(special[at]), predictions.get(at))
        for at, token_id in enumerate(ids)
    )
    note = find_losses(vocabulary, plain, input_ids, offsets).note()
    return MaskedExample(tuple(tokens), mlm_probability, seed, note)


def _check_tokens(ids: np.ndarray, special: np.ndarray) -> None:
    if special.all():
        raise InputError("The text has no word that the model knows: write a sentence.")
    if len(ids) > MAX_TOKENS:
        raise InputError(
            f"The text has {len(ids)} tokens; at most {MAX_TOKENS} are drawn: shorten it."
        )


def _predict_targets(
    predictor: Predictor,
    vocabulary: Vocabulary,
    facts: TokenFacts,
    ids: np.ndarray,
    masked: Masked,
) -> dict[int, Prediction]:
    """Return the prediction at each target position of one masked row."""
    shown = masked.masked_ids[0]
    positions = masked.masked_positions[0][masked.weights[0] > 0].tolist()
    if not positions:
        return {}
    (rows,) = predictor.log_probabilities([Question(shown.tolist(), positions)])
    return {
        at: _make_prediction(vocabulary, facts, int(ids[at]), int(shown[at]), row)
        for at, row in zip(positions, rows, strict=True)
    }


def _make_prediction(
    vocabulary: Vocabulary, facts: TokenFacts, label: int, shown: int, row: np.ndarray
) -> Prediction:
    ids = vocabulary.ids[vocabulary.ids < len(row)]
    best = ids[best_first(row[ids], GUESSES)].tolist()
    fate: Fate = "mask" if shown == facts.mask_id else "same" if shown == label else "random"
    return Prediction(
        fate,
        _token_name(vocabulary, shown),
        tuple((_token_name(vocabulary, token_id), math.exp(row[token_id])) for token_id in best),
        math.exp(row[label]),
        int((row > row[label]).sum()),
    )


def _token_name(vocabulary: Vocabulary, token_id: int) -> str:
    """Return a token as a reader sees it; "…ing" continues a word."""
    mark = "…" if vocabulary.continues_word(token_id, "a") else ""
    return mark + vocabulary.spelling([token_id])
