"""A checkpoint for tests of its users: a real tokenizer, and a model without Keras.

The fake model has the call contract of `mlm.model.encoder.MaskedLM`. Its logits depend only on the
two neighbours of a mask, so that padding and batching cannot change them.
"""

from types import SimpleNamespace

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

WORDS = """
movie film one show again i have watched this the and it was awesome a great story end
soup watch walk un happy . , ! ? ' " ( ) <b> & 电 影 سلام
"""
PIECES = ["##s", "##ing", "##able"]
PADDING_ROWS = 5  # of the embedding, beyond the vocabulary; they have high logits
LIKED = {"movie": 9.0, "film": 8.4, "one": 6.4, "show": 6.1, "##ing": 5.2, "again": 5.0}


class FakeModel:
    """predict_on_batch(...) -> logits (B, P, V) float32; records the shapes of its batches."""

    def __init__(self, vocab: dict[str, int], liked: dict[str, float], max_length: int):
        size = len(vocab) + PADDING_ROWS
        self.config = SimpleNamespace(
            max_position_embeddings=max_length,
            vocab_size=size,
            position_offset=0,
            pad_token_id=0,
            task_head=None,
            num_outputs=size,
        )
        self.shapes: list[tuple[int, int, int]] = []
        self._liked = np.zeros(size)
        self._liked[-PADDING_ROWS:] = 3.0
        for piece, logit in liked.items():
            self._liked[vocab[piece]] = logit

    def count_params(self) -> int:
        return 5_312_345

    def predict_on_batch(self, batch):
        ids, positions = batch["input_ids"], batch["masked_positions"]
        self.shapes.append((*ids.shape, positions.shape[1]))
        assert ids.dtype == batch["attention_mask"].dtype == positions.dtype == np.int32
        return np.array([[self._row(*pair) for pair in self._pairs(*row)] for row in zip(
            ids, batch["attention_mask"], positions, strict=True)], np.float32)  # fmt: skip

    def _pairs(self, ids, attention_mask, positions):
        seen = np.where(attention_mask == 1, ids, 0)
        return [(seen[p - 1], seen[(p + 1) % len(seen)]) for p in positions]

    def _row(self, before: int, after: int) -> np.ndarray:
        noise = np.random.default_rng([before, after]).normal(0, 0.15, self.config.vocab_size)
        return self._liked + noise


def wordpiece_tokenizer() -> PreTrainedTokenizerFast:
    """Return a lower-casing WordPiece tokenizer, like that of bert-base-uncased."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = list("abcdefghijklmnopqrstuvwxyz") + [f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"]
    vocab = {p: i for i, p in enumerate(dict.fromkeys(special + WORDS.split() + PIECES + letters))}
    backend = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_max_length=512,
    )  # fmt: skip


def byte_level_tokenizer() -> PreTrainedTokenizerFast:
    """Return byte-level BPE whose mask includes the space before it, like that of roberta-base."""
    from tokenizers import AddedToken, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(["the movie, the film: watching, going, doing, it"] * 50, trainer)
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>", unk_token="<unk>", cls_token="<s>", sep_token="</s>",
        mask_token=AddedToken("<mask>", lstrip=True), model_max_length=512,
    )  # fmt: skip


def fake_checkpoint(tokenizer=None, liked=None, max_length: int = 128):
    """Return what `read_checkpoint` returns, with the fake model."""
    tokenizer = tokenizer or wordpiece_tokenizer()
    model = FakeModel(tokenizer.get_vocab(), LIKED if liked is None else liked, max_length)
    return SimpleNamespace(model=model, tokenizer=tokenizer, training=None)
