"""Base models on the Hub to start an adaptation from: a short list, by hand.

Listed are checkpoints whose family is one of mlm/checkpoint/families/, which tests compare with
PyTorch, and whose tokenizer is of a kind that mlm/checkpoint/tokenizer.py opens. The checkpoints
themselves were not run for this list: sizes follow from their configs, licences and languages are
those that their authors state. Figures as of November 2026.
"""

from typing import NamedTuple

MANY = 90  # languages: a model of at least so many is multilingual


def _codes(*lines: str) -> tuple[str, ...]:
    return tuple(" ".join(lines).split())


XLM_R = _codes(  # Conneau et al. 2020, appendix A
    "af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha he",
    "hi hr hu hy id is it ja jv ka kk km kn ko ku ky la lo lt lv mg mk ml mn mr ms my ne nl no om",
    "or pa pl ps pt ro ru sa sd si sk sl so sq sr su sv sw ta te th tl tr ug uk ur uz vi xh yi zh",
)
M_BERT = _codes(  # github.com/google-research/bert/blob/master/multilingual.md
    "af an ar ast az azb ba bar be bg bn bpy br bs ca ce ceb cs cv cy da de el en es et eu fa fi",
    "fr fy ga gl gu he hi hr ht hu hy id io is it ja jv ka kk kn ko ky la lb lmo lt lv mg min mk",
    "ml mn mr ms my nb nds ne new nl nn no oc pa pl pms pnb pt ro ru scn sco sh sk sl sq sr su sv",
    "sw ta te tg th tl tr tt uk ur uz vi vo war yo zh",
)


class BaseModel(NamedTuple):
    """A checkpoint on the Hub.

    Attributes:
        repo_id: owner/name.
        model_type: the family, as in config.json.
        languages: ISO 639 codes.
        parameters: in millions, with the head.
        max_length: tokens, special ones included.
        licence: as its card states it; "" if the card states none.
        use: what it is for.
        is_complete: True if its main branch is known to have all that is read: safetensors weights,
            `model_type` in config.json; None if that is not known.
    """

    repo_id: str
    model_type: str
    languages: tuple[str, ...]
    parameters: float
    max_length: int
    licence: str
    use: str
    is_complete: bool | None = None

    @property
    def download_mb(self) -> int:
        """Size of the weights in MB, four bytes a parameter."""
        return round(4 * self.parameters)

    @property
    def is_multilingual(self) -> bool:
        """True if it knows many languages."""
        return len(self.languages) >= MANY


EN = ("en",)
BASE_MODELS = (
    BaseModel(
        "google-bert/bert-base-uncased", "bert", EN, 109.5, 512, "apache-2.0",
        "English in lower case; what most others are compared with", True,
    ),
    BaseModel(
        "google-bert/bert-base-cased", "bert", EN, 108.3, 512, "apache-2.0",
        "English with capitals", True,
    ),
    BaseModel(
        "distilbert/distilbert-base-uncased", "distilbert", EN, 67.0, 512, "apache-2.0",
        "English on a laptop: half the time of BERT-base", True,
    ),
    BaseModel(
        "google/bert_uncased_L-2_H-128_A-2", "bert", EN, 4.4, 512, "apache-2.0",
        "English, a first try in minutes; weak answers",
    ),
    BaseModel(
        "FacebookAI/roberta-base", "roberta", EN, 124.7, 512, "mit",
        "English, trained on more texts than BERT", True,
    ),
    BaseModel(
        "distilbert/distilroberta-base", "roberta", EN, 82.8, 512, "apache-2.0",
        "RoBERTa with half the layers", True,
    ),
    BaseModel(
        "answerdotai/ModernBERT-base", "modernbert", EN, 149.7, 8192, "apache-2.0",
        "English and code, long texts; for a GPU", True,
    ),
    BaseModel(
        "albert/albert-base-v2", "albert", EN, 11.8, 512, "apache-2.0",
        "a small download, but as slow as BERT-base", True,
    ),
    BaseModel(
        "nlpaueb/legal-bert-base-uncased", "bert", EN, 109.5, 512, "cc-by-sa-4.0",
        "law, English: legislation, court cases, contracts",
    ),
    BaseModel(
        "allenai/scibert_scivocab_uncased", "bert", EN, 109.9, 512, "",
        "science, English",
    ),
    BaseModel(
        "emilyalsentzer/Bio_ClinicalBERT", "bert", EN, 108.3, 512, "mit",
        "medicine, English: clinical notes",
    ),
    BaseModel(
        "google-bert/bert-base-german-cased", "bert", ("de",), 109.1, 512, "mit",
        "German: Wikipedia, court decisions, news", True,
    ),
    BaseModel(
        "deepset/gbert-base", "bert", ("de",), 109.9, 512, "mit",
        "German, trained on more texts",
    ),
    BaseModel(
        "almanach/camembert-base", "camembert", ("fr",), 110.7, 512, "mit",
        "French", True,
    ),
    BaseModel(
        "dbmdz/bert-base-italian-cased", "bert", ("it",), 109.9, 512, "mit",
        "Italian",
    ),
    BaseModel(
        "neuralmind/bert-base-portuguese-cased", "bert", ("pt",), 108.9, 512, "mit",
        "Portuguese, Brazilian",
    ),
    BaseModel(
        "dbmdz/bert-base-turkish-cased", "bert", ("tr",), 110.6, 512, "mit",
        "Turkish",
    ),
    BaseModel(
        "google-bert/bert-base-chinese", "bert", ("zh",), 102.3, 512, "apache-2.0",
        "Chinese; a token for each character", True,
    ),
    BaseModel(
        "hfl/chinese-roberta-wwm-ext", "bert", ("zh",), 102.3, 512, "apache-2.0",
        "Chinese, trained on more texts, whole words masked",
    ),
    BaseModel(
        "klue/bert-base", "bert", ("ko",), 110.6, 512, "cc-by-sa-4.0",
        "Korean",
    ),
    BaseModel(
        "CAMeL-Lab/bert-base-arabic-camelbert-mix", "bert", ("ar",), 109.1, 512, "apache-2.0",
        "Arabic: standard, dialects, classical",
    ),
    BaseModel(
        "FacebookAI/xlm-roberta-base", "xlm-roberta", XLM_R, 278.3, 512, "mit",
        "the usual start for languages without a model of their own", True,
    ),
    BaseModel(
        "google-bert/bert-base-multilingual-cased", "bert", M_BERT, 177.9, 512, "apache-2.0",
        "trained on Wikipedia", True,
    ),
    BaseModel(
        "distilbert/distilbert-base-multilingual-cased", "distilbert", M_BERT, 135.4, 512,
        "apache-2.0", "half the time of multilingual BERT", True,
    ),
)  # fmt: skip

# Asked for often, and why they do not work here.
REFUSED = {
    "microsoft/deberta-v3-base": "its tokenizer is a spm.model only, which is not read here",
    "tohoku-nlp/bert-base-japanese": "its tokenizer needs MeCab, and has no fast form",
    "EuroBERT/EuroBERT-210m": "its family, eurobert, is not one of those known here",
    "hfl/chinese-macbert-base": "it was trained without masks, and cannot fill them",
}
