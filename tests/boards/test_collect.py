"""Reading run folders: what is damaged becomes a record with a reason, never a crash."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from prediction_cases import BRACS
from run_folders import begin, fail, finish, make_spec

from mil_bench.base.errors import DataError
from mil_bench.base.finding import Note
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect, read_record
from mil_bench.boards.formats.folder import write_reports
from mil_bench.boards.formats.terminal import show
from mil_bench.boards.report import report_of
from mil_bench.evaluation.scores import Scores


def test_a_finished_run_is_scored_from_its_test_predictions(tmp_path):
    folder, p = finish(tmp_path, make_spec(), parameters=77)
    (record,) = collect(tmp_path)
    assert record.status == "done"
    assert record.key == folder.name
    assert record.scores.values == Scores.of(p).values
    assert record.scores.slides == frozenset(p.slide_ids)
    assert record.result.parameters == 77
    assert record.version == "0.1.0"


def test_upper_heads_of_a_shuffled_tree_are_not_scored_as_those_of_the_true_one(tmp_path):
    for tree in ("true", "shuffled"):
        finish(tmp_path, make_spec("hmil", config={"tree": tree}), heads=("coarse",))
    records = {record.spec.method_config["tree"]: record for record in collect(tmp_path)}
    assert set(records["true"].sets["test"].heads) == {"coarse", "leaf"}
    assert set(records["shuffled"].sets["test"].heads) == {"leaf"}
    told = records["shuffled"].scores.by_name
    assert not [name for name in told if "direct" in name or "gain" in name]
    assert told["full_path_accuracy"] == told["accuracy"]


def test_failed_and_unfinished_runs_keep_their_reason(tmp_path):
    fail(tmp_path, make_spec("abmil"), "out of memory; lower batch_size")
    begin(tmp_path, make_spec("mean"))
    failed, unfinished = collect(tmp_path)
    assert (failed.status, failed.reason) == ("failed", "out of memory; lower batch_size")
    assert unfinished.status == "interrupted"


def test_runs_set_aside_are_not_read(tmp_path):
    finish(tmp_path, make_spec())
    finish(tmp_path / ".replaced", make_spec(seed=1))
    assert len(collect(tmp_path)) == 1


def _truncate(name):
    def damage(folder):
        path = folder / name
        path.write_text(path.read_text()[:-20])

    return damage


def _drop_last_row(folder):
    path = folder / "predictions.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def _write(name, text):
    return lambda folder: (folder / name).write_text(text)


def _edit(name, **changes):
    def damage(folder):
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_truncate("predictions.csv"), "line 121"),
        (_drop_last_row, "59 test slides, result.json says 60"),
        (lambda folder: (folder / "predictions.csv").unlink(), "cannot read"),
        (_truncate("result.json"), r"result.json"),
        (_write("result.json", "[]"), "expected an object"),
        (_edit("result.json", key="other"), "belongs to run 'other'"),
        (_edit("result.json", parameters="many"), "parameters"),
        (_edit("result.json", split_notes=None), "split_notes"),
        (_truncate("env.json"), "env.json"),
        (_truncate("spec.json"), "spec.json"),
        (_edit("spec.json", seed=7), "was it edited"),
        (_write("spec.json", "null"), "expected an object"),
        (_write("spec.json", "[" * 200_000), "cannot read"),
        (_write("result.json", "[" * 200_000), "cannot read"),
        (_write("env.json", "[" * 200_000), "cannot read"),
        (lambda folder: (folder / "spec.json").unlink(), "spec.json"),
    ],
)
def test_a_damaged_run_becomes_a_row_with_a_reason(tmp_path, damage, reason):
    folder, _ = finish(tmp_path / "runs", make_spec())
    finish(tmp_path / "runs", make_spec("mean"))
    damage(folder)
    record = read_record(folder)
    assert record.status == "unreadable"
    assert reason in record.reason
    boards = build_boards(collect(tmp_path / "runs"))
    rows = {row.label: row.status for board in boards for row in board.rows}
    assert rows["mean"] == "complete"
    assert any("1 unreadable" in status and reason in status for status in rows.values())
    write_reports([report_of(board) for board in boards], tmp_path / "out")


def test_a_definition_of_unknown_fields_is_unreadable_not_wrongly_read(tmp_path):
    from hashlib import sha256

    content = make_spec().model_dump(mode="json") | {"flux": 1}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    folder = tmp_path / "digit-bags" / "abmil" / sha256(text.encode()).hexdigest()[:16]
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(text)
    assert "not a run definition of this version" in read_record(folder).reason


def test_no_folder_and_no_runs_say_what_was_expected(tmp_path):
    with pytest.raises(DataError, match="no folder"):
        collect(tmp_path / "none")
    with pytest.raises(DataError, match="holds no runs"):
        collect(tmp_path)


def test_a_board_of_damaged_runs_alone_is_shown(tmp_path, capsys):
    from rich.console import Console

    folder, _ = finish(tmp_path, make_spec(tree=BRACS))
    (folder / "spec.json").write_text("{")
    show([report_of(board) for board in build_boards(collect(tmp_path))], Console())
    assert "1 unreadable" in capsys.readouterr().out


@pytest.mark.parametrize("typed", [False, True])
def test_notes_of_the_split_are_read_as_stored_today_and_by_older_versions(tmp_path, typed):
    leak, drawn = Note("leak", "leak: 50 % of the test slides"), Note("split", "leakage is absent")
    notes = [asdict(note) if typed else note.text for note in (leak, drawn)]
    folder, _ = finish(tmp_path / "runs", make_spec(), split_notes=notes)
    assert read_record(folder).result.split_notes == (leak, drawn)
