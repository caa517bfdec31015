"""FillMask: a sentence with masks in, the words that fit best out. No page, no console.

    fill = FillMask.from_pretrained("demo")
    fill("I have watched this [MASK] and it was awesome.", top_k=5)

The answer has the shape of `transformers.pipeline("fill-mask")`; the sentences in it are the
user's own text with the word put in, not the tokenizer's lower-cased echo.
"""

import math
import operator
import os
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlm.errors import CheckpointError, HubError, InputError
from mlm.filling import (
    Candidate,
    Filling,
    find_masks,
    holds_half_a_character,
    normalise_masks,
    put_in_place,
)
from mlm.hub import fetch_checkpoint
from mlm.tokenizer import tokenizer_errors

if TYPE_CHECKING:
    from mlm.checkpoint import Checkpoint

MAX_CHARACTERS = 20_000  # of a text; looked at before anything else, so that 30 MB cost nothing
MAX_MASKS = 32  # in a text
TEXTS_A_CALL = 8  # of the model, when a list of texts is filled
LENGTH_STEP = 32  # tokens; lengths are padded up to it, so that few graphs are traced

SPACE_MARKS = ("Ġ", "▁")  # how byte-level BPE and SentencePiece write the space before a word


@dataclass(frozen=True)
class _Question:
    """A text that was found fit to be asked: what the user wrote and what the model reads."""

    text: str
    spans: list[tuple[int, int]]
    note: str | None
    input_ids: list[int]
    positions: list[int]  # of the masks in `input_ids`


