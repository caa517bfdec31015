"""Clean texts to a token store on disk.

tokenizer_training/   train a tokenizer: WordPiece, byte-level BPE or Unigram
document_encoding.py  documents to ids, with a cache of words
token_store.py        the store's folder: memory-mapped ids, offsets and a manifest
corpus.py             read, split and tokenise files: build_token_store
read_window.py        how much of a store is shuffled and read at a time
sharded_tokens.py     several stores as one, local or remote: open_token_stores
token_facts.py        what batching and masking need to know of a tokenizer: TokenFacts
"""
