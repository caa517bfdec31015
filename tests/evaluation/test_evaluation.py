"""Evaluation against a slow, plain computation of the same protocol."""

import csv
import json
import math
import runpy
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub.utils import close_session

from mlm.checkpoint.folder import read_checkpoint
from mlm.checkpoint.tokenizer import encode_texts
from mlm.commands.evaluation_report import evaluation_text
from mlm.data.batches.evaluation_batches import evaluation_batches
from mlm.data.tokens.token_facts import TokenFacts
from mlm.data.tokens.token_store import Split
from mlm.data.tokens.word_boundaries import WordBoundaries
from mlm.errors import ConfigError, CorpusError
from mlm.evaluation.checkpoint_evaluation import (
    Evaluation,
    WordFigures,
    evaluate,
    word_figures_of,
)
from mlm.evaluation.evaluator import (
    Evaluator,
    Figures,
    TargetScores,
    count_batch,
    figures_of,
)
from mlm.evaluation.held_out import HeldOut, resolve_held_out
from mlm.hub import push_checkpoint
from mlm.hub.local import LocalHub
from mlm.terminal.progress import Bar
from mlm.terminal.tables import PLAIN_WIDTH
from mlm.training.config import TrainingConfig
from mlm.training.trainer import train
from tests.support.places import ROOT
from tests.support.script_tokenizers import KINDS
from tests.support.script_tokenizers import TEXTS as SCRIPT_TEXTS
from tests.support.small_models import save_random_checkpoint, small_texts

LENGTH = 20
TEXTS = [
    "I watched this great film. The film was great!",
    "I remembered this clever plot, scene by scene.",
    "unbelievable storytelling, overacted melodrama",  # words of several pieces
    "The moving ending was followed by awful music!",
]


@pytest.fixture(scope="module")
def read(tiny_bert_folder):
    return read_checkpoint(tiny_bert_folder)


@pytest.fixture(scope="module")
def facts(read):
    return TokenFacts.of(read.tokenizer)


def batches_of(read, facts, batch_size: int = 4, **options):
    documents = [[*ids, read.tokenizer.sep_token_id] for ids in encode_texts(read.tokenizer, TEXTS)]
    split = Split(
        np.concatenate([np.array(ids, "int32") for ids in documents]),
        np.cumsum([0, *map(len, documents)]),
    )
    return evaluation_batches(split, facts, max_seq_length=LENGTH, batch_size=batch_size, **options)


@pytest.fixture(scope="module")
def token_batches(read, facts):
    return batches_of(read, facts)


@pytest.fixture(scope="module")
def word_batches(read, facts):
    return batches_of(read, facts, mlm_probability=0.4, whole_word_mask=True)


@pytest.fixture(scope="module")
def token_scores(read, token_batches):
    return Evaluator(read.model, token_batches).target_scores()


@pytest.fixture(scope="module")
def word_scores(read, word_batches):
    return Evaluator(read.model, word_batches).target_scores()


def slow_targets(model, batches):
    """List (row, position, label, cross_entropy, rank) of each target, computed in float64."""
    targets, row = [], 0
    for inputs, labels, weights in batches:
        logits = model(inputs).numpy().astype(np.float64)
        for b in range(len(labels)):
            for p in range(labels.shape[1]):
                if weights[b, p]:
                    line, label = logits[b, p], labels[b, p]
                    cross_entropy = np.log(np.sum(np.exp(line))) - line[label]
                    rank = sorted(-line).index(-line[label])
                    position = inputs["masked_positions"][b, p]
                    targets.append((row, position, label, cross_entropy, rank))
            row += 1
    return targets


def test_token_figures_are_those_of_the_slow_computation(read, token_batches, token_scores):
    targets = slow_targets(read.model, token_batches)
    ranks = [rank for *_, rank in targets]
    figures = figures_of(token_scores)
    assert figures.num_tokens == len(targets) > 10
    assert figures.loss == pytest.approx(np.mean([loss for *_, loss, _ in targets]), rel=1e-5)
    assert figures.top1 == sum(rank == 0 for rank in ranks) / len(ranks)
    assert figures.top5 == sum(rank < 5 for rank in ranks) / len(ranks)
    assert figures.perplexity == pytest.approx(np.exp(figures.loss))
    assert Figures.from_dict(figures.to_dict()) == figures


