"""FillMask: shapes, own text kept, scores, spellings of the mask, limits, threads."""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mlm.checkpoint.folder import read_checkpoint
from mlm.errors import CheckpointError, HubError, InputError, UserError
from mlm.inference.fill_mask import FillMask
from mlm.inference.filling import find_masks, normalize_masks
from mlm.inference.masked_text import MAX_CHARACTERS, MAX_MASKS
from tests.support.fake_checkpoint import byte_level_tokenizer, fake_checkpoint
from tests.support.family_tokenizers import KINDS
from tests.support.small_models import save_random_checkpoint

pytestmark = pytest.mark.kaggle

SENTENCE = "I have watched this [MASK] and it was awesome."


@pytest.fixture
def fill() -> FillMask:
    return FillMask(fake_checkpoint(), "fake")


@pytest.fixture
def byte_level() -> FillMask:
    liked = {"Ġmovie": 9.0, "ing": 8.0, ",": 7.0, "Ġ": 6.0}
    return FillMask(fake_checkpoint(byte_level_tokenizer(), liked), "fake-bpe")


def test_one_mask_is_a_list_of_candidates(fill):
    answer = fill(SENTENCE, top_k=3)
    assert [c["token_str"] for c in answer[:2]] == ["movie", "film"]
    assert set(answer[0]) == {"score", "token", "token_str", "sequence"}
    assert answer[0]["sequence"] == "I have watched this movie and it was awesome."
    assert [c["score"] for c in answer] == sorted((c["score"] for c in answer), reverse=True)
    assert json.loads(json.dumps(answer)) == answer


def test_scores_are_the_softmax_over_the_whole_vocabulary(fill):
    logits = fill.predictor.logits([fill.read(SENTENCE).question])[0][0]
    expected = np.exp(logits.astype(np.float64)) / np.exp(logits.astype(np.float64)).sum()
    every = fill(SENTENCE, top_k=len(fill.checkpoint.tokenizer))
    assert {c["token"]: c["score"] for c in every} == pytest.approx(
        dict(enumerate(expected[: len(every)]))
    )
    assert sum(c["score"] for c in every) < 1  # the padding rows have probability but no word


def test_several_masks_give_a_list_each_and_keep_the_other_masks(fill):
    answer = fill("This ___ was  ____!", top_k=2)
    assert len(answer) == 2
    assert answer[0][0]["sequence"] == f"This {answer[0][0]['token_str']} was  ____!"
    assert answer[1][0]["sequence"] == f"This ___ was  {answer[1][0]['token_str']}!"


def test_a_list_of_texts_gives_the_same_as_each_alone(fill):
    texts = [SENTENCE, "[MASK] and [MASK]", "the [MASK]"] * 4
    together, alone = fill(texts), [fill(text) for text in texts]
    for one, other in zip(together, alone, strict=True):
        assert json.dumps(one) == json.dumps(other)
    assert fill([]) == []
    assert len(fill([SENTENCE])) == 1


def test_own_capitals_and_spacing_are_kept(fill):
    text = "  I HAVE  Watched\tthis [MASK],\nÉtienne — awesome…  "
    assert fill(text)[0]["sequence"] == text.replace("[MASK]", "movie")


def test_a_continuation_is_put_in_as_the_text_is_written():
    fill = FillMask(fake_checkpoint(liked={"##ing": 30.0}), "fake")
    best = fill("He was watch[MASK] it.")[0]
    assert (best["token_str"], best["sequence"]) == ("##ing", "He was watching it.")
    assert fill("He was watch [MASK] it.")[0]["sequence"] == "He was watch ing it."
    assert fill("[MASK] it.")[0]["sequence"] == "ing it."


def test_byte_level_marks_are_never_shown(byte_level):
    by_token = {c["token_str"]: c["sequence"] for c in byte_level("Watch ___ it.", top_k=4)}
    assert by_token[" movie"] == "Watch movie it."
    assert by_token["ing"] == "Watch ing it."
    assert by_token[","] == "Watch , it."
    assert not any(mark in text for text in by_token.values() for mark in "Ġ▁")


