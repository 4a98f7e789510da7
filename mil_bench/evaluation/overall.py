"""The scores of one level of the tree."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mil_bench.errors import DataError
from mil_bench.evaluation.calibration import brier, expected_calibration_error, log_loss
from mil_bench.evaluation.confusion import (
    accuracy,
    balanced_accuracy,
    confusion_matrix,
    macro_f1,
    worst_sensitivity,
)
from mil_bench.evaluation.ordinal import (
    is_ordered,
    mean_grade_error,
    ranked_probability_score,
    weighted_kappa,
)
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.ranking import macro_auc
from mil_bench.taxonomy import LEAF

Source = Literal["summed", "direct"]


def overall_scores(p: Predictions) -> dict[str, float]:
    """Scores of the leaf level; ``metrics_table`` says what each means.

    ``accuracy, balanced_accuracy, macro_auc, macro_f1, worst_sensitivity, brier, ece, log_loss``
    and, for ordered classes, ``qwk, linear_kappa, mae, rps``. ``nan`` where undefined.
    """
    return level_scores(p, LEAF, "direct")


def level_scores(p: Predictions, level: str, source: Source = "summed") -> dict[str, float]:
    """The same scores of any level, from its own head (``direct``) or by summing leaves.

    The decision is the most probable class (the first of equals). Raises ``DataError`` for a
    head that the predictions do not have.
    """
    truth, probs = p.truth(level), level_probabilities(p, level, source)
    matrix = confusion_matrix(truth, probs.argmax(1), probs.shape[1])
    scores = {
        "accuracy": accuracy(matrix),
        "balanced_accuracy": balanced_accuracy(matrix),
        "macro_auc": macro_auc(truth, probs),
        "macro_f1": macro_f1(matrix),
        "worst_sensitivity": worst_sensitivity(matrix),
        "brier": brier(truth, probs),
        "ece": expected_calibration_error(truth, probs),
        "log_loss": log_loss(truth, probs),
    }
    if is_ordered(p.taxonomy, level):
        scores["qwk"] = weighted_kappa(matrix, 2)
        scores["linear_kappa"] = weighted_kappa(matrix, 1)
        scores["mae"] = mean_grade_error(matrix)
        scores["rps"] = ranked_probability_score(truth, probs)
    return scores


def level_probabilities(p: Predictions, level: str, source: Source) -> NDArray[np.float64]:
    """``(n, K_level)`` probabilities of a level from one source."""
    if source == "summed":
        return p.summed(level)
    if level not in p.heads:
        raise DataError(
            f"these predictions have direct heads for {sorted(p.heads)}, none for {level!r}; "
            "score that level with source='summed'."
        )
    return p.heads[level]
