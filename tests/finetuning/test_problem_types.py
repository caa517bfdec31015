"""Each kind of labels from a file to a checkpoint that transformers answers from as we do."""

import numpy as np
import pytest
import torch
import transformers

from mlm.checkpoint.folder import read_training
from mlm.checkpoint.task_checkpoint import read_task_checkpoint
from mlm.finetuning.finetune import finetune
from mlm.training.first_checks import finished_record
from tests.support.labelled_texts import (
    labelled_texts,
    several_labels,
    small_finetuning,
    tagged_lines,
    write_csv,
    write_jsonl,
)
from tests.support.sweeps import sweep

KINDS = ("single", "folders", "separated", "lists", "regression", "tokens", "pairs")
SEVERAL = ("multi_label_classification", {"film", "pos"})
SINGLE = ("single_label_classification", {"neg", "pos"})
FOUND = {
    "single": SINGLE,
    "folders": SINGLE,
    "separated": SEVERAL,
    "lists": SEVERAL,
    "regression": ("regression", {"score"}),
    "tokens": ("token_classification", {"O", "B-KIND"}),
    "pairs": SINGLE,
}


def write(kind: str, folder) -> tuple[str, dict]:
    """Write a file or folder of labelled texts; return it, and settings that it needs."""
    texts = labelled_texts()
    if kind == "single":
        return str(write_csv(folder / "a.csv", ("text", "label"), texts)), {}
    if kind == "folders":
        for number, (text, label) in enumerate(texts):
            (folder / "a" / label).mkdir(parents=True, exist_ok=True)
            (folder / "a" / label / f"{number}.txt").write_text(text)
        return str(folder / "a"), {}
    if kind == "separated":
        rows = [(text, "|".join(names)) for text, names in several_labels() if names]
        return str(write_csv(folder / "a.csv", ("text", "labels"), rows)), {}
    if kind == "lists":
        rows = [{"text": text, "labels": names} for text, names in several_labels()]
        return str(write_jsonl(folder / "a.jsonl", rows)), {}
    if kind == "regression":
        rows = [(text, 0.5 + 2 * (label == "pos")) for text, label in texts]
        return str(write_csv(folder / "a.csv", ("text", "score"), rows)), {}
    if kind == "tokens":
        (folder / "a.conll").write_text(tagged_lines(), encoding="utf-8")
        return str(folder / "a.conll"), {}
    pairs = [(text, f"it was {text.split()[-1]}", label) for text, label in texts]
    path = write_csv(folder / "a.csv", ("first", "second", "label"), pairs)
    return str(path), {"text_column_names": ["first", "second"]}


def example(kind: str):
    """Return what to ask the model."""
    first, other = "the film was great", "this plot was boring"
    if kind == "pairs":
        return [first, other], ["it was great", "it was boring"]
    return [first, other], None


@pytest.mark.parametrize("kind", sweep(KINDS, quick=["single", "lists", "tokens", "pairs"]))
def test_transformers_answers_as_we_do(kind, bert_folder, tmp_path):
    source, settings = write(kind, tmp_path)
    config = small_finetuning(source, bert_folder, tmp_path / "run", max_steps=6, **settings)
    lines: list[str] = []
    result = finetune(config, report=lines.append)
    problem_type, names = FOUND[kind]
    assert any(line.startswith(f"problem type: {problem_type}, because") for line in lines)
    auto = transformers.AutoModelForSequenceClassification
    if kind == "tokens":
        auto = transformers.AutoModelForTokenClassification
    theirs, loading = auto.from_pretrained(result.folder, output_loading_info=True)
    assert not any(loading.values()), loading
    ours = read_task_checkpoint(result.folder)
    assert theirs.config.id2label == dict(enumerate(ours.task.labels))
    assert set(ours.task.labels) == names
    assert ours.task.problem_type == problem_type
    if kind != "tokens":
        assert theirs.config.problem_type == problem_type
    tokenizer = transformers.AutoTokenizer.from_pretrained(result.folder)
    first, second = example(kind)
    batch = tokenizer(
        first, second, padding=True, return_tensors="pt", return_token_type_ids=kind == "pairs"
    )
    with torch.no_grad():
        expected = theirs.eval()(**batch).logits.numpy()
    given = {name: value.numpy().astype("int32") for name, value in batch.items()}
    np.testing.assert_allclose(np.asarray(ours.model(given)), expected, atol=1e-4)
    record = read_training(result.folder)
    assert record["task"]["is_of_pairs"] == (kind == "pairs")
    assert record["task"]["problem_type"] == problem_type
    assert finished_record(config) == record
    columns = " --text_column_names first second" if kind == "pairs" else ""
    assert f"mlm classify FILE.csv{columns} --model_name_or_path {result.folder}" in lines[-1]
    if kind == "pairs":  # the second text is a segment of its own
        assert batch["token_type_ids"].max() == 1


@pytest.mark.parametrize("kind", ["lists", "tokens"])
def test_the_labels_are_learnt(kind, modernbert_folder, tmp_path):
    source, settings = write(kind, tmp_path)
    config = small_finetuning(
        source, modernbert_folder, tmp_path / "run", max_steps=60, eval_steps=60, **settings
    )
    result = finetune(config, report=lambda line: None)
    assert result.figures.score("f1") == 1.0
