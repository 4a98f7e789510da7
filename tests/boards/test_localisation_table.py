"""The localisation board: means over runs of what stands in their folders."""

import csv
import io
import math

import pytest
from run_folders import finish, make_spec

from mil_bench.boards.analysis import Analysis
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.formats.csv_files import csv_tidy, csv_wide
from mil_bench.boards.tables.localisation import localisation_table
from mil_bench.heatmaps.localisation_table import ClassLocalisation, write_localisation


def of_class(name, slides, auc, ap, level="leaf"):
    nothing = slides == 0
    numbers = [math.nan] * 4 if nothing else [2.0, 0.25, auc, ap]
    return ClassLocalisation(level, name, "attention", slides, *numbers)


def table_of(runs):
    [board] = build_boards(collect(runs))
    return localisation_table(Analysis.of(board, 20))


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_board_without_scored_runs_has_no_such_table(tmp_path):
    finish(tmp_path, make_spec())
    assert table_of(tmp_path) is None


def test_classes_and_their_mean_are_averaged_over_runs(tmp_path):
    first, _ = finish(tmp_path, make_spec(fold=0))
    second, _ = finish(tmp_path, make_spec(fold=1))
    write_localisation(first, [of_class("N", 0, 0, 0), of_class("IC", 3, 0.9, 0.5)])
    write_localisation(second, [of_class("N", 1, 0.5, 0.2), of_class("IC", 5, 0.7, 0.3)])
    table = table_of(tmp_path)
    wide = {row["class"]: row for row in rows_of(csv_wide(table))}
    assert list(wide) == ["mean", "IC", "N"]
    assert float(wide["IC"]["patch_auc"]) == pytest.approx(0.8)
    assert float(wide["N"]["patch_ap"]) == pytest.approx(0.2)
    assert float(wide["mean"]["patch_auc"]) == pytest.approx((0.9 + (0.5 + 0.7) / 2) / 2)
    assert [wide[c]["coverage"] for c in wide] == ["2 of 2", "2 of 2", "1 of 2"]
    tidy = rows_of(csv_tidy(table))
    auc = [r for r in tidy if (r["class"], r["metric"]) == ("IC", "patch_auc")]
    assert [float(r["value"]) for r in auc] == [pytest.approx(0.8)]


def test_upper_branches_of_a_shuffled_tree_look_for_other_classes(tmp_path):
    for tree in ("true", "shuffled"):
        folder, _ = finish(tmp_path, make_spec("hmil", config={"tree": tree}))
        rows = [of_class("benign", 3, 0.9, 0.5, "coarse"), of_class("IC", 3, 0.9, 0.5)]
        write_localisation(folder, rows)
    told = {(row["variant"], row["level"]) for row in rows_of(csv_wide(table_of(tmp_path)))}
    assert told == {("", "coarse"), ("", "leaf"), ("shuffled tree", "leaf")}


def test_a_damaged_file_is_left_out_and_told(tmp_path):
    good, _ = finish(tmp_path, make_spec(fold=0))
    bad, _ = finish(tmp_path, make_spec(fold=1))
    write_localisation(good, [of_class("IC", 3, 0.9, 0.5)])
    (bad / "localisation.csv").write_text("half")
    table = table_of(tmp_path)
    assert "Left out" in table.note
    assert "damaged" in table.note
    assert table.rows[0]["coverage"] == "1 of 2"
