"""Text files to batches: of masked texts, and of texts with labels.

texts/     files to clean, distinct texts
tokens/    texts to a token store on disk, memory-mapped or read by range
batches/   token sequences to masked batches, each a function of (seed, step)
labelled/  files to labelled texts: their task, checks, splits and samples
examples/  labelled texts to token ids and batches, each a function of (seed, step)
"""
