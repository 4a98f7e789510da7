"""The scores of one level of the tree."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import LEAF
from mil_bench.evaluation.calibration import expected_calibration_error, squared_error, surprise
from mil_bench.evaluation.confusion import (
    confusion_matrix,
    decision_scores,
    grade_scores,
    is_ordered,
    ranked_error,
)
from mil_bench.evaluation.metrics import in_order
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.ranking import macro_auc
from mil_bench.evaluation.sums import SlideRatio, scored

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
    ordered = is_ordered(p.taxonomy, level)
    decided = decision_scores(matrix) | (grade_scores(matrix) if ordered else {})
    scores = {name: float(value) for name, value in decided.items()}
    scores |= scored(probability_ratios(truth, probs, ordered))
    scores["macro_auc"] = macro_auc(truth, probs)
    scores["ece"] = expected_calibration_error(truth, probs)
    return {name: scores[name] for name in in_order(scores)}


def probability_ratios(
    truth: NDArray[np.int64], probs: NDArray[np.float64], ordered: bool
) -> dict[str, SlideRatio]:
    """The proper scores of probabilities, as means over slides."""
    ratios = {
        "brier": SlideRatio.mean(squared_error(truth, probs)),
        "log_loss": SlideRatio.mean(surprise(truth, probs)),
    }
    if ordered:
        ratios["rps"] = SlideRatio.mean(ranked_error(truth, probs))
    return ratios


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