class FillMask:
    """Fills the masks of texts with the words that a checkpoint finds most probable.

    Safe to call from several threads; the model runs for one call at a time.

    Attributes: name; revision (the commit or None); mask_token; max_length (in tokens, special
    ones counted); vocab_size; num_parameters; training (training.json or None); checkpoint.
    """

    def __init__(self, checkpoint: "Checkpoint", name: str, revision: str | None = None):
        self.checkpoint, self.name, self.revision = checkpoint, name, revision
        self.training = checkpoint.training
        model, tokenizer = checkpoint.model, checkpoint.tokenizer
        if tokenizer.mask_token is None:
            raise CheckpointError(f"{name} cannot fill masks: its tokenizer has no mask token.")
        self.mask_token: str = tokenizer.mask_token
        longest = min(model.config.max_position_embeddings, tokenizer.model_max_length)
        self.max_length = int(longest)
        self.num_parameters: int = model.count_params()
        self._vocab: dict[str, int] = tokenizer.get_vocab()
        self._pieces = {token_id: piece for piece, token_id in self._vocab.items()}
        self._ids = np.array(sorted(self._pieces))
        self.vocab_size = len(self._vocab)
        self._special = set(tokenizer.all_special_ids)
        # Words of their own, although spelt without the space before them.
        self._apart = self._special | set(tokenizer.added_tokens_decoder)
        backend = tokenizer.backend_tokenizer.model
        self._prefix = getattr(backend, "continuing_subword_prefix", None) or ""  # "##"
        self._marked = not self._prefix and any(p.startswith(SPACE_MARKS) for p in self._vocab)
        apart, together = (f"a{space}{self.mask_token}" for space in (" ", ""))
        self._mask_eats_space = self._read(apart) == self._read(together)
        self._undecoded = tokenizer.backend_tokenizer.decoder is None  # decode() keeps the marks
        self._lock = threading.Lock()

    @classmethod
    def from_pretrained(cls, name: str | Path, revision: str | None = None) -> "FillMask":
        """Load a folder, a Hub id or "demo" (the bundled model).

        Raises:
            HubError: no name, or the Hub has no such checkpoint, or cannot be reached.
            CheckpointError: it is not whole, or of a family that is not known here.
        """
        _check_name(name, revision)
        fetched = fetch_checkpoint(name, revision)
        # Not above: it brings Keras, and a name that is not found need not wait for that.
        from mlm.checkpoint import read_checkpoint

        # The name is shown to visitors: a folder's last two parts, not where this machine has it.
        shown = fetched.repo_id or "/".join(Path(name).parts[-2:])
        return cls(read_checkpoint(fetched.folder), shown, fetched.commit)

    def fill(
        self,
        text: str | Sequence[str],
        top_k: int = 5,
        targets: str | Sequence[str] | None = None,
    ) -> list:
        """The `top_k` best words for each mask of a text, or of each text of a list.

        Args:
            text: holds 1 to 32 masks, each `[MASK]`, `<mask>`, `___` or the model's own token.
            top_k: words for each mask, 1 to the size of the vocabulary.
            targets: only these words are looked at; their scores stay what they are among all.

        Returns:
            For one mask a list of dicts `score, token, token_str, sequence`, best first; for
            several masks a list of such lists, each mask on its own. For a list of texts a list
            of these. A sequence is the text as it was written with that one word put in.

        Raises:
            InputError: no mask, too many, a text too long, or a target of several pieces.
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
    ) -> list[Filling]:
        """As `fill`, a Filling for each text: with notes, and with each word set apart."""
        top_k = self._checked_top_k(top_k)
        wanted = None if targets is None else self._target_ids(targets)
        with self._lock:  # a fast tokenizer cannot be shared by threads either
            questions = [self._question(text) for text in texts]
            logits = self._logits(questions)
        return [
            self._filling(question, rows, top_k, wanted)
            for question, rows in zip(questions, logits, strict=True)
        ]

    def _checked_top_k(self, top_k: Any) -> int:
        most = self.vocab_size
        try:
            number = -1 if isinstance(top_k, bool) else operator.index(top_k)
        except TypeError:
            number = -1
        if not 1 <= number <= most:
            raise InputError(f"top_k is {_shown(top_k)}; expected a whole number from 1 to {most}.")
        return number

    def _target_ids(self, targets: str | Sequence[str]) -> np.ndarray:
        if not isinstance(targets, Iterable):
            raise InputError(f"targets is {_shown(targets)}; expected a word or a list of words.")
        words = [targets] if isinstance(targets, str) else list(targets)
        if not words:
            raise InputError("targets is empty; name at least one word, or leave it out.")
        with self._lock:
            return np.array(list(dict.fromkeys(self._single_token(word) for word in words)))

    def _single_token(self, word: Any) -> int:
        if not isinstance(word, str) or not word.strip() or holds_half_a_character(word):
            raise InputError(f"The target {_shown(word)} is not a word.")
        if self._marked:  # inside a sentence a word stands behind a space
            ids = self._read_plain(" " + word.strip())
            if len(ids) == 1:
                return ids[0]
        if word in self._vocab:
            return self._vocab[word]
        ids = self._read_plain(word)
        if len(ids) == 1 and ids[0] not in self._special:
            return ids[0]
        shown = " ".join(self.checkpoint.tokenizer.decode([token]).strip() for token in ids[:20])
        raise InputError(
            f"The target {_shown(word)} is not one token for {self.name} but {len(ids)} "
            f"({shown}): choose a word that the vocabulary holds whole."
        )

    def _read_plain(self, word: str) -> list[int]:
        """The ids of a word alone. Not its tokens: an added word's is the text it was found in."""
        return self.checkpoint.tokenizer(word, add_special_tokens=False)["input_ids"]

    def _question(self, text: Any) -> _Question:
        masks = self._checked_masks(text)
        plain, note = normalise_masks(text, self.mask_token)
        input_ids = self._read(plain)
        if len(input_ids) > self.max_length:
            raise InputError(
                f"The text has {len(input_ids)} tokens and {self.name} reads {self.max_length} "
                f"at most: shorten it."
            )
        mask_id = self.checkpoint.tokenizer.mask_token_id
        positions = [i for i, t in enumerate(input_ids) if t == mask_id]
        if (
            len(positions) != len(masks)
            or max(input_ids) >= self.checkpoint.model.config.vocab_size
        ):
            raise CheckpointError(
                f"{self.name} cannot read this text: its tokenizer finds {len(positions)} of "
                f"{len(masks)} masks, or gives ids that the model has no row for."
            )
        return _Question(text, [mask.span() for mask in masks], note, input_ids, positions)

    def _read(self, text: str) -> list[int]:
        """The ids of a text with the special tokens around it."""
        with tokenizer_errors(f"The tokenizer of {self.name} breaks on this text"):
            return self.checkpoint.tokenizer(text, verbose=False)["input_ids"]

    def _checked_masks(self, text: Any) -> list[re.Match[str]]:
        if not isinstance(text, str):
            raise InputError(f"The text is of type {type(text).__name__}; expected a string.")
        if len(text) > MAX_CHARACTERS:
            raise InputError(
                f"The text has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read."
            )
        if holds_half_a_character(text):
            raise InputError("The text holds half a character (a lone surrogate): type it again.")
        masks = find_masks(text, self.mask_token)
        if not masks:
            raise InputError(
                f"There is no mask in the text: write {self.mask_token} or ___ in place of a word."
            )
        if len(masks) > MAX_MASKS:
            raise InputError(f"The text has {len(masks)} masks; at most {MAX_MASKS} are filled.")
        return masks

    def _logits(self, questions: list[_Question]) -> list[np.ndarray]:
        """For each question the logits (masks, V) float32."""
        rows: list[np.ndarray] = []
        for start in range(0, len(questions), TEXTS_A_CALL):
            chunk = questions[start : start + TEXTS_A_CALL]
            logits = np.asarray(self.checkpoint.model.predict_on_batch(self._batch(chunk)))
            if not np.isfinite(logits[: len(chunk)]).all():
                raise CheckpointError(
                    f"{self.name} answers with values that are no numbers (NaN): its training "
                    f"diverged, use an earlier checkpoint."
                )
            rows += [logits[i, : len(q.positions)] for i, q in enumerate(chunk)]
        return rows

    def _batch(self, questions: list[_Question]) -> dict[str, np.ndarray]:
        """Model inputs, padded to one of few shapes: B and P powers of two, T in steps of 32."""
        longest = max(len(q.input_ids) for q in questions)
        T = min(math.ceil(longest / LENGTH_STEP) * LENGTH_STEP, self.max_length)
        B = _power_of_two(len(questions))
        P = _power_of_two(max(len(q.positions) for q in questions))
        pad = self.checkpoint.tokenizer.pad_token_id or 0
        batch = {
            "input_ids": np.full((B, T), pad, np.int32),
            "attention_mask": np.zeros((B, T), np.int32),
            "masked_positions": np.zeros((B, P), np.int32),
        }
        batch["attention_mask"][:, 0] = 1  # a padding row attends to something
        for i, q in enumerate(questions):
            batch["input_ids"][i, : len(q.input_ids)] = q.input_ids
            batch["attention_mask"][i, : len(q.input_ids)] = 1
            batch["masked_positions"][i, : len(q.positions)] = q.positions
        return batch

    def _filling(self, question, logits: np.ndarray, top_k: int, wanted) -> Filling:
        masks = [
            [self._candidate(question.text, span, *best) for best in self._best(row, top_k, wanted)]
            for span, row in zip(question.spans, logits, strict=True)
        ]
        return Filling(question.text, question.spans, question.note, masks)

    def _best(
        self, logits: np.ndarray, top_k: int, wanted: np.ndarray | None
    ) -> list[tuple[int, float]]:
        """The best ids of one mask with their probabilities; logits (V,) float32."""
        # An embedding may have rows for padding, beyond the vocabulary: they count in the
        # softmax, as everywhere, but are no words.
        ids = self._ids if wanted is None else wanted
        ids = ids[ids < len(logits)]
        shifted = np.exp(logits.astype(np.float64) - logits.max())
        scores = shifted[ids] / shifted.sum()
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [(int(ids[i]), float(scores[i])) for i in order]

    def _candidate(self, text: str, span: tuple[int, int], token: int, score: float) -> Candidate:
        token_str = self.checkpoint.tokenizer.decode([token])
        joined = self._goes_on(token, text[: span[0]])
        word = token_str.removeprefix(self._prefix).strip()
        if self._undecoded:
            word = word.lstrip("".join(SPACE_MARKS))
        before, after = put_in_place(text, span, word, joined)
        return Candidate(score, token, token_str, before, word, after, joined)

    def _goes_on(self, token: int, before: str) -> bool:
        """Whether the token belongs to the word before it, without a space."""
        if not before.strip() or token in self._apart:
            return False
        if before[-1].isspace() and not self._mask_eats_space:
            return False
        piece = self._pieces[token]
        if self._prefix:
            return piece.startswith(self._prefix)
        return self._marked and not piece.startswith(SPACE_MARKS)


def _check_name(name: Any, revision: Any) -> None:
    """HubError unless these can name a checkpoint; "" would be whatever folder one stands in."""
    if not isinstance(name, str | os.PathLike) or not str(name):
        raise HubError(f"{_shown(name)} names no checkpoint: give a folder, a Hub id or 'demo'")
    if not isinstance(revision, str | None):
        raise HubError(f"{_shown(revision)} is no revision: give a branch, a tag or a commit")


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()


def _shown(value: Any) -> str:
    """What a user sent, short enough for a message."""
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
