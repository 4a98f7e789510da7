"""Pages stay small: what goes first, and that they say so."""

from __future__ import annotations

import json

import pytest

from mil_bench.boards.page.build import _board
from mil_bench.boards.page.data import fitted


@pytest.fixture
def board(reports, tmp_path):
    return json.loads(json.dumps(_board(reports[0], "here", tmp_path)))


READ_FIRST = {
    *("balanced_accuracy", "macro_auc"),
    *(f"coarse_{source}_balanced_accuracy" for source in ("summed", "direct", "gain")),
}


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


def test_pairs_lose_scores_before_whole_tables_go_and_plots_keep_what_they_draw(board):
    told = "pairs by scores that are read less"
    sizes = range(size(board), 0, -size(board) // 200)
    fits = (fitted([board], most, READ_FIRST)[0] for most in sizes)
    found = next(fit for fit in fits if told in fit["left_out"])
    assert found["left_out"][-1] == told
    pairs, every = found["tables"]["pairs"], board["tables"]["pairs"]
    scores = [every["metrics"]["of"][i] for i in every["metrics"]["at"]]
    kept = [pairs["metrics"]["of"][i] for i in pairs["metrics"]["at"]]
    assert {"balanced_accuracy", "coarse_summed_balanced_accuracy", "macro_auc"} <= set(kept)
    assert kept == [score for score in scores if score in set(kept)]
    assert "log_loss" in scores
    assert "log_loss" not in kept
    of_score = every["cells"][names(board, "pairs").index("difference")]
    expected = [c for c, score in zip(of_score, scores, strict=True) if score in set(kept)]
    assert pairs["cells"][names(found, "pairs").index("difference")] == expected
    (least,) = fitted([board], 0)
    assert {"confidence", "accuracy", "slides"} <= set(names(least, "reliability"))
