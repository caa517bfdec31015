"""Train a tokenizer on texts: words are counted, then a vocabulary is chosen.

    tokenizer = train_tokenizer(texts, 8192)                              # by the texts' script
    tokenizer = train_tokenizer(texts, 8192, tokenizer_type="bpe", cased=True)

script.py       the kind of tokenizer that suits the texts' script
backends.py     how each kind normalizes, splits and decodes
word_counts.py  a stream of texts to the counts of its words, in bounded memory
alphabet.py     the characters to keep
wordpiece.py    vocabulary of BERT's WordPiece
bpe.py          vocabulary of byte-level BPE
unigram.py      vocabulary and scores of a Unigram model, as SentencePiece's
training.py     all of it: train_tokenizer
"""

from mlm.data.tokens.tokenizer_training.training import train_tokenizer

__all__ = ["train_tokenizer"]
