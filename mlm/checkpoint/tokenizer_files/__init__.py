"""The tokenizer files of a checkpoint, checked before any tokenizer library opens them.

folder.py      which files there are, how large they are, that they are JSON
settings.py    tokenizer_config.json: nothing that reaches for code or other files
vocabulary.py  tokenizer.json: every id, held against the embedding
parts.py       tokenizer.json: what a text goes through, from a known list
rules.py       what one value may be
"""

from mlm.checkpoint.tokenizer_files.checks import check_tokenizer_files

__all__ = ["check_tokenizer_files"]
