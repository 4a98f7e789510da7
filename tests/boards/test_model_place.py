"""The sentences of a model card on its board: a rank only where there is one."""

from paired_runs import paired_predictions, write_grid
from prediction_cases import BRACS
from run_folders import finish, make_spec

from mil_bench.boards.model_place import place_on_board


def test_a_score_without_an_interval_has_none_in_the_card(tmp_path):
    write_grid(tmp_path, {"perfect": 60.0, "poor": 0.5}, folds=2, seeds=1)
    text = place_on_board(tmp_path, make_spec("perfect", seed=0, fold=0, tree=BRACS))
    assert "perfect is ranked 1 of 2 by balanced accuracy: 100.0. That row" in text
    assert "(2 of 2 runs)" in text
    other = place_on_board(tmp_path, make_spec("poor", seed=0, fold=0, tree=BRACS))
    assert "poor is ranked 2 of 2 by balanced accuracy: " in other
    assert "(95 % CI " in other
    assert "nan" not in text + other


def test_a_row_with_missing_runs_is_not_ranked(tmp_path):
    write_grid(tmp_path, {"good": 3.0, "poor": 0.5}, folds=2, seeds=1)
    half = make_spec("half", fold=0, tree=BRACS)
    finish(tmp_path, half, paired_predictions(1.0, 0, 5))
    assert "half is not ranked by balanced accuracy: " in place_on_board(tmp_path, half)
    good = place_on_board(tmp_path, make_spec("good", seed=0, fold=0, tree=BRACS))
    assert "good is ranked 1 of 2 by balanced accuracy: " in good
