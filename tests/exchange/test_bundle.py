"""Bundles: the same content is the same file, and comes back as the same runs."""

from __future__ import annotations

import hashlib
import json
import zipfile

import pytest
from bundle_cases import SUBMISSION, bundle_of, files_of, raw_zip, some_runs

from mil_bench.base.errors import ConfigError, MilBenchError
from mil_bench.exchange.bundles.bundle import MANIFEST, BundleError, write_bundle
from mil_bench.exchange.bundles.read_bundle import read_bundle
from mil_bench.exchange.bundles.submission import parse_submission, submission_text


def test_what_is_packed_comes_back(tmp_path):
    runs = some_runs(tmp_path / "runs")
    bundle = read_bundle(bundle_of(runs, tmp_path / "b.zip"))
    expected = files_of(runs)
    assert {name: bundle.files[name] for name in expected} == expected
    assert bundle.runs == tuple(sorted(p.parent.relative_to(runs).as_posix()
                                       for p in runs.glob("*/*/*/spec.json")))  # fmt: skip
    assert bundle.submission == SUBMISSION
    assert bundle.sha256 == hashlib.sha256((tmp_path / "b.zip").read_bytes()).hexdigest()


def test_the_same_content_gives_the_same_bytes_whatever_the_order_and_time(tmp_path):
    runs = some_runs(tmp_path / "runs")
    files = files_of(runs)
    first = write_bundle(tmp_path / "a.zip", SUBMISSION, files)
    for path in runs.rglob("*"):
        path.touch()
    second = write_bundle(tmp_path / "b.zip", SUBMISSION, dict(reversed(files.items())))
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_manifest_is_what_sha256sum_writes(tmp_path):
    path = bundle_of(some_runs(tmp_path / "runs"), tmp_path / "b.zip")
    with zipfile.ZipFile(path) as archive:
        lines = archive.read(MANIFEST).decode().splitlines()
        listed = dict(reversed(line.split("  ")) for line in lines)
        assert set(listed) == set(archive.namelist()) - {MANIFEST}
        for name, digest in listed.items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == digest


@pytest.mark.parametrize("name", ["checkpoint.pt", "notes.txt", "runs/a/b/c/spec.json"])
def test_only_members_of_a_bundle_can_be_packed(tmp_path, name):
    with pytest.raises(BundleError, match="may not be in a bundle"):
        write_bundle(tmp_path / "b.zip", SUBMISSION, {name: b""})
    assert not list(tmp_path.iterdir())


def test_a_submission_keeps_every_character(tmp_path):
    people = ('Ana "A" Ünal \\ \x7f \t', "李\n雷")
    submission = SUBMISSION.model_copy(update={"people": people, "external_data": "a = 'b' # c"})
    assert parse_submission(submission_text(submission), "it") == submission


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("people = []", "people"),
        ("colour = 1", "unknown option 'colour'"),
        ("format = 2", "format 2; this version reads up to 1"),
        ("format = 0", "format"),
        ("settings = 'best'", "settings"),
        ("trials = -1", "trials"),
        ("trials = nan", "trials"),
        ("x = [", "not valid TOML"),
    ],
)
def test_a_wrong_submission_is_refused_in_a_sentence(change, message):
    key = change.partition(" ")[0]
    lines = submission_text(SUBMISSION).splitlines()
    text = "\n".join([*(line for line in lines if not line.startswith(f"{key} ")), change])
    with pytest.raises(MilBenchError, match="submission") as refusal:
        parse_submission(text, "submission.toml")
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_submission_without_people_names_the_key():
    with pytest.raises(ConfigError, match="people"):
        parse_submission('method = "abmil"\nlicence = "MIT"\ncode = "x"', "submission.toml")


def test_a_stored_bundle_of_format_1_is_read(tmp_path):
    """Written by hand with deflate and without what later versions may add."""
    runs = some_runs(tmp_path / "runs", folds=1)
    text = 'method = "abmil"\npeople = ["A"]\nlicence = "MIT"\ncode = "https://example.org"\n'
    files = files_of(runs) | {"submission.toml": text.encode()}
    bundle = read_bundle(raw_zip(tmp_path / "old.zip", files))
    assert bundle.submission.format == 1
    (run,) = bundle.runs
    assert json.loads(bundle.files[f"runs/{run}/spec.json"])["method"] == "abmil"
