"""Pseudo-log-likelihoods: against transformers' PyTorch models, and what counts as a word."""

import json
import math
import re

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from mlm.errors import InputError
from mlm.inference import scoring
from mlm.inference.fill_mask import FillMask
from mlm.inference.scoring import MAX_SCORED_TOKENS, TextScore, score_text
from tests.support.fake_checkpoint import byte_level_tokenizer, fake_checkpoint
from tests.support.script_tokenizers import KINDS as SCRIPT_KINDS
from tests.support.script_tokenizers import TEXTS as SCRIPT_TEXTS
from tests.support.script_tokenizers import UNSPACED
from tests.support.small_models import save_random_checkpoint
from tests.support.tokenizer_kinds import FAMILY_OF, KINDS

pytestmark = pytest.mark.kaggle

TEXT = "I watched this strangest ending. The greatest music moved me!"


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    """A random checkpoint of each kind of tokenizer."""
    path = tmp_path_factory.mktemp(f"scored-{request.param}")
    return save_random_checkpoint(path, KINDS[request.param](), FAMILY_OF[request.param])


@pytest.fixture(scope="module")
def model(folder) -> FillMask:
    return FillMask.from_pretrained(folder)


@pytest.fixture(scope="module")
def fake() -> FillMask:
    return FillMask(fake_checkpoint(), "fake")


@pytest.fixture(scope="module")
def byte_level() -> FillMask:
    return FillMask(fake_checkpoint(byte_level_tokenizer(), {"Ġmovie": 9.0}), "bpe")


def score(model: FillMask, text) -> TextScore:
    return score_text(model.predictor, model.vocabulary, text)


def words(model: FillMask, text: str) -> list[str]:
    return [word.text for word in score(model, text).words]


def brute_force(folder, text: str) -> list[list[float]]:
    """Return the log-probability of each token of each word, by PyTorch, one token at a time."""
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    theirs = AutoModelForMaskedLM.from_pretrained(str(folder)).eval()
    read = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
    ids, special = read["input_ids"], read["special_tokens_mask"]
    found: list[list[float]] = []
    before = 0
    for _, end in _word_spans(text):  # a word includes the space before it
        spans = enumerate(read["offset_mapping"])
        tokens = [i for i, (s, e) in spans if not special[i] and before < e and s < end]
        before = end
        found.append([])
        for at in tokens:
            hidden = [tokenizer.mask_token_id if i in tokens and i >= at else ids[i]
                      for i in range(len(ids))]  # fmt: skip
            with torch.no_grad():
                logits = theirs(torch.tensor([hidden])).logits[0, at].double()
            found[-1].append(float(torch.log_softmax(logits, 0)[ids[at]]))
    return found


def _word_spans(text: str) -> list[tuple[int, int]]:
    """Find runs of letters, and each punctuation mark: a second implementation, for English."""
    spans: list[tuple[int, int]] = []
    for i, letter in enumerate(text):
        if letter.isalpha() and i and text[i - 1].isalpha():
            spans[-1] = (spans[-1][0], i + 1)
        elif not letter.isspace():
            spans.append((i, i + 1))
    return spans


def test_every_word_has_the_sum_of_its_pieces_by_pytorch(folder, model):
    found, expected = score(model, TEXT), brute_force(folder, TEXT)
    assert [(word.start, word.end) for word in found.words] == _word_spans(TEXT)
    assert max(len(word) for word in expected) > 2  # there are words of several pieces
    for word, pieces in zip(found.words, expected, strict=True):
        assert word.num_tokens == len(pieces)
        assert word.log_probability == pytest.approx(sum(pieces), abs=1e-3)
        assert word.probability == pytest.approx(math.exp(sum(pieces)), rel=1e-3)
    every = [piece for word in expected for piece in word]
    assert found.num_tokens == len(every)
    assert found.pseudo_log_likelihood == pytest.approx(sum(every), abs=5e-3)
    assert found.perplexity == pytest.approx(math.exp(-sum(every) / len(every)), rel=1e-3)


def test_the_guesses_are_the_most_probable_with_one_mask_for_the_word(model):
    found, length = score(model, TEXT), len(model.predictor.encode(TEXT))
    word_of = {f"{TEXT[: w.start]}{model.mask_token}{TEXT[w.end :]}": w for w in found.words}
    # SentencePiece encodes "!" differently after a mask and after a word.
    same = [text for text, word in word_of.items()
            if len(model.predictor.encode(text)) == length - word.num_tokens + 1]  # fmt: skip
    assert len(same) > 5 and {word_of[text].num_tokens for text in same} - {1}
    for text in same:
        word = word_of[text]
        (known,) = model.word_probabilities(text)
        best = sorted(known.values(), reverse=True)[:3]
        assert [guess.probability for guess in word.guesses] == pytest.approx(best, rel=1e-3)
        for guess in word.guesses:
            assert guess.probability == pytest.approx(known[guess.word], rel=1e-3)


