"""Texts for a classifier: checked, cleaned and cut as in its training, encoded."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mlm.checkpoint.strict_json import JsonObject
from mlm.checkpoint.tokenizer import Encoded, encode_with_offsets, tokenizer_errors
from mlm.data.examples.example_encoding import Example, ExampleEncoder
from mlm.data.texts.clean_text import clean_text
from mlm.errors import CheckpointError, InputError
from mlm.inference.composed_text import ComposedText, compose_text
from mlm.inference.engines.engine import Question
from mlm.inference.masked_text import check_text, read_each
from mlm.inference.reading_rules import KEPT, ReadingRules

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from mlm.model.encoder_config import EncoderConfig

MAX_CHARACTERS = 1_000_000  # of a text; checked first, because all of it is encoded before a cut


class GivenText(NamedTuple):
    """A text, or a pair of texts, as the user wrote it."""

    text: str
    text_pair: str | None = None


class TextToken(NamedTuple):
    """A token of a text: as the tokenizer writes it, its characters, whether it goes on a word."""

    token: str
    start: int
    end: int
    continues: bool


@dataclass(frozen=True)
class ReadText:
    """An encoded text.

    tokens: of a classifier of tokens, those at the positions of the question.
    """

    given: GivenText
    question: Question
    note: str | None
    tokens: Sequence[TextToken] = ()


class TextReader:
    """Encodes texts for a classifier. Thread-safe.

    Attributes:
        rules: how the texts of the training were read.
    """

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerFast",
        config: "EncoderConfig",
        training: JsonObject | None,
        name: str,
    ):
        """Set up the reader.

        Raises CheckpointError: the tokenizer puts special tokens around texts in an unusual way.

        name: of the model, for messages.
        """
        self._tokenizer, self._config, self._name = tokenizer, config, name
        self._lock = threading.Lock()  # a fast tokenizer cannot be shared by threads
        longest = int(min(config.max_position_embeddings, tokenizer.model_max_length))
        special = ExampleEncoder(tokenizer, longest).special
        shortest = special.count(pairs=True) + 2
        self.rules = ReadingRules.of(training, longest, shortest)
        self._encoder = ExampleEncoder(tokenizer, self.rules.max_seq_length, self.rules.truncation)
        self._has_segments = special.has_segments and config.has_segments
        model = tokenizer.backend_tokenizer.model
        self._unknown_id: int = -1 if (of := tokenizer.unk_token_id) is None else of
        self._marks_subwords = bool(getattr(model, "continuing_subword_prefix", None))

    def read_texts(self, texts: Sequence[object]) -> list[ReadText]:
        """Return texts and pairs for a classifier of whole texts.

        Raises:
            InputError: not a text or a pair; of several, the message names the one.
            CheckpointError: the tokenizer fails on a text.
        """
        given = read_each(texts, check_given)
        read: list[ReadText | None] = [None] * len(given)
        for is_pair in (False, True):
            rows = [i for i, each in enumerate(given) if (each.text_pair is not None) == is_pair]
            for row, each in zip(rows, self._read_alike([given[i] for i in rows]), strict=True):
                read[row] = each
        return [each for each in read if each is not None]

    def _read_alike(self, given: list[GivenText]) -> list[ReadText]:
        """Return texts that are all single, or all pairs."""
        if not given:
            return []
        is_pair = given[0].text_pair is not None
        first = [self._clean(each.text) for each in given]
        second = [self._clean(each.text_pair or "") for each in given]
        with self._lock:
            others = [text for text, _ in second] if is_pair else None
            examples = self._encoder.encode([text for text, _ in first], others)
        had_html = [one[1] or other[1] for one, other in zip(first, second, strict=True)]
        return [self._read_one(*each) for each in zip(given, examples, had_html, strict=True)]

    def _read_one(self, given: GivenText, example: Example, had_html: bool) -> ReadText:
        is_pair = given.text_pair is not None
        start = example.second_start if is_pair and self._has_segments else None
        question = Question(self._check_ids(example.ids), [0], start)
        notes = self._notes(example.ids, example.lost, KEPT[self.rules.truncation], is_pair=is_pair)
        if had_html:
            notes.append("Its HTML was removed, as in training.")
        return ReadText(given, question, " ".join(notes) or None)

    def read_for_tokens(self, texts: Sequence[object]) -> list[ReadText]:
        """Return texts for a classifier of tokens, cut at the end. Raises: see `read_texts`."""
        given = read_each(texts, _check_single)
        composed = [compose_text(each.text) for each in given]
        with self._lock:
            encoded = encode_with_offsets(self._tokenizer, [each.text for each in composed])
            return [self._read_tokens(*each) for each in zip(given, composed, encoded, strict=True)]

    def _read_tokens(self, given: GivenText, composed: ComposedText, encoded: Encoded) -> ReadText:
        special = self._encoder.special
        room = self.rules.max_seq_length - special.count(pairs=False)
        ids, spans = encoded.ids[:room], encoded.offsets[:room]
        lost = len(encoded.ids) - len(ids)
        around = self._check_ids(special.around(ids))
        before = len(special.single.parts[0])
        question = Question(around, list(range(before, before + len(ids))))
        names = self._tokenizer.convert_ids_to_tokens(ids)
        unknown = [token_id == self._unknown_id for token_id in ids]
        tokens = [self._token(*each, composed) for each in zip(names, spans, unknown, strict=True)]
        notes = self._notes(around, lost, KEPT["head"], is_pair=False)
        return ReadText(given, question, " ".join(notes) or None, tokens)

    def _token(
        self, token: str, span: tuple[int, int], is_unknown: bool, composed: ComposedText
    ) -> TextToken:
        """Return a token, and whether it goes on a word as the pipeline of transformers has it.

        Where the tokenizer does not mark that, a word begins behind a blank.
        """
        start, end = span
        written = composed.text[start:end]
        if self._marks_subwords:
            continues = len(token) != len(written)
        else:
            continues = start > 0 and " " not in composed.text[start - 1 : start + 1]
        token, continues = (written, False) if is_unknown else (token, continues)
        return TextToken(token, *composed.span_in_original(start, end), continues)

    def join(self, tokens: list[str]) -> str:
        """Return tokens as a text."""
        with self._lock, tokenizer_errors(f"The tokenizer of {self._name} breaks on this text"):
            return str(self._tokenizer.convert_tokens_to_string(tokens))

    def _clean(self, text: str) -> tuple[str, bool]:
        """Return a text as the training has it, and whether it had HTML."""
        if self.rules.clean_html is None:
            return compose_text(text).text, False
        clean = clean_text(text, self.rules.clean_html)
        return clean.text, clean.had_html

    def _check_ids(self, ids: list[int]) -> list[int]:
        """Return ids; raise CheckpointError if the model has no row for one of them."""
        if max(ids, default=0) >= self._config.vocab_size:
            raise CheckpointError(
                f"{self._name} cannot read this text: its tokenizer gives ids that the model has "
                "no row for."
            )
        return ids

    def _notes(self, ids: list[int], lost: int, kept: str, *, is_pair: bool) -> list[str]:
        """Return what is to be known about an encoded text."""
        notes, rules = [], self.rules
        own = len(ids) - self._encoder.special.count(pairs=is_pair)
        if lost:
            notes.append(
                f"{lost:,} of {own + lost:,} tokens were left out: the model reads "
                f"{rules.max_seq_length:,}, special ones included; of a longer text {kept}."
            )
        if not own:
            notes.append("The text is empty: this is the model's answer to an empty text.")
        elif ids.count(self._unknown_id) >= own:
            notes.append("The model knows no word of this text.")
        if rules.is_of_pairs is not None and is_pair != rules.is_of_pairs:
            trained, given = ("single texts", "two") if is_pair else ("pairs of texts", "one")
            notes.append(f"The model was trained on {trained}, and was given {given}.")
        return notes


def check_given(value: object) -> GivenText:
    """Return a text or a pair; raise InputError for anything else."""
    if not isinstance(value, dict):
        return GivenText(check_text(value, MAX_CHARACTERS))
    if not {"text"} <= value.keys() <= {"text", "text_pair"}:
        names = ", ".join(sorted(map(str, value)))[:100] or "nothing"
        raise InputError(f'A pair of texts has the keys "text" and "text_pair"; received {names}.')
    pair = value.get("text_pair")
    second = None if pair is None else check_text(pair, MAX_CHARACTERS)
    return GivenText(check_text(value["text"], MAX_CHARACTERS), second)


def _check_single(value: object) -> GivenText:
    given = check_given(value)
    if given.text_pair is not None:
        raise InputError("This classifier labels the words of one text: give no text_pair.")
    return given
