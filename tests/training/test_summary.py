"""The lines of a run before it trains."""

import pytest

from mlm.training.config import TrainingConfig
from mlm.training.preparation import prepare
from mlm.training.summary import intention, settings_table


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"train_file": ["data/a.csv"], "model_name_or_path": "demo"},
            "adapt demo to a.csv; result in runs/mlm",
        ),
        (
            {"train_file": ["a.csv", "b.csv", "c.csv", "d.csv"], "output_dir": "x"},
            "train a new modernbert on a.csv, b.csv and 2 more; result in x",
        ),
        (
            {"train_file": ["a.csv"], "dry_run": True},
            "train a new modernbert on a.csv; a dry run, nothing is written",
        ),
    ],
)
def test_the_first_line_says_what_the_run_is_for(settings, said):
    assert intention(TrainingConfig(**settings)) == said


def test_the_table_has_what_was_found_and_what_was_changed(
    small_corpus, tiny_bert_folder, tmp_path
):
    config = TrainingConfig(
        train_file=[str(small_corpus)],
        model_name_or_path=str(tiny_bert_folder),
        output_dir=str(tmp_path),
        max_steps=12,
        max_seq_length=48,
        line_by_line=True,
        save_minutes=0,
        precision="fp32",
    )
    prepared = prepare(config, tmp_path / "tokens", lambda line: None)
    shown = " ".join(settings_table(prepared, 5).split())
    counts = prepared.store.manifest["counts"]
    for part in (
        f"small.csv: {counts['train']['documents']:,} documents to train on",
        f"{prepared.batches.num_sequences:,} of at most 48 tokens, 16 in a step",
        "12, resumed at step 5; evaluated every 500 steps and at the end",
        "float32 (as requested)",
        "a state every 500 steps settings",  # not by minutes
        "--max_seq_length 48, --line_by_line, --max_steps 12, --precision fp32, --save_minutes 0",
    ):
        assert part in shown, shown
    shown = " ".join(settings_table(prepared).split())
    assert "12, from step 0; evaluated before, every 500 steps and at the end" in shown