def test_labels_are_ranked_as_sorting_would(read, token_batches, token_scores):
    targets = slow_targets(read.model, token_batches)
    real = token_scores.weights > 0
    assert token_scores.ranks[real].tolist() == [rank for *_, rank in targets]
    assert len(set(token_scores.ranks[real].tolist())) > 5


def slow_words(targets, word_starts) -> list[list[int]]:
    """List the ranks of each masked word's pieces."""
    words: list[list[int]] = []
    last = (-1, -1)
    for row, position, label, _, rank in targets:
        if (row, position - 1) == last and not word_starts[label]:
            words[-1].append(rank)
        else:
            words.append([rank])
        last = (row, position)
    return words


def test_word_figures_are_those_of_the_slow_computation(read, facts, word_batches, word_scores):
    words = slow_words(slow_targets(read.model, word_batches), facts.words.marked)
    assert max(map(len, words)) > 1
    figures = word_figures_of(word_scores, word_batches, facts.words)
    assert figures.num_words == len(words)
    assert figures.top1 == np.mean([max(ranks) < 1 for ranks in words])
    assert figures.top5 == np.mean([max(ranks) < 5 for ranks in words])


def test_whole_words_are_masked_whole(read, facts, word_batches):
    whole = batches_of(read, facts, mlm_probability=1.0, whole_word_mask=True)
    pieces = {(r, p): label for r, p, label, *_ in slow_targets(read.model, whole)}
    chosen = {(r, p) for r, p, *_ in slow_targets(read.model, word_batches)}
    assert 0 < len(chosen) < len(pieces)
    followers = [
        (place, (place[0], place[1] - 1))
        for place, label in pieces.items()
        if not facts.words.marked[label] and (place[0], place[1] - 1) in pieces
    ]
    assert followers
    assert all((piece in chosen) == (before in chosen) for piece, before in followers)


def test_a_word_is_right_when_all_its_pieces_are():
    # Row 0: a word of two pieces, then one of one piece at the next position; row 1: a piece whose
    # word start was not masked. The other entries are padding.
    words = WordBoundaries.from_spellings(np.array([True, True, False]), [b"a"] * 3)
    labels = np.array([[1, 2, 1, 0], [2, 0, 0, 0]])
    positions = np.array([[3, 4, 5, 0], [6, 0, 0, 0]])
    weights = np.array([[1, 1, 1, 0], [1, 0, 0, 0]])
    inputs = {"masked_positions": positions, "input_ids": np.zeros((2, 8), int)}
    batches = [(inputs, labels, weights)]
    scores = TargetScores(
        cross_entropy=np.zeros((2, 4)),
        ranks=np.array([[0, 3, 0, 0], [7, 0, 0, 0]]),
        weights=weights,
    )
    figures = word_figures_of(scores, batches, words)
    assert (figures.num_words, figures.top1, figures.top5) == (3, 1 / 3, 2 / 3)


def test_neither_the_batch_size_nor_rows_that_fill_it_change_a_figure(
    read, facts, token_batches, token_scores
):
    one_by_one = batches_of(read, facts, batch_size=1)
    filled = batches_of(read, facts, batch_size=16)
    assert len(token_batches) > 1
    assert (len(filled), 16 - filled.num_sequences) == (1, 16 - one_by_one.num_sequences)
    assert filled.num_sequences < 16
    expected = figures_of(token_scores)
    for batches in (one_by_one, filled):
        figures = Evaluator(read.model, batches).figures()
        assert figures.num_tokens == expected.num_tokens
        assert figures.to_dict() == pytest.approx(expected.to_dict(), rel=1e-5)


