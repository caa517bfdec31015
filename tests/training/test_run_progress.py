"""The progress of a run: which evaluation is the best, and how many came since."""

import math

from mlm.training.run_progress import Progress


def noted(*criteria: float) -> tuple[Progress, list[bool]]:
    progress, best = Progress(), []
    for step, criterion in enumerate(criteria):
        progress.step = step
        best.append(progress.note_evaluation(1.0, criterion))
    return progress, best


def test_lower_is_better_and_equal_is_not():
    progress, best = noted(-0.5, -0.7, -0.7, -0.6)
    assert best == [True, True, False, False]
    assert (progress.best_step, progress.best_loss, progress.evaluations_without_gain) == (
        1,
        -0.7,
        2,
    )


def test_a_nan_is_never_better_nor_in_the_way_of_a_number():
    progress, best = noted(math.nan, math.nan, 3.0, math.nan, 2.0)
    assert best == [False, False, True, False, True]
    assert (progress.best_step, progress.best_loss) == (4, 2.0)


def test_a_first_nan_does_not_count_against_the_run():
    assert noted(math.nan)[0].evaluations_without_gain == 0
    assert noted(math.nan, math.nan)[0].evaluations_without_gain == 1


def test_the_loss_is_kept_in_full_whatever_decides():
    progress, _ = noted(-0.5, -0.7)
    assert progress.validation_curve == [[0, 1.0], [1, 1.0]]
    assert progress.validation_loss() == 1.0
    progress.step = 2
    assert progress.validation_loss() is None
