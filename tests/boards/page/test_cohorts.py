"""A page per cohort, and an index page with the highest rows of every board."""

from __future__ import annotations

import re
from dataclasses import replace

from page_cases import HOSTILE, hostile_report, long_report, small_reports

from mil_bench.boards.page.build import write_pages
from mil_bench.boards.page.cohorts import TOP, page_name


def test_every_cohort_has_a_page_and_the_index_leads_to_all(tmp_path):
    reports = [*small_reports(tmp_path / "a"), long_report(12)]
    written = write_pages(reports, tmp_path / "out")
    assert [path.name for path in written] == [
        "digit-bags.html", "long-ελληνικά-病理-simulated.html", "index.html",
    ]  # fmt: skip
    index = written[-1].read_text()
    for path in written[:-1]:
        assert f'href="{path.name}"' in index
        assert f'href="{path.name}#board=' in index
    assert "kfold-5" not in written[1].read_text()
    assert "7 rows more" in index


def test_the_index_has_the_first_rows_as_the_board_has_them(tmp_path):
    reports = small_reports(tmp_path)
    index = write_pages(reports, tmp_path / "out")[-1].read_text()
    rows = re.findall(r"<tr><td>(?:<b>)?([\w-]+)\*?(?:</b>)?</td>", index)
    labels = [row.label for row in reports[0].board.rows]
    assert rows == labels[:TOP]
    assert reports[0].verdict in index


def test_hostile_names_stay_text(tmp_path):
    report = hostile_report(tmp_path)
    board = replace(report.board, id=replace(report.board.id, dataset=HOSTILE))
    *_, index = write_pages([replace(report, board=board)], tmp_path / "out")
    text = index.read_text()
    assert "<img" not in text
    assert "<script" not in text


def test_a_cohort_called_index_does_not_replace_the_index(tmp_path):
    (report,) = small_reports(tmp_path)
    board = replace(report.board, id=replace(report.board.id, dataset="index"))
    assert page_name(board) == "cohort-index.html"


def test_a_link_of_the_index_opens_its_board(tmp_path, browser):
    reports = small_reports(tmp_path / "a")
    other = replace(reports[0].board, id=replace(reports[0].board.id, split="other"))
    *_, index = write_pages([*reports, replace(reports[0], board=other)], tmp_path / "out")
    page = browser.new_page()
    page.goto(index.as_uri())
    page.get_by_role("link", name=other.title).click()
    assert "other" in page.locator("h1").inner_text()
    page.close()
