"""What a repeated run may differ by, and the sentence about it."""

import csv
import json

import numpy as np
import pytest

from benchmarks.reproducibility import FOLDER, read
from mil_bench.exchange.bundles.usual_differences import (
    RETRAINED_ELSEWHERE,
    TABLE,
    changes,
    judge,
    usual_difference,
)

HERE = {"processor": "A", "device": "A", "threads": 1, "packages": {"torch": "2"}, "code": "x"}
THERE = HERE | {"processor": "B", "device": "B"}


def test_numbers_are_those_of_the_measured_runs():
    measured = [
        abs(float(row["first"]) - float(row["second"]))
        for row in read(FOLDER / "processor.csv")
        if row["method"] == "ilra"
    ]
    usual = usual_difference("ilra")
    assert usual.runs == len(measured) == 15
    assert usual.mean == pytest.approx(np.mean(measured), abs=1e-6)
    assert usual.high == pytest.approx(np.quantile(measured, 0.95), abs=1e-6)
    assert usual.largest == pytest.approx(max(measured), abs=1e-6)
    assert usual.equal == 0


def test_an_unknown_method_is_judged_by_all_methods():
    usual = usual_difference("a-new-method")
    assert usual.method == ""
    with TABLE.open() as file:
        runs = [int(r["runs"]) for r in csv.DictReader(file) if r["change"] == "processor"]
    assert usual.runs == sum(runs) - usual.runs


@pytest.mark.parametrize(
    ("difference", "level"), [(0.0, "equal"), (1e-8, "equal"), (0.08, "usual"), (0.34, "unusual")]
)
def test_levels_between_processors(difference, level):
    judged = judge("abmil", difference, HERE, THERE)
    assert judged.level == level
    assert judged.repeated is (level in ("equal", "usual"))
    assert judge("abmil", -difference, HERE, THERE).level == level


def test_a_rare_difference_is_between_the_quantile_and_the_largest():
    usual = usual_difference("abmil")
    assert judge("abmil", (usual.high + usual.largest) / 2, HERE, THERE).level == "rare"


def test_no_difference_is_usual_where_nothing_differs():
    judged = judge("abmil", 0.001, HERE, dict(HERE))
    assert judged.level == "unusual"
    assert "expected the same predictions" in judged.sentence


def test_the_sentence_names_what_differs():
    judged = judge("abmil", -0.02, HERE, THERE | {"threads": 2})
    assert "-2.0 points" in judged.sentence
    assert "with other processor and threads" in judged.sentence


def test_environments_without_any_fact_are_alike():
    assert changes({}, {}) == []
    assert changes(HERE, HERE | {"packages": {"torch": "3"}}) == ["versions"]


def test_the_sentence_of_boards_has_the_measured_numbers():
    boards = json.loads((FOLDER / "processor.json").read_text())["boards"]
    board = boards["digit-bags/pixels/official--digits-3"]
    for number in (
        f"{len(board['rows'])} rows",
        f"{100 * board['mean_moved']:.1f} points on average",
        f"{100 * board['most_moved']:.1f} at most",
        f"correlation {board['rank_correlation']:.2f}",
        f"Of {board['comparisons']:,} comparisons {board['changed']} changed",
    ):
        assert number in RETRAINED_ELSEWHERE
    assert board["reversed"] == 0
    assert "none its direction" in RETRAINED_ELSEWHERE
