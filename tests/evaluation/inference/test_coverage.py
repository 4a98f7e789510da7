"""Intervals hold the truth and tests of equals rarely reject, at the size of BRACS's test set."""

from __future__ import annotations

import pytest

from benchmarks.inference_coverage import DELONG, OBUCHOWSKI, PATIENTS, SLIDES, coverage

SAMPLES = 200
SCORES = ("accuracy", "balanced_accuracy", "macro_auc", "brier", "mean_lca_distance")


@pytest.mark.slow
def test_drawing_patients_is_calibrated_and_drawing_slides_is_not():
    rows = {(r["score"], r["unit"]): r for r in coverage("patients alike", SAMPLES, 400, seed=7)}
    shares = {
        unit: [rows[score, unit]["covered"] / SAMPLES for score in SCORES]
        for unit in (PATIENTS, SLIDES)
    }
    # three standard errors of 200 samples are 0.046
    assert all(0.95 - 0.046 <= share <= 0.95 + 0.046 for share in shares[PATIENTS])
    assert sum(shares[PATIENTS]) > sum(shares[SLIDES]) + 0.03 * len(SCORES)
    for score in SCORES:
        assert rows[score, PATIENTS]["rejected"] / SAMPLES < 0.05 + 0.046
        assert rows[score, PATIENTS]["rejected"] < rows[score, SLIDES]["rejected"]
    auc = "auc leaf direct IC"
    assert rows[auc, OBUCHOWSKI]["covered"] > rows[auc, DELONG]["covered"]
