"""FillMask: a sentence with masks in, the words that fit best out. No page, no console.

    fill = FillMask.from_pretrained("demo")
    fill("I have watched this [MASK] and it was awesome.", top_k=5)

The answer has the shape of `transformers.pipeline("fill-mask")`; its sentences are the user's own
text with the word put in, not the tokenizer's lower-cased version.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from mlm.checkpoint.config_task import stated_task
from mlm.checkpoint.folder import Checkpoint, OpenCheckpoint, verified_config
from mlm.checkpoint.record.card_metadata import base_model_of, licence_of
from mlm.data.tokens.token_facts import TokenFacts
from mlm.errors import CheckpointError, InputError
from mlm.hub import Access, Fetched, assets_folder, fetch_checkpoint, fetch_from_hub
from mlm.inference.candidates import (
    best_targets,
    best_tokens,
    best_words,
    check_top_k,
    make_candidate,
    make_joint_filling,
)
from mlm.inference.engines.choice import open_with_engine
from mlm.inference.engines.engine import Engine
from mlm.inference.engines.keras_engine import KerasEngine
from mlm.inference.engines.litert import DType
from mlm.inference.filling import Candidate, Filling, JointFilling
from mlm.inference.joint_filling import MAX_JOINT_MASKS, search_jointly
from mlm.inference.masked_text import MaskedText, read_each, read_masked
from mlm.inference.model_name import check_model_name, shown_name
from mlm.inference.predictor import Predictor
from mlm.inference.scoring import TextScore, score_text
from mlm.inference.targets import Pieces, check_targets, encode_targets, is_target
from mlm.inference.vocabulary import Vocabulary
from mlm.inference.whole_words import MAX_PIECES, search_words


class FillMask:
    """Fills the masks of texts with the words that a checkpoint finds most probable.

    Thread-safe; the model runs for one call at a time. A method that takes a text with masks also
    takes a MaskedText that this model's `read` returned, and does not check or encode it again.

    Attributes:
        name: the folder's or the Hub's.
        revision: the commit, or None.
        url: of the checkpoint's page on the Hub, or None.
        licence, base_model: as the checkpoint's card names them, or None.
        mask_token: the model's own.
        max_length: the longest text in tokens, special tokens included.
        vocab_size: the number of tokens.
        num_parameters: of the model.
        training: the content of training.json, or None.
        checkpoint: the open checkpoint folder; a Checkpoint, with its model, if Keras runs it.
        engine: runs the model.
        predictor, vocabulary: encode texts and ask the engine; decode ids.
    """

    def __init__(
        self,
        checkpoint: OpenCheckpoint,
        name: str,
        revision: str | None = None,
        engine: Engine | None = None,
    ):
        """Take an open checkpoint and the engine that runs it.

        Args:
            checkpoint: the open folder; without an engine, a Checkpoint with its model loaded.
            name: for messages and pages.
            revision: the commit, or None.
            engine: runs the model; None runs the checkpoint's model with Keras.

        Raises:
            CheckpointError: the tokenizer has no mask token.
        """
        self.checkpoint: Any = checkpoint  # has its model if Keras runs it
        self.name, self.revision = name, revision
        self.training = checkpoint.training
        self.url: str | None = None
        self.licence: str | None = None
        self.base_model: str | None = None
        tokenizer = checkpoint.tokenizer
        if tokenizer.mask_token is None:
            raise CheckpointError(f"{name} cannot fill masks: its tokenizer has no mask token.")
        self.mask_token: str = tokenizer.mask_token
        self.engine = engine or KerasEngine(cast(Checkpoint, checkpoint).model)
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
            name: see fetch_checkpoint.
            revision: of a Hub id; see fetch_checkpoint.
            engine: `litert` (fast, and starts without TensorFlow), `keras` (the reference), or
                `auto`, LiteRT if it supports the model and this machine.
            dtype: of LiteRT's weights: `float32`, whose logits are those of Keras to 1e-3, or
                `int8`, nearly as good and faster (docs/engine.md).

        Raises:
            HubError: not a name, or the Hub has no such checkpoint, or cannot be reached.
            CheckpointError: the checkpoint is not whole, or its family is not supported.
            ConfigError: an unknown engine or dtype.
        """
        check_model_name(name, revision)
        fetched = fetch_checkpoint(name, revision)
        return cls._open(fetched, shown_name(name), engine, dtype, assets_folder() / "litert")

    @classmethod
    def from_hub(
        cls,
        repo_id: str,
        token: str | None = None,
        *,
        engine: str = "auto",
        dtype: DType = "float32",
    ) -> "FillMask":
        """Load a Hub id on behalf of a visitor: with the visitor's token or none, without traces.

        A local folder of that name, this machine's token and its cache are ignored. The downloaded
        files are deleted when this returns.

        Raises:
            HubError, CheckpointError: see `from_pretrained`.
        """
        with TemporaryDirectory(prefix="mlm_visitor_") as cache:
            fetched = fetch_from_hub(repo_id, access=Access(token or False, Path(cache)))
            return cls._open(fetched, repo_id, engine, dtype, None)

    @classmethod
    def _open(
        cls, fetched: Fetched, name: str, engine: str, dtype: DType, cache: Path | None
    ) -> "FillMask":
        if stated_task(verified_config(fetched.folder)) is not None:
            raise CheckpointError(
                f"{fetched.repo_id or name} is a classifier, which fills no masks: ask it with mlm "
                "classify, or with Classifier in Python"
            )
        checkpoint, runner = open_with_engine(fetched.folder, engine, dtype, cache)
        fill = cls(checkpoint, fetched.repo_id or name, fetched.commit, runner)
        fill.url, fill.licence = fetched.url, licence_of(fetched.folder)
        fill.base_model = base_model_of(fetched.folder)
        return fill

    @cached_property
    def token_facts(self) -> TokenFacts:
        """The tokenizer's facts that masking needs."""
        return TokenFacts.of(self.checkpoint.tokenizer)

    def fill(
        self,
        text: str | MaskedText | Sequence[str | MaskedText],
        top_k: int = 5,
        targets: str | Sequence[str] | None = None,
    ) -> list[Any]:
        """Return the `top_k` best words for each mask of a text, or of each text of a list.

        Args:
            text: holds 1 to 32 masks, spelt as the model's own, or else as `[MASK]` or `<mask>`,
                or else as `___`, or else as `_` between blanks.
            top_k: words for each mask, 1 to the size of the vocabulary.
            targets: choose among these words only; their scores are still probabilities over the
                whole vocabulary. A word's ids are those that the tokenizer gives in the mask's
                place. A word of several pieces is scored as in whole_words.py, and its `token` is
                the list of its ids.

        Returns:
            For one mask a list of dicts `score, token, token_str, sequence`, best first; for
            several masks a list of such lists, each mask on its own. For a list of texts a list
            of these. A sequence is the user's text with that one word put in.

        Raises:
            InputError: no mask, too many, a text too long, or a target that is not a word.
        """
        if isinstance(text, list | tuple):
            return [filling.as_pipeline() for filling in self.answer(text, top_k, targets)]
        return self.answer([text], top_k, targets)[0].as_pipeline()

    __call__ = fill

    def answer(
        self,
        texts: Sequence[object],
        top_k: int = 5,
        targets: str | Sequence[str] | None = None,
        *,
        merge: bool = False,
    ) -> list[Filling]:
        """Return a Filling for each text: as `fill`, with the notes and the parts of each sequence.

        Args:
            texts: see `fill`.
            top_k: see `fill`.
            targets: see `fill`.
            merge: count spellings that differ in a space or case as one word, their scores added.

        Raises:
            InputError: see `fill`.
        """
        top_k = check_top_k(top_k, self.vocab_size)
        words = None if targets is None else check_targets(targets)
        masked = read_each(texts, self.read)
        encoded = [self._encode_targets(each, words) for each in masked]
        answers = self.predictor.log_probabilities([each.question for each in masked])
        return [
            Filling(
                each.text,
                each.spans,
                each.note,
                [
                    self._best_candidates(each, index, row, top_k, of_mask, merge)
                    for index, (row, of_mask) in enumerate(zip(rows, of_text, strict=True))
                ],
                each.warning,
            )
            for each, rows, of_text in zip(masked, answers, encoded, strict=True)
        ]

    def fill_jointly(self, text: str | MaskedText, top_k: int = 5) -> list[JointFilling]:
        """Return fillings of all masks of a text together, best first; see joint_filling.py.

        Raises:
            InputError: see `fill`; or more than 8 masks.
        """
        masked = self.read(text)
        if len(masked.spans) > MAX_JOINT_MASKS:
            raise InputError(
                f"The text has {len(masked.spans)} masks; at most {MAX_JOINT_MASKS} are filled "
                "together."
            )
        top_k = check_top_k(top_k, self.vocab_size)
        found = search_jointly(self.predictor, self.vocabulary, masked.question)
        return [make_joint_filling(self.vocabulary, masked, joint) for joint in found[:top_k]]

    def fill_whole_words(
        self, text: str | MaskedText, top_k: int = 5, max_pieces: int = MAX_PIECES
    ) -> list[list[Candidate]]:
        """Return for each mask the best words of several pieces; see whole_words.py.

        Raises:
            InputError: see `fill`.
        """
        masked = self.read(text)
        top_k = check_top_k(top_k, self.vocab_size)
        return [
            [
                make_candidate(
                    self.vocabulary, masked, index, word.pieces, np.exp(word.log_probability)
                )
                for word in search_words(
                    self.predictor, self.vocabulary, masked.question, index, max_pieces=max_pieces
                )[:top_k]
            ]
            for index in range(len(masked.spans))
        ]

    def score(self, text: str) -> TextScore:
        """Return the pseudo-log-likelihood of a text without masks, word by word; see scoring.py.

        Raises:
            InputError: masks in the text, or no words.
        """
        return score_text(self.predictor, self.vocabulary, text)

    def word_probabilities(self, text: str | MaskedText) -> list[dict[str, float]]:
        """Return for each mask the probability of every word by name; see Words.names.

        Raises:
            InputError: see `fill`.
        """
        words = self.vocabulary.words
        (rows,) = self.predictor.log_probabilities([self.read(text).question])
        of_masks = (words.probabilities(row).tolist() for row in rows)
        return [dict(zip(words.names, scores, strict=True)) for scores in of_masks]

    def read(self, text: object) -> MaskedText:
        """Check a text, encode it and find its masks; return a MaskedText as it is.

        Raises:
            InputError, CheckpointError: see `read_masked`.
        """
        if isinstance(text, MaskedText):
            return text
        return read_masked(self.predictor, self.vocabulary, text)

    def is_word(self, word: object) -> bool:
        """Return whether `fill` accepts this as a target."""
        return is_target(self.predictor, self.vocabulary, word)

    def _encode_targets(
        self, masked: MaskedText, words: list[str] | None
    ) -> Sequence[dict[Pieces, str] | None]:
        """Return the ids of the target words at each mask, None for each without targets."""
        if words is None:
            return [None] * len(masked.spans)
        return [
            encode_targets(self.predictor, self.vocabulary, words, masked, index)
            for index in range(len(masked.spans))
        ]

    def _best_candidates(
        self,
        masked: MaskedText,
        index: int,
        row: np.ndarray,
        top_k: int,
        targets: dict[Pieces, str] | None,
        merge: bool,
    ) -> list[Candidate]:
        if targets is not None:
            return best_targets(
                self.predictor, self.vocabulary, masked, index, row, top_k, targets=targets
            )
        best = best_words if merge else best_tokens
        return best(self.vocabulary, masked, index, row, top_k)
