"""tokenizer.json: its vocabulary, and every id in it compared with the rows of the embedding."""

import math

from mlm.checkpoint.strict_json import short_repr
from mlm.checkpoint.tokenizer_files.components import COMPONENTS, check_components
from mlm.checkpoint.tokenizer_files.rules import (
    ANYTHING,
    FLAG,
    MARK,
    MAX_TOKEN,
    NO_SAMPLING,
    SIDE,
    TOKEN,
    Kinds,
    check_fields,
    check_keys,
    integer,
    is_text,
    one_of,
    or_null,
)

MAX_WORD = 512  # characters; the time of WordPiece grows with the square of a word's length
MAX_LENGTH = 1_000_000  # tokens, of the truncation and padding, which are not used
MAX_SCORE = 1e6

MODELS: Kinds = {
    "WordPiece": {
        "unk_token": TOKEN,
        "continuing_subword_prefix": MARK,
        "max_input_chars_per_word": integer(1, MAX_WORD),
        "vocab": ANYTHING,
    },
    "BPE": {
        "dropout": NO_SAMPLING,
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
        "alpha": NO_SAMPLING,
        "nbest_size": NO_SAMPLING,
        "vocab": ANYTHING,
    },
    "WordLevel": {"unk_token": TOKEN, "vocab": ANYTHING},
}
TRUNCATION = {
    "direction": SIDE,
    "max_length": integer(0, MAX_LENGTH),
    "strategy": one_of("LongestFirst", "OnlyFirst", "OnlySecond"),
    "stride": integer(0, MAX_LENGTH),
}
ADDED_TOKEN = {
    "content": TOKEN,
    **dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), FLAG),
}


def check_tokenizer_json(content: object, vocab_size: int) -> None:
    """Raise ValueError, in a few words, if the content of a tokenizer.json breaks a rule.

    Args:
        content: parsed JSON.
        vocab_size: rows of the embedding; every id has to be below it.
    """
    known = {"version", "truncation", "padding", "added_tokens", "model", *COMPONENTS}
    fields = check_keys("the file", content, known)
    vocabulary = _check_model(fields.get("model"), vocab_size)
    _check_added_tokens(fields.get("added_tokens"), vocabulary, vocab_size)
    for component in check_components(fields):
        _check_special_ids(component, vocab_size)
    _check_truncation(fields.get("truncation"))
    _check_padding(fields.get("padding"), vocab_size)


# The model


def _check_model(model: object, vocab_size: int) -> dict[str, int]:
    """Return the model's vocabulary, token -> id, after checking the model."""
    kind = _model_kind(model)
    fields = check_fields(f"model {kind}", model, MODELS[kind], others=("type",))
    if kind == "Unigram":
        pieces = _check_pieces(fields.get("vocab"), vocab_size)
        unknown = or_null(integer(0, len(pieces) - 1))
        unknown.check("model.unk_id", fields.get("unk_id"))
        return {piece: index for index, piece in enumerate(pieces)}
    vocabulary = check_ids("model.vocab", fields.get("vocab"), vocab_size)
    if kind == "BPE":
        _check_merges(fields.get("merges"), vocab_size)
    return vocabulary


def _model_kind(model: object) -> str:
    """Return the model's type; older files leave it out, and it is inferred as in `tokenizers`."""
    if not isinstance(model, dict):
        raise ValueError(f"model is {short_repr(model)}; expected an object")
    kind = model.get("type")
    if kind is None and "merges" in model:
        return "BPE"
    if kind is None and "max_input_chars_per_word" in model:
        return "WordPiece"
    if kind is None and isinstance(model.get("vocab"), list):
        return "Unigram"
    if not isinstance(kind, str) or kind not in MODELS:
        raise ValueError(f"model.type is {short_repr(kind)}; expected {', '.join(MODELS)}")
    return kind


def check_ids(path: str, vocabulary: object, vocab_size: int) -> dict[str, int]:
    """Return a vocabulary, token -> id; ValueError unless its ids are unique and in range."""
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise ValueError(f"{path} is not an object of tokens and ids")
    for token, index in vocabulary.items():
        if not is_text(token, MAX_TOKEN):
            raise ValueError(f"{path} has the token {short_repr(token)}; expected {TOKEN.expected}")
        if type(index) is not int or not 0 <= index < vocab_size:  # here too, to make no message
            check_id(f"{path}[{short_repr(token)}]", index, vocab_size)
    if len(set(vocabulary.values())) != len(vocabulary):
        raise ValueError(f"{path} gives one id to two tokens")
    return vocabulary


def check_id(path: str, index: object, vocab_size: int) -> int:
    """Return an id; ValueError unless it is an integer in [0, vocab_size)."""
    if type(index) is not int or not 0 <= index < vocab_size:
        raise ValueError(
            f"{path} is {short_repr(index)}; the model has ids from 0 to {vocab_size - 1:,}"
        )
    return index


