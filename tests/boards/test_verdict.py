"""Sentences of a board: each must be what the numbers say, and no more."""

from __future__ import annotations

import re

import pytest
from paired_runs import analysis_of, paired_predictions, write_grid
from prediction_cases import BRACS
from run_folders import begin, finish, make_spec

from mil_bench.base.errors import listed
from mil_bench.boards.board import RANKED
from mil_bench.boards.notes import caveats_of
from mil_bench.boards.tables.pairs import compare_pairs
from mil_bench.boards.verdict import verdict_of
from mil_bench.evaluation.inference.ranks import bootstrap_tiers
from mil_bench.evaluation.inference.retraining import fold_differences


def notes(runs):
    return "\n".join(map(str, caveats_of(analysis_of(runs))))


def test_a_leader_that_survives_refits_is_called_better(tmp_path):
    a = analysis_of(write_grid(tmp_path, {"good": 5.0, "fair": 0.8, "poor": 0.5}))
    text = verdict_of(a)
    assert text.startswith("good is better than both others on digit-bags leaf classes, the next ")
    assert "Retraining confirms this: all 5 folds agree (p " in text
    d = a.difference("good", a.paired[1], RANKED)
    value = a.scores["good"][RANKED].value
    numbers = [float(n) for n in re.findall(r"-?\d+\.\d", text.replace("95 % CI", ""))[:4]]
    expected = [100 * v for v in (d.value, value, d.low, d.high)]
    assert numbers == pytest.approx(expected, abs=0.051)


def test_a_leader_of_these_models_alone_is_not_called_better(tmp_path):
    text = verdict_of(analysis_of(write_grid(tmp_path, {"good": 2.5, "poor": 0.9}, swing=2.0)))
    assert text.startswith("These trained good models beat poor on")
    assert "Retraining does not confirm it: over 5 folds the difference is " in text
    assert "better" not in text


def test_the_correction_is_named_where_the_interval_excludes_zero(tmp_path):
    others = {f"poor{n}": 0.4 + n / 100 for n in range(9)}
    a = analysis_of(write_grid(tmp_path, {"good": 2.8} | others, folds=3, seeds=1))
    pairs = compare_pairs(a, RANKED, [("good", other) for other in others])
    beside = [pair for pair in pairs if pair.refits.low > 0 and pair.p_both > 0.05]
    assert beside  # significant alone, not among all comparisons
    stated = re.search(r"\((\d+\.\d) to (\d+\.\d); p = (\d\.\d{3}) after corr", verdict_of(a))
    expected = [(100 * p.refits.low, 100 * p.refits.high) for p in beside]
    assert any(pair == pytest.approx([float(n) for n in stated.groups()[:2]], abs=0.051)
               for pair in expected)  # fmt: skip
    assert float(stated[3]) > 0.05


def test_those_who_cannot_be_separated_are_the_first_tier(tmp_path):
    a = analysis_of(write_grid(tmp_path, {"one": 2.0, "two": 2.05, "poor": 0.2}))
    first = bootstrap_tiers(a.of_score(RANKED), 1)[0]
    assert verdict_of(a).startswith(f"{first[0]} and {first[1]} are not significantly different on")
    assert f"; poor is below {first[0]}." in verdict_of(a)
    assert f"smallest detectable difference {100 * a.detectable(RANKED):.1f}" in verdict_of(a)


def test_one_fold_speaks_of_these_models(tmp_path):
    text = verdict_of(analysis_of(write_grid(tmp_path, {"good": 5.0, "poor": 0.5}, folds=1)))
    assert text.startswith("These trained good models beat poor on")
    assert text.endswith("With one fold, retraining cannot be assessed.")


def test_nothing_is_compared_without_two_rows_patients_or_results(tmp_path):
    alone = analysis_of(write_grid(tmp_path / "a", {"good": 1.0}))
    assert verdict_of(alone) == "Nothing can be compared: good is the only row."
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
    text = notes(tmp_path)
    assert "other is not compared with the others: " in text
    assert "10 slides are predicted by one of them only" in text
    assert "1 of 4 rows have missing runs" in text
    assert "half is not compared" not in text
    assert "one seed" in text


def test_a_row_at_chance_is_told(tmp_path):
    assert "guess is not significantly above chance (balanced accuracy 14.3)" in notes(
        write_grid(tmp_path, {"good": 5.0, "guess": 0.0})
    )


def test_many_patients_are_no_caveat_and_few_are(tmp_path):
    few = notes(write_grid(tmp_path / "a", {"x": 1.0, "y": 2.0}, seeds=1))
    many = notes(write_grid(tmp_path / "b", {"x": 1.0, "y": 2.0}, seeds=1, n=200, patients=300))
    assert "patients are tested: differences below" in few
    assert "patients are tested" not in many


def test_simulated_data_say_so_first_after_leaks(tmp_path):
    p = paired_predictions(1.0)
    leak = "leak: 3 patients are in train and test"
    finish(tmp_path, make_spec("abmil", kind="simulated"), p, split_notes=[leak])
    first, second, *_ = caveats_of(analysis_of(tmp_path))
    assert (first.kind, first.text) == ("leak", leak)
    assert (second.kind, second.text.split(":")[0]) == ("data", "the data are simulated")


def test_lists_of_names_stay_short():
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c", "d"]) == "a, b, c and d"
    assert listed(list("abcdefg")) == "a, b, c and 4 others"


def test_nothing_is_said_of_differences_that_cannot_be_computed(tmp_path):
    """Two rows of equal predictions: no spread, so no smallest detectable difference."""
    for fold in (0, 1):
        p = paired_predictions(1.0, fold)
        for method in ("one", "two"):
            finish(tmp_path, make_spec(method, fold=fold, tree=BRACS), p)
    analysis = analysis_of(tmp_path)
    assert "detectable" not in notes(tmp_path)
    assert "detectable" not in verdict_of(analysis)


def test_folds_that_disagree_are_not_said_to_agree(tmp_path):
    a = analysis_of(write_grid(tmp_path, {"good": 5.0, "poor": 0.5}))
    (pair,) = compare_pairs(a, RANKED, [("good", "poor")])
    by_fold = fold_differences(*(row.values(RANKED) for row in pair.rows))
    assert pair.folds_agree == ((by_fold > 0).all() or (by_fold < 0).all())
