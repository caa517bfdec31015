"""The end of a run: verdict, words before and after, commands to go on with."""

import shlex

import pytest

from mlm.commands import evaluate, fill, push
from mlm.terminal.tables import PLAIN_WIDTH
from mlm.training.config import TrainingConfig
from mlm.training.outcome import CAN_RECITE, NOTHING_BETTER, outcome_lines, verdict


def figures(perplexity: float, top1: float = 0.454) -> dict[str, float]:
    import math

    loss = math.log(perplexity)
    return {"loss": loss, "perplexity": perplexity, "top1": top1, "top5": 0.7, "num_tokens": 1428}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (18.96, 18.85, "better on held-out texts: perplexity 18.96 -> 18.85, 0.6%; top-1 45.4% ->"),
        (18.96, 18.90, "no better on held-out texts: perplexity 18.96 -> 18.90, 0.3%;"),
        (18.96, 19.00, "no better on held-out texts: perplexity 18.96 -> 19.00, 0.2%;"),
        (18.96, 30.00, "worse on held-out texts: perplexity 18.96 -> 30.00, 58.2%;"),
    ],
)
def test_the_verdict_is_by_the_figures(before, after, said):
    assert verdict(figures(before), figures(after, 0.455), is_new=False).startswith(said)


def test_a_new_model_that_learned_nothing_knew_nothing():
    said = verdict(figures(8000), figures(8000), is_new=True)
    assert "has learned nothing yet" in said and "knew" not in said


def test_a_run_that_diverged_has_a_verdict_of_one_line():
    said = verdict(
        figures(8000), figures(8000) | {"loss": 5000.0, "perplexity": 1e304}, is_new=True
    )
    assert said.startswith("worse on held-out texts: perplexity 8,000.00 -> 1.00e+304, 1.01e+304 ")


def test_initial_weights_that_were_kept_are_not_called_good_enough():
    record = RECORD | {"metrics": {"before": figures(29.0), "after": figures(29.0)}, "best_step": 0}
    config = TrainingConfig(model_name_or_path="demo", load_best_model_at_end=True)
    lines = outcome_lines(config, record, BEFORE)
    assert NOTHING_BETTER in lines and not any("knew the language" in line for line in lines)
    assert NOTHING_BETTER not in outcome_lines(config, record | {"best_step": 4}, BEFORE)


TEXT = "I watched this [MASK] film."
RECORD = {
    "metrics": {"before": figures(29.0), "after": figures(13.5)},
    "examples": [{"text": TEXT, "output": [{"token_str": "good", "score": 0.49}]}],
}
BEFORE = [{"text": TEXT, "output": [{"token_str": "the", "score": 0.71}]}]


def lines_of(config: TrainingConfig) -> list[str]:
    return "\n".join(outcome_lines(config, RECORD, BEFORE)).splitlines()


def commands_in(lines: list[str]) -> list[list[str]]:
    return [shlex.split(line, comments=True) for line in lines if line.startswith("  mlm ")]


def test_the_words_before_and_after_stand_below_each_other():
    lines = lines_of(TrainingConfig(model_name_or_path="demo"))
    start = lines.index(f"best words for {TEXT!r}:")
    assert lines[start + 1 : start + 3] == ["  before: the 71%", "  after:  good 49%"]


def test_each_next_step_is_a_command_that_is_understood():
    steps = commands_in(lines_of(TrainingConfig(output_dir="my runs/x")))
    assert [words[:2] for words in steps] == [
        ["mlm", name] for name in ("fill", "serve", "evaluate", "push")
    ]
    fill_words, serve_words, evaluate_words, push_words = (words[2:] for words in steps)
    given = fill.parse(fill_words)
    assert (given.texts, str(given.model_name_or_path)) == ([TEXT], "my runs/x")
    assert serve_words == ["my runs/x"]
    assert evaluate.parse(evaluate_words).models == ["my runs/x"]
    assert push.parse(push_words).private


def test_what_was_published_is_not_to_be_published_again():
    published = TrainingConfig(push_to_hub=True, hub_model_id="me/x")
    assert CAN_RECITE in lines_of(TrainingConfig())
    assert CAN_RECITE not in lines_of(published)
    assert [words[1] for words in commands_in(lines_of(published))] == ["fill", "serve", "evaluate"]


def test_figures_fit_into_a_log():
    lines = lines_of(TrainingConfig())
    table = lines[1:6]
    assert table[1].split()[-2:] == ["29.00", "13.50"]
    assert max(map(len, table)) <= PLAIN_WIDTH


@pytest.mark.parametrize(("num_tokens", "is_doubted"), [(37, True), (1428, False)])
def test_figures_of_few_tokens_are_doubted(num_tokens, is_doubted):
    after = {**figures(13.5), "num_tokens": num_tokens}
    record = {"metrics": {"before": figures(29.0), "after": after}}
    lines = outcome_lines(TrainingConfig(), record)
    assert any("may be chance" in line for line in lines) == is_doubted
