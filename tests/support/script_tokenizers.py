"""Texts in several scripts, and a small tokenizer of each kind trained on them or on English."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tests.support.small_models import small_texts

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

TEXTS = {
    "Chinese": [
        "今天天气很好,我们去海边吃饭,然后坐船看日落。",
        "我喜欢在京东买书,也喜欢去图书馆看报纸。",
        "医生说新冠病毒疫苗很重要,我们都打了疫苗。",
        "这部电影的故事很感人,但是音乐有一点吵。",
        "老师每天早上七点到学校,学生八点开始上课。",
        "昨天晚上下了大雨,路上的车都开得很慢。",
    ],
    "Japanese": [
        "今日は天気がいいので、海へ行って魚を食べました。",
        "この映画の音楽はとても美しいと思います。",
        "わたしは毎朝コーヒーを飲みながら新聞を読みます。",
        "ワクチンを打ったあと、少し熱が出ました。",
        "駅の前に新しいレストランができました。",
        "子どもたちは公園でサッカーをしています。",
    ],
    "Thai": [
        "วันนี้อากาศดีมากเราไปทะเลกินข้าวแล้วนั่งเรือดูพระอาทิตย์ตก",
        "ฉันฉีดวัคซีนแล้วและรู้สึกเหนื่อยเล็กน้อย",
        "หนังเรื่องนี้สนุกมากแต่เพลงเสียงดังเกินไป",
        "คุณครูมาโรงเรียนตอนเจ็ดโมงเช้าทุกวัน",
        "เมื่อคืนฝนตกหนักถนนจึงมีน้ำท่วม",
        "เด็กเด็กกำลังเล่นฟุตบอลอยู่ในสวน",
    ],
    "Hindi": [
        "आज मौसम बहुत अच्छा है और हम समुद्र के किनारे खाना खाने जाएंगे।",
        "मुझे यह फिल्म बहुत पसंद आई लेकिन संगीत थोड़ा तेज था।",
        "डॉक्टर ने कहा कि टीका लगवाना बहुत जरूरी है।",
        "अध्यापक रोज सुबह सात बजे विद्यालय आते हैं।",
        "कल रात बहुत बारिश हुई और सड़क पर पानी भर गया।",
        "बच्चे बगीचे में फुटबॉल खेल रहे हैं।",
    ],
    "English": small_texts()[::40],
}
UNSPACED = ("Chinese", "Japanese", "Thai")
NAMES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def wordpiece(texts: Sequence[str]) -> "PreTrainedTokenizerFast":
    """Return a WordPiece tokenizer that keeps accents and vowel signs."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    backend = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=500))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=500, special_tokens=list(NAMES), show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    return _finish(backend)


def byte_level(texts: Sequence[str]) -> "PreTrainedTokenizerFast":
    """Return a byte-level BPE tokenizer, with all bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=450,
        special_tokens=list(NAMES),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return _finish(backend)


def byte_level_of_english(texts: Sequence[str]) -> "PreTrainedTokenizerFast":
    """Return a byte-level BPE tokenizer that knows no piece of other scripts than Latin."""
    del texts
    return byte_level(TEXTS["English"])


def unigram(texts: Sequence[str]) -> "PreTrainedTokenizerFast":
    """Return a Unigram tokenizer that marks spaces as SentencePiece does."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=list(NAMES), unk_token="[UNK]", show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    return _finish(backend)


KINDS: dict[str, Callable[[Sequence[str]], "PreTrainedTokenizerFast"]] = {
    "wordpiece": wordpiece,
    "byte-level": byte_level,
    "byte-level of English": byte_level_of_english,
    "unigram": unigram,
}


def _finish(backend: "Tokenizer") -> "PreTrainedTokenizerFast":
    """Return the tokenizer with BERT's special tokens around a text."""
    from tokenizers import AddedToken, processors
    from transformers import PreTrainedTokenizerFast

    mask = AddedToken("[MASK]", lstrip=True, special=True)
    backend.add_special_tokens([*NAMES[:-1], mask])
    vocabulary = backend.get_vocab()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    fields = ("pad_token", "unk_token", "cls_token", "sep_token")
    names = dict(zip(fields, NAMES[:-1], strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=backend, mask_token=mask, **names)
