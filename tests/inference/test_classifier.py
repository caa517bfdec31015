"""Classifier against the pipelines of transformers: same answers, in the same shape."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import transformers

from mlm.checkpoint.families import FAMILIES
from mlm.checkpoint.task import Task
from mlm.errors import CheckpointError, ConfigError, HubError, InputError
from mlm.hub import push_checkpoint
from mlm.hub.pull import is_classifier
from mlm.inference.classifier import Classifier
from mlm.inference.engines import litert
from mlm.inference.entities import STRATEGIES
from mlm.inference.fill_mask import FillMask
from tests.support.places import ROOT
from tests.support.served_hub import REPO, TOKEN, Plan, served_hub
from tests.support.small_classifiers import SENTIMENT, TAGS, save_classifier
from tests.support.sweeps import sweep

TEXTS = [
    "The quick brown film jumps over the lazy movie, quickly.",
    "judge my vow",
    "",
    "Sphinx of black quartz: judge my vow (film), judge the jumping dogs 1 2 3, judge the films!",
]
PAIR = {"text": "The quick film", "text_pair": "was a boring story"}
TOLERANCE = 1e-5
CASES = [(family, {}) for family in FAMILIES] + [("modernbert", {"classifier_pooling": "mean"})]
QUICK = [case for case in CASES if case[0] in ("bert", "modernbert", "roberta")]
EACH_CASE = pytest.mark.parametrize(
    "case", sweep([pytest.param(case, id=" ".join(map(str, case))) for case in CASES], QUICK)
)
EACH_ENGINE = pytest.mark.parametrize("engine", ["keras", "auto"])


def text_pipeline(folder: Path):
    theirs = transformers.pipeline("text-classification", model=str(folder), device="cpu")
    return lambda text: theirs(text, top_k=None, truncation=True)


def token_pipeline(folder: Path):
    theirs = transformers.pipeline("token-classification", model=str(folder), device="cpu")
    return lambda text, strategy: theirs(text, aggregation_strategy=strategy)


def training(truncation: str = "head", length: int = 16, **task: object) -> dict:
    return {"task": {"truncation": truncation, "max_seq_length": length, **task}}


def assert_same(ours: list[dict], theirs: list[dict], tolerance: float = TOLERANCE) -> None:
    """Compare two answers; scores to the tolerance, all else exactly."""
    names = [[{**label, "score": None} for label in answer] for answer in (ours, theirs)]
    assert names[0] == names[1]
    scores = [[label["score"] for label in answer] for answer in (ours, theirs)]
    np.testing.assert_allclose(*scores, rtol=0, atol=tolerance)


@pytest.fixture(scope="module")
def sentiment(tmp_path_factory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("sentiment"))


@pytest.fixture(scope="module")
def tags(tmp_path_factory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("tags"), task=TAGS)


# the pipelines


@EACH_CASE
def test_texts_and_pairs_have_the_labels_of_the_pipeline(case, tmp_path):
    family, changes = case
    folder = save_classifier(tmp_path, family, **changes)
    theirs = text_pipeline(folder)
    expected = [theirs(text) for text in [*TEXTS, PAIR]]
    for engine in ("keras", "auto"):
        classifier = Classifier.from_pretrained(folder, engine=engine)
        assert classifier.engine.kind.startswith(engine_of(family, engine))
        together = classifier([*TEXTS, PAIR])
        for text, ours, other in zip([*TEXTS, PAIR], together, expected, strict=True):
            assert_same(ours, other)
            assert_same(classifier(text), other)
    assert [*expected[0][0]] == ["label", "score"]


def engine_of(family: str, engine: str) -> str:
    is_fast = engine == "auto" and family != "deberta-v2" and litert.is_installed()
    return "LiteRT, float32" if is_fast else "Keras"


@pytest.mark.filterwarnings("ignore:Tokenizer does not support real words")
@EACH_CASE
def test_words_have_the_entities_of_the_pipeline(case, tmp_path):
    family, changes = case
    folder = save_classifier(tmp_path, family, TAGS, **changes)
    answers = {
        engine: Classifier.from_pretrained(folder, engine=engine) for engine in ("keras", "auto")
    }
    theirs = token_pipeline(folder)
    for strategy in STRATEGIES:
        for text in filter(None, TEXTS):
            expected = theirs(text, strategy)
            for classifier in answers.values():
                assert_same(classifier(text, aggregation_strategy=strategy), expected)


@EACH_ENGINE
@pytest.mark.parametrize(
    ("task", "stated"),
    [
        (
            Task("multi_label_classification", ("warm", "rainy", "cold")),
            "multi_label_classification",
        ),
        (Task("regression", ("stars",)), "regression"),
        (Task("regression", ("stars",)), None),
        (SENTIMENT, None),
    ],
)
def test_scores_are_what_the_problem_type_says(task, stated, engine, tmp_path):
    folder = save_classifier(tmp_path, task=task)
    change_config(folder, problem_type=stated)
    classifier = Classifier.from_pretrained(folder, engine=engine)
    theirs = text_pipeline(folder)
    for text in TEXTS[:2]:
        assert_same(classifier(text), theirs(text))
    assert classifier.gives_probabilities == (stated != "regression")


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_top_k_labels_are_the_best(sentiment):
    classifier = Classifier.from_pretrained(sentiment)
    everything = classifier(TEXTS[0])
    assert classifier(TEXTS[0], top_k=2) == everything[:2]
    assert classifier(TEXTS[0], top_k=99) == everything
    assert sum(label["score"] for label in everything) == pytest.approx(1)
    assert [label["score"] for label in everything] == sorted(
        (label["score"] for label in everything), reverse=True
    )


def test_labels_may_have_any_names(tmp_path):
    names = ("=1+1", "<b>|&", "O", "B-", "电影 🙂")
    folder = save_classifier(tmp_path, task=Task("single_label_classification", names))
    found = Classifier.from_pretrained(folder)(TEXTS[0])
    assert_same(found, text_pipeline(folder)(TEXTS[0]))
    assert {label["label"] for label in found} == set(names)


def test_tags_may_have_any_names(tmp_path):
    folder = save_classifier(
        tmp_path, task=Task("token_classification", ("B-O", "New-York", "S-é", "I-", "-"))
    )
    classifier, theirs = Classifier.from_pretrained(folder), token_pipeline(folder)
    for strategy in STRATEGIES:
        assert_same(
            classifier(TEXTS[0], aggregation_strategy=strategy),
            theirs(TEXTS[0], strategy),
        )


# int8


@pytest.mark.skipif(not litert.is_installed(), reason="LiteRT is not installed")
@EACH_CASE
def test_int8_answers_nearly_as_well(case, tmp_path):
    family, changes = case
    if family == "deberta-v2":
        pytest.skip("LiteRT has no graph for DeBERTa")
    folder = save_classifier(tmp_path, family, **changes)
    exact = Classifier.from_pretrained(folder)
    small = Classifier.from_pretrained(folder, dtype="int8")
    assert small.engine.kind == "LiteRT, weights in 8 bits"
    differences = [
        abs(one["score"] - {each["label"]: each["score"] for each in ours}[one["label"]])
        for theirs, ours in zip(exact([*TEXTS, PAIR]), small([*TEXTS, PAIR]), strict=True)
        for one in theirs
    ]
    print(f"{family}, {changes}: int8 differs by {max(differences):.1e}")
    assert 0 < max(differences) < 0.2  # random weights of 32 dimensions; see docs/benchmarks.md


# what is read of a text


@pytest.mark.parametrize(
    ("truncation", "kept"),
    [("head", "its beginning"), ("tail", "its end"), ("head_tail", "its beginning and its end")],
)
def test_a_long_text_is_cut_as_in_its_training(truncation, kept, tmp_path):
    folder = save_classifier(tmp_path, training=training(truncation, 12))
    classifier = Classifier.from_pretrained(folder)
    words = ["judge", "my", "vow", "the", "film"] * 4
    ids = classifier.checkpoint.tokenizer(" ".join(words), add_special_tokens=False)["input_ids"]
    at = {"head": (10, 0), "tail": (0, 10), "head_tail": (3, 7)}[truncation]
    expected = [*ids[: at[0]], *ids[len(ids) - at[1] :]]
    (read,) = classifier.reader.read_texts([" ".join(words)])
    assert read.question.input_ids[1:-1] == expected
    found = classifier.classify(" ".join(words))
    assert found.num_tokens == 12
    assert found.note == (
        f"{len(ids) - 10} of {len(ids)} tokens were left out: the model reads 12, special ones "
        f"included; of a longer text {kept}."
    )
    assert classifier.classify("judge my vow").note is None
    assert (classifier.truncation, classifier.max_length) == (truncation, 12)


def test_without_a_record_a_text_is_cut_as_the_pipeline_cuts_it(sentiment):
    classifier = Classifier.from_pretrained(sentiment)
    assert (classifier.truncation, classifier.max_length) == ("head", 32)
    text = " ".join(TEXTS) * 40
    assert_same(classifier(text), text_pipeline(sentiment)(text))
    assert "tokens were left out" in classifier.classify(text).note


def test_a_very_long_text_is_cut_and_a_longer_one_refused(sentiment):
    classifier = Classifier.from_pretrained(sentiment)
    assert classifier.classify("film " * 100_000).num_tokens == 32
    with pytest.raises(InputError, match="1,000,001 characters; at most 1,000,000 are read"):
        classifier("a" * 1_000_001)


@pytest.mark.parametrize(
    "record",
    [
        {"task": "sentiment"},
        {"task": {"truncation": ["head"], "max_seq_length": True}},
        {"task": {"truncation": "middle", "max_seq_length": 2}, "config": []},
        {"task": {"truncation": None, "max_seq_length": 10**9}, "config": {"clean_html": 1}},
    ],
)
def test_a_record_that_cannot_be_right_is_not_followed(record, tmp_path):
    classifier = Classifier.from_pretrained(save_classifier(tmp_path, training=record))
    assert (classifier.truncation, classifier.max_length) == ("head", 32)
    assert len(classifier("a film")) == 3


def test_html_is_removed_as_in_training(tmp_path, sentiment):
    trained_here = Classifier.from_pretrained(save_classifier(tmp_path, training=training()))
    found = trained_here.classify("judge<br />my\n vow")
    assert found.note == "Its HTML was removed, as in training."
    assert found.labels == trained_here.classify("judge my vow").labels
    elsewhere = Classifier.from_pretrained(sentiment)
    assert elsewhere.classify("judge<br />my vow").note is None
    assert elsewhere("judge<br />my vow") != elsewhere("judge my vow")


def test_an_empty_text_and_one_of_unknown_words_say_so(sentiment, tags):
    classifier = Classifier.from_pretrained(sentiment)
    assert classifier.classify(" ").note.startswith("The text is empty")
    assert classifier.classify("😀 😀").note == "The model knows no word of this text."
    for engine in ("auto", "keras"):
        of_words = Classifier.from_pretrained(tags, engine=engine).classify("")
        assert (of_words.labels, of_words.num_tokens) == ([], 2)


def test_a_pair_for_a_model_of_single_texts_is_noted(tmp_path):
    folder = save_classifier(tmp_path, training=training(is_of_pairs=False))
    found = Classifier.from_pretrained(folder).classify(PAIR)
    assert found.note == "The model was trained on single texts, and was given two."
    assert (found.text, found.text_pair) == tuple(PAIR.values())
    save_classifier(folder, training=training(is_of_pairs=True))
    found = Classifier.from_pretrained(folder).classify("one")
    assert found.note == "The model was trained on pairs of texts, and was given one."


def test_a_special_token_in_a_text_is_read_as_its_letters(sentiment):
    classifier = Classifier.from_pretrained(sentiment)
    (read,) = classifier.reader.read_texts(["my [SEP] vow"])
    assert read.question.input_ids.count(classifier.checkpoint.tokenizer.sep_token_id) == 1


def test_characters_are_those_of_the_users_text(tags):
    classifier = Classifier.from_pretrained(tags)
    decomposed = "nai\u0308ve cafe\u0301, judge"
    found = classifier(decomposed, aggregation_strategy="none")
    composed = classifier("naïve café, judge", aggregation_strategy="none")
    assert [each["word"] for each in found] == [each["word"] for each in composed]
    assert found[-1]["end"] <= len(decomposed)
    assert all(decomposed[each["start"] : each["end"]].strip() for each in found)


# what is refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (7, "of type int; expected a string"),
        (None, "of type NoneType"),
        ("half \ud83d", "half a character"),
        ({"text": "a", "pair": "b"}, 'has the keys "text" and "text_pair"; received pair, text'),
        ({"text_pair": "b"}, "received text_pair"),
        ({"text": 7, "text_pair": "b"}, "of type int"),
        (["a", 7], "Text 2 of 2: The text is of type int"),
    ],
)
def test_what_is_not_a_text_is_refused(text, said, sentiment):
    with pytest.raises(InputError, match=said):
        Classifier.from_pretrained(sentiment)(text)


def test_arguments_of_the_other_kind_are_refused(sentiment, tags):
    of_texts, of_words = (Classifier.from_pretrained(folder) for folder in (sentiment, tags))
    with pytest.raises(ConfigError, match="aggregation_strategy is for classifiers of words"):
        of_texts("a", aggregation_strategy="first")
    with pytest.raises(ConfigError, match="top_k is for classifiers of whole texts"):
        of_words("a", top_k=1)
    with pytest.raises(ConfigError, match="expected one of none, simple, first, average, max"):
        of_words("a", aggregation_strategy="best")
    with pytest.raises(InputError, match="labels the words of one text"):
        of_words(PAIR)
    for top_k in (0, 1.5, True):
        with pytest.raises(InputError, match="expected a whole number from 1"):
            of_texts("a", top_k=top_k)
    assert of_texts([]) == of_words([]) == []


def test_an_unknown_engine_is_refused(sentiment):
    with pytest.raises(ConfigError, match="expected one of"):
        Classifier.from_pretrained(sentiment, engine="torch")


def test_a_model_that_is_not_a_classifier_is_refused_in_one_line(tiny_bert_folder):
    with pytest.raises(CheckpointError) as refused:
        Classifier.from_pretrained(tiny_bert_folder)
    name = "/".join(tiny_bert_folder.parts[-2:])
    assert str(refused.value) == (
        f"{name} is not a classifier: its config.json names BertForMaskedLM; train one from it "
        "first, with mlm finetune"
    )
    with pytest.raises(HubError, match="names no checkpoint"):
        Classifier.from_pretrained("")


def test_a_classifier_fills_no_masks(sentiment):
    with pytest.raises(CheckpointError, match="is a classifier, which fills no masks"):
        FillMask.from_pretrained(sentiment)


def test_a_diverged_model_says_so(tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = save_classifier(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.bias"] = tensors["classifier.bias"] * np.float32(np.nan)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="not finite"):
        Classifier.from_pretrained(folder)("a film")


@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")
def test_it_is_pulled_from_the_hub_at_a_commit_and_with_a_visitors_token(
    sentiment, tmp_path, monkeypatch
):
    expected = Classifier.from_pretrained(sentiment)(TEXTS[0])
    with served_hub(tmp_path, monkeypatch, Plan()):
        published = push_checkpoint(sentiment, REPO)
        pulled = Classifier.from_pretrained(f"{REPO}@main")
        assert (pulled.name, pulled.revision) == (REPO, published.commit)
        assert pulled.url.endswith(f"/{REPO}/tree/{published.commit}")
        assert pulled(TEXTS[0]) == expected
        assert is_classifier(REPO) and is_classifier(f"{REPO}@{published.commit}")
        assert Classifier.from_hub(REPO, TOKEN)(TEXTS[0]) == expected
        with pytest.raises(HubError):
            Classifier.from_pretrained("me/nothing")


# how it runs


def test_threads_get_their_own_answers(sentiment):
    classifier = Classifier.from_pretrained(sentiment)
    expected = {text: classifier(text) for text in TEXTS}
    wrong: list[str] = []

    def ask(text: str) -> None:
        wrong.extend(text for _ in range(20) if classifier(text) != expected[text])

    threads = [threading.Thread(target=ask, args=(text,)) for text in TEXTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif(not litert.is_installed(), reason="LiteRT is not installed")
def test_it_starts_without_tensorflow_keras_and_pandas(sentiment, tmp_path):
    code = (
        "import sys\n"
        "from mlm import Classifier\n"
        f"Classifier.from_pretrained({str(sentiment)!r})('a story')\n"
        "heavy = {'tensorflow', 'keras', 'jax', 'pandas', 'sklearn', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    environment = os.environ | {"HF_ASSETS_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.skipif(not litert.is_installed(), reason="LiteRT is not installed")
def test_a_head_is_a_part_of_the_conversions_key(tmp_path):
    from mlm.inference.engines.choice import open_task_with_engine

    cache = tmp_path / "cache"
    first = save_classifier(tmp_path / "model", "modernbert")
    open_task_with_engine(first, cache=cache)
    change_config(first, classifier_pooling="mean")
    open_task_with_engine(first, cache=cache)
    assert len(list(cache.glob("*/head.tflite"))) == 2
