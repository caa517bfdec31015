"""Which files of a folder or a repository are a checkpoint's."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

CHECKPOINT_FILES = (  # what is ever pulled or pushed; training state beside them stays at home
    "config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-?????-of-?????.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.model",  # SentencePiece: spiece.model, spm.model, sentencepiece.bpe.model
    "training.json",
    "README.md",
)
OTHER_WEIGHTS = ("*.bin", "*.h5", "*.ckpt", "*.pkl", "*.pt", "*.pth", "*.msgpack", "*.onnx")


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a file at the top of a repository has a name like one of these."""
    return "/" not in name and any(fnmatchcase(name, pattern) for pattern in patterns)
