"""`mlm evaluate`: one model or several, as text and as JSON."""

import dataclasses
import json

import pytest

from mlm.commands.evaluate import main
from mlm.commands.evaluation_report import (
    comparison_text,
    evaluation_json,
    evaluation_text,
    verdict_text,
)
from mlm.evaluation.checkpoint_evaluation import Evaluation, WordFigures, evaluate
from mlm.evaluation.evaluator import Figures
from mlm.evaluation.held_out import HeldOut
from mlm.evaluation.model_comparison import Comparison, ModelFigures, Verdict
from tests.support.small_models import small_texts


@pytest.fixture(scope="module")
def texts_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("\n".join(small_texts()[::16]), encoding="utf-8")
    return str(path)


def figures(name: str, nats: float) -> ModelFigures:
    return ModelFigures(name, Figures(2.0, 0.5, 0.75, 100), WordFigures(0.3, 0.4, 90), nats)


def comparison(verdict: Verdict, *more: ModelFigures, **facts) -> Comparison:
    known = {"num_left_out": 0, "same_vocabulary": True} | facts
    models = [figures("a", 1.0), figures("b", 0.9), *more]
    return Comparison(HeldOut(("x.csv",)), 7, 90, 400, models=models, verdict=verdict, **known)


def test_two_models_are_shown_side_by_side(texts_file, tiny_bert_folder, capsys):
    command = ["demo", str(tiny_bert_folder), "--validation_file", texts_file]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [model["model"] for model in found["models"]] == ["demo", str(tiny_bert_folder)]
    assert found["verdict"]["best"] == "demo" and found["verdict"]["is_clear"]
    assert main(command) == 0
    printed = capsys.readouterr()
    table = {line.split("  ")[0]: line.split()[-2:] for line in printed.out.splitlines()}
    assert table["bits a character"] == [
        f"{model['bits_per_character']:.4f}" for model in found["models"]
    ]
    assert table["perplexity"] == [
        f"{model['tokens']['perplexity']:,.2f}" for model in found["models"]
    ]
    assert f"{found['num_words']:,} words" in " ".join(printed.out.split())
    assert printed.err.startswith(f"measuring demo, {tiny_bert_folder} on {texts_file}\n")


def test_one_model_gives_the_figures_of_the_api_as_json(texts_file, tiny_bert_folder, capsys):
    command = [str(tiny_bert_folder), "--validation_file", texts_file, "--max_seq_length", "32"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    measured = evaluate(tiny_bert_folder, [texts_file], max_seq_length=32)
    assert found["tokens"] == measured.tokens.to_dict()
    assert found["words"] == dataclasses.asdict(measured.words)
    assert found["settings"]["max_seq_length"] == 32


def test_figures_of_no_word_are_null():
    nothing = WordFigures(float("nan"), float("nan"), 0)
    measured = Evaluation(Figures(2.0, 0.5, 0.75, 100), nothing, HeldOut(("x.csv",)), None)
    words = json.loads(evaluation_json("a", measured))["words"]
    assert words == {"top1": None, "top5": None, "num_words": 0}


@pytest.mark.parametrize(("count", "is_doubted"), [(499, True), (500, False)])
def test_figures_of_few_tokens_are_doubted(count, is_doubted):
    measured = Evaluation(
        Figures(2.0, 0.5, 0.75, count), WordFigures(0.3, 0.4, 90), HeldOut(("x.csv",)), None
    )
    assert ("may be chance" in evaluation_text(measured)) == is_doubted


@pytest.mark.parametrize(
    ("error", "documents", "opening", "end"),
    [
        (0.02, 300, "b is better than a: 1.2984 against 1.4427 bits a character", "7.2 times its"),
        (0.1, 300, "No clear winner: b has 1.2984 against 1.4427", "300 documents, 2 times would"),
        (0.02, 2, "No clear winner: ", "7.2 times its standard error over documents, 0.0200; with"),
        (None, 1, "No clear winner: ", "it cannot be said how sure that is."),
    ],
)
def test_the_verdict_says_by_how_much_and_how_sure(error, documents, opening, end):
    text = verdict_text(comparison(Verdict("b", "a", 0.1443, error, documents)))
    assert text.startswith(opening) and end in text


def test_with_three_models_the_next_best_is_named():
    verdict = Verdict("b", "a", 0.1443, 0.02, 300)
    assert "a is the next best" in verdict_text(comparison(verdict, figures("c", 2.0)))


def test_what_cannot_be_compared_and_what_was_left_out_is_said():
    verdict = Verdict("b", "a", 0.1443, 0.02, 300)
    plain = " ".join(comparison_text(comparison(verdict)).split())
    assert "different vocabularies" not in plain and "left out" not in plain
    text = comparison_text(comparison(verdict, num_left_out=12, same_vocabulary=False))
    assert max(map(len, text.splitlines())) <= 80
    assert "different vocabularies" in text
    assert "12 more, which the tokenizers do not spell alike" in " ".join(text.split())
