"""Words for labels: by order, by name, and what is refused."""

import pytest

from mlm.errors import ConfigError
from mlm.finetuning.label_words import describe_label_words, label_words, reversed_argument

LABELS = ("0", "1")


def test_words_in_the_order_of_the_labels():
    assert label_words(["bad, awful", "good"], LABELS) == {"0": ("bad", "awful"), "1": ("good",)}


@pytest.mark.parametrize("given", [["1=good", "0=bad,awful"], ["0=bad,awful", "1=good"]])
def test_words_by_the_name_of_the_label(given):
    found = label_words(given, LABELS)
    assert list(found.items()) == [("0", ("bad", "awful")), ("1", ("good",))]


def test_a_label_may_hold_an_equals_sign():
    assert label_words(["a=b=good", "c=bad"], ("a=b", "c")) == {"a=b": ("good",), "c": ("bad",)}


def test_which_words_stand_for_which_label():
    words = label_words(["good,great", "bad"], LABELS)
    assert describe_label_words(words) == "0 = good, great; 1 = bad"
    assert reversed_argument(words) == "--label_words 0=bad 1=good,great"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ["good"],
            "--label_words has 1 group of words, but the texts have 2 labels (0, 1); give one "
            "group for each, as word,word in that order or as label=word,word",
        ),
        (
            ["0=bad"],
            "--label_words has no words for 1; give label=word,word for each of the labels 0, 1",
        ),
        (
            ["0=bad", "2=good"],
            "--label_words has '2=good', but the texts have no label '2'; they have 0, 1",
        ),
        (
            ["0=bad", "good"],
            "--label_words has 'good' beside '0=bad'; expected label=word,word for each of the "
            "labels 0, 1, or the words only, in that order",
        ),
        (
            ["0=bad", "0=awful", "1=good"],
            "--label_words has the label '0' twice; give all its words at once",
        ),
        (
            ["bad,,awful", "good"],
            "--label_words has an empty word in 'bad,,awful'; expected words with a comma between "
            "them",
        ),
        (["bad,good", "good"], "--label_words has 'good' twice; give each word once"),
    ],
)
def test_refused(given, message):
    with pytest.raises(ConfigError) as error:
        label_words(given, LABELS)
    assert str(error.value) == message