def test_padding_may_hold_anything():
    scores = TargetScores(
        cross_entropy=np.array([[1.0, np.nan], [3.0, 1e9]]),
        ranks=np.array([[0, 0], [5, 0]]),
        weights=np.array([[1, 0], [1, 0]]),
    )
    assert figures_of(scores) == Figures(loss=2.0, top1=0.5, top5=0.5, num_tokens=2)


def test_without_a_target_there_is_no_figure(facts):
    nothing = TargetScores(np.zeros((1, 2)), np.zeros((1, 2)), np.zeros((1, 2)))
    with pytest.raises(CorpusError, match="no token of the validation texts could be chosen"):
        figures_of(nothing)
    inputs = {name: np.zeros((1, 2), int) for name in ("masked_positions", "input_ids")}
    batch = (inputs, np.zeros((1, 2), int), np.zeros((1, 2), int))
    assert word_figures_of(nothing, [batch], facts.words).num_words == 0


def test_the_time_left_does_not_count_the_compilation():
    bar = Bar("measuring", total=5, started=time.monotonic() - 100, note="compiling")
    count_batch(bar)
    assert (bar.note, bar.seconds_left()) == ("", None)
    bar.started -= 4
    count_batch(bar)
    assert bar.seconds_left() == pytest.approx(12, abs=0.5)


@pytest.fixture
def texts_csv(tmp_path):
    return write_texts(tmp_path / "texts.csv", TEXTS)


def write_texts(path: Path, texts: list[str], column: str = "text") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["title", column], *(["A title", text] for text in texts)])
    return path


def test_evaluate_measures_a_folder_on_a_file(tiny_bert_folder, texts_csv, read, facts):
    measured = evaluate(
        tiny_bert_folder, [str(texts_csv)], max_seq_length=LENGTH, per_device_eval_batch_size=4
    )
    expected = Evaluator(read.model, batches_of(read, facts)).figures()
    assert measured.tokens.to_dict() == pytest.approx(expected.to_dict(), rel=1e-6)
    assert 0 < measured.words.num_words < measured.tokens.num_tokens
    assert measured.recorded_loss is None


def test_a_length_beyond_the_models_positions_is_refused(tiny_bert_folder, texts_csv):
    with pytest.raises(
        ConfigError,
        match=r"--max_seq_length is 65, but .* takes at most 64 tokens; give",
    ):
        evaluate(tiny_bert_folder, [str(texts_csv)], max_seq_length=65)


