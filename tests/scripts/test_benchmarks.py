"""The benchmarks' comparisons, and the quality of the bundled model with 8-bit weights."""

import ast
import re
import subprocess
import sys

import pytest

from tests.support.places import ROOT

BENCHMARKS = ROOT / "scripts" / "benchmarks"


@pytest.fixture
def rows(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import rows

    return rows


def answer(tokens: list[int], scores: list[float]) -> dict[str, list]:
    return {"token": tokens, "score": scores}


def test_other_words_or_scores_are_not_the_same(rows):
    theirs = [answer([1, 2, 3, 4, 5], [0.3, 0.2, 0.1, 0.1, 0.1])]
    similar = [answer([1, 2, 3, 9, 8], [0.3, 0.21, 0.1, 0.1, 0.1])]
    fewer_common = [answer([1, 2, 7, 9, 8], [0.3, 0.2, 0.1, 0.1, 0.1])]
    surer = [answer([1, 2, 3, 4, 5], [0.6, 0.2, 0.1, 0.1, 0.1])]
    assert rows.same_words(similar, theirs) and rows.same_words(theirs, theirs)
    assert not rows.same_words(fewer_common, theirs) and not rows.same_words(surer, theirs)
    assert rows.exactly_the_same_words(theirs, theirs)
    assert not rows.exactly_the_same_words(similar, theirs)
    with pytest.raises(ValueError):
        rows.same_words(theirs, [])


def test_both_sides_have_to_learn_the_same_amount(rows):
    assert rows.both_learn([10.4, 10.0], [10.4, 10.1])
    assert not rows.both_learn([10.4, 10.0], [10.4, 10.4])
    assert not rows.both_learn([10.4, 9.0], [10.4, 10.0])


def test_operations_by_hand(rows):
    per_layer = 2 * 12 * 8 * 8 + 4 * 5 * 8  # products with weights, and with other tokens
    per_mask = 2 * 8 * (8 + rows.VOCABULARY_SIZE)
    assert rows.operations((2, 8), 3, 5, 1) == 3 * (5 * 2 * per_layer + per_mask)


def test_each_task_of_the_peers_is_a_function_of_its_module(rows):
    import peers

    assert {row.peer for row in rows.ROWS.values()} | {"product_peak"} <= peers.MODULES.keys()
    for task, module in peers.MODULES.items():
        tree = ast.parse((BENCHMARKS / "peer" / f"{module}.py").read_text(encoding="utf-8"))
        assert task in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.slow
def test_8_bits_cost_no_quality(shared_data):
    """docs/engine.md has the figures of all sequences of these reviews; these are the first 256."""
    program = [sys.executable, str(BENCHMARKS / "engine_quality.py"), "demo"]
    texts = str(shared_data / "imdb" / "test_4k.csv.gz")
    command = [*program, texts, "--max_eval_samples", "256"]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    found = {
        engine: (float(perplexity), float(same), int(count.replace(",", "")))
        for engine, perplexity, same, count in re.findall(
            r"^(.+): perplexity ([\d.]+), .* the same first in ([\d.]+)% of ([\d,]+)$", output, re.M
        )
    }
    float32, int8 = found["Keras, float32"], found["LiteRT, weights in 8 bits"]
    assert float32[2] == int8[2] > 4000
    assert float32[1] == 100
    assert int8[0] <= 1.01 * float32[0]
    assert int8[1] >= 97
