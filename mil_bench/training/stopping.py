"""Early stopping: which epoch is the best one, and when training ends."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mil_bench.base.errors import RunError
from mil_bench.contract.spec import Monitor

# Name of each monitor among the validation scores, and +1 when higher is better.
MONITORS: Mapping[Monitor, tuple[str, int]] = {
    "loss": ("log_loss", -1),
    "accuracy": ("accuracy", 1),
    "balanced_accuracy": ("balanced_accuracy", 1),
    "macro_auc": ("macro_auc", 1),
    "macro_f1": ("macro_f1", 1),
}


class Stopper:
    """Follows one validation score.

    Only a strictly better value counts as an improvement, so of equal epochs the earliest is kept
    (CLAM's code counts an equal one as improvement). Training stops after the first epoch that is
    at least ``min_epochs`` and at least ``patience`` epochs past the best one. The monitor ``loss``
    is the unweighted leaf log loss for every method: sums of a method's own terms follow its
    curriculum and cannot be compared between epochs or methods.
    """

    def __init__(self, monitor: Monitor, patience: int | None = None, min_epochs: int = 0) -> None:
        self.monitor, self.patience, self.min_epochs = monitor, patience, min_epochs
        self.column, self.sign = MONITORS[monitor]
        self.best_epoch, self.best_value = 0, math.nan

    def update(self, epoch: int, scores: Mapping[str, float]) -> bool:
        """Add the validation scores of an epoch and return whether it is the best so far.

        Raises ``RunError`` when the monitored score is undefined.
        """
        value = scores[self.column]
        # Refused and not skipped: another epoch would be best by chance.
        if math.isnan(value):
            raise RunError(
                f"the validation {self.column} is undefined, so no epoch can be chosen by it; "
                "use --set monitor=loss, or a split whose validation sets contain every class."
            )
        # Strict: of equal epochs the earliest.
        better = self.best_epoch == 0 or self.sign * value > self.sign * self.best_value
        if better:
            self.best_epoch, self.best_value = epoch, value
        return better

    def should_stop(self, epoch: int) -> bool:
        """Return whether training ends after ``epoch``."""
        if self.patience is None or epoch < self.min_epochs:
            return False
        return epoch - self.best_epoch >= self.patience
