"""EncodedExamples: the ids and labels of many texts, in flat arrays.

examples = encode_examples(texts, tokenizer, max_seq_length=256, truncation="head_tail")
examples.lengths                 # (E,) tokens of each example
print(examples.report_line)      # "1,234 of 25,000 texts were cut to 256 tokens ..."
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlm.checkpoint.task import Task
from mlm.checkpoint.tokenizer import vocab_size_of
from mlm.data.examples.example_encoding import Example, ExampleEncoder
from mlm.data.examples.truncation import Truncation
from mlm.data.tokens.document_encoding import DocumentEncoder
from mlm.terminal.progress import progress

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from mlm.data.labelled.labelled_texts import LabelledTexts

TEXTS_AT_ONCE = 1000
NO_LABEL = -100  # of a token, as transformers and PyTorch write it


@dataclass(frozen=True, eq=False)
class EncodedExamples:
    """Encoded texts with their labels.

    ids: (N,) uint16 or int32, of all examples in a row, with special tokens.
    offsets: (E + 1,) int64, the beginning of each example in `ids`, and the end.
    labels: (E,) int32, (E, L) float32 or (E,) float32, see `LabelledTexts.label_array`; for a task
        of tokens (N,) int32: that of a word at its first token, NO_LABEL at the others.
    second_starts: (E,) int32, where token type 1 begins in each pair; None without segments.
    cut: (E,) float32, the share of each text's tokens that was cut off.
    lost_labels: words whose label was cut off with them.
    """

    ids: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    task: Task
    pad_id: int
    max_seq_length: int
    cut: np.ndarray
    second_starts: np.ndarray | None = None
    lost_labels: int = 0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Return the tokens of each example: (E,) int64."""
        return np.diff(self.offsets)

    @property
    def report_line(self) -> str:
        """Return a line for people: how many texts were cut, and by how much."""
        cut = self.cut[self.cut > 0]
        if not len(cut):
            return f"no text is longer than {self.max_seq_length} tokens"
        lost = f", {self.lost_labels:,} labelled words among them" if self.lost_labels else ""
        return (
            f"{len(cut):,} of {len(self):,} texts ({len(cut) / len(self):.0%}) are longer than "
            f"{self.max_seq_length} tokens and were cut; half of these lost {np.median(cut):.0%} "
            f"of their tokens or more{lost}"
        )

    def take(self, rows: np.ndarray) -> EncodedExamples:
        """Return some examples, in the given order."""
        places = _places(self.offsets, rows)
        of_tokens = self.task.is_of_tokens
        return EncodedExamples(
            self.ids[places],
            np.concatenate([[0], np.cumsum(self.lengths[rows])]),
            self.labels[places] if of_tokens else self.labels[rows],
            self.task,
            self.pad_id,
            self.max_seq_length,
            self.cut[rows],
            None if self.second_starts is None else self.second_starts[rows],
        )

    def inputs(self, rows: np.ndarray, width: int) -> dict[str, np.ndarray]:
        """Return the inputs of a model for some examples.

        Returns:
            input_ids, attention_mask and, of pairs of models with segments, token_type_ids, each
            (len(rows), width) int32.
        """
        lengths = self.lengths[rows, None]
        within = np.arange(width)
        is_real = within < lengths
        places = np.minimum(self.offsets[rows, None] + within, len(self.ids) - 1)
        found = {
            "input_ids": np.where(is_real, self.ids[places], self.pad_id).astype(np.int32),
            "attention_mask": is_real.astype(np.int32),
        }
        if self.second_starts is not None:
            is_second = is_real & (within >= self.second_starts[rows, None])
            found["token_type_ids"] = is_second.astype(np.int32)
        return found

    def labels_of(self, rows: np.ndarray, width: int) -> np.ndarray:
        """Return the labels of some examples; those of tokens are (len(rows), width) int32."""
        if not self.task.is_of_tokens:
            found: np.ndarray = self.labels[rows]
            return found
        within = np.arange(width)
        places = np.minimum(self.offsets[rows, None] + within, len(self.ids) - 1)
        return np.where(within < self.lengths[rows, None], self.labels[places], NO_LABEL)


