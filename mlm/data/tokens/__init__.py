"""Clean texts to a token store on disk.

tokenizer_training/   train a tokenizer: WordPiece, byte-level BPE or Unigram
document_encoding.py  documents to ids, with a cache of words
token_store.py        the store's folder: memory-mapped ids, offsets and a manifest
text_checks.py        warn of texts that are probably not meant
sample_texts.py       show a few documents as the model sees them
corpus.py             read, split and tokenize files: build_token_store
read_window.py        how much of a store is shuffled and read at a time
sharded_tokens.py     several stores as one, local or remote: open_token_stores
word_boundaries.py    where words begin, in every script: WordBoundaries
token_facts.py        what batching and masking need to know of a tokenizer: TokenFacts
"""
