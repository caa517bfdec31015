"""TrainingConfig: every setting of a masked-LM training.

Names are those of the ecosystem's `run_mlm.py` wherever they exist there.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

from mlm.training.config_rules import check_rules
from mlm.training.run_settings import (
    COUNT,
    NOT_NEGATIVE,
    SHARE,
    RunSettings,
    card,
    model,
    optimization,
    texts,
)
from mlm.training.setting import Bounds, setting

PREDICTED_SHARE = Bounds(above=0, at_most=1, reason="0.15 is usual")

masking = partial(setting, group="Masking")


@dataclass(frozen=True)
class TrainingConfig(RunSettings):
    """Settings of a masked-LM training: those of any run, and texts, model, masking."""

    command: ClassVar[str] = "train"

    token_store: list[str] = texts(
        [],
        "Instead of files: token stores made by `mlm tokenize`; folders, URLs or globs.",
        moves_weights=False,
        path="local",
    )
    text_column: str | None = texts(
        None, "Column with the text. Default: detected, if there is only one candidate."
    )
    line_by_line: bool = texts(
        False, "Make each document a sequence, truncated if need be, instead of packing documents."
    )
    group_by_length: bool = texts(
        False, "Batch sequences of similar length, which saves padding; needs --line_by_line."
    )
    model_type: str = model("modernbert", "Family to train from scratch, e.g. modernbert or bert.")
    config_overrides: str | None = model(
        None,
        "Changes to the default shape of a new model, e.g. hidden_size=256,num_hidden_layers=4.",
    )
    vocab_size: int = model(
        8192, "Number of entries of a vocabulary trained from scratch.", bounds=COUNT
    )
    tokenizer_type: Literal["auto", "wordpiece", "bpe", "unigram"] = model(
        "auto",
        "Kind of a tokenizer trained from scratch; bpe is byte-level. auto: unigram for scripts "
        "without spaces such as Thai or Japanese, else wordpiece.",
    )
    cased: bool = model(
        False, "Keep capitals in a tokenizer trained from scratch, instead of lower-casing them."
    )
    add_words_file: str | None = model(
        None,
        "Words of the domain, one a line, to add to the vocabulary as tokens.",
        moves_weights=False,
        path="local",
    )
    # As `dry_run`, it never reaches a state.
    suggest_words: int | None = model(
        None,
        "Print this many words for --add_words_file, those that save the most tokens; train "
        "nothing, write nothing.",
        bounds=Bounds(at_least=1, at_most=10_000, reason="as many as --add_words_file takes"),
    )
    mlm_probability: float = masking(
        0.15, "Masking rate: share of the tokens to predict.", bounds=PREDICTED_SHARE
    )
    final_mlm_probability: float | None = masking(
        None,
        "Masking rate at the last step; changes linearly from --mlm_probability. "
        "Default: constant.",
        bounds=PREDICTED_SHARE,
    )
    mask_replace_prob: float = masking(
        0.8, "Share of the tokens to predict that are replaced by the mask token.", bounds=SHARE
    )
    random_replace_prob: float = masking(
        0.1, "Share of the tokens to predict that are replaced by a random word.", bounds=SHARE
    )
    whole_word_mask: bool = masking(
        False,
        "Mask whole words instead of single tokens. In scripts without spaces (Chinese, Japanese, "
        "Thai, ...) a word is a character with its marks, or a token of several.",
    )
    span_mask: bool = masking(
        False, "Mask spans of whole words, as SpanBERT does; words as with --whole_word_mask."
    )
    learning_rate: float = optimization(5e-5, "Peak learning rate.", bounds=NOT_NEGATIVE)
    example_texts: list[str] = card(
        ["I have watched this [MASK] and it was awesome."],
        "Sentences with a mask whose best words the card shows.",
    )

    def __post_init__(self) -> None:
        """Check all settings; raise ConfigError."""
        super().__post_init__()
        check_rules(self)