def test_a_file_without_a_text_is_refused(tiny_bert_folder, tmp_path):
    (tmp_path / "empty.csv").write_text("text\n\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"no text to measure on in .*empty\.csv"):
        evaluate(tiny_bert_folder, [str(tmp_path / "empty.csv")], max_seq_length=LENGTH)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give either --validation_file, or --train_file"),
        ({"validation_file": ["a.csv"], "train_file": ["b.csv"]}, "give either"),
        ({"validation_file": ["a.csv"], "validation_split_percentage": 5}, "leave it out"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        resolve_held_out(None, **settings)


# The figures of a run, measured again ------------------------------------------------------------

NOTHING_LIKE_THE_DEFAULTS = {
    "line_by_line": True,
    "text_column": "review",
    "encoding": "utf-16",
    "max_eval_samples": 40,
    "per_device_eval_batch_size": 7,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_bert_folder):
    """A function that trains briefly on texts in UTF-16: run(**settings) -> (result, files)."""

    def go(**settings):
        folder = tmp_path_factory.mktemp("run")
        texts = small_texts()
        files = {}
        for name, some in {
            "train": texts,
            "held_out": [*texts[::6], "Only here.", texts[0]],
        }.items():
            path = write_texts(folder / f"{name}.csv", some, column="review")
            path.write_text(path.read_text(encoding="utf-8"), encoding="utf-16")
            files[name] = str(path)
        by_file = settings.pop("by_file")
        config = TrainingConfig(
            train_file=[files["train"]],
            validation_file=[files["held_out"]] if by_file else [],
            validation_split_percentage=20,
            output_dir=str(folder / "model"),
            model_name_or_path=str(tiny_bert_folder),
            max_seq_length=20,
            max_steps=3,
            learning_rate=1e-3,
            **(NOTHING_LIKE_THE_DEFAULTS | settings),
        )
        return train(config, report=lambda line: None), files

    return go


@pytest.fixture(scope="module")
def by_file(run):
    return run(by_file=True, precision="fp32")


def test_the_runs_own_file_gives_the_runs_own_figures(by_file):
    result, files = by_file
    measured = evaluate(result.folder, [files["held_out"]])
    assert measured.tokens == result.after
    assert measured.tokens != result.before
    assert measured.recorded_loss == result.after.loss
    assert result.after.to_dict() == result.training["metrics"]["after"]
    assert result.training["validation_curve"][-1] == [3, round(measured.tokens.loss, 5)]


def test_the_name_of_the_file_does_not_matter_but_its_content_does(by_file, tmp_path):
    result, files = by_file
    copy = tmp_path / "another name.csv"
    copy.write_bytes(Path(files["held_out"]).read_bytes())
    assert evaluate(result.folder, [str(copy)]).tokens == result.after
    other = write_texts(tmp_path / "other.csv", TEXTS)
    measured = evaluate(result.folder, [str(other)])
    assert measured.held_out == HeldOut(
        (str(other),),
        validation_split_percentage=20,  # has no effect here
        max_seq_length=20,
        line_by_line=True,
    )
    assert measured.recorded_loss is None


def test_a_given_setting_replaces_the_recorded_one(by_file):
    result, files = by_file
    packed = evaluate(result.folder, [files["held_out"]], line_by_line=False, max_seq_length=16)
    assert (packed.held_out.line_by_line, packed.held_out.max_seq_length) == (False, 16)
    assert packed.held_out.max_eval_samples == 40
    assert packed.tokens != result.after
    assert packed.recorded_loss is None


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with LocalHub(tmp_path / "hub", token="hf_of_the_evaluation") as local:
        monkeypatch.setenv("HF_ENDPOINT", local.url)
        monkeypatch.setenv("HF_TOKEN", "hf_of_the_evaluation")
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        yield
        close_session()


def test_what_was_published_gives_the_same_figures_to_the_last_digit(by_file, hub):
    result, files = by_file
    push_checkpoint(result.folder, "me/measured")
    pulled = evaluate("me/measured", [files["held_out"]])
    assert pulled.tokens == result.after
    assert pulled.words == evaluate(result.folder, [files["held_out"]]).words


@pytest.fixture(scope="module")
def by_percentage(run):
    """A run with packed sequences and weights that are saved in float16."""
    return run(by_file=False, precision="bf16", save_dtype="float16", line_by_line=False)


@pytest.mark.slow
def test_the_split_is_found_again_from_the_training_file(by_percentage):
    result, files = by_percentage
    measured = evaluate(result.folder, train_file=[files["train"]])
    assert measured.held_out.precision == "bf16"
    assert measured.tokens.num_tokens == result.after.num_tokens
    assert measured.recorded_loss == result.after.loss
    # The run measured the weights before it rounded them.
    assert measured.tokens.loss == pytest.approx(result.after.loss, rel=2e-3)
    share = evaluate(result.folder, train_file=[files["train"]], validation_split_percentage=5)
    assert share.tokens.num_tokens < result.after.num_tokens
    assert share.held_out.encoding == "utf-16"
    assert share.recorded_loss is None


ON_TWO_DEVICES = """
import json, sys
sys.path.insert(0, {root!r})
from tests.support.replica_run import prepare
prepare("tensorflow")
from mlm.backend.devices import choose_device
from mlm.backend.startup import load_backend
load_backend()
from mlm import evaluate
figures = evaluate({folder!r}, [{file!r}]).tokens.to_dict()
print(json.dumps([choose_device("fp32").num_replicas, figures]))
"""


@pytest.mark.slow
def test_two_replicas_give_the_figures_of_one(by_file):
    result, files = by_file
    code = ON_TWO_DEVICES.format(folder=str(result.folder), file=files["held_out"], root=str(ROOT))
    ended = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, timeout=200
    )
    replicas, figures = json.loads(ended.stdout)
    assert replicas == 2
    assert figures == pytest.approx(result.after.to_dict(), rel=1e-6)


def test_a_record_of_the_wrong_shape_counts_as_absent(by_file, tmp_path):
    files = {"validation_file": [by_file[1]["held_out"]]}
    expected = (HeldOut(**files), None)
    for absent in (None, {}, [1]):
        assert resolve_held_out(absent, **files) == expected
    torn = {"config": {"max_seq_length": "long", "line_by_line": 1}, "corpus": 3, "hardware": []}
    assert resolve_held_out(torn, **files) == expected


def test_a_recorded_format_that_this_hardware_lacks_is_replaced_but_a_given_one_is_not(
    by_file, tmp_path
):
    result, files = by_file
    copy = shutil.copytree(result.folder, tmp_path / "copy")
    record = json.loads((copy / "training.json").read_text(encoding="utf-8"))
    record["hardware"]["policy"] = "mixed_float16"
    (copy / "training.json").write_text(json.dumps(record), encoding="utf-8")
    assert evaluate(copy, [files["held_out"]]).held_out.precision == "fp32"
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):
        evaluate(copy, [files["held_out"]], precision="fp16")