@pytest.mark.parametrize(
    ("written", "note"),
    [
        ("a [MASK] b", None),
        ("a <mask> b", "<mask> was read as [MASK]."),
        ("a ___ b ______", "___ was read as [MASK]."),
        ("a [mask] b [MASK]", "[mask] was read as [MASK]."),
        ("a <MASK> b <mask>", "<MASK> and <mask> were read as [MASK]."),
        ("a _ b", "_ was read as [MASK]."),
        ("snake_case __init__", None),
    ],
)
def test_spellings_of_the_mask(written, note):
    text, said = normalize_masks(written, "[MASK]")
    assert said == note
    if note:
        assert "_" not in text and "<" not in text and "[MASK]" in text
    else:
        assert text == written


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("I [MASK] this movie -_-", ["[MASK]"]),
        ("so [MASK] ^_^", ["[MASK]"]),
        ("¯\\_(ツ)_/¯ it was [MASK]", ["[MASK]"]),
        ("for _ in range([MASK]):", ["[MASK]"]),
        ("it was __[MASK]__ good", ["[MASK]"]),
        ("it was __<mask>__ good", ["<mask>"]),
        ("see http://example.org/_/[MASK]", ["[MASK]"]),
        ("a _ b ___", ["___"]),
        ("I love it -_-", []),
        ("The ending made me cry (._.)", []),
        ("Best film ever ^_^ ¯\\_(ツ)_/¯ (>_<)", []),
        ("http://example.org/_/a _x x_ (_) _.map", []),
        ("a _ b __\n_, c _.", ["_", "__", "_", "_"]),
        ("_", ["_"]),
    ],
)
def test_the_clearest_spelling_is_the_mask(written, found):
    assert [mask[0] for mask in find_masks(written, "[MASK]")] == found


def test_what_is_left_as_text_beside_the_models_own_mask_is_said():
    text, note = normalize_masks("a ___ [MASK] <mask> -_- snake____case", "[MASK]")
    assert text == "a ___ [MASK] <mask> -_- snake____case"
    assert note == "___ and <mask> were left as text beside [MASK]."
    text, note = normalize_masks("a ___ [MASK]", "<mask>")
    assert (text, note) == (
        "a ___ <mask>",
        "[MASK] was read as <mask>. ___ was left as text beside [MASK].",
    )


def test_every_spelling_is_the_same_question(fill, byte_level):
    for model in (fill, byte_level):
        answers = [model(f"the {mask} was")[0]["score"] for mask in ("[MASK]", "<mask>", "_____")]
        assert answers[0] == answers[1] == answers[2]


def test_targets_are_scored_as_they_are_among_all(fill):
    size = len(fill.checkpoint.tokenizer)
    every = {c["token_str"]: c["score"] for c in fill(SENTENCE, top_k=size)}
    answer = fill(SENTENCE, targets=["soup", "Film", "soup"])
    assert {c["token_str"]: c["score"] for c in answer} == {w: every[w] for w in ("film", "soup")}
    assert fill(SENTENCE, targets="soup")[0]["token_str"] == "soup"


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([], "empty"),
        ([3], "not a word"),
        (["soup", "☃"], "'☃' is not a word for fake: its vocabulary has no pieces for it"),
        (["soup"] * 201, "201 words; at most 200"),
        (["\ud800"], "not a word"),
        (5, "expected a word or a list of words"),
    ],
)
def test_targets_that_are_not_words(fill, targets, message):
    with pytest.raises(InputError, match=message):
        fill(SENTENCE, targets=targets)


@pytest.mark.parametrize("name", [None, 3, "", b"demo", []])
def test_names_that_are_refused(name):
    with pytest.raises(HubError, match="names no checkpoint: give a folder, a Hub id or 'demo'"):
        FillMask.from_pretrained(name)
    with pytest.raises(HubError, match="7 is not a revision"):
        FillMask.from_pretrained("me/model", revision=7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "NoneType"),
        (7, "of type int"),
        ("", r"no mask: .*\[MASK\] or ___"),
        ("Nothing is missing.", "no mask"),
        ("[MASK] " * 600, f"600 masks; at most {MAX_MASKS}"),
        ("the " * 200 + "[MASK]", "203 tokens .* 128"),
        ("[MASK]" + "x" * MAX_CHARACTERS, "20,006 characters"),
        ("[MASK] \ud800", "surrogate"),
    ],
)
def test_bad_texts_get_one_clear_line(fill, text, message):
    with pytest.raises(InputError, match=message) as error:
        fill(text)
    assert "\n" not in str(error.value)
    assert fill.checkpoint.model.shapes == []