def test_later_pieces_are_hidden_and_earlier_ones_are_not(fake, monkeypatch):
    questions_seen = []

    def log_probabilities(questions):
        questions_seen.extend(questions)
        return original(questions)

    original = fake.predictor.log_probabilities
    monkeypatch.setattr(fake.predictor, "log_probabilities", log_probabilities)
    score(fake, "the watching")
    cls, the, watch, ing, sep = fake.predictor.encode("the watching")
    mask = fake.predictor.mask_id
    assert [(question.input_ids, question.positions) for question in questions_seen] == [
        ([cls, mask, watch, ing, sep], [1]),
        ([cls, the, mask, mask, sep], [2]),
        ([cls, the, watch, mask, sep], [3]),
        ([cls, the, mask, sep], [2]),  # the guesses
    ]


@pytest.mark.parametrize("values", [1, 3000])
def test_a_text_in_chunks_is_scored_as_at_once(model, monkeypatch, values):
    whole = score(model, TEXT)
    monkeypatch.setattr(scoring, "VALUES_AT_ONCE", values)
    for one, other in zip(score(model, TEXT).words, whole.words, strict=True):
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-4)
        assert [g.word for g in one.guesses] == [g.word for g in other.guesses]


def test_no_more_answers_are_held_at_once_than_allowed(fake, monkeypatch):
    sizes = []
    original = fake.predictor.log_probabilities

    def log_probabilities(questions):
        sizes.append(len(questions))
        return original(questions)

    monkeypatch.setattr(fake.predictor, "log_probabilities", log_probabilities)
    monkeypatch.setattr(scoring, "VALUES_AT_ONCE", 5 * fake.predictor.num_rows + 1)
    score(fake, "the " * 12)
    assert sizes == [5, 5, 2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  The   naïve\n\nshow!", ["The", "naïve", "show", "!"]),
        ("Wátch wálking, it's", ["Wátch", "wálking", ",", "it", "'", "s"]),
        ("cafe\u0301 show", ["cafe\u0301", "show"]),
        ("film 電影電 film", ["film", "電", "影", "電", "film"]),
        ("a 🎬 b", ["a", "🎬", "b"]),
        ("سلام film", ["سلام", "film"]),
        ("<b>film</b>", ["<", "b", ">", "film", "<", "/", "b", ">"]),
    ],
)
def test_words_of_a_wordpiece_are_the_readers_own(fake, text, expected):
    found = score(fake, text)
    assert [word.text for word in found.words] == expected
    assert [text[word.start : word.end] for word in found.words] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the movie, watching", ["the", "movie", ",", "watching"]),
        (" the  movie ", ["the", "movie"]),
        ("the\n\nmovie\n", ["the", "movie"]),
        ("well-known (film)", ["well", "-", "known", "(", "film", ")"]),
        ("naïve café", ["naïve", "café"]),
        ("电影 好看", ["电", "影", "好", "看"]),
        ("ภาพ", ["ภ", "า", "พ"]),
        ("film🎬film", ["film", "🎬", "film"]),
        ("a👩\u200d👧\ufe0f b", ["a", "👩\u200d👧\ufe0f", "b"]),
        ("\u202ethe movie", ["\u202ethe", "movie"]),
        ("سلام", ["سلام"]),
        ("the 12 films", ["the", "12", "films"]),
    ],
)
def test_words_of_a_byte_level_bpe_have_no_space_and_no_half_characters(byte_level, text, expected):
    assert words(byte_level, text) == expected
    found = score(byte_level, text)
    assert found.num_tokens == len(byte_level.predictor.encode(text)) - 2  # every token is counted
    assert found.note is None


