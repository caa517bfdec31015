"""What the benchmarks call the same, and what 8 bits cost the bundled model."""

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


def test_other_words_and_other_shares_are_not_the_same(rows):
    theirs = [answer([1, 2, 3, 4, 5], [0.3, 0.2, 0.1, 0.1, 0.1])]
    alike = [answer([1, 2, 3, 9, 8], [0.3, 0.21, 0.1, 0.1, 0.1])]
    fewer = [answer([1, 2, 7, 9, 8], [0.3, 0.2, 0.1, 0.1, 0.1])]
    surer = [answer([1, 2, 3, 4, 5], [0.6, 0.2, 0.1, 0.1, 0.1])]
    assert rows.same_words(alike, theirs) and rows.same_words(theirs, theirs)
    assert not rows.same_words(fewer, theirs) and not rows.same_words(surer, theirs)
    assert rows.exactly_the_same_words(theirs, theirs)
    assert not rows.exactly_the_same_words(alike, theirs)
    with pytest.raises(ValueError):
        rows.same_words(theirs, [])


def test_both_have_to_learn_and_as_much(rows):
    assert rows.both_learn([10.4, 10.0], [10.4, 10.1])
    assert not rows.both_learn([10.4, 10.0], [10.4, 10.4])
    assert not rows.both_learn([10.4, 9.0], [10.4, 10.0])


def test_a_share_of_the_operations_by_hand(rows):
    of_a_layer = 2 * 12 * 8 * 8 + 4 * 5 * 8  # products with weights, and with other tokens
    of_a_mask = 2 * 8 * (8 + rows.VOCABULARY_SIZE)
    assert rows.operations((2, 8), 3, 5, 1) == 3 * (5 * 2 * of_a_layer + of_a_mask)


def test_8_bits_cost_no_quality(shared_data):
    """The bundled model on the first 256 sequences of the reviews that README's figures are of."""
    program = [sys.executable, str(BENCHMARKS / "engine_quality.py"), "demo"]
    texts = str(shared_data / "imdb" / "test_4k.csv.gz")
    asked = [*program, texts, "--max_eval_samples", "256"]
    told = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True).stdout
    found = {
        engine: (float(perplexity), float(same), int(count.replace(",", "")))
        for engine, perplexity, same, count in re.findall(
            r"^(.+): perplexity ([\d.]+), .* the same first in ([\d.]+)% of ([\d,]+)$", told, re.M
        )
    }
    keras, small = found["Keras, float32"], found["LiteRT, weights in 8 bits"]
    assert keras[2] == small[2] > 4000
    assert keras[1] == 100
    assert small[0] <= 1.01 * keras[0]
    assert small[1] >= 97
