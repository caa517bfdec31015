"""mlm.training.state.resuming: a run that is resumed is the run that was saved."""

import pytest

from mlm.checkpoint.run_state import TrainingState
from mlm.errors import ConfigError
from mlm.training.config import TrainingConfig
from mlm.training.setting import settings_of
from mlm.training.state.resuming import check_same_run

MAY_CHANGE = """
output_dir overwrite_output_dir discard_state logging_steps save_steps save_minutes save_total_limit
per_device_eval_batch_size
skip_bad_steps max_train_minutes require_device distributed report_to push_to_hub hub_model_id
hub_private_repo hub_revision hub_tag resume_from_hub hub_state_minutes language license
dataset_tags dataset_license hub_space example_texts save_dtype load_best_model_at_end
train_file token_store validation_file add_words_file
"""


@pytest.fixture
def state(tmp_path):
    config = {"seed": 1, "logging_steps": 5}
    return TrainingState(tmp_path, {"step": 1, "config": config, "fingerprint": "a" * 64})


def test_the_settings_that_may_change_are_those_that_move_no_weight():
    free = {name for name, about in settings_of(TrainingConfig).items() if not about.moves_weights}
    assert free == set(MAY_CHANGE.split())


def test_the_same_run_is_accepted(state):
    check_same_run(state, TrainingConfig(seed=1, logging_steps=9), "a" * 64)


def test_a_setting_that_a_state_is_too_old_for_had_its_default(state):
    check_same_run(state, TrainingConfig(seed=1), "a" * 64)
    with pytest.raises(ConfigError, match="--group_by_length was False when"):
        check_same_run(
            state, TrainingConfig(seed=1, line_by_line=True, group_by_length=True), "a" * 64
        )


def test_another_setting_is_named_with_both_values(state):
    with pytest.raises(ConfigError, match="--seed was 1 when this run was saved and is 2 now"):
        check_same_run(state, TrainingConfig(seed=2), "a" * 64)


def test_other_texts_are_named_with_both_fingerprints(state):
    with pytest.raises(ConfigError, match="aaaaaaaaaaaa then, bbbbbbbbbbbb now"):
        check_same_run(state, TrainingConfig(seed=1), "b" * 64)
