"""The page in a real browser: what people click, read, save and share."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from page_cases import HOSTILE, chromium, hostile_report, long_report, small_reports

from mil_bench.evaluation.csv_safety import unescape
from mil_bench.leaderboard.formats.csv_wide import csv_wide
from mil_bench.leaderboard.page import write_page
from mil_bench.leaderboard.tables.table import Number

VIEWS = ("overall", "hierarchy", "classes", "pairs", "calibration", "cost", "runs", "methods")
TABLES = {"overall": "overall", "cost": "cost"}


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Reports of a small grid and the page of them."""
    folder = tmp_path_factory.mktemp("page")
    reports = small_reports(folder)
    return reports, write_page(reports, folder / "out")


@pytest.fixture
def opened(browser):
    """Open a page at a state; afterwards nothing was said on the console, nothing asked for."""
    said, asked, pages = [], [], []

    def _opened(path, state="", **context):
        page = browser.new_page(accept_downloads=True, **context)
        page.set_default_timeout(10_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{path.as_uri()}#{state}")
        pages.append(page)
        return page

    yield _opened
    for page in pages:
        page.close()
    assert said == []
    assert all(url.split("#")[0].endswith("leaderboard.html") for url in asked)
    assert all(url.startswith("file:") for url in asked)


def column_of(page, table, title):
    """Texts of a column, what only screen readers hear left out."""
    titles = page.locator(f"#table-{table} thead th button").all_inner_texts()
    i = [t.split(" ▲")[0].split(" ▼")[0] for t in titles].index(title) + 1
    rows = page.locator(f"#table-{table} tbody tr")
    return [
        row.locator(f":nth-child({i})").first.evaluate(
            "cell => (cell.querySelector('.value') ?? cell).textContent"
        )
        for row in rows.all()
    ]


def saved(page, button):
    """The text of the file that a button saves."""
    with page.expect_download() as download:
        page.click(button)
    return download.value.path().read_text(encoding="utf-8")


def records(text):
    return [
        {key: unescape(cell) for key, cell in row.items()}
        for row in csv.DictReader(io.StringIO(text))
    ]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_opens_and_names_itself(made, opened, view):
    page = opened(made[1])
    page.click(f"#view-{view}")
    assert page.get_attribute(f"#view-{view}", "aria-current") == "page"
    assert page.locator("main .view *").count() > 10
    assert f"view={view}" in page.url
    assert page.title().startswith(page.inner_text(f"#view-{view}"))


@pytest.mark.parametrize("view", TABLES)
def test_saved_numbers_are_those_of_the_csv_file(made, opened, view):
    report = made[0][0]
    page = opened(made[1], f"view={view}")
    page.click(f"#cols-{TABLES[view]}")
    page.click(f"#cols-all-{TABLES[view]}")
    ours = records(saved(page, f"#csv-{TABLES[view]}"))
    files = records(csv_wide(report.table(TABLES[view])))
    assert len(ours) == len(files)
    for mine, theirs in zip(ours, files, strict=True):
        for name, text in mine.items():
            assert text == theirs[name] or float(text) == float(theirs[name]), name
        left = {name for name in theirs if name not in mine and theirs[name]}
        assert left <= {"notes"}


def test_classes_and_pairs_are_those_of_the_csv_files(made, opened):
    report = made[0][0]
    for view, name, keys in (
        ("classes", "classwise", ("method", "level", "source", "class")),
        ("pairs", "pairs", ("method", "other", "score")),
    ):
        page = opened(made[1], f"view={view}")
        theirs = {tuple(row[k] for k in keys): row for row in records(csv_wide(report.table(name)))}
        ours = records(saved(page, f"#csv-{name}"))
        assert ours
        for row in ours:
            same = theirs[tuple(row[k] for k in keys)]
            for column, text in row.items():
                assert text == same[column] or float(text) == float(same[column]), column


def test_cells_show_the_numbers_of_the_table(made, opened):
    table = made[0][0].table("overall")
    page = opened(made[1])
    cells = [row["balanced_accuracy"] for row in table.rows]
    expected = [f"{100 * c.value:.1f}" if isinstance(c, Number) else "" for c in cells]
    assert column_of(page, "overall", "Bal. acc") == expected
    best = page.locator("#table-overall td.best .value").first
    assert int(best.evaluate("cell => getComputedStyle(cell).fontWeight")) >= 700


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


def test_latex_is_a_booktabs_table_with_marks(made, opened):
    text = saved(opened(made[1]), "#latex-overall")
    assert text.count("\\toprule") == text.count("\\midrule") == text.count("\\bottomrule") == 1
    assert "\\textbf{" in text
    assert "scriptsize [" in text


def test_confusion_counts_every_stored_prediction_once(made, opened):
    row = next(r for r in made[0][0].board.rows if r.label == "hmil")
    matrix = np.zeros((7, 7), dtype=int)
    for p in row.predictions.values():
        np.add.at(matrix, (p.labels, p.heads["leaf"].argmax(1)), 1)
    page = opened(made[1], "view=classes&level=leaf&a=hmil")
    cells = page.locator("figure.confusion tbody tr").all()
    drawn = [
        [int(t or 0) for t in row.locator("td.heat").evaluate_all(
            "cells => cells.map((c) => c.querySelector('.interval')?.textContent ?? '')"
        )]
        for row in cells
    ]  # fmt: skip
    assert (np.array(drawn) == matrix).all()


def test_a_pair_lists_the_slides_on_which_it_disagrees(made, opened):
    rows = {row.label: row for row in made[0][0].board.rows}
    decided = {}
    for label in ("hmil", "mean"):
        sums: dict[str, np.ndarray] = {}
        for p in rows[label].predictions.values():
            for slide, probs in zip(p.slide_ids, p.heads["leaf"], strict=True):
                sums[slide] = sums.get(slide, 0) + probs
        decided[label] = {slide: total.argmax() for slide, total in sums.items()}
    differ = [s for s, d in decided["hmil"].items() if decided["mean"][s] != d]
    page = opened(made[1], "view=pairs")
    page.get_by_role("button", name="hmil minus mean").click()
    assert f"{len(differ)} slides on which they decide differently" in page.inner_text("main")
    assert {row["slide"] for row in records(saved(page, "#csv-slides"))} == set(differ)


def test_names_like_markup_stay_text(tmp_path, opened):
    path = write_page([hostile_report(tmp_path)], tmp_path / "out")
    for view in VIEWS:
        page = opened(path, f"view={view}")
        assert page.locator("img").count() == 0
        assert page.locator("main b").count() == 0
        assert "caught" not in page.title().split(" · ")
        assert HOSTILE in page.inner_text("#verdict")
    assert HOSTILE in opened(path, "view=classes").inner_text("figure.confusion")


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
    assert page.locator("#table-overall tbody tr").count() == 100
    page.click("#last-overall")
    assert column_of(page, "overall", "Method")[-1] == "m9999"
    page.click("#sort-overall-accuracy")
    assert column_of(page, "overall", "Acc")[0] == "100.0"
    page.fill("#search-overall", "m9876")
    assert column_of(page, "overall", "Method") == ["m9876"]
    assert len(records(saved(page, "#csv-overall"))) == 1
    page.fill("#search-overall", "")
    assert len(records(saved(page, "#csv-overall"))) == 10_000


def test_boards_stand_in_one_file_and_can_be_chosen(made, tmp_path, opened):
    path = write_page([*made[0], long_report(3)], tmp_path)
    page = opened(path, "view=runs")
    page.select_option("#board", label=long_report(3).board.title)
    assert "long" in page.inner_text("h1")
    page.go_back()
    assert "digit-bags" in page.inner_text("h1")
