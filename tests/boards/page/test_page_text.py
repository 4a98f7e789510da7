"""The page as a file: one text, the same for the same runs, that no name breaks."""

from __future__ import annotations

import json
import re

import pytest
from page_cases import HOSTILE

from mil_bench.boards.formats.csv_files import cell
from mil_bench.boards.page.build import page_html
from mil_bench.boards.page.data import encode, island, number
from mil_bench.boards.page.runs import runs_table
from mil_bench.boards.tables.table import NAN, Column, Number, Row, Table, score_column
from mil_bench.evaluation.metrics import Score


def test_an_island_holds_any_text_and_no_tag():
    text = island({"name": [HOSTILE, "\u2028 é 病"]})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"name": [HOSTILE, "\u2028 é 病"]}


def test_an_island_refuses_what_json_lacks():
    with pytest.raises(ValueError, match="JSON"):
        island({"x": NAN})


def test_cells_keep_what_is_known_and_nothing_else():
    column = score_column(Score("accuracy"))
    cells = [Number(0.5), Number(NAN), None, Number(0.25, 0.2, 0.3, mark="best", note="n")]
    rows = tuple(Row(f"m{i}", {"method": f"m{i}", "accuracy": c}) for i, c in enumerate(cells))
    columns = (Column("method", "Method"), column)
    encoded = encode(Table("t", "T", columns, rows, ("method",), ("accuracy",)))
    assert encoded["cells"][0] == ["m0", "m1", "m2", "m3"]
    assert encoded["cells"][1] == [[0.5], [], None, [0.25, 0.2, 0.3, None, None, "best", "n"]]


@pytest.mark.parametrize("value", [1 / 3, 2e-3 / 3, 1e-7, 12345.0, 0.1234565])
def test_numbers_are_rounded_as_in_the_csv_files(value):
    assert number(value) == float(cell(value))


def test_the_same_runs_give_the_same_bytes_and_no_address_of_the_web(reports, tmp_path):
    first, second = page_html(reports, tmp_path), page_html(reports, tmp_path)
    assert first == second
    head, _, rest = first.partition('<script type="application/json" id="data">')
    code = head + rest.partition("</script>")[2]
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", code))
    assert addresses <= {"http://www.w3.org", "https://arxiv.org"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", code)


def test_runs_link_to_heatmaps_that_exist(reports, tmp_path):
    board = reports[0].board
    record = next(iter(board.rows[0].done.values()))
    (record.path / "heatmaps").mkdir()
    (record.path / "heatmaps" / "index.html").write_text("")
    page = record.path.parents[3] / "out"
    linked = [row["heatmaps"] for row in runs_table(board, page).rows if row["heatmaps"]]
    assert linked == [f"../{record.path.relative_to(page.parent)}/heatmaps/index.html"]