ODD = [
    "½ ﬁlm ①",
    "👩‍👩‍👧‍👦 and 🏳️‍🌈", "e\u0301e\u0301",
    "\u202eabc\u202c def", "a\u00a0b\u3000c", "…—…",
    "ａｂｃ", "x" * 90, "ﷺ", "한국어 영화", "映画を見た。とても",
    "A\tB\r\nC", "\u0e01\u0e33 \u0e19",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_spans_follow_each_other_and_leave_out_only_spaces(fake, byte_level, model, text):
    for each in (fake, byte_level, model):
        try:
            found = score(each, text)
        except InputError as error:
            assert "vocabulary" in str(error) or "tokens" in str(error)
            continue
        end = 0
        for word in found.words:
            assert end <= word.start < word.end <= len(text)
            assert word.text == text[word.start : word.end] == word.text.strip()
            end = word.end
        if each is byte_level:
            covered = "".join(word.text for word in found.words)
            assert "".join(covered.split()) == "".join(text.split())


def test_an_unknown_word_is_marked_and_left_out(fake):
    found = score(fake, "the 🎬 film 🎬 [SEP] show")
    assert [word.unknown for word in found.words] == [False, True, False, True, True, False]
    clapper = found.words[1]
    assert (clapper.text, clapper.log_probability, clapper.probability) == ("🎬", None, None)
    assert len(clapper.guesses) == 3
    known = [word.log_probability for word in found.words if not word.unknown]
    assert found.num_tokens == 3
    assert found.pseudo_log_likelihood == pytest.approx(sum(known))
    assert "🎬, [SEP]." in found.note and "Left out" in found.note


def test_many_and_long_unknown_words_make_a_short_note(fake):
    text = "film " + " ".join(f"🎬{'x' * 200}{letter}" for letter in "電影") + " ß🎬 ø🎬 đ🎬"
    note = score(fake, text).note
    assert " more." in note and len(note) < 220


def test_perplexity_is_one_where_the_model_is_certain():
    sure = FillMask(fake_checkpoint(liked={"movie": 200.0}), "sure")
    assert score(sure, "movie movie").perplexity == pytest.approx(1.0)
    wrong = score(sure, "the the")
    assert wrong.perplexity > 1e60
    absurd = FillMask(fake_checkpoint(liked={"movie": 1e30}), "absurd")
    assert math.isfinite(score(absurd, "the the").perplexity)


def test_the_answer_is_json_with_every_number(fake):
    found = score(fake, "the watching 🎬")
    read = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert set(read) == {
        "text", "pseudo_log_likelihood", "num_tokens", "perplexity", "note", "words",
    }  # fmt: skip
    assert (read["text"], read["num_tokens"]) == ("the watching 🎬", 3)
    the, watching, clapper = read["words"]
    assert (the["text"], the["start"], the["end"], the["num_tokens"]) == ("the", 0, 3, 1)
    assert watching["num_tokens"] == 2 and not watching["unknown"]
    assert watching["probability"] == pytest.approx(math.exp(watching["log_probability"]))
    assert clapper["unknown"] and clapper["probability"] is None
    assert all(set(guess) == {"word", "probability"} for guess in the["guesses"])
    assert len(the["guesses"]) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "of type NoneType"),
        (["film"], "of type list"),
        ("", "empty"),
        (" \n\t\u3000", "empty"),
        ("the [MASK] film", r"mask in it \(\[MASK\]\)"),
        ("the <mask> film", r"mask in it \(<mask>\)"),
        ("the ___ film", "mask in it"),
        ("\u00ad\u200b", "The text has no words"),
        ("🎬 🎬", "No word of the text is in the vocabulary of fake"),
        ("the \ud800", "half a character"),
        ("the " * 127, "has 129 tokens and fake reads 128"),
        ("x" * 20_001, "at most 20,000"),
    ],
)
def test_a_text_that_cannot_be_scored_gets_one_line(fake, text, message):
    with pytest.raises(InputError, match=message) as caught:
        score(fake, text)
    assert "\n" not in str(caught.value)


def test_no_more_tokens_are_scored_than_the_limit():
    model = FillMask(fake_checkpoint(max_length=2000), "long")
    model.predictor.max_length = 2000
    assert score(model, "the " * (MAX_SCORED_TOKENS - 2)).num_tokens == MAX_SCORED_TOKENS - 2
    with pytest.raises(InputError, match="513 tokens; at most 512 are scored"):
        score(model, "the " * (MAX_SCORED_TOKENS - 1))


# ---- other scripts


@pytest.mark.parametrize("kind", SCRIPT_KINDS)
@pytest.mark.parametrize("script", SCRIPT_TEXTS)
def test_words_of_every_script_have_scores(tmp_path, script, kind):
    tokenizer = SCRIPT_KINDS[kind](SCRIPT_TEXTS[script])
    shape = {"num_hidden_layers": 1, "max_position_embeddings": 512}
    folder = save_random_checkpoint(tmp_path, tokenizer, "bert", **shape)
    model, text = FillMask.from_pretrained(folder), SCRIPT_TEXTS[script][0]
    found = score(model, text)
    assert all(-700 < word.log_probability < 0 for word in found.words)
    assert 1 < found.perplexity < 1e300
    assert "".join(word.text for word in found.words) == text.replace(" ", "")
    ids, offsets = model.predictor.encode_with_offsets(text)
    starts = model.vocabulary.boundaries.starts(np.array([ids]))[0]
    begins = {offsets[i][0] for i in np.flatnonzero(starts)[1:-1] if text[slice(*offsets[i])] > " "}
    # Every word of the masks is one here; punctuation is a word of its own only here.
    assert begins <= {word.start for word in found.words} | {w.start - 1 for w in found.words}
    characters = len(re.findall(r"\w[\u0e31\u0e33-\u0e3a\u0e47-\u0e4e]*", text))
    if script in UNSPACED and kind == "byte-level of English":
        assert len(found.words) >= 0.8 * characters
