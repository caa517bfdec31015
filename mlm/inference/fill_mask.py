"""FillMask: a sentence with masks in, the words that fit best out. No page, no console.

    fill = FillMask.from_pretrained("demo")
    fill("I have watched this [MASK] and it was awesome.", top_k=5)

The answer has the shape of `transformers.pipeline("fill-mask")`; the sentences in it are the
user's own text with the word put in, not the tokenizer's lower-cased echo.
"""

import operator
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mlm.checkpoint.record.card_metadata import base_model_of, licence_of
from mlm.checkpoint.strict_json import has_lone_surrogate
from mlm.data.tokens.token_facts import TokenFacts
from mlm.errors import CheckpointError, HubError, InputError
from mlm.hub import Access, Fetched, assets_folder, fetch_checkpoint, fetch_from_hub
from mlm.inference.engines.choice import open_with_engine
from mlm.inference.engines.keras_engine import Engine, KerasEngine
from mlm.inference.engines.litert import DType
from mlm.inference.filling import (
    Candidate,
    Filling,
    JointFilling,
    put_in_place,
)
from mlm.inference.joint_filling import MAX_JOINT_MASKS, JointTokens, search_jointly
from mlm.inference.masked_text import MaskedText, read_masked
from mlm.inference.predictor import Predictor
from mlm.inference.ranking import best_first
from mlm.inference.scoring import TextScore, score_text
from mlm.inference.vocabulary import Vocabulary
from mlm.inference.whole_words import MAX_PIECES, score_words, search_words

MAX_TARGETS = 200


