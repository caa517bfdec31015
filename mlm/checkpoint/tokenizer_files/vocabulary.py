"""tokenizer.json: its vocabulary, and every id in it held against the embedding."""

import math
from typing import Any

from mlm.checkpoint.strict_json import shown
from mlm.checkpoint.tokenizer_files.parts import PARTS, checked_parts
from mlm.checkpoint.tokenizer_files.rules import (
    ANYTHING,
    FLAG,
    LONGEST_TOKEN,
    MARK,
    NO_CHANCE,
    SIDE,
    TOKEN,
    Kinds,
    check_fields,
    check_keys,
    is_text,
    one_of,
    or_null,
    whole,
)

LONGEST_WORD = 512  # characters; the time WordPiece takes for a word grows with its square
MOST_LENGTH = 1_000_000  # tokens of the truncation and padding, which are not used
LARGEST_SCORE = 1e6

MODELS: Kinds = {
    "WordPiece": {
        "unk_token": TOKEN,
        "continuing_subword_prefix": MARK,
        "max_input_chars_per_word": whole(1, LONGEST_WORD),
        "vocab": ANYTHING,
    },
    "BPE": {
        "dropout": NO_CHANCE,
        "unk_token": or_null(TOKEN),
        "continuing_subword_prefix": or_null(MARK),
        "end_of_word_suffix": or_null(MARK),
        "fuse_unk": FLAG,
        "byte_fallback": FLAG,
        "ignore_merges": FLAG,
        "vocab": ANYTHING,
        "merges": ANYTHING,
    },
    "Unigram": {
        "unk_id": ANYTHING,
        "byte_fallback": FLAG,
        "alpha": NO_CHANCE,
        "nbest_size": NO_CHANCE,
        "vocab": ANYTHING,
    },
    "WordLevel": {"unk_token": TOKEN, "vocab": ANYTHING},
}
TRUNCATION = {
    "direction": SIDE,
    "max_length": whole(0, MOST_LENGTH),
    "strategy": one_of("LongestFirst", "OnlyFirst", "OnlySecond"),
    "stride": whole(0, MOST_LENGTH),
}
ADDED_TOKEN = {
    "content": TOKEN,
    **dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), FLAG),
}


def check_tokenizer_json(content: Any, vocab_size: int) -> None:
    """ValueError, in a few words, if the parsed content of a tokenizer.json breaks a rule.

    vocab_size: rows of the embedding; every id of the file has to be below it.
    """
    known = {"version", "truncation", "padding", "added_tokens", "model", *PARTS}
    check_keys("the file", content, known)
    vocabulary = _checked_model(content.get("model"), vocab_size)
    _check_added_tokens(content.get("added_tokens"), vocabulary, vocab_size)
    for part in checked_parts(content):
        _check_special_ids(part, vocab_size)
    _check_passing(content, vocab_size)


def _checked_model(model: Any, vocab_size: int) -> dict[str, int]:
    """Token -> id of the model, checked."""
    kind = _model_kind(model)
    check_fields(f"model {kind}", model, MODELS[kind], others=("type",))
    if kind == "Unigram":
        vocabulary = _scored_pieces(model.get("vocab"), vocab_size)
        unknown = or_null(whole(0, len(model["vocab"]) - 1))
        unknown.check("model.unk_id", model.get("unk_id"))
        return vocabulary
    check_ids("model.vocab", model.get("vocab"), vocab_size)
    if kind == "BPE":
        _check_merges(model.get("merges"), vocab_size)
    return model["vocab"]


def _model_kind(model: Any) -> str:
    """The model's type; older files leave it out, and it is told as `tokenizers` does."""
    if not isinstance(model, dict):
        raise ValueError(f"model is {shown(model)}; expected an object")
    kind = model.get("type")
    if kind is None and "merges" in model:
        return "BPE"
    if kind is None and "max_input_chars_per_word" in model:
        return "WordPiece"
    if kind is None and isinstance(model.get("vocab"), list):
        return "Unigram"
    if not isinstance(kind, str) or kind not in MODELS:
        raise ValueError(f"model.type is {shown(kind)}; expected {', '.join(MODELS)}")
    return kind


def check_ids(path: str, vocabulary: Any, vocab_size: int) -> None:
    """ValueError unless it is an object of token -> id, each id in [0, vocab_size) and once."""
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise ValueError(f"{path} is no object of tokens and ids")
    for token, index in vocabulary.items():
        if not is_text(token, LONGEST_TOKEN):
            raise ValueError(f"{path} has the token {shown(token)}; expected {TOKEN.expected}")
        if type(index) is not int or not 0 <= index < vocab_size:  # often: no message is made
            check_id(f"{path}[{shown(token)}]", index, vocab_size)
    if len(set(vocabulary.values())) != len(vocabulary):
        raise ValueError(f"{path} gives one id to two tokens")


def check_id(path: str, index: Any, vocab_size: int) -> None:
    if type(index) is not int or not 0 <= index < vocab_size:
        raise ValueError(
            f"{path} is {shown(index)}; the model has ids from 0 to {vocab_size - 1:,}"
        )