def _check_pieces(vocabulary: object, vocab_size: int) -> list[str]:
    """Return the pieces of a Unigram vocabulary, whose ids are their indices."""
    if not isinstance(vocabulary, list) or not 1 <= len(vocabulary) <= vocab_size:
        raise ValueError(f"model.vocab is not a list of 1 to {vocab_size:,} pieces")
    for index, entry in enumerate(vocabulary):
        if not (isinstance(entry, list) and len(entry) == 2 and _is_scored_piece(*entry)):
            raise ValueError(
                f"model.vocab[{index}] is {short_repr(entry)}; expected a piece and a score"
            )
    return [piece for piece, _ in vocabulary]


def _is_scored_piece(piece: object, score: object) -> bool:
    if not (type(score) is int or type(score) is float):
        return False
    return math.isfinite(score) and abs(score) <= MAX_SCORE and is_text(piece, MAX_TOKEN)


def _check_merges(merges: object, vocab_size: int) -> None:
    most = 4 * vocab_size
    if not isinstance(merges, list) or len(merges) > most:
        raise ValueError(f"model.merges is not a list of {most:,} pairs at most")
    for index, merge in enumerate(merges):
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not (isinstance(pair, list) and len(pair) == 2 and all(map(TOKEN.allows, pair))):
            raise ValueError(f"model.merges[{index}] is {short_repr(merge)}; expected two tokens")


# Special tokens


def _check_added_tokens(added: object, vocabulary: dict[str, int], vocab_size: int) -> None:
    """Check that each added token is complete and has an id that no other token has."""
    if not isinstance(added, list) or len(added) > vocab_size:
        raise ValueError(f"added_tokens is not a list of {vocab_size:,} tokens at most")
    token_of: dict[int, object] = {index: token for token, index in vocabulary.items()}
    for position, token in enumerate(added):
        path = f"added_tokens[{position}]"
        fields = check_fields(path, token, ADDED_TOKEN, others=("id",))
        index, content = check_id(f"{path}.id", fields.get("id"), vocab_size), fields.get("content")
        if token_of.setdefault(index, content) != content:
            raise ValueError(f"{path}.id is {index:,}, which {short_repr(token_of[index])} has")
        if isinstance(content, str) and vocabulary.get(content, index) != index:
            raise ValueError(f"{path}.id is {index:,}; in the vocabulary it is another")


def _check_special_ids(component: dict[str, object], vocab_size: int) -> None:
    """Check the ids that a post-processor adds to a text, and how many it adds."""
    for name in ("sep", "cls"):
        if name in component:
            path, pair = f"post_processor.{name}", component[name]
            if not (isinstance(pair, list) and len(pair) == 2 and TOKEN.allows(pair[0])):
                raise ValueError(f"{path} is {short_repr(pair)}; expected a token and id")
            check_id(path, pair[1], vocab_size)
    if component.get("type") == "TemplateProcessing":
        _check_template("single", component.get("single"), texts=1)
        _check_template("pair", component.get("pair"), texts=2)
        _check_template_tokens(component.get("special_tokens"), vocab_size)


def _check_template(name: str, pieces: object, texts: int) -> None:
    path, most = f"post_processor.{name}", 16
    if not isinstance(pieces, list) or len(pieces) > most:
        raise ValueError(f"{path} is not a list of {most} pieces at most")
    if not all(isinstance(piece, dict) and len(piece) == 1 for piece in pieces):
        raise ValueError(f"{path} is {short_repr(pieces)}; expected special tokens and sequences")
    if sum("Sequence" in piece for piece in pieces) > texts:
        raise ValueError(f"{path} repeats the text; expected {texts} sequence(s) at most")
    for piece in pieces:
        ((kind, content),) = piece.items()
        one_of("SpecialToken", "Sequence").check(path, kind)
        check_fields(f"{path}.{kind}", content, {"id": TOKEN, "type_id": integer(0, 63)})


def _check_template_tokens(tokens: object, vocab_size: int) -> None:
    path = "post_processor.special_tokens"
    if not isinstance(tokens, dict) or len(tokens) > 16:
        raise ValueError(f"{path} is not an object of 16 tokens at most")
    for name, token in tokens.items():
        fields = check_keys(path, token, {"id", "ids", "tokens"})
        ids, names = fields.get("ids"), fields.get("tokens")
        if not isinstance(ids, list) or not isinstance(names, list) or len(ids) > 4:
            raise ValueError(
                f"{path} has {short_repr(name)} as {short_repr(token)}; expected ids and tokens"
            )
        for index in ids:
            check_id(f"{path}[{short_repr(name)}]", index, vocab_size)


# Truncation and padding of the file's last use: dropped later, but the library reads them


def _check_truncation(truncation: object) -> None:
    if truncation is not None:
        check_fields("truncation", truncation, TRUNCATION)


def _check_padding(padding: object, vocab_size: int) -> None:
    if padding is None:
        return
    rules = {
        "direction": SIDE,
        "pad_to_multiple_of": or_null(integer(1, MAX_LENGTH)),
        "pad_id": integer(0, vocab_size - 1),
        "pad_type_id": integer(0, 63),
        "pad_token": TOKEN,
    }
    strategy = check_fields("padding", padding, rules, others=("strategy",)).get("strategy")
    if strategy != "BatchLongest":
        check_fields("padding.strategy", strategy, {"Fixed": integer(0, MAX_LENGTH)})
