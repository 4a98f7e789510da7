import math

import pytest

from mil_bench.base.errors import RunError
from mil_bench.training.stopping import MONITORS, Stopper


def follow(values, **options):
    """Best epoch and last epoch on a scripted monitor."""
    stopper = Stopper(**{"monitor": "accuracy", **options})
    for epoch, value in enumerate(values, 1):
        stopper.update(epoch, {MONITORS[stopper.monitor][0]: value})
        if stopper.should_stop(epoch):
            break
    return stopper.best_epoch, epoch


def test_training_stops_after_patience_epochs_without_improvement_and_keeps_the_best():
    assert follow([0.1, 0.5, 0.4, 0.3, 0.2, 0.9], patience=3) == (2, 5)


def test_of_equal_epochs_the_earlier_one_is_kept():
    assert follow([0.1, 0.5, 0.5, 0.5], patience=2) == (2, 4)


def test_min_epochs_delays_stopping_but_not_the_choice_of_the_best():
    assert follow([0.5, *[0.1] * 9], patience=2, min_epochs=6) == (1, 6)


def test_without_patience_training_runs_to_the_end():
    assert follow([0.5, *[0.1] * 9]) == (1, 10)


def test_a_lower_loss_is_better():
    assert follow([0.5, 0.2, 0.9], monitor="loss") == (2, 3)


@pytest.mark.parametrize("monitor", [m for m in MONITORS if m != "loss"])
def test_a_higher_score_is_better(monitor):
    assert follow([0.5, 0.2, 0.9], monitor=monitor) == (3, 3)


def test_an_undefined_monitor_is_an_error_that_names_the_way_out():
    with pytest.raises(RunError, match=r"macro_auc is undefined.*monitor=loss"):
        follow([math.nan], monitor="macro_auc")