def _scored_pieces(vocabulary: Any, vocab_size: int) -> dict[str, int]:
    if not isinstance(vocabulary, list) or not 1 <= len(vocabulary) <= vocab_size:
        raise ValueError(f"model.vocab is no list of 1 to {vocab_size:,} pieces")
    for index, entry in enumerate(vocabulary):
        if not (isinstance(entry, list) and len(entry) == 2 and _is_scored(*entry)):
            raise ValueError(
                f"model.vocab[{index}] is {shown(entry)}; expected a piece and a score"
            )
    return {piece: index for index, (piece, _) in enumerate(vocabulary)}


def _is_scored(piece: Any, score: Any) -> bool:
    if type(score) not in (int, float) or not math.isfinite(score) or abs(score) > LARGEST_SCORE:
        return False
    return is_text(piece, LONGEST_TOKEN)


def _check_merges(merges: Any, vocab_size: int) -> None:
    most = 4 * vocab_size
    if not isinstance(merges, list) or len(merges) > most:
        raise ValueError(f"model.merges is no list of {most:,} pairs at most")
    for index, merge in enumerate(merges):
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not (isinstance(pair, list) and len(pair) == 2 and all(map(TOKEN.allows, pair))):
            raise ValueError(f"model.merges[{index}] is {shown(merge)}; expected two tokens")


def _check_added_tokens(added: Any, vocabulary: dict[str, int], vocab_size: int) -> None:
    """ValueError unless each added token is whole and has an id that no other token has."""
    if not isinstance(added, list) or len(added) > vocab_size:
        raise ValueError(f"added_tokens is no list of {vocab_size:,} tokens at most")
    token_of = {index: token for token, index in vocabulary.items()}
    for position, token in enumerate(added):
        path = f"added_tokens[{position}]"
        check_fields(path, token, ADDED_TOKEN, others=("id",))
        check_id(f"{path}.id", token.get("id"), vocab_size)
        index, content = token["id"], token.get("content")
        if token_of.setdefault(index, content) != content:
            raise ValueError(f"{path}.id is {index:,}, which {shown(token_of[index])} has")
        if vocabulary.get(content, index) != index:
            raise ValueError(f"{path}.id is {index:,}; in the vocabulary it is another")


def _check_special_ids(part: dict[str, Any], vocab_size: int) -> None:
    """The ids that a post-processor puts around a text, and how much it puts there."""
    for name in ("sep", "cls"):
        if name in part:
            pair = part[name]
            if not (isinstance(pair, list) and len(pair) == 2 and TOKEN.allows(pair[0])):
                raise ValueError(f"post_processor.{name} is {shown(pair)}; expected a token and id")
            check_id(f"post_processor.{name}", pair[1], vocab_size)
    if part.get("type") == "TemplateProcessing":
        _check_template("single", part.get("single"), texts=1)
        _check_template("pair", part.get("pair"), texts=2)
        _check_template_tokens(part.get("special_tokens"), vocab_size)


def _check_template(name: str, pieces: Any, texts: int) -> None:
    path, most = f"post_processor.{name}", 16
    if not isinstance(pieces, list) or len(pieces) > most:
        raise ValueError(f"{path} is no list of {most} pieces at most")
    if not all(isinstance(piece, dict) and len(piece) == 1 for piece in pieces):
        raise ValueError(f"{path} is {shown(pieces)}; expected special tokens and sequences")
    if sum("Sequence" in piece for piece in pieces) > texts:
        raise ValueError(f"{path} repeats the text; expected {texts} sequence(s) at most")
    for piece in pieces:
        ((kind, content),) = piece.items()
        one_of("SpecialToken", "Sequence").check(path, kind)
        check_fields(f"{path}.{kind}", content, {"id": TOKEN, "type_id": whole(0, 63)})


def _check_template_tokens(tokens: Any, vocab_size: int) -> None:
    path = "post_processor.special_tokens"
    if not isinstance(tokens, dict) or len(tokens) > 16:
        raise ValueError(f"{path} is no object of 16 tokens at most")
    for name, token in tokens.items():
        check_keys(path, token, {"id", "ids", "tokens"})
        ids, names = token.get("ids"), token.get("tokens")
        if not isinstance(ids, list) or not isinstance(names, list) or len(ids) > 4:
            raise ValueError(f"{path} has {shown(name)} as {shown(token)}; expected ids and tokens")
        for index in ids:
            check_id(f"{path}[{shown(name)}]", index, vocab_size)


def _check_passing(content: dict[str, Any], vocab_size: int) -> None:
    """The truncation and padding of the file's last use: dropped later, but read before."""
    if content.get("truncation") is not None:
        check_fields("truncation", content["truncation"], TRUNCATION)
    padding = content.get("padding")
    if padding is None:
        return
    rules = {
        "direction": SIDE,
        "pad_to_multiple_of": or_null(whole(1, MOST_LENGTH)),
        "pad_id": whole(0, vocab_size - 1),
        "pad_type_id": whole(0, 63),
        "pad_token": TOKEN,
    }
    check_fields("padding", padding, rules, others=("strategy",))
    strategy = padding.get("strategy")
    if strategy != "BatchLongest":
        check_fields("padding.strategy", strategy, {"Fixed": whole(0, MOST_LENGTH)})
