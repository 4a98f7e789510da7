"""Packing: which runs, nothing that must not leave the house, and the same board afterwards."""

from __future__ import annotations

import csv
import io
import json
import stat

import pytest
from bundle_cases import some_runs
from run_folders import fail, finish, make_spec

from mil_bench.base.errors import DataError, MilBenchError
from mil_bench.cli.main import main
from mil_bench.exchange.bundles.freeze import freeze
from mil_bench.exchange.bundles.pack import (
    PackedRow,
    anchors_of,
    chosen_rows,
    pack,
    rows_of,
    submission_of,
)
from mil_bench.exchange.bundles.private import Disguise, read_key, with_labels
from mil_bench.exchange.bundles.protocol import protocol_digest, read_protocol
from mil_bench.exchange.bundles.read_bundle import read_bundle
from mil_bench.exchange.bundles.submission import Authorship
from mil_bench.methods import METHODS
from mil_bench.runs.plan import resolve

ABOUT = Authorship(people=("A. Author",), licence="CC0-1.0", code="https://example.org/code")


def default_of(method):
    """The settings of a method that are its defaults on digit-bags."""
    from mil_bench.datasets import DATASETS

    cls = METHODS.get(method)
    usual = resolve({method: cls}, DATASETS.get("digit-bags").card, {})[method]
    return {
        "config": usual.method.model_dump(mode="json"),
        "trainer": usual.trainer.model_dump(mode="json"),
        "method_version": cls.version,
    }


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Runs of the anchors and of a method, and their protocol."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIL_BENCH_CACHE", str(tmp_path / "cache"))
    runs = tmp_path / "runs"
    for fold in range(2):
        for method in ("mean", "abmil"):
            finish(runs, make_spec(method, fold=fold, **default_of(method)))
        finish(runs, make_spec("dsmil", fold=fold))
    return runs, freeze("toy-1", "2026-11-30", runs)


def _packed(runs, protocol_path, name, out, disguise=None):
    disguise = disguise or Disguise()
    protocol = read_protocol(protocol_path)
    every = rows_of(runs, protocol)
    (row,) = chosen_rows(every, [name])
    members = [row, *(a for a in anchors_of(every, protocol) if a != row)]
    digest = protocol_digest(protocol_path)
    stated = submission_of(ABOUT, row, members, protocol.name, digest, disguise)
    return read_bundle(pack(out, members, stated, disguise))


def test_a_bundle_holds_the_row_and_the_anchors_and_no_checkpoints(lab, tmp_path):
    runs, path = lab
    for folder in runs.glob("*/*/*"):
        (folder / "checkpoint.pt").write_bytes(b"weights")
        (folder / "train.csv").write_text("epoch,loss\n1,0.5\n")
    bundle = _packed(runs, path, "dsmil", tmp_path / "b.zip")
    assert {run.split("/")[1] for run in bundle.runs} == {"dsmil", "mean", "abmil"}
    assert len(bundle.runs) == 6
    assert not [name for name in bundle.files if "checkpoint" in name]
    for run in bundle.runs:
        for name in ("spec.json", "predictions.csv", "result.json", "train.csv"):
            assert bundle.files[f"runs/{run}/{name}"] == (runs / run / name).read_bytes()
    s = bundle.submission
    assert (s.method, s.settings, s.people, s.protocol) == (
        "dsmil",
        "chosen",
        ABOUT.people,
        "toy-1",
    )
    assert s.protocol_digest == protocol_digest(path)
    assert s.hardware == "cpu"


def test_names_of_machines_stay_at_home(lab, tmp_path):
    runs, path = lab
    for file in runs.rglob("env.json"):
        file.write_text(json.dumps({"mil-bench": "0.1.0", "machine": "host-7"}))
    bundle = _packed(runs, path, "dsmil", tmp_path / "b.zip")
    assert b"host-7" not in b"".join(bundle.files.values())
    assert json.loads(bundle.files[f"runs/{bundle.runs[0]}/env.json"]) == {"mil-bench": "0.1.0"}


def test_a_row_that_lacks_a_cell_or_an_anchor_is_not_packed(lab, tmp_path):
    runs, path = lab
    finish(runs, make_spec("max", fold=0))
    fail(runs, make_spec("max", fold=1))
    assert main_error(["submit", "pack", "--protocol", str(path), "--method", "max"]) == 1
    protocol = read_protocol(path)
    with pytest.raises(DataError, match="anchors mean and abmil"):
        anchors_of([], protocol)
    with pytest.raises(MilBenchError, match="unknown row 'nope'"):
        chosen_rows(rows_of(runs, protocol), ["nope"])
    with pytest.raises(DataError, match="no completed run of protocol"):
        rows_of(some_runs(tmp_path / "o", labels_digest="other"), protocol)


