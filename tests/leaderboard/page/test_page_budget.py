"""Pages stay small: what goes first, and that they say so."""

from __future__ import annotations

import json

import pytest

from mil_bench.leaderboard.page.budget import fitted
from mil_bench.leaderboard.page.build import _board


@pytest.fixture
def board(reports, tmp_path):
    return json.loads(json.dumps(_board(reports[0], "here", tmp_path)))


def size(data):
    return len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())


def names(board, table):
    return [column["name"] for column in board["tables"][table]["columns"]]


def test_what_fits_stays_whole(board):
    (found,) = fitted([board], size(board) + 100)
    assert found == board | {"left_out": []}


def test_the_columns_nobody_sees_go_first_and_the_page_says_so(board):
    (found,) = fitted([board], size(board) - 1)
    assert found["left_out"] == ["further columns of pairs"]
    pairs = board["tables"]["pairs"]
    assert set(names(found, "pairs")) == {*pairs["keys"], *pairs["shown"]}
    assert names(found, "overall") == names(board, "overall")
    assert len(found["tables"]["pairs"]["cells"]) == len(names(found, "pairs"))


def test_the_first_table_is_kept_to_the_end(board):
    (found,) = fitted([board], 0)
    assert "pairs" not in found["tables"]
    assert found["slidewise"] is None
    overall = board["tables"]["overall"]
    assert {*overall["keys"], *overall["shown"]} == set(names(found, "overall"))
    assert size(found) < size(board) / 2
