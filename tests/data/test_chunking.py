"""Sequences of a split, packed or line by line, with special tokens and padding."""

import numpy as np
import pytest

from mlm.data.batches.chunking import Chunking
from tests.data.test_masked_batches import CLS, FACTS, PAD, SEP, long_split, split_of


def test_packed_documents_continue_across_sequences():
    split = split_of([10, 11, 12], [20, 21, 22, 23])
    chunking = Chunking(split, FACTS, max_seq_length=6)
    input_ids, attention_mask, special = chunking.sequences(np.arange(chunking.num_sequences))
    assert input_ids.tolist() == [[CLS, 10, 11, 12, SEP, SEP], [CLS, 20, 21, 22, 23, SEP]]
    assert attention_mask.all()
    assert special.tolist() == [[1, 0, 0, 0, 1, 1], [1, 0, 0, 0, 0, 1]]


@pytest.mark.parametrize(("keep", "count"), [(False, 2), (True, 3)])
def test_the_remainder_is_kept_only_on_request(keep, count):
    chunking = Chunking(long_split(2, 6), FACTS, max_seq_length=6, keep_remainder=keep)
    assert chunking.num_sequences == 2
    split = split_of([10, 11, 12, 13, 14, 15, 16, 17])
    chunking = Chunking(split, FACTS, max_seq_length=6, keep_remainder=keep)
    assert chunking.num_sequences == count
    last = chunking.sequences(np.array([count - 1]))[0]
    assert last.tolist() == [[CLS, SEP, SEP, PAD, PAD, PAD] if keep else [CLS, 14, 15, 16, 17, SEP]]


def test_line_by_line_is_one_document_a_sequence():
    split = split_of([10, 11], [], [20, 21, 22, 23, 24, 25])
    chunking = Chunking(split, FACTS, max_seq_length=6, line_by_line=True)
    input_ids, attention_mask, special = chunking.sequences(np.arange(chunking.num_sequences))
    assert input_ids.tolist() == [[CLS, 10, 11, SEP, PAD, PAD], [CLS, 20, 21, 22, 23, SEP]]
    assert attention_mask.tolist() == [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]]
    assert special.tolist() == [[1, 0, 0, 1, 1, 1], [1, 0, 0, 0, 0, 1]]