def test_the_script_prints_the_runs_figures(by_file, capsys):
    result, files = by_file
    main = runpy.run_path(str(ROOT / "scripts" / "evaluate.py"))["main"]
    assert main([str(result.folder), "--validation_file", files["held_out"]]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= PLAIN_WIDTH
    texts, first, figures, *_, last = out.replace("\n  ", " ").splitlines()
    assert " rows read from 1 file (column " in texts
    assert first.endswith("sequences of 20 tokens, one document each, 40 at most, fp32")
    assert figures == (
        f"masked-token perplexity {result.after.perplexity:.2f} (loss {result.after.loss:.4f} nats)"
    )
    assert last == f"training.json has a loss of {result.after.loss:.4f} for the same texts"
    assert main([str(result.folder), "--train_file", "no/such.csv"]) == 2
    assert "no/such.csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "kind"),
    [("Thai", "wordpiece"), ("Chinese", "byte-level of English"), ("Japanese", "unigram")],
)
def test_whole_words_of_scripts_without_spaces_are_measured(tmp_path, script, kind, capsys):
    """All of a text was one word, which never fitted: the figures were not numbers."""
    tokenizer = KINDS[kind](SCRIPT_TEXTS[script])
    folder = save_random_checkpoint(tmp_path / "model", tokenizer, "bert", num_hidden_layers=1)
    rng = np.random.default_rng(0)
    texts = ("".join(rng.permutation(SCRIPT_TEXTS[script])) for _ in range(30))
    (tmp_path / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    found = evaluate(folder, [str(tmp_path / "texts.txt")], max_seq_length=64)
    assert found.words.num_words > 5
    assert 0 <= found.words.top1 <= found.words.top5 <= 1
    # As many words as single tokens, if a word is one; a third, if it is the three bytes of one,
    # or less, because the last word of a sequence may not fit.
    share = found.words.num_words / found.tokens.num_tokens
    assert 0.2 < share < 0.4 if kind == "byte-level of English" else 0.6 < share < 1.1
    print(evaluation_text(found))
    assert "nan" not in capsys.readouterr().out


def test_texts_too_few_for_a_whole_word_are_said(token_scores, capsys):
    none = WordFigures(math.nan, math.nan, 0)
    print(evaluation_text(Evaluation(figures_of(token_scores), none, HeldOut(), None)))
    printed = capsys.readouterr().out
    assert "whole words:   none was masked in so few texts; give more\n" in printed
    assert "nan" not in printed
