"""Numbers on the page in a real browser are those of the tables and the CSV files."""

from __future__ import annotations

import numpy as np
import pytest
from page_cases import column_of, records, saved

from mil_bench.boards.formats.csv_files import csv_wide
from mil_bench.boards.tables.table import Number


@pytest.mark.parametrize("name", ["overall", "cost"])
def test_saved_numbers_are_those_of_the_csv_file(made, opened, name):
    report = made[0][0]
    page = opened(made[1], f"view={name}")
    page.click(f"#cols-{name}")
    page.click(f"#cols-all-{name}")
    ours = records(saved(page, f"#csv-{name}"))
    files = records(csv_wide(report.table(name)))
    assert len(ours) == len(files)
    for mine, theirs in zip(ours, files, strict=True):
        for column, text in mine.items():
            assert text == theirs[column] or float(text) == float(theirs[column]), column
        left = {column for column in theirs if column not in mine and theirs[column]}
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
    assert f"{len(differ)} slides with different decisions" in page.inner_text("main")
    assert {row["slide"] for row in records(saved(page, "#csv-slides"))} == set(differ)