def test_thirty_megabytes_are_refused_before_they_are_read(fill):
    fill.checkpoint.tokenizer = None  # encoding would need it
    with pytest.raises(InputError, match="30,000,000 characters"):
        fill("[MASK]" * 5_000_000)


@pytest.mark.parametrize("top_k", [0, -1, 10**6, 2.5, "5", None, True, math.nan])
def test_top_k_out_of_range(fill, top_k):
    with pytest.raises(InputError, match="whole number from 1"):
        fill(SENTENCE, top_k=top_k)


def test_the_model_is_called_with_few_shapes(fill):
    for words in range(1, 100):
        fill("the " * words + "[MASK] " * (words % 5 + 1), top_k=1)
    shapes = set(fill.checkpoint.model.shapes)
    assert {t for _, t, _ in shapes} <= {32, 64, 96, 128}
    assert {p for _, _, p in shapes} <= {1, 2, 4, 8}


def test_the_longest_text_is_not_padded_beyond_the_models_positions():
    fill = FillMask(fake_checkpoint(max_length=50), "fake")
    fill("the " * 47 + "[MASK]")
    assert fill.checkpoint.model.shapes == [(1, 50, 1)]


def test_threads_get_their_own_answers(fill):
    texts = [f"{'the ' * n}[MASK] and [MASK]" for n in range(20)]
    expected = [fill(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(fill, texts)) == expected


def test_a_text_that_was_read_is_not_encoded_again(fill, monkeypatch):
    text = "The ___ was [MASK]."
    masked = fill.read(text)
    every = [fill, fill.fill_jointly, fill.fill_whole_words, fill.word_probabilities]
    expected = [answer(text) for answer in every]
    monkeypatch.setattr(fill.predictor, "encode_with_offsets", None)
    assert fill.read(masked) is masked
    assert [answer(masked) for answer in every] == expected
    assert fill([masked, masked]) == [expected[0]] * 2


def test_a_diverged_model_is_named(fill):
    fill.checkpoint.model._liked[:] = np.nan
    with pytest.raises(CheckpointError, match="fake answers with logits that are not finite"):
        fill(SENTENCE)


def test_facts_of_the_model(fill, byte_level):
    assert (fill.name, fill.revision, fill.max_length) == ("fake", None, 128)
    assert (fill.mask_token, byte_level.mask_token) == ("[MASK]", "<mask>")
    assert fill.num_parameters == 5_312_345
    assert issubclass(InputError, UserError)


# on real checkpoints, against transformers

TEXTS = [
    "I watched this [MASK] movie.",
    "The [MASK] was great! I [MASK] it.",
    "[MASK]",
    "I liked this " + "very " * 5 + "[MASK] film. The [MASK] was short!",
]


@pytest.fixture(scope="module", params=["tiny_checkpoint_folder", "tiny_bert_folder"])
def folder(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def pipeline(folder):
    import transformers

    return transformers.pipeline("fill-mask", model=str(folder), device="cpu")


@pytest.fixture(scope="module")
def real(folder) -> FillMask:
    return FillMask.from_pretrained(folder)


def flat(answer: list) -> list[dict]:
    return [c for part in answer for c in (part if isinstance(part, list) else [part])]


def test_answers_are_those_of_the_transformers_pipeline(real, pipeline):
    for ours, text in zip(real(TEXTS, top_k=7), TEXTS, strict=True):
        theirs = pipeline(text, top_k=7)
        assert isinstance(ours[0], list) == isinstance(theirs[0], list)
        for one, other in zip(flat(ours), flat(theirs), strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=1e-4)
            assert (one["token"], one["token_str"]) == (other["token"], other["token_str"])


def test_targets_are_those_of_the_transformers_pipeline(real, pipeline):
    words = sorted(piece for piece in real.checkpoint.tokenizer.get_vocab() if piece.isalpha())[:4]
    ours = real(TEXTS[0], targets=words)
    theirs = pipeline(TEXTS[0], targets=words)
    assert [c["token"] for c in ours] == [c["token"] for c in theirs]
    assert [c["score"] for c in ours] == pytest.approx([c["score"] for c in theirs], abs=1e-4)


def test_a_folder_is_known_by_its_name_and_its_facts(real, folder):
    assert real.name == "/".join(folder.parts[-2:])
    assert real.max_length == 64
    variables = read_checkpoint(folder).model.trainable_variables
    assert real.num_parameters == sum(int(np.prod(v.shape)) for v in variables)


# every kind of tokenizer: no mark is shown, and the sentence is spelt right


def kind(model_type: str, liked: dict[str, float] | None = None) -> FillMask:
    return FillMask(fake_checkpoint(KINDS[model_type](), liked or {}), model_type)


@pytest.mark.parametrize("model_type", KINDS)
def test_no_mark_of_a_space_is_ever_shown(model_type):
    fill = kind(model_type)
    (filling,) = fill.answer(["Watch ___ it"], top_k=fill.vocab_size)
    for candidate in filling.masks[0]:
        assert not any(mark in candidate.word + candidate.sequence for mark in "Ġ▁")
        assert candidate.word == candidate.word.strip()
        assert not candidate.word.startswith("##")
    (whole,) = fill("Watch ___ it", targets=["filmographies"])
    assert (whole["token_str"], whole["sequence"]) == ("filmographies", "Watch filmographies it")
    assert len(whole["token"]) > 1


@pytest.mark.parametrize("model_type", ["roberta", "xlm-roberta"])
def test_a_mark_that_decoding_leaves_is_not_shown_either(model_type):
    tokenizer = KINDS[model_type]()
    content = json.loads(tokenizer.backend_tokenizer.to_str()) | {"decoder": None}
    tokenizer._tokenizer = type(tokenizer.backend_tokenizer).from_str(json.dumps(content))
    fill = FillMask(fake_checkpoint(tokenizer, {}), model_type)
    words = [c["sequence"] for c in fill("Watch ___ it", top_k=fill.vocab_size)]
    assert "Watch film it" in words
    assert not any(mark in word for word in words for mark in "Ġ▁")


NEW_WORD = {  # of each kind a piece that begins a word, one that continues it, and a sign
    "bert": ("film", "##l", ","),
    "mpnet": ("film", "##l", ","),
    "roberta": ("Ġfilm", "l", ","),
    "modernbert": ("Ġfilm", "l", ","),
    "xlm-roberta": ("▁film", "l", ","),
    "camembert": ("▁film", "l", ","),
    "albert": ("▁film", "l", ","),
}
WRITTEN = [
    "The ___ was",
    "The___ was",
    "The (___) was",
    "Café___!",
    "Yes,___!",
    "___ was",
    "self.___ = 1",
    "at 12:___",
    "我看了___。",
    "un___able “___” well-___",
]


@pytest.mark.parametrize("model_type", NEW_WORD)
@pytest.mark.parametrize("text", WRITTEN)
def test_the_sequence_is_the_text_as_written_with_the_word_put_in(model_type, text):
    word, rest, sign = NEW_WORD[model_type]
    fill = kind(model_type, {word: 30.0, rest: 29.0, sign: 28.0})
    (filling,) = fill.answer([text], top_k=3)
    for (start, end), candidates in zip(filling.spans, filling.masks, strict=True):
        sequences = [candidate.sequence for candidate in candidates]
        assert sequences == [text[:start] + put_in + text[end:] for put_in in ("film", "l", ",")]
    if len(filling.masks) > 1:
        (joint,) = fill.fill_jointly(text, top_k=1)
        expected = text
        for put_in in joint.words:
            expected = expected.replace("___", put_in, 1)
        assert joint.sequence == expected


PLACES = [  # a text, a word, and whether its token includes a space
    ("The ___ was", "film", True),
    ("I saw ___, it", "film", True),
    ("The  ___ was", "film", True),
    ('"___" he', "film", False),
    ("(___)", "film", False),
    ("well-___ it", "film", False),
    ("un___", "film", False),
    ("un___able", "film", False),
    ("#___", "film", False),
    ("The ___", " film", True),
    ("(___)", " film", True),
    ("The ___", "Ġfilm", True),
    ("The movie___", ".", False),
    ("The movie ___", ".", False),
]


@pytest.mark.parametrize("model_type", ["roberta", "modernbert", "xlm-roberta", "albert"])
@pytest.mark.parametrize(("text", "word", "spaced"), PLACES)
def test_a_target_is_the_token_of_its_place(model_type, text, word, spaced):
    fill = kind(model_type)
    mark = "Ġ" if model_type in ("roberta", "modernbert") else "▁"
    (found,) = fill(text, targets=[word.replace("Ġ", mark)])
    expected = (mark if spaced else "") + word.strip(" Ġ")
    assert fill.checkpoint.tokenizer.convert_ids_to_tokens(found["token"]) == expected


def test_a_target_begins_a_text_or_line_as_the_tokenizer_has_it():
    for model_type, first, line in [
        ("roberta", "film", "film"), ("xlm-roberta", "▁film", "▁film")
    ]:  # fmt: skip
        fill, tokens = kind(model_type), []
        for text in ("___ was", "It was.\n___ was"):
            tokens.append(fill(text, targets="film")[0]["token"])
        assert fill.checkpoint.tokenizer.convert_ids_to_tokens(tokens) == [first, line]


def test_a_target_of_several_pieces_has_those_of_its_place():
    fill = kind("roberta")
    tokenizer = fill.checkpoint.tokenizer
    for text, spaced in (("The ___ was", True), ("(___)", False)):
        (found,) = fill(text, targets="filmographies")
        expected = tokenizer((" " if spaced else "") + "filmographies", add_special_tokens=False)
        assert found["token"] == expected["input_ids"]


def test_each_mask_has_the_targets_of_its_own_place():
    fill = kind("roberta")
    spaced, joined = (answer[0]["token"] for answer in fill("The ___ (___)", targets="film"))
    tokens = fill.checkpoint.tokenizer.convert_ids_to_tokens([spaced, joined])
    assert tokens == ["Ġfilm", "film"]


def test_a_list_with_a_bad_text_says_which_one(fill):
    with pytest.raises(InputError, match=r"^Text 3 of 4: The text has no mask: write \[MASK\]"):
        fill([SENTENCE, "[MASK]", "nothing", SENTENCE])
    with pytest.raises(InputError, match=r"^Text 2 of 2: .* of type int"):
        fill([SENTENCE, 7])
    with pytest.raises(InputError, match=r"^The text has no mask"):
        fill(["nothing"])


@pytest.mark.parametrize("setting", [{"single_word": True}, {"content": "<other>"}])
def test_a_mask_that_the_tokenizer_does_not_find_is_an_error(setting):
    from tokenizers import AddedToken

    checkpoint = fake_checkpoint(byte_level_tokenizer(), {})
    fill = FillMask(checkpoint, "fake-bpe")
    options = {"content": "<mask>", "special": True} | setting
    checkpoint.tokenizer.add_tokens([AddedToken(**options)])
    if "single_word" in setting:
        with pytest.raises(CheckpointError, match="finds 0 of 1 masks"):
            fill("a<mask>b")
    else:
        assert len(fill("a<mask>b")) == 5


def test_ids_beyond_the_embedding_never_reach_it(fill):
    fill.checkpoint.model.config.vocab_size = 9
    with pytest.raises(CheckpointError, match="ids that the model has no row for"):
        fill(SENTENCE)
    assert fill.checkpoint.model.shapes == []


@pytest.fixture(scope="module", params=["roberta", "xlm-roberta", "albert"])
def other_folder(request, tmp_path_factory):
    """Byte-level BPE and Unigram under random weights."""
    folder = tmp_path_factory.mktemp(f"tiny-{request.param}")
    return save_random_checkpoint(folder, KINDS[request.param](), request.param)


def test_other_tokenizers_answer_as_the_transformers_pipeline(other_folder):
    import transformers

    fill = FillMask.from_pretrained(other_folder)
    theirs = transformers.pipeline("fill-mask", model=str(other_folder), device="cpu")
    for text in ("The film [MASK] was (quick).", "[MASK], the movie[MASK]!"):
        their_text = text.replace("[MASK]", fill.mask_token)
        for one, other in zip(
            flat(fill(text, top_k=7)), flat(theirs(their_text, top_k=7)), strict=True
        ):
            assert one["score"] == pytest.approx(other["score"], abs=1e-4)
            assert (one["token"], one["token_str"]) == (other["token"], other["token_str"])


def test_a_padding_token_in_the_text_is_refused_if_positions_skip_it(other_folder):
    fill = FillMask.from_pretrained(other_folder)
    text = f"A {fill.checkpoint.tokenizer.pad_token} film ___ was good."
    if fill.checkpoint.config.position_offset:
        with pytest.raises(InputError, match="holds the padding token"):
            fill(text)
    else:
        assert fill(text)
