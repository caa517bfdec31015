"""Small tokenizers of every family's kind, trained here and saved as on the Hub.

Each is of the class that transformers has for the family. Its files are tokenizer.json,
tokenizer_config.json and, as in older versions, special_tokens_map.json.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TEXTS = [
    "The quick brown film jumps over the lazy movie, quickly.",
    "Waltz, bad nymph, for quick jigs vex the lazy films!",
    "Sphinx of black quartz: judge my vow (film), judge the jumping dogs 1 2 3.",
    "Café, naïve, Führer — the story of a boring ending was great.",
] * 3
BERT_NAMES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def charsmap(strings: bytes = b"A\0") -> bytes:
    """Return a table of SentencePiece: an empty trie of 256 units, and strings to point to."""
    return (1024).to_bytes(4, "little") + bytes(1024) + strings


def encoded_charsmap(strings: bytes) -> str:
    return base64.b64encode(charsmap(strings)).decode()


def _unigram(first: list[str], last: list[str], size: int = 160) -> list[tuple[str, float]]:
    """Return pieces with scores, between the special tokens with the first and the last ids."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    backend.train_from_iterator(TEXTS, trainer)
    trained = dict(json.loads(backend.to_str())["model"]["vocab"][1:])
    # The trainer breaks ties at random: these three are always there.
    pieces = ({"▁film": -2.0, "l": -4.0, ",": -4.0} | trained).items()
    return [*((name, 0.0) for name in first), *pieces, *((name, 0.0) for name in last)]


def _byte_level(first: list[str], last: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=first,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS, trainer)
    model = json.loads(backend.to_str())["model"]
    names = {name: len(model["vocab"]) + index for index, name in enumerate(last)}
    return model["vocab"] | names, [tuple(pair) for pair in model["merges"]]


def _word_pieces(names: list[str]) -> dict[str, int]:
    from mlm.data.tokens.tokenizer_training import train_tokenizer

    vocabulary = train_tokenizer(TEXTS, 130).get_vocab()
    renamed = dict(zip(BERT_NAMES, names, strict=True))
    return {renamed.get(token, token): index for token, index in vocabulary.items()}


def bert() -> "PreTrainedTokenizerFast":
    from transformers import BertTokenizer

    return BertTokenizer(vocab=_word_pieces(BERT_NAMES), do_lower_case=True)


def distilbert() -> "PreTrainedTokenizerFast":
    from transformers import DistilBertTokenizer

    return DistilBertTokenizer(vocab=_word_pieces(BERT_NAMES), do_lower_case=True)


def mpnet() -> "PreTrainedTokenizerFast":
    from transformers import MPNetTokenizer

    return MPNetTokenizer(vocab=_word_pieces(["<pad>", "[UNK]", "<s>", "</s>", "<mask>"]))


def roberta() -> "PreTrainedTokenizerFast":
    from tokenizers import AddedToken
    from transformers import RobertaTokenizer

    vocabulary, merges = _byte_level(["<s>", "<pad>", "</s>", "<unk>"], ["<mask>"])
    mask = AddedToken("<mask>", lstrip=True, special=True)
    return RobertaTokenizer(vocab=vocabulary, merges=merges, mask_token=mask)


def modernbert() -> "PreTrainedTokenizerFast":
    """Byte-level pieces followed by BERT's special tokens, in the general fast class."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
    vocabulary, merges = _byte_level([], [*special, "[MASK]"])
    backend = Tokenizer(models.BPE(vocabulary, merges))
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    mask = AddedToken("[MASK]", lstrip=True, normalized=False, special=True)
    backend.add_special_tokens([*special, mask])
    backend.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_input_names=["input_ids", "attention_mask"],
        unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", mask_token=mask,
    )  # fmt: skip


def xlm_roberta() -> "PreTrainedTokenizerFast":
    from tokenizers import AddedToken
    from transformers import XLMRobertaTokenizer

    pieces = _unigram(["<s>", "<pad>", "</s>", "<unk>"], ["<mask>"])
    mask = AddedToken("<mask>", lstrip=True, special=True)
    return XLMRobertaTokenizer(vocab=pieces, mask_token=mask, _spm_precompiled_charsmap=charsmap())


def camembert() -> "PreTrainedTokenizerFast":
    from transformers import CamembertTokenizer

    names = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>"]
    pieces = _unigram(names, ["<mask>"])
    return CamembertTokenizer(vocab=pieces, _spm_precompiled_charsmap=charsmap())


def albert() -> "PreTrainedTokenizerFast":
    from tokenizers import AddedToken
    from transformers import AlbertTokenizer

    pieces = _unigram(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"], [])
    mask = AddedToken("[MASK]", lstrip=True, special=True)
    return AlbertTokenizer(vocab=pieces, mask_token=mask, _spm_precompiled_charsmap=charsmap())


KINDS: dict[str, Callable[[], "PreTrainedTokenizerFast"]] = {  # model_type -> its tokenizer
    "bert": bert,
    "distilbert": distilbert,
    "electra": bert,
    "mpnet": mpnet,
    "roberta": roberta,
    "modernbert": modernbert,
    "xlm-roberta": xlm_roberta,
    "camembert": camembert,
    "albert": albert,
}


def save_as_on_the_hub(model_type: str, folder: Path) -> int:
    """Write the files of a family's tokenizer and a config.json; return the vocabulary size."""
    tokenizer = KINDS[model_type]()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.init_kwargs.pop("_spm_precompiled_charsmap", None)  # transformers 5.0 would save it
    tokenizer.save_pretrained(folder)
    names = ("cls_token", "sep_token", "pad_token", "unk_token")
    special = {name: getattr(tokenizer, name) for name in names}
    mask = tokenizer.added_tokens_decoder[tokenizer.mask_token_id]
    matching = ("content", "lstrip", "normalized", "rstrip", "single_word")
    special["mask_token"] = {name: getattr(mask, name) for name in matching}
    (folder / "special_tokens_map.json").write_text(json.dumps(special), encoding="utf-8")
    size = max(tokenizer.get_vocab().values()) + 1
    first = {f"{name}_token_id": 0 for name in ("pad", "bos", "eos", "cls", "sep")}
    config = {"model_type": model_type, "vocab_size": size, **first}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return size
