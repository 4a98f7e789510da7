import json

import pytest
import torch

from benchmarks import report as report_module
from benchmarks.hardware import hardware, slug
from benchmarks.results import keep, merge, read_rows, results_path
from benchmarks.table import Table
from mil_bench.base.errors import DataError

CPU = torch.device("cpu")
KEY = ("method", "threads")


def row(method, threads, value):
    return {"method": method, "threads": threads, "value": value}


def test_a_row_measured_again_takes_the_place_of_the_old_one_and_others_stay():
    old = [row("a", 1, 1), row("b", 1, 2), row("a", 2, 3)]
    new = [row("b", 1, 20), row("c", 1, 4)]
    expected = [row("a", 1, 1), row("b", 1, 20), row("a", 2, 3), row("c", 1, 4)]
    assert merge(old, new, KEY) == expected


def test_kept_rows_say_what_they_were_measured_with(tmp_path):
    path = results_path("training", CPU, tmp_path)
    keep(path, [row("a", 1, 1)], KEY, CPU)
    keep(path, [row("b", 1, 2)], KEY, CPU)
    assert path.parent.name == slug(CPU)
    assert json.loads(path.read_text())["hardware"] == hardware(CPU)
    rows = read_rows(path)
    assert [r["value"] for r in rows] == [1, 2]
    assert all(r["torch"] == torch.__version__ and r["date"] for r in rows)


def test_no_file_has_no_rows(tmp_path):
    assert read_rows(tmp_path / "none.json") == []


def test_a_slug_is_a_folder_name_with_the_number_of_cores():
    assert slug(CPU).endswith("-cores")
    assert set(slug(CPU)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_a_table_is_aligned_markdown_with_notes():
    text = str(Table("speed", ("", "x"), [("ours", "2.5"), ("plain", "1")], ["plain is 1"]))
    assert text == (
        "**speed**\n\n"
        "|       |   x |\n"
        "| ----- | --: |\n"
        "| ours  | 2.5 |\n"
        "| plain |   1 |\n\n"
        "- plain is 1\n"
    )


def test_a_report_without_results_says_how_to_make_some(tmp_path):
    with pytest.raises(DataError, match=r"python -m benchmarks\.training"):
        report_module.report(tmp_path)


def test_the_committed_results_can_be_printed(capsys):
    report_module.report()
    assert "## " in capsys.readouterr().out
