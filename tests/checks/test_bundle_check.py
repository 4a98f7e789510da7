"""`submit check`: real bundles are sound, and each thing that may be wrong is one finding."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from mil_bench.base.atomic import write_text
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.boards.collect import collect
from mil_bench.boards.frames import read_boards
from mil_bench.boards.known_labels import with_known_labels
from mil_bench.checks.bundle.check import check_bundle
from mil_bench.cli.main import main
from mil_bench.contract.spec import read_definition
from mil_bench.evaluation.scores import Scores
from mil_bench.exchange.bundles.bundle import write_bundle
from mil_bench.exchange.bundles.private import Disguise
from mil_bench.exchange.bundles.read_bundle import read_bundle

ROOT = Path(__file__).resolve().parents[2]
STORE = ROOT / "leaderboards/submissions"
PROTOCOL = ROOT / "protocols/digit-bags-2026-11.toml"
MEAN, ABMIL, MAX = (STORE / f"digit-bags-2026-11--{name}.zip" for name in ("mean", "abmil", "max"))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("MIL_BENCH_CACHE", str(tmp_path_factory.getbasetemp() / "bundles"))


@pytest.fixture(scope="module")
def content():
    """A bundle of `max` with its anchors: submission and members."""
    files = {}
    for path in (MEAN, ABMIL, MAX):
        bundle = read_bundle(path)
        files |= {name: text for name, text in bundle.files.items() if name.startswith("runs/")}
    return bundle.submission.model_copy(update={"anchors": ("mean", "abmil")}), files


def problems_of(path, **options):
    options.setdefault("protocol", PROTOCOL)
    report = check_bundle(path, **options)
    for finding in report.findings:
        assert "\n" not in finding.fact
        if finding.state == "problem":
            assert finding.advice or finding.subject == "file"
    return {f.subject: f.fact for f in report.findings if f.state == "problem"}, report


def test_a_bundle_with_its_anchors_is_sound_and_its_score_is_computed_again(tmp_path, content):
    problems, report = problems_of(write_bundle(tmp_path / "b.zip", *content))
    assert problems == {}
    values = []
    for name, text in content[1].items():
        if "/max/" in name and name.endswith("spec.json"):
            sets = _sets(json.loads(text), content[1][name.replace("spec.json", "predictions.csv")])
            values.append(sets)
    mean = 100 * sum(values) / len(values)
    assert report.summary == f"max: 45 runs, mean balanced accuracy {mean:.1f}"
    facts = {f.subject: f.fact for f in report.findings}
    assert facts["labels"] == "labels and patients are those of the dataset"
    assert facts["slides"] == "validation and test slides are those of the split"


def _sets(spec, predictions):
    """Balanced accuracy of the test rows, computed by hand."""
    leaves = spec["tree"]["leaves"]
    right, count = dict.fromkeys(leaves, 0), dict.fromkeys(leaves, 0)
    for row in csv.DictReader(io.StringIO(predictions.decode())):
        if row["set"] == "test":
            decided = max(leaves, key=lambda leaf: float(row[f"leaf:{leaf}"]))
            count[row["label"]] += 1
            right[row["label"]] += decided == row["label"]
    shares = [right[leaf] / count[leaf] for leaf in leaves if count[leaf]]
    return sum(shares) / len(shares)


def test_anchors_may_be_in_bundles_beside_it(tmp_path):
    alone = shutil.copy(MAX, tmp_path / "max.zip")
    problems, _ = problems_of(Path(alone))
    assert set(problems) == {"anchors"}
    assert "mean and abmil" in problems["anchors"]
    beside = tmp_path / "beside"
    beside.mkdir()
    for path in (MEAN, ABMIL, MAX):
        shutil.copy(path, beside)
    assert problems_of(beside / MAX.name)[0] == {}


def edited(files, ending, edit, method="max"):
    """``files`` after ``edit`` of the first member of ``method`` that ends so."""
    name = next(n for n in sorted(files) if f"/{method}/" in n and n.endswith(ending))
    return files | {name: edit(files[name])}


def swap_labels(text):
    lines = text.decode().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("test,"))
    cells = lines[at].split(",")
    cells[3] = "one" if cells[3] != "one" else "three"
    return "\n".join([*lines[:at], ",".join(cells), *lines[at + 1 :], ""]).encode()


def cut_last(text):
    return b"\n".join(text.splitlines()[:-1]) + b"\n"


def not_a_number(text):
    return text.replace(b"0.", b"nan", 1)


def forged(text):
    return json.dumps(json.loads(text) | {"seed": 99}).encode()


def shorter(text):
    result = json.loads(text)
    return json.dumps(result | {"n_test": result["n_test"] - 1}).encode()


def with_host(text):
    return json.dumps(json.loads(text) | {"machine": "node7"}).encode()


def with_home(text):
    return json.dumps(json.loads(text) | {"system": "/home/somebody/env"}).encode()


@pytest.mark.parametrize(
    ("ending", "edit", "subject"),
    [
        ("predictions.csv", swap_labels, "runs"),
        ("predictions.csv", cut_last, "runs"),
        ("predictions.csv", not_a_number, "runs"),
        ("spec.json", forged, "runs"),
        ("result.json", shorter, "runs"),
        ("env.json", with_host, "privacy"),
        ("env.json", with_home, "privacy"),
    ],
)
def test_an_edited_run_is_a_problem(tmp_path, content, ending, edit, subject):
    submission, files = content
    path = write_bundle(tmp_path / "b.zip", submission, edited(files, ending, edit))
    assert subject in problems_of(path)[0]


def test_slides_of_another_fold_are_a_problem(tmp_path, content):
    submission, files = content

    def other_slide(text):
        return text.replace(b"test,bag", b"test,other", 1)

    path = write_bundle(
        tmp_path / "b.zip", submission, edited(files, "predictions.csv", other_slide)
    )
    assert {"runs", "slides"} & set(problems_of(path)[0])


def test_a_missing_cell_another_row_and_another_protocol_are_problems(tmp_path, content):
    submission, files = content
    first = next(name for name in sorted(files) if "/max/" in name).rpartition("/")[0]
    fewer = {name: text for name, text in files.items() if not name.startswith(f"{first}/")}
    assert (
        "max lacks 1 run"
        in problems_of(write_bundle(tmp_path / "a.zip", submission, fewer))[0]["cells"]
    )
    named = submission.model_copy(update={"method": "hmil"})
    assert "hmil" in problems_of(write_bundle(tmp_path / "b.zip", named, files))[0]["row"]
    tuned = submission.model_copy(update={"settings": "tuned"})
    assert "submission" in problems_of(write_bundle(tmp_path / "c.zip", tuned, files))[0]
    coarse = PROTOCOL.with_name("digit-bags-coarse-2026-11.toml")
    whole = write_bundle(tmp_path / "d.zip", submission, files)
    assert "another protocol" in problems_of(whole, protocol=coarse)[0]["file"]
    none = submission.model_copy(update={"protocol": ""})
    unnamed = write_bundle(tmp_path / "e.zip", none, files)
    assert "names no protocol" in problems_of(unnamed, protocol=None)[0]["file"]


def test_a_file_that_is_not_a_bundle_is_a_problem(tmp_path):
    write_text(tmp_path / "b.zip", "hello")
    assert "not a zip file" in problems_of(tmp_path / "b.zip")[0]["file"]


def test_labels_left_out_are_filled_in_where_the_data_are_at_hand(tmp_path, content, monkeypatch):
    submission, files = content
    out = submission.model_copy(update={"labels": "left out"})
    path = write_bundle(tmp_path / "b.zip", out, _disguised(files, Disguise(labels=False)))
    assert problems_of(path)[0] == {}
    complete = write_bundle(tmp_path / "whole.zip", submission, files)
    tables = [read_boards(p)[0][0] for p in (path, complete)]
    for left, whole in zip(tables[0].rows, tables[1].rows, strict=True):
        assert left.label == whole.label
        # as text, because undefined scores are nan
        assert {c: repr(r.scores.values) for c, r in left.done.items()} == {
            c: repr(r.scores.values) for c, r in whole.done.items()
        }
    monkeypatch.setattr("mil_bench.boards.known_labels._if_at_hand", lambda *_: None)
    records = with_known_labels(collect(path))
    assert {record.status for record in records} == {"unreadable"}
    assert "labels are left out" in records[0].reason


def test_keyed_ids_are_not_looked_up_and_scores_stay(tmp_path, content):
    submission, files = content
    keyed = submission.model_copy(update={"ids": "keyed"})
    path = write_bundle(tmp_path / "b.zip", keyed, _disguised(files, Disguise(b"k" * 40)))
    problems, report = problems_of(path)
    assert problems == {}
    notes = {f.subject: f.fact for f in report.findings if f.state == "note"}
    assert notes["slides"] == "ids are keyed hashes, so they are not compared"
    whole = write_bundle(tmp_path / "w.zip", submission, files)
    assert report.summary == check_bundle(whole, PROTOCOL).summary


def _disguised(files, disguise):
    folders = sorted({name.rpartition("/")[0] for name in files})
    members = {}
    for folder in folders:
        own = {n.rpartition("/")[2]: t for n, t in files.items() if n.rpartition("/")[0] == folder}
        members |= {f"{folder}/{name}": text for name, text in disguise.applied(own).items()}
    return members


def test_the_command_fails_with_a_problem_and_names_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    shutil.copy(MAX, tmp_path / "max.zip")
    for words, code in (([str(MEAN)], 0), ([str(tmp_path)], 1)):
        with pytest.raises(SystemExit) as stop:
            main(["submit", "check", *words])
        assert stop.value.code == code
    printed = capsys.readouterr().out
    assert "mean: 15 runs, mean balanced accuracy 42.2" in printed
    assert "1 problem to fix" in printed


@pytest.mark.slow
def test_every_committed_bundle_is_sound_and_small():
    paths = sorted(STORE.glob("*.zip"))
    assert len(paths) >= 32
    for path in paths:
        report = check_bundle(path, ROOT / "protocols" / f"{path.name.partition('--')[0]}.toml")
        assert all(f.state == "ok" for f in report.findings), (path.name, report.findings)
        assert path.stat().st_size < 1_500_000


def test_scores_of_a_bundle_are_those_of_its_runs(tmp_path):
    """The stored predictions of one run, scored by the engine."""
    bundle = read_bundle(MEAN)
    run = bundle.runs[0]
    spec = read_definition(json.loads(bundle.files[f"runs/{run}/spec.json"]))
    (record,) = [r for r in collect(MEAN) if r.key == spec.key]
    assert record.scores.values == Scores.of(record.sets["test"]).values
    assert Taxonomy.from_dict(spec.tree) == record.sets["test"].taxonomy
