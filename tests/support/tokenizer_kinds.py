"""A small tokenizer of each kind, made here: WordPiece, byte-level BPE, SentencePiece's Unigram."""

from collections import Counter

from tests.support.small_models import small_texts

TEXTS = small_texts()


def wordpiece():
    """Lower-casing, as this project trains them; some words are whole, some in pieces."""
    from mlm.data.tokens.wordpiece import train_tokenizer

    return train_tokenizer(TEXTS, 90)


def byte_level():
    """Byte-level BPE whose mask takes the space before it, as RoBERTa's."""
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
    merges = _model_of(backend)["merges"]
    return RobertaTokenizer(
        vocab=backend.get_vocab() | {"<mask>": backend.get_vocab_size()},
        merges=[tuple(merge) for merge in merges],
        mask_token=AddedToken("<mask>", lstrip=True),
    )


def unigram():
    """Unigram whose mask takes the space before it, as XLM-R's; its pieces are counted, not fit."""
    from transformers import XLMRobertaTokenizer

    pieces = Counter(f"▁{word}"[:4] for text in TEXTS for word in text.replace(".", "").split())
    letters = sorted({letter for text in TEXTS for letter in text} - {" "})
    vocabulary = [(name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")]
    vocabulary += [(piece, -3.0) for piece in sorted(pieces) if piece[-1].isalpha()]
    vocabulary += [(letter, -6.0) for letter in ["▁", *letters, "v", "x"]]
    vocabulary = list(dict(vocabulary).items())
    return XLMRobertaTokenizer(vocab=[*vocabulary, ("<mask>", 0.0)])


def _model_of(backend) -> dict:
    import json

    return json.loads(backend.to_str())["model"]


KINDS = {"wordpiece": wordpiece, "byte-level": byte_level, "unigram": unigram}
FAMILY_OF = {"wordpiece": "bert", "byte-level": "roberta", "unigram": "xlm-roberta"}