def encode_examples(
    texts: LabelledTexts,
    tokenizer: PreTrainedTokenizerFast,
    max_seq_length: int,
    truncation: Truncation = "head_tail",
    *,
    has_segments: bool = True,
) -> EncodedExamples:
    """Encode labelled texts; those of more than max_seq_length tokens are cut.

    Args:
        texts: with labels; texts of words are cut at the end, whatever `truncation` says.
        tokenizer: gives the ids and the special tokens.
        max_seq_length: tokens, special ones included.
        truncation: "head", "tail" or "head_tail"; see truncation.py.
        has_segments: whether the model has segments; that the tokenizer has is not enough, as of
            DeBERTa.

    Raises:
        ConfigError: max_seq_length or truncation cannot work.
        CheckpointError: the tokenizer fails on a text.
    """
    dtype = np.dtype(np.uint16 if vocab_size_of(tokenizer) <= 2**16 else np.int32)
    documents = DocumentEncoder(tokenizer, dtype)
    encoder = ExampleEncoder(
        tokenizer, max_seq_length, truncation, encode=lambda each: _ids_of(documents, each)
    )
    examples = list(_encode(encoder, texts, dtype))
    lengths = np.array([len(ids) for ids, _ in examples], np.int64)
    lost = np.array([example.lost for _, example in examples])
    own = lengths - encoder.special.count(pairs=texts.second_texts is not None)
    starts = None
    if texts.second_texts is not None and has_segments and encoder.special.has_segments:
        starts = np.array([example.second_start for _, example in examples], np.int32)
    tags = _tags(texts, [example for _, example in examples], lengths) if texts.words else None
    return EncodedExamples(
        np.concatenate([ids for ids, _ in examples]),
        np.concatenate([[0], np.cumsum(lengths)]),
        texts.label_array() if tags is None else tags[0],
        texts.task,
        tokenizer.pad_token_id,
        max_seq_length,
        (lost / np.maximum(1, own + lost)).astype(np.float32),
        starts,
        0 if tags is None else tags[1],
    )


def _ids_of(documents: DocumentEncoder, texts: list[str]) -> list[list[int]]:
    """Return the ids of each text, from the cache of words."""
    ids, ends = documents.encode(texts)
    flat = ids.tolist()
    starts = [0, *ends[:-1].tolist()]
    return [flat[start : end - 1] for start, end in zip(starts, ends.tolist(), strict=True)]


def _encode(
    encoder: ExampleEncoder, texts: LabelledTexts, dtype: np.dtype
) -> Iterator[tuple[np.ndarray, Example]]:
    """Yield the ids of each text as an array, and its example without them."""
    with progress("encoding texts", total=len(texts), unit="texts") as bar:
        for first in range(0, len(texts), TEXTS_AT_ONCE):
            rows = slice(first, first + TEXTS_AT_ONCE)
            if texts.words is not None:
                examples = encoder.encode_words(texts.words[rows])
            else:
                second = None if texts.second_texts is None else texts.second_texts[rows]
                examples = encoder.encode(texts.texts[rows], second)
            yield from ((np.array(each.ids, dtype), each._replace(ids=[])) for each in examples)
            bar.advance(len(examples))


def _tags(
    texts: LabelledTexts, examples: list[Example], lengths: np.ndarray
) -> tuple[np.ndarray, int]:
    """Return the labels of all tokens in a row, (N,) int32, and the number of labels cut off."""
    labels = np.full(int(lengths.sum()), NO_LABEL, np.int32)
    offset = lost = 0
    for tags, example, length in zip(texts.tag_arrays(), examples, lengths, strict=True):
        starts = example.word_starts or {}
        for word, at in starts.items():
            labels[offset + at] = tags[word]
        lost += len(tags) - len(starts)
        offset += int(length)
    return labels, lost


def _places(offsets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the places of the ids of some examples, in a row."""
    lengths = np.diff(offsets)[rows]
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    places: np.ndarray = np.arange(total) + np.repeat(offsets[rows] - (ends - lengths), lengths)
    return places
