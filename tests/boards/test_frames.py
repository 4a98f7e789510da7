"""``from mil_bench import leaderboard``: the numbers of the CSV files, as data frames."""

from __future__ import annotations

import pandas as pd
import pytest
from paired_runs import write_grid

from mil_bench.base.errors import DataError
from mil_bench.boards.formats.folder import write_reports
from mil_bench.boards.frames import leaderboard, read_boards, reports_of


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_grid(folder, {"abmil": 1.0, "mean": 0.3}, seeds=2, folds=2)
    return folder


def test_frames_hold_what_the_csv_files_hold(runs, tmp_path):
    (board,) = leaderboard(runs)
    write_reports(reports_of(read_boards(runs)[0]), tmp_path)
    files = {path.stem: path for path in tmp_path.rglob("*.csv") if "tidy" not in path.stem}
    assert set(files) == set(board.tables)
    for name, frame in board.tables.items():
        stored = pd.read_csv(files[name])
        assert list(frame) == list(stored)
        numbers = frame.select_dtypes("float")
        rounded = stored[list(numbers)].astype(float)
        pd.testing.assert_frame_equal(numbers, rounded, atol=1e-6, check_exact=False)


def test_every_score_lies_within_its_interval(runs):
    (board,) = leaderboard(runs)
    overall = board["overall"].set_index("method")
    assert list(overall.index) == ["abmil", "mean"]
    value, low, high = (overall[f"balanced_accuracy{end}"] for end in ("", "_low", "_high"))
    assert ((low <= value) & (value <= high)).all()
    assert value.between(0, 1).all()
    assert low["abmil"] < high["abmil"]


def test_titles_and_sentences_are_those_of_the_report(runs):
    (board,) = leaderboard(str(runs))
    (report,) = reports_of(read_boards(runs)[0])
    assert board.title == report.board.title
    assert (board.verdict, board.caveats) == (report.verdict, tuple(map(str, report.caveats)))
    assert "overall" in repr(board)


def test_a_folder_without_runs_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="holds no runs"):
        leaderboard(tmp_path)
