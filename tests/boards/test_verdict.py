"""Sentences of a board: each must be what the numbers say, and no more."""

from __future__ import annotations

import re

import pytest
from paired_runs import analysis_of, paired_predictions, write_grid
from prediction_cases import BRACS
from run_folders import begin, finish, make_spec

from mil_bench.base.notes import Note
from mil_bench.boards.board import RANKED
from mil_bench.boards.notes import caveats_of
from mil_bench.boards.verdict import listed, verdict_of
from mil_bench.evaluation.inference.ranks import bootstrap_tiers


def told(runs):
    return "\n".join(map(str, caveats_of(analysis_of(runs))))


def test_a_leader_that_survives_refits_is_called_better(tmp_path):
    a = analysis_of(write_grid(tmp_path, {"good": 5.0, "fair": 0.8, "poor": 0.5}))
    text = verdict_of(a)
    assert text.startswith("good is better than both others on digit-bags leaf classes: ")
    assert "So it is when trained anew: 5 folds agree" in text
    d = a.difference("good", a.paired[1], RANKED)
    numbers = [float(n) for n in re.findall(r"-?\d+\.\d", text.split("difference")[1])[:3]]
    assert numbers == pytest.approx([100 * d.value, 100 * d.low, 100 * d.high], abs=0.051)


def test_a_leader_of_these_models_alone_is_not_called_better(tmp_path):
    text = verdict_of(analysis_of(write_grid(tmp_path, {"good": 2.5, "poor": 0.9}, swing=2.0)))
    assert text.startswith("As trained here, good is above poor on")
    assert "would stay above when trained anew is not shown" in text
    assert "better" not in text


def test_those_who_cannot_be_separated_are_the_first_tier(tmp_path):
    a = analysis_of(write_grid(tmp_path, {"one": 2.0, "two": 2.05, "poor": 0.2}))
    first = bootstrap_tiers(a.of_score(RANKED), 1)[0]
    assert verdict_of(a).startswith(f"{first[0]} and {first[1]} cannot be separated on")
    assert f"; poor is below {first[0]}." in verdict_of(a)
    assert f"smallest detectable {100 * a.detectable(RANKED):.1f}" in verdict_of(a)


def test_one_fold_speaks_of_these_models(tmp_path):
    text = verdict_of(analysis_of(write_grid(tmp_path, {"good": 5.0, "poor": 0.5}, folds=1)))
    assert text.startswith("As trained here, good is above poor")
    assert "with one fold, nothing is known of models trained on other slides" in text


def test_nothing_is_compared_without_two_rows_patients_or_results(tmp_path):
    alone = analysis_of(write_grid(tmp_path / "a", {"good": 1.0}))
    assert verdict_of(alone) == "Nothing can be compared: good stands alone."
    one = analysis_of(write_grid(tmp_path / "b", {"x": 1.0, "y": 2.0}, folds=1, patients=1))
    assert "1 patient" in verdict_of(one)
    begin(tmp_path / "c", make_spec())
    assert "no run is finished" in verdict_of(analysis_of(tmp_path / "c"))


def test_caveats_name_rows_on_other_slides_and_rows_that_lack_cells(tmp_path):
    write_grid(tmp_path, {"good": 3.0, "poor": 0.5}, folds=2, seeds=1)
    for fold in (0, 1):
        other = paired_predictions(1.0, fold, n=80)
        finish(tmp_path, make_spec("other", fold=fold, tree=BRACS), other)
    finish(tmp_path, make_spec("half", fold=0, tree=BRACS), paired_predictions(1.0, 0, 5))
    text = told(tmp_path)
    assert "other is not compared with the others: " in text
    assert "10 slides are predicted by one of them only" in text
    assert "1 of 4 rows lack cells" in text
    assert "half is not compared" not in text
    assert "one seed" in text


def test_a_row_at_chance_is_told(tmp_path):
    assert "guess is not above chance (balanced accuracy 14.3)" in told(
        write_grid(tmp_path, {"good": 5.0, "guess": 0.0})
    )


def test_many_patients_are_no_caveat_and_few_are(tmp_path):
    few = told(write_grid(tmp_path / "a", {"x": 1.0, "y": 2.0}, seeds=1))
    many = told(write_grid(tmp_path / "b", {"x": 1.0, "y": 2.0}, seeds=1, n=200, patients=300))
    assert "patients are tested: differences below" in few
    assert "patients are tested" not in many


def test_simulated_data_say_so_first_after_leaks(tmp_path):
    p = paired_predictions(1.0)
    leak = "leak: 3 patients stand in train and test"
    finish(tmp_path, make_spec("abmil", kind="simulated"), p, split_notes=[leak])
    first, second, *_ = caveats_of(analysis_of(tmp_path))
    assert first == Note("leak", leak)
    assert "simulated" in second.text


def test_lists_of_names_stay_short():
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c", "d"]) == "a, b, c and d"
    assert listed(list("abcdefg")) == "a, b, c and 4 others"
