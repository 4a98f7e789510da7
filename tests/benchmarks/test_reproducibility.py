"""Two folders of boards of equal runs, compared."""

from pathlib import Path

import pytest

from benchmarks.reproducibility import cells_of, compared
from mil_bench.base.errors import DataError

RUNS = "method,variant,seed,fold,status,run_key,reason,level,source,class,metric,value\n"
OVERALL = "method,variant,rank,balanced_accuracy\n"
PAIRS = "method,other,score,decision\n"


def board(folder: Path, values: dict[str, float], decision: str) -> Path:
    home = folder / "embedded" / "toy"
    home.mkdir(parents=True)
    rows = [f"{m},,0,0,done,k,,leaf,,,balanced_accuracy,{v}\n" for m, v in values.items()]
    other = "abmil,,0,0,done,k,,coarse,summed,,balanced_accuracy,0.1\n"
    (home / "runs_tidy.csv").write_text(RUNS + "".join(rows) + other)
    order = sorted(values, key=lambda m: -values[m])
    ranked = [f"{m},,{i},{values[m]}\n" for i, m in enumerate(order, 1)]
    (home / "overall.csv").write_text(OVERALL + "".join(ranked))
    (home / "pairs.csv").write_text(PAIRS + f"{order[0]},{order[1]},balanced_accuracy,{decision}\n")
    return folder


def test_rows_ranks_and_decisions(tmp_path):
    here = board(tmp_path / "a", {"abmil": 0.6, "mean": 0.5, "max": 0.4}, "better")
    there = board(tmp_path / "b", {"abmil": 0.5, "mean": 0.58, "max": 0.4}, "better as trained")
    result = compared(here / "embedded/toy", there / "embedded/toy")
    assert result["mean_moved"] == pytest.approx((0.1 + 0.08) / 3)
    assert result["most_moved"] == pytest.approx(0.1)
    assert result["rank_correlation"] == pytest.approx(0.5)
    # the other board names the pair the other way round: better has become worse
    assert result["decisions"] == [["better", "worse as trained", 1]]
    assert (result["comparisons"], result["reversed"]) == (1, 1)


def test_only_scores_of_all_leaves_are_read(tmp_path):
    here = board(tmp_path / "a", {"abmil": 0.6, "mean": 0.5}, "better")
    there = board(tmp_path / "b", {"abmil": 0.5, "mean": 0.5}, "better")
    cells = cells_of(here, there)
    assert [(c.method, c.first, c.second) for c in cells] == [
        ("abmil", 0.6, 0.5),
        ("mean", 0.5, 0.5),
    ]


def test_folders_without_a_common_board_are_refused(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="share no board"):
        cells_of(tmp_path / "a", tmp_path)
