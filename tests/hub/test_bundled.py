"""The bundled classifier: joined once, the same as the encoder with the head."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from mlm.checkpoint.task_checkpoint import open_task_checkpoint
from mlm.hub.bundled import BUNDLED_HEAD, bundled_classifier
from mlm.hub.pull import BUNDLED_FOLDER

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return bundled_classifier(tmp_path_factory.mktemp("cache"))


def test_the_joined_folder_is_a_whole_checkpoint(folder):
    opened = open_task_checkpoint(folder)
    assert opened.task.problem_type == "single_label_classification"
    assert opened.new_variables == ()


def test_its_encoder_is_the_bundled_one_and_its_head_the_bundled_head(folder):
    joined, encoder = load_file(folder / WEIGHTS), load_file(BUNDLED_FOLDER / WEIGHTS)
    head = load_file(BUNDLED_HEAD / WEIGHTS)
    assert head.keys() < joined.keys()
    for name, tensor in joined.items():
        assert np.array_equal(tensor, head.get(name, encoder.get(name))), name


def test_it_is_joined_once(folder, monkeypatch):
    monkeypatch.setattr("mlm.hub.bundled._join_weights", lambda path: pytest.fail("joined again"))
    assert bundled_classifier(folder.parent) == folder


def test_the_head_adds_at_most_600_kb_to_the_wheel():
    assert sum(path.stat().st_size for path in BUNDLED_HEAD.iterdir()) <= 600_000
