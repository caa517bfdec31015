"""Text files to masked training batches.

texts/    files to clean, distinct texts
tokens/   texts to a token store on disk, memory-mapped or read by range
batches/  token sequences to masked batches, each a function of (seed, step)
"""
