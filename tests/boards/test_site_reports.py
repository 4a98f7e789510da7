"""Site reports: nothing about a patient leaves, and boards made of them have the same numbers."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paired_runs import write_grid
from prediction_cases import BRACS, FLAT

from mil_bench.base.errors import DataError, MilBenchError
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import RANKED
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.frames import read_boards
from mil_bench.boards.page.build import page_html
from mil_bench.boards.report import report_of
from mil_bench.boards.site_boards import boards_of_reports
from mil_bench.boards.site_reports import _seed, site_report_of
from mil_bench.boards.tables.pairs import all_pairs, compare_pairs
from mil_bench.cli.main import main
from mil_bench.evaluation.metrics import Score
from mil_bench.exchange.site_report import (
    MEMBER,
    packed,
    read_site_report,
    site_reports_in,
    unit_of,
    unpacked,
    write_site_report,
)

KEY = b"0123456789abcdef0123456789abcdef"
SKILLS = {"abmil": 1.5, "hmil": 2.0, "mean": 0.5}
B = 300


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return write_grid(tmp_path_factory.mktemp("site") / "runs", SKILLS, folds=3, heads=("coarse",))


@pytest.fixture(scope="module")
def board(runs):
    (only,) = build_boards(collect(runs))
    return only


@pytest.fixture(scope="module")
def report(board):
    return site_report_of(board, KEY, replicates=B)


def test_a_board_of_a_report_has_the_intervals_differences_and_p_of_the_runs(
    board, report, tmp_path
):
    write_site_report(report, tmp_path / "report.zip")
    (there,) = boards_of_reports([read_site_report(tmp_path / "report.zip")])
    here = Analysis.of(board, B, _seed(KEY, board))
    away = Analysis.of(there)
    assert [row.label for row in there.rows] == [row.label for row in board.rows]
    compared = 0
    for label, scores in away.scores.items():
        for score, drawn in scores.items():
            own = here.scores[label][score]
            for part in ("value", "low", "high", "error"):
                assert getattr(drawn, part) == pytest.approx(
                    getattr(own, part), abs=2e-8, nan_ok=True
                )
            compared += 1
    assert compared > 100
    for score in (RANKED, Score("macro_auc"), Score("accuracy", "coarse", "direct")):
        ours = compare_pairs(here, score, all_pairs(here))
        theirs = compare_pairs(away, score, all_pairs(away))
        assert [(p.a, p.b, p.decision) for p in ours] == [(p.a, p.b, p.decision) for p in theirs]
        for a, b in zip(ours, theirs, strict=True):
            assert b.p_holm == pytest.approx(a.p_holm, rel=1e-6)
            assert b.p_both == pytest.approx(a.p_both, rel=1e-6)
            assert b.patients.low == pytest.approx(a.patients.low, abs=2e-8)
            assert b.refits.low == pytest.approx(a.refits.low, abs=2e-8)
    assert away.tiers(RANKED, 1) == here.tiers(RANKED, 1)


def test_nothing_of_a_slide_or_patient_is_written(board, report, tmp_path):
    write_site_report(report, tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text()
    records = [record for row in board.rows for record in row.done.values()]
    for p in (record.sets["test"] for record in records):
        for name in {*p.slide_ids.tolist(), *p.groups.tolist()}:
            assert f'"{name}"' not in text
    for secret in (board.id.labels_digest, board.id.features_digest, board.id.split_digest):
        assert secret not in text
    assert not any(record.key in text for record in records)


def test_draws_cannot_be_repeated_without_the_key(board, report):
    """With the draws of boards, replicates would be equations in the results of patients."""
    public = Analysis.of(board, B).scores["abmil"][RANKED].draws
    kept = report.draws(next(r for r in report.rows if r.method == "abmil"))[RANKED]
    assert not np.isclose(public, kept).all()
    assert site_report_of(board, KEY, replicates=B) == report
    other = site_report_of(board, KEY[::-1], replicates=B)
    assert other.draws_id != report.draws_id
    assert other.data != report.data


def test_two_reports_of_one_site_are_one_board(board, report):
    parts = [
        site_report_of(replace(board, rows=tuple(r for r in board.rows if r.method in some)),
                       KEY, replicates=B)
        for some in (("abmil",), ("hmil", "mean"))
    ]  # fmt: skip
    (joined,) = boards_of_reports(parts)
    (whole,) = boards_of_reports([report])
    a, b = Analysis.of(joined), Analysis.of(whole)
    assert a.difference("hmil", "abmil", RANKED).p == b.difference("hmil", "abmil", RANKED).p
    another = site_report_of(board, KEY[::-1], replicates=B)
    assert len(boards_of_reports([report, another])) == 2


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    """A cohort whose class IC has slides of two patients in every fold, so fewer than five."""
    folder = tmp_path_factory.mktemp("rare") / "runs"
    write_grid(folder, {"abmil": 2.0, "mean": 1.0}, seeds=1, folds=2, n=60, patients=60)
    (made,) = build_boards(collect(folder))
    return _without(made, "IC", keep=2)


def _without(board, leaf, keep):
    """The board without the slides of a class, up to ``keep`` of every test set."""
    k = BRACS.index(leaf)
    rows = []
    for row in board.rows:
        cut = {}
        for cell, record in row.runs.items():
            p = record.sets["test"]
            few = np.flatnonzero(p.labels == k)[:keep]
            p = p.cut(np.sort(np.append(np.flatnonzero(p.labels != k), few)))
            cut[cell] = replace(record, sets={"test": p}, scores=type(record.scores).of(p))
        rows.append(replace(row, runs=cut))
    return replace(board, rows=tuple(rows))


def test_rare_classes_are_refused_unless_they_are_suppressed(rare):
    with pytest.raises(DataError, match=r"fewer than 5 patients: IC.*--suppress-rare"):
        site_report_of(rare, KEY, replicates=B)
    made = site_report_of(rare, KEY, replicates=B, suppress_rare=True)
    hidden = {c.name for c in made.classes if c.slides is None}
    assert "IC" in hidden
    assert len(hidden) > 1  # the count does not follow from the total
    assert all((c.slides is None) == (c.patients is None) for c in made.classes)
    assert not {s.name for s in made.score_list if s.level == "leaf"} & hidden
    (shown,) = boards_of_reports([made])
    assert any("suppressed" in note.text for note in shown.notes)
    table = report_of(shown).table("classwise")
    assert {row["class"] for row in table.rows if row["level"] == "leaf"}.isdisjoint(hidden)


@pytest.mark.parametrize(("n", "patients", "folds"), [(30, 10, 1), (60, 60, 12)])
def test_small_cohorts_and_small_folds_are_refused(tmp_path, n, patients, folds):
    per_fold = n // folds
    write_grid(tmp_path / "runs", {"abmil": 2.0}, seeds=1, folds=folds, n=per_fold,
               patients=patients, tree=FLAT)  # fmt: skip
    (small,) = build_boards(collect(tmp_path / "runs"))
    with pytest.raises(DataError, match="at least"):
        site_report_of(small, KEY, replicates=B)


def test_tables_page_and_files_of_a_site_board(report, tmp_path):
    write_site_report(report, tmp_path / "report.json")
    (board,), _ = read_boards(tmp_path)
    assert board.id.kind == "site report"
    made = report_of(board)
    assert [t.name for t in made.tables] == ["overall", "hierarchical", "classwise", "pairs"]
    overall = made.table("overall")
    assert {row["evidence"] for row in overall.rows} == {"site report"}
    assert overall.rows[0]["test_patients"].value == report.patients
    counts = {c.name: c.slides for c in report.classes}
    for row in made.table("classwise").rows:
        if row["level"] == "leaf":
            assert row["support"].value == counts[row["class"]]
    assert "site report" in page_html([made])
    with pytest.raises(SystemExit) as ended:
        main(["leaderboard", "--runs", str(tmp_path), "--out", str(tmp_path / "out"), "--figures"])
    assert ended.value.code == 0
    assert list((tmp_path / "out" / "site-report").rglob("overall.csv"))


def test_a_site_board_stands_beside_no_other(runs, report, tmp_path):
    (tmp_path / "runs").symlink_to(runs)
    write_site_report(report, runs / "from-a-site.zip")
    try:
        boards, _ = read_boards(runs)
    finally:
        (runs / "from-a-site.zip").unlink()
    assert [(b.id.kind, len(b.rows)) for b in boards] == [("embedded", 3), ("site report", 3)]


# Files that may be hostile.


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_changed_reports_are_read_or_refused_in_one_sentence(report, tmp_path, data):
    content = report.model_dump(mode="json")
    for _ in range(data.draw(st.integers(1, 3))):
        at, key = content, data.draw(st.sampled_from(sorted(content)))
        while isinstance(at[key], dict | list) and at[key] and data.draw(st.booleans()):
            at = at[key]
            key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        values = [None, -1, 10**30, "x", "", [], {}, True, 1e308, "A" * 5000]
        at[key] = data.draw(st.sampled_from(values))
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(content))
    refusal = ""
    try:
        boards_of_reports([read_site_report(path)])
    except MilBenchError as error:
        refusal = str(error)
    assert "\n" not in refusal


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"kind": "mil-bench site report"}',
     b'{"kind": "mil-bench site report", "format": 99}', b'{"kind": "other"}'],
)  # fmt: skip
def test_files_that_are_no_report_are_refused(tmp_path, content):
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(MilBenchError, match=r"report\.json"):
        read_site_report(path)


def test_a_bomb_of_replicates_is_refused(report, tmp_path):
    content = report.model_dump(mode="json")
    bomb = packed(np.zeros(10_000_000), 1e-9)
    content["rows"][0]["draws"][0] = bomb
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="another length"):
        read_site_report(tmp_path / "r.json")


def test_a_zip_with_anything_else_is_no_report(report, tmp_path):
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        archive.writestr(MEMBER, "{}")
        archive.writestr("../evil", "x")
    assert site_reports_in(tmp_path) == []
    (tmp_path / "r.zip").write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(DataError, match="in a zip file"):
        read_site_report(tmp_path / "r.zip")


def test_the_same_report_has_the_same_bytes(report, tmp_path):
    for name in ("a.zip", "b.zip"):
        write_site_report(report, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@given(st.lists(st.one_of(st.just(float("nan")), st.floats(-40, 40)), min_size=1, max_size=50))
def test_packed_replicates_are_within_their_unit(values):
    draws = np.array(values)
    unit = unit_of([draws])
    again = unpacked(packed(draws, unit), unit)
    assert np.array_equal(np.isnan(again), np.isnan(draws))
    assert np.nanmax(np.abs(again - draws), initial=0) <= unit