class FillMask:
    """Fills the masks of texts with the words that a checkpoint finds most probable.

    Safe to call from several threads; the model runs for one call at a time.

    Attributes: name; revision (the commit or None); url (of its page on the Hub, or None); licence
    (as its card names it, or None); base_model (likewise);
    mask_token; max_length (in tokens, special ones counted);
    vocab_size; num_parameters; training (training.json or None); checkpoint; engine; predictor and
    vocabulary, which all that is asked of the model goes through.
    """

    def __init__(
        self,
        checkpoint: Any,
        name: str,
        revision: str | None = None,
        engine: Engine | None = None,
    ):
        """checkpoint: an OpenCheckpoint; engine: what answers, None for the checkpoint's model."""
        self.checkpoint, self.name, self.revision = checkpoint, name, revision
        self.training = checkpoint.training
        self.url: str | None = None
        self.licence: str | None = None
        self.base_model: str | None = None
        tokenizer = checkpoint.tokenizer
        if tokenizer.mask_token is None:
            raise CheckpointError(f"{name} cannot fill masks: its tokenizer has no mask token.")
        self.mask_token: str = tokenizer.mask_token
        self.engine = engine or KerasEngine(checkpoint.model)
        self.predictor = Predictor(self.engine, tokenizer, name)
        self.vocabulary = Vocabulary(tokenizer)
        self.max_length = self.predictor.max_length
        self.vocab_size = len(self.vocabulary)
        self.num_parameters: int = self.engine.num_parameters

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        revision: str | None = None,
        *,
        engine: str = "auto",
        dtype: DType = "float32",
    ) -> "FillMask":
        """Load a folder, a Hub id or "demo" (the bundled model).

        Args:
            name, revision: see fetch_checkpoint.
            engine: `litert` (fast, and starts without TensorFlow), `keras` (the reference), or
                `auto`, LiteRT where it can.
            dtype: of LiteRT's weights: `float32`, which answers as Keras does, a logit to 1e-3
                at most, or `int8`, nearly as good and faster (README: How fast it is).

        Raises:
            HubError: no name, or the Hub has no such checkpoint, or cannot be reached.
            CheckpointError: it is not whole, or of a family that is not known here.
            ConfigError: no such engine or dtype.
        """
        _check_name(name, revision)
        fetched = fetch_checkpoint(name, revision)
        return cls._of(fetched, shown_name(name), engine, dtype, assets_folder() / "litert")

    @classmethod
    def from_hub(
        cls,
        repo_id: str,
        token: str | None = None,
        *,
        engine: str = "auto",
        dtype: DType = "float32",
    ) -> "FillMask":
        """Load a Hub id for somebody else: with their token or none, and nothing of it kept.

        Neither a folder here of that name, nor this machine's token, nor its cache is looked at;
        what was fetched is off the disk again when this returns.

        Raises HubError and CheckpointError as from_pretrained does.
        """
        with TemporaryDirectory(prefix="mlm_visitor_") as cache:
            fetched = fetch_from_hub(repo_id, access=Access(token or False, Path(cache)))
            return cls._of(fetched, repo_id, engine, dtype, None)

    @classmethod
    def _of(
        cls, fetched: Fetched, name: str, engine: str, dtype: DType, cache: Path | None
    ) -> "FillMask":
        opened, chosen = open_with_engine(fetched.folder, engine, dtype, cache)
        made = cls(opened, fetched.repo_id or name, fetched.commit, chosen)
        made.url, made.licence = fetched.url, licence_of(fetched.folder)
        made.base_model = base_model_of(fetched.folder)
        return made

    @cached_property
    def token_facts(self) -> TokenFacts:
        """What masking needs to know of the tokenizer."""
        return TokenFacts.of(self.checkpoint.tokenizer)

    def fill(
        self,
        text: str | Sequence[str],
        top_k: int = 5,
        targets: str | Sequence[str] | None = None,
    ) -> list:
        """The `top_k` best words for each mask of a text, or of each text of a list.

        Args:
            text: holds 1 to 32 masks, each `[MASK]`, `<mask>`, `_`, `___` or the model's own.
            top_k: words for each mask, 1 to the size of the vocabulary.
            targets: only these words are looked at; their scores stay what they are among all. A
                word of several pieces is scored whole, as whole_words.py says; its `token` is the
                list of its ids.

        Returns:
            For one mask a list of dicts `score, token, token_str, sequence`, best first; for
            several masks a list of such lists, each mask on its own. For a list of texts a list
            of these. A sequence is the text as it was written with that one word put in.

        Raises:
            InputError: no mask, too many, a text too long, or a target that is no word.
        """
        if isinstance(text, list | tuple):
            return [filling.as_pipeline() for filling in self.answer(text, top_k, targets)]
        return self.answer([text], top_k, targets)[0].as_pipeline()

    __call__ = fill

    def answer(
        self,
        texts: Sequence[Any],
        top_k: int = 5,
        targets: str | Sequence[str] | None = None,
        *,
        merge: bool = False,
    ) -> list[Filling]:
        """As `fill`, a Filling for each text: with notes, and with each word set apart.

        merge: words that differ by a space or capitals alone are one, their scores added.
        """
        top_k = self._checked_top_k(top_k)
        words = None if targets is None else self._targets(targets)
        masked = [self.read(text) for text in texts]
        rows = self.predictor.log_probabilities([each.question for each in masked])
        if words is not None:
            return [self._among(*each, words, top_k) for each in zip(masked, rows, strict=True)]
        best = self._best_words if merge else self._best_tokens
        return [
            Filling(
                each.text,
                each.spans,
                each.note,
                [best(each, i, row, top_k) for i, row in enumerate(of_masks)],
            )
            for each, of_masks in zip(masked, rows, strict=True)
        ]

    def fill_jointly(self, text: str, top_k: int = 5) -> list[JointFilling]:
        """Words for all masks of a text together, the best fillings first; joint_filling.py.

        Raises:
            InputError: as `fill`, or more than 8 masks.
        """
        masked = self.read(text)
        if len(masked.spans) > MAX_JOINT_MASKS:
            raise InputError(
                f"The text has {len(masked.spans)} masks; at most {MAX_JOINT_MASKS} are filled "
                "together."
            )
        top_k = self._checked_top_k(top_k)
        found = search_jointly(self.predictor, self.vocabulary, masked.question)
        return [self._joint(masked, joint) for joint in found[:top_k]]

    def fill_whole_words(
        self, text: str, top_k: int = 5, max_pieces: int = MAX_PIECES
    ) -> list[list[Candidate]]:
        """For each mask the best words that the vocabulary has only in pieces; whole_words.py.

        Raises: InputError, as `fill`.
        """
        masked = self.read(text)
        top_k = self._checked_top_k(top_k)
        return [
            [
                self._candidate(masked, index, word.pieces, float(np.exp(word.log_probability)))
                for word in search_words(
                    self.predictor, self.vocabulary, masked.question, index, max_pieces=max_pieces
                )[:top_k]
            ]
            for index in range(len(masked.spans))
        ]

    def score(self, text: str) -> TextScore:
        """How much each word of a text without masks surprises the model; scoring.py.

        Raises: InputError.
        """
        return score_text(self.predictor, self.vocabulary, text)

    def word_probabilities(self, text: str) -> list[dict[str, float]]:
        """For each mask the probability of every word, by name; "…ing" goes on a word.

        Spellings that differ by a space or capitals alone are one word. Raises InputError.
        """
        words = self.vocabulary.words
        (rows,) = self.predictor.log_probabilities([self.read(text).question])
        of_masks = (words.probabilities(row).tolist() for row in rows)
        return [dict(zip(words.names, scores, strict=True)) for scores in of_masks]

    def read(self, text: Any) -> MaskedText:
        """Check a text and find its masks in it. Raises InputError, CheckpointError."""
        return read_masked(self.predictor, self.mask_token, text)

    def _checked_top_k(self, top_k: Any) -> int:
        most = self.vocab_size
        try:
            number = -1 if isinstance(top_k, bool) else operator.index(top_k)
        except TypeError:
            number = -1
        if not 1 <= number <= most:
            raise InputError(f"top_k is {_shown(top_k)}; expected a whole number from 1 to {most}.")
        return number

    def is_word(self, word: Any) -> bool:
        """Whether `fill` takes this as one of its targets."""
        try:
            return bool(self._pieces_of(word))
        except InputError:
            return False

    def _targets(self, targets: str | Sequence[str]) -> dict[tuple[int, ...], str]:
        """The ids of each target, each word once -> how it was written first."""
        if not isinstance(targets, Iterable):
            raise InputError(f"targets is {_shown(targets)}; expected a word or a list of words.")
        words = [targets] if isinstance(targets, str) else list(targets)
        if not words:
            raise InputError("targets is empty; name at least one word, or leave it out.")
        if len(words) > MAX_TARGETS:
            raise InputError(f"targets has {len(words):,} words; at most {MAX_TARGETS} are scored.")
        spelt: dict[tuple[int, ...], str] = {}
        for word in words:
            spelt.setdefault(self._pieces_of(word), word)
        return spelt

    def _pieces_of(self, word: Any) -> tuple[int, ...]:
        if not isinstance(word, str) or not word.strip() or has_lone_surrogate(word):
            raise InputError(f"{_shown(word)} is not a word.")
        if self.vocabulary.marks_spaces:  # inside a sentence a word stands behind a space
            ids = self.predictor.read_plain(" " + word.strip())
            if len(ids) == 1:
                return tuple(ids)
        if word in self.vocabulary:
            return (self.vocabulary.id_of(word),)
        spelt = f" {word.strip()}" if self.vocabulary.marks_spaces else word
        ids = self.predictor.read_plain(spelt)
        if not ids or not self.vocabulary.special.isdisjoint(ids):
            raise InputError(
                f"{_shown(word)} is not a word for {self.name}: its vocabulary has no pieces for "
                "it."
            )
        return tuple(ids)

    def _among(
        self, masked: MaskedText, rows: np.ndarray, words: dict[tuple[int, ...], str], top_k: int
    ) -> Filling:
        """Of these words the best for each mask, those of several pieces spelt as they were."""
        whole = [word for word in words if len(word) > 1]
        masks = []
        for index, row in enumerate(rows):
            longer = score_words(self.predictor, masked.question, index, whole)
            scores: dict[tuple[int, ...], float] = {
                word: row[word[0]] for word in words if len(word) == 1
            }
            scores |= dict(zip(whole, longer, strict=True))
            best = sorted(words, key=lambda word: -scores[word])[:top_k]
            masks.append(
                [
                    self._candidate(
                        masked, index, w, np.exp(scores[w]), words[w].strip() if w in whole else ""
                    )
                    for w in best
                ]
            )
        return Filling(masked.text, masked.spans, masked.note, masks)

    def _best_tokens(
        self, masked: MaskedText, index: int, row: np.ndarray, top_k: int
    ) -> list[Candidate]:
        # An embedding may have rows for padding, beyond the vocabulary: they count in the
        # softmax, as everywhere, but are no words.
        ids = self.vocabulary.ids[self.vocabulary.ids < len(row)]
        order = best_first(row[ids], top_k)
        return [
            self._candidate(masked, index, (token_id,), np.exp(row[token_id]))
            for token_id in ids[order].tolist()
        ]

    def _best_words(
        self, masked: MaskedText, index: int, row: np.ndarray, top_k: int
    ) -> list[Candidate]:
        words = self.vocabulary.words
        scores = words.probabilities(row)
        return [
            self._merged(masked, index, words.members(word), row, float(scores[word]))
            for word in best_first(scores, top_k).tolist()
        ]

    def _merged(
        self, masked: MaskedText, index: int, members: np.ndarray, row: np.ndarray, score: float
    ) -> Candidate:
        """A word in its most probable spelling, with the names of the others."""
        spelt = members[best_first(row[members], len(members))].tolist()
        best = self._candidate(masked, index, (spelt[0],), score)
        others = dict.fromkeys(self.vocabulary.spelling([token_id]) for token_id in spelt[1:])
        return replace(best, also=tuple(other for other in others if other != best.word))

    def _candidate(
        self,
        masked: MaskedText,
        index: int,
        pieces: tuple[int, ...],
        score: float,
        spelt: str = "",
    ) -> Candidate:
        text, span = masked.text, masked.spans[index]
        word = spelt or self.vocabulary.spelling(list(pieces))
        token_str = self.vocabulary.token_str(pieces[0]) if len(pieces) == 1 else word
        joined = self.vocabulary.goes_on(pieces[0], text[: span[0]])
        before, after = put_in_place(text, span, word, joined)
        return Candidate(float(score), pieces, token_str, before, word, after, joined)

    def _joint(self, masked: MaskedText, joint: JointTokens) -> JointFilling:
        words: list[str] = []
        parts: list[str] = []
        rest = masked.text
        for span, token_id in reversed(list(zip(masked.spans, joint.tokens, strict=True))):
            word = self.vocabulary.spelling([token_id])
            joined = self.vocabulary.goes_on(token_id, masked.text[: span[0]])
            before, after = put_in_place(rest, span, word, joined)
            words, parts, rest = [word, *words], [word, after, *parts], before
        scores = np.exp(joint.log_probabilities).tolist()
        return JointFilling(joint.score, words, scores, [rest, *parts])


def shown_name(name: str | Path) -> str:
    """A model's name as visitors see it: of a folder its last two parts, not where it lies here."""
    return "/".join(Path(name).parts[-2:])


def _check_name(name: Any, revision: Any) -> None:
    """HubError unless these can name a checkpoint; "" would be whatever folder one stands in."""
    if not isinstance(name, str | os.PathLike) or not str(name):
        raise HubError(f"{_shown(name)} names no checkpoint: give a folder, a Hub id or 'demo'")
    if not isinstance(revision, str | None):
        raise HubError(f"{_shown(revision)} is no revision: give a branch, a tag or a commit")


def _shown(value: Any) -> str:
    """What a user sent, short enough for a message."""
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
