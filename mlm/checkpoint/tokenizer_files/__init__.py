"""The tokenizer files of a checkpoint, checked before any tokenizer library opens them.

rules.py       rules for one value
components.py  tokenizer.json: normalizer, pre-tokenizer, decoder, post-processor
vocabulary.py  tokenizer.json: its model, and every id below the rows of the embedding
settings.py    tokenizer_config.json: no setting that reaches code or other files
checks.py      the files of a folder: names, sizes, JSON, then the rules of each
"""

from mlm.checkpoint.tokenizer_files.checks import check_tokenizer_files

__all__ = ["check_tokenizer_files"]