def test_runs_on_two_sets_of_features_must_be_chosen_among(lab):
    runs, path = lab
    finish(runs, make_spec("mean", fold=0, encoder="uni", features_digest="other"))
    with pytest.raises(DataError, match="2 sets of features"):
        rows_of(runs, read_protocol(path))
    rows = rows_of(runs, read_protocol(path), "uni")
    assert [row.name for row in rows] == ["mean"]


def main_error(words):
    with pytest.raises(SystemExit) as stop:
        main(words)
    return stop.value.code


def test_the_command_writes_a_form_then_bundles(lab, tmp_path, capsys):
    words = ["submit", "pack", "--protocol", "protocols/toy-1.toml", "--method", "dsmil",
             "--out", "dsmil.zip"]  # fmt: skip
    assert main_error(words) == 2
    assert "empty form" in capsys.readouterr().err
    assert main_error(words) == 2
    assert "people" in capsys.readouterr().err
    form = tmp_path / "submission.toml"
    form.write_text(form.read_text().replace("[]", '["A"]').replace('""', '"x"'))
    assert main_error(words) == 0
    assert read_bundle(tmp_path / "dsmil.zip").submission.method == "dsmil"
    rest = ["--without-anchors", "--out", "all"]
    assert main_error(["submit", "pack", "--protocol", "protocols/toy-1.toml", *rest]) == 0
    names = sorted(path.name for path in (tmp_path / "all").iterdir())
    assert names == ["toy-1--abmil.zip", "toy-1--dsmil.zip", "toy-1--mean.zip"]
    assert (
        main_error(["submit", "pack", "--protocol", "protocols/toy-1.toml", "--out", "a.zip"]) == 2
    )


def test_private_ids_are_keyed_hashes_and_scores_stay(lab, tmp_path):
    runs, path = lab
    for file in runs.rglob("result.json"):
        content = json.loads(file.read_text())
        content["missing"] = ["secret-slide"]
        content["split_notes"] = [{"kind": "leak", "text": "leak: patient secret-patient"}]
        file.write_text(json.dumps(content))
    key = read_key(tmp_path / "id.key")
    bundle = _packed(runs, path, "dsmil", tmp_path / "b.zip", Disguise(key))
    everything = b"".join(bundle.files.values())
    run = next(run for run in bundle.runs if "/dsmil/" in run)
    own = _rows((runs / run / "predictions.csv").read_bytes())
    sent = _rows(bundle.files[f"runs/{run}/predictions.csv"])
    for row in own:
        assert row["slide_id"].encode() not in everything
    assert b"secret" not in everything
    disguise = Disguise(key)
    expected = {(r["set"], disguise.hashed(r["slide_id"])): r for r in own}
    assert {(r["set"], r["slide_id"]) for r in sent} == set(expected)
    for row in sent:
        before = expected[row["set"], row["slide_id"]]
        assert row["group_id"] == disguise.hashed(before["group_id"])
        assert {k: v for k, v in row.items() if not k.endswith("_id")} == {
            k: v for k, v in before.items() if not k.endswith("_id")
        }
    result = json.loads(bundle.files[f"runs/{run}/result.json"])
    assert result["split_notes"][0]["kind"] == "leak"


def _rows(content):
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_two_laboratories_with_other_keys_share_no_id():
    first, second = (Disguise(key).hashed("slide-1") for key in (b"a" * 40, b"b" * 40))
    assert first != second
    assert Disguise(b"a" * 40).hashed("slide-1") == first


def test_a_key_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "id.key"
    key = read_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(path) == key
    assert len(key) == 64
    path.chmod(0o644)
    with pytest.raises(DataError, match="chmod 600"):
        read_key(path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(DataError, match="no key"):
        read_key(path)


def test_labels_that_were_left_out_can_be_filled_in_to_the_byte(lab, tmp_path):
    runs, path = lab
    bundle = _packed(runs, path, "dsmil", tmp_path / "b.zip", Disguise(labels=False))
    run = next(run for run in bundle.runs if "/dsmil/" in run)
    own = (runs / run / "predictions.csv").read_bytes()
    sent = bundle.files[f"runs/{run}/predictions.csv"]
    assert {row["label"] for row in _rows(sent)} == {""}
    labels = {row["slide_id"]: row["label"] for row in _rows(own)}
    assert with_labels(sent, labels) == own
    result = json.loads(bundle.files[f"runs/{run}/result.json"])
    import hashlib

    assert result["predictions_sha256"] == hashlib.sha256(own).hexdigest()


def test_ids_and_labels_are_not_both_withheld(lab):
    words = ["submit", "pack", "--protocol", "protocols/toy-1.toml", "--id-key", "k",
             "--without-labels"]  # fmt: skip
    assert main_error(words) == 2


def test_long_names_of_rows_are_short_and_different_names_of_files():
    rows = [PackedRow("a", f"a lr={'1' * 200}{end}", "chosen", {}) for end in "01"]
    names = {row.file_name for row in rows}
    assert len(names) == 2
    assert all(len(name) < 80 for name in names)
    assert PackedRow("a", "a head=multi", "chosen", {}).file_name == "a-head-multi"
