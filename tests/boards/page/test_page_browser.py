"""The page in a real browser: what people click, read, save and share."""

from __future__ import annotations

from dataclasses import replace

import pytest
from page_cases import HOSTILE, column_of, hostile_report, long_report, records, saved

from mil_bench.base.finding import Note
from mil_bench.boards.formats.latex import escape
from mil_bench.boards.page.build import write_page
from mil_bench.boards.tables.table import Number

VIEWS = ("overall", "hierarchy", "classes", "pairs", "calibration", "cost", "runs", "methods")


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_opens_and_names_itself(made, opened, view):
    page = opened(made[1])
    page.click(f"#view-{view}")
    assert page.get_attribute(f"#view-{view}", "aria-current") == "page"
    assert page.locator("main .view *").count() > 10
    assert f"view={view}" in page.url
    assert page.title().startswith(page.inner_text(f"#view-{view}"))


def test_headers_sort_three_ways_by_mouse_and_by_keyboard(made, opened):
    page = opened(made[1])
    board_order = column_of(page, "overall", "Method")
    head = page.locator("#sort-overall-macro_auc")

    def state():
        return page.locator("th", has=head).get_attribute("aria-sort")

    assert state() == "none"
    head.click()
    values = [float(v) for v in column_of(page, "overall", "AUC") if v not in ("", "–")]
    assert state() == "descending"
    assert values == sorted(values, reverse=True)
    assert page.evaluate("document.activeElement.id") == "sort-overall-macro_auc"
    page.keyboard.press("Enter")
    values = [float(v) for v in column_of(page, "overall", "AUC") if v not in ("", "–")]
    assert state() == "ascending"
    assert values == sorted(values)
    page.keyboard.press("Space")
    assert state() == "none"
    assert column_of(page, "overall", "Method") == board_order


def test_search_and_filters_leave_the_matching_rows(made, opened):
    page = opened(made[1], "view=runs")
    page.fill("#search-runs", "clam")
    assert set(column_of(page, "runs", "Method")) == {"clam-mb"}
    assert page.inner_text("#count-runs") == "4 of 20 rows"
    page.fill("#search-runs", "")
    page.focus("#filter-runs-status")
    page.select_option("#filter-runs-status", "failed")
    assert column_of(page, "runs", "Method") == ["max"]
    assert page.evaluate("document.activeElement.id") == "filter-runs-status"
    page.fill("#search-runs", "no such thing")
    assert "No row matches" in page.inner_text("#table-runs tbody")


def test_the_address_shows_the_same_to_somebody_else(made, opened):
    page = opened(made[1], "view=classes")
    page.click("#level-coarse")
    page.select_option("#metric-classes", "sensitivity")
    page.select_option("#confusion-a", "mean")
    page.click("#sort-classwise-ap")
    other = opened(made[1], page.url.split("#")[1])
    assert other.inner_text("main") == page.inner_text("main")
    assert other.get_attribute("#level-coarse", "aria-pressed") == "true"


def test_columns_can_be_chosen(made, opened):
    page = opened(made[1])
    page.click("#cols-overall")
    page.uncheck("#col-overall-macro_auc")
    page.check("#col-overall-run_keys")
    titles = page.locator("#table-overall thead th button").all_inner_texts()
    assert "AUC" not in titles
    assert "Run keys" in titles
    assert "macro_auc" not in saved(page, "#csv-overall").splitlines()[0]


def test_names_like_markup_stay_text(tmp_path, opened):
    path = write_page([hostile_report(tmp_path)], tmp_path / "out")
    for view in VIEWS:
        page = opened(path, f"view={view}")
        assert page.locator("img").count() == 0
        assert page.locator("main b").count() == 0
        assert "caught" not in page.title().split(" · ")
        assert HOSTILE in page.inner_text("#verdict")
    assert HOSTILE in opened(path, "view=classes").inner_text("figure.confusion")


def test_latex_of_the_page_escapes_as_the_latex_files_do(tmp_path, opened):
    name = "lr<1e-3 | 50 % & a--b #1_{x}$~^\\ '' \"q\" `c` – — … ✓ ≤ ≥ ± × Δ ↑ ↓ → ·"
    report = long_report(1)
    (table,) = report.tables
    row = replace(table.rows[0], method=name, cells={"method": name, "accuracy": Number(-0.25)})
    named = replace(report, tables=(replace(table, rows=(row,)),))
    page = opened(write_page([named], tmp_path))
    assert f"{escape(name)} & $-$25.0 " in saved(page, "#latex-overall")


def test_the_theme_follows_the_system_until_it_is_chosen(made, opened):
    paper = "getComputedStyle(document.body).backgroundColor"
    light = opened(made[1], color_scheme="light").evaluate(paper)
    page = opened(made[1], color_scheme="dark")
    assert page.evaluate(paper) != light
    page.click("#theme")
    assert page.evaluate(paper) == light
    assert "light" in page.get_attribute("#theme", "aria-label")


def test_the_keyboard_reaches_the_table_first_by_the_skip_link(made, opened):
    page = opened(made[1])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_paper_shows_rows_and_no_tools(made, opened):
    page = opened(made[1], color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.is_visible("#search-overall")
    assert not page.is_visible("#view-cost")
    assert page.is_visible("#table-overall")
    assert page.is_visible("#verdict")


def test_ten_thousand_rows_are_turned_page_by_page(tmp_path, opened):
    path = write_page([long_report(10_000)], tmp_path)
    assert path.stat().st_size < 1_500_000
    page = opened(path)
    assert "ελληνικά 病理" in page.inner_text("h1")
    assert page.locator("#table-overall tbody tr").count() == 50
    page.click("#last-overall")
    assert column_of(page, "overall", "Method")[-1] == "m9999"
    page.click("#sort-overall-accuracy")
    assert column_of(page, "overall", "Acc")[0] == "100.0"
    page.fill("#search-overall", "m9876")
    assert column_of(page, "overall", "Method") == ["m9876"]
    assert len(records(saved(page, "#csv-overall"))) == 1
    page.fill("#search-overall", "")
    assert len(records(saved(page, "#csv-overall"))) == 10_000


def test_what_stands_between_backticks_is_code(made, tmp_path, opened):
    note = Note("hierarchy", "none yet (`mil-bench run --tree coarse`)")
    told = replace(made[0][0], caveats=(note,))
    page = opened(write_page([told], tmp_path))
    assert page.inner_text(".caveats li code") == "mil-bench run --tree coarse"
    assert "`" not in page.inner_text(".caveats")


def test_what_the_view_has_chosen_is_no_column(made, opened):
    page = opened(made[1], "view=pairs")
    assert "Score" not in page.inner_text("#table-pairs thead")
    assert "Other" in page.inner_text("#table-pairs thead")


def test_boards_stand_in_one_file_and_can_be_chosen(made, tmp_path, opened):
    path = write_page([*made[0], long_report(3)], tmp_path)
    page = opened(path, "view=runs")
    page.select_option("#board", label=long_report(3).board.title)
    assert "long" in page.inner_text("h1")
    page.go_back()
    assert "digit-bags" in page.inner_text("h1")
