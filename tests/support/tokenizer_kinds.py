"""Build a small tokenizer of each kind: WordPiece, byte-level BPE and SentencePiece Unigram."""

import json
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.support.small_models import small_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TEXTS = small_texts()


def wordpiece() -> "PreTrainedTokenizerFast":
    """Return a WordPiece tokenizer that splits some words; as BERT's, it strips accents."""
    from tokenizers.normalizers import BertNormalizer

    from mlm.data.tokens.tokenizer_training import train_tokenizer

    tokenizer = train_tokenizer(TEXTS, 90, tokenizer_type="wordpiece")
    tokenizer.backend_tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.init_kwargs.pop("strip_accents", None)
    return tokenizer


def byte_level() -> "PreTrainedTokenizerFast":
    """Return a byte-level BPE tokenizer whose mask includes the space before it, as RoBERTa's."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import RobertaTokenizer

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=310,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS, trainer)
    merges = json.loads(backend.to_str())["model"]["merges"]
    make_tokenizer: Callable[..., PreTrainedTokenizerFast] = (
        RobertaTokenizer  # annotated too narrowly
    )
    return make_tokenizer(
        vocab=backend.get_vocab() | {"<mask>": backend.get_vocab_size()},
        merges=[tuple(merge) for merge in merges],
        mask_token=AddedToken("<mask>", lstrip=True),
    )


def unigram() -> "PreTrainedTokenizerFast":
    """Return an untrained Unigram tokenizer whose mask includes the space before it, as XLM-R's."""
    from transformers import XLMRobertaTokenizer

    pieces = Counter(f"▁{word}"[:4] for text in TEXTS for word in text.replace(".", "").split())
    letters = sorted({letter for text in TEXTS for letter in text} - {" "})
    vocabulary = [(name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")]
    vocabulary += [(piece, -3.0) for piece in sorted(pieces) if piece[-1].isalpha()]
    vocabulary += [(letter, -6.0) for letter in ["▁", *letters, "v", "x"]]
    vocabulary = list(dict(vocabulary).items())
    return XLMRobertaTokenizer(vocab=[*vocabulary, ("<mask>", 0.0)])


KINDS = {"wordpiece": wordpiece, "byte-level": byte_level, "unigram": unigram}
FAMILY_OF = {"wordpiece": "bert", "byte-level": "roberta", "unigram": "xlm-roberta"}
