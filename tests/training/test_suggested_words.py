"""Words to add: those that save the most tokens, in a list that --add_words_file takes."""

import pytest

from mlm.checkpoint.folder import read_checkpoint
from mlm.checkpoint.tokenizer import encode_texts
from mlm.commands.train import main
from mlm.errors import ConfigError
from mlm.training.added_words import add_words, read_words
from mlm.training.config import TrainingConfig
from mlm.training.suggested_words import MIN_COUNT, rank_words, suggest_words
from mlm.training.trainer import train
from tests.support.family_tokenizers import KINDS
from tests.support.small_models import small_texts

DOMAIN = ["The Kühlschmierstoff cools; kühlschmierstoff is Öl."] * 6 + ["A zygote, a zygote!"] * 5
TEXTS = [*small_texts()[:20], *DOMAIN, *["rarely"] * (MIN_COUNT - 1), *["3,141.59 2718"] * 9]


@pytest.fixture(params=["bert", "roberta", "xlm-roberta"])
def tokenizer(request):
    return KINDS[request.param]()


def test_words_are_ranked_by_the_tokens_that_they_save(tokenizer):
    suggestions = rank_words(tokenizer, TEXTS, 100)
    words = {word.text: word for word in suggestions.words}
    saved = [word.saved for word in suggestions.words]
    assert saved == sorted(saved, reverse=True)
    for word in words.values():
        assert word.pieces == len(encode_texts(tokenizer, [f" {word.text}"])[0]) > 1
        assert word.saved == (word.pieces - 1) * word.count
    assert words["zygote"].count == 10
    assert not words.keys() & {"rarely", "3", "141", "2718", ",", "."}


def test_spellings_that_are_one_to_the_tokenizer_are_one_word(tokenizer):
    words = {word.text: word for word in rank_words(tokenizer, TEXTS, 100).words}
    ids = encode_texts(tokenizer, [" Kühlschmierstoff", " kühlschmierstoff"])
    if ids[0] == ids[1]:
        assert words["Kühlschmierstoff"].count == 12
        assert "kühlschmierstoff" not in words
    else:
        assert words["Kühlschmierstoff"].count == words["kühlschmierstoff"].count == 6


def test_tokens_saved_are_those_that_the_texts_lose(tiny_bert_folder):
    checkpoint = read_checkpoint(tiny_bert_folder)
    suggestions = rank_words(checkpoint.tokenizer, TEXTS, 3)
    words = [word.text for word in suggestions.words]
    grown = add_words(checkpoint, words, policy="float32", seed=1).tokenizer
    before, after = (
        sum(map(len, encode_texts(each, TEXTS))) for each in (checkpoint.tokenizer, grown)
    )
    assert suggestions.tokens == before
    assert before - after == sum(word.saved for word in suggestions.words) > 0


def test_many_unknown_words_are_a_warning():
    warning = "warning: 50.0% of the tokens are words unknown to the tokenizer"
    lines = rank_words(KINDS["bert"](), ["a ᚠᚢᚦ"] * 6, 5).explanation()
    assert any(line.startswith(warning) for line in lines)
    assert "unknown" not in "".join(rank_words(KINDS["bert"](), ["a b"] * 6, 5).explanation())


def test_scripts_without_spaces_are_left_out_and_said(tokenizer):
    suggestions = rank_words(tokenizer, [*["我看了电影"] * 6, *["ฉันกินข้าว"] * 6, *DOMAIN], 100)
    assert all(
        word.text.isascii() or "ü" in word.text or "Ö" in word.text for word in suggestions.words
    )
    said = "of scripts without spaces between words"
    assert any(said in line for line in suggestions.explanation())
    assert not any("scripts" in line for line in rank_words(tokenizer, DOMAIN, 5).explanation())


def settings(folder, path, **changes) -> dict[str, object]:
    return {"train_file": [str(path)], "model_name_or_path": str(folder)} | changes


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(f"{text} {number}" for number, text in enumerate(TEXTS)))
    return path


def test_the_printed_list_is_a_file_of_words(tiny_bert_folder, texts, tmp_path, capsys):
    arguments = ["--train_file", str(texts), "--model_name_or_path", str(tiny_bert_folder)]
    output = tmp_path / "run"
    assert main([*arguments, "--output_dir", str(output), "--suggest_words", "5"]) == 0
    printed = capsys.readouterr()
    words = tmp_path / "words.txt"
    words.write_text(printed.out, encoding="utf-8")
    assert read_words(words)[0] == "watched"
    assert len(read_words(words)) == 5
    assert "5 of them in the vocabulary would save" in printed.err
    assert not output.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["texts.txt", "words.txt"]


def test_the_number_of_training_samples_is_kept_to(tiny_bert_folder, texts):
    config = TrainingConfig(
        **settings(tiny_bert_folder, texts, suggest_words=9, max_train_samples=3)
    )
    assert suggest_words(config).counts.counts["I"] == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_name_or_path": None}, "name its checkpoint as --model_name_or_path"),
        ({"add_words_file": "words.txt"}, "leave out --add_words_file"),
        ({"train_file": [], "token_store": ["store"]}, "leave out --token_store"),
        ({"suggest_words": 0}, "--suggest_words is 0; expected at least 1"),
    ],
)
def test_settings_that_do_not_go_together(changes, message):
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(**settings("demo", "a.txt", suggest_words=5) | changes)


def test_a_training_does_not_ignore_it(tiny_bert_folder, texts, tmp_path):
    config = TrainingConfig(
        **settings(tiny_bert_folder, texts, suggest_words=5, output_dir=str(tmp_path / "run"))
    )
    with pytest.raises(ConfigError, match="suggest_words is set"):
        train(config)
