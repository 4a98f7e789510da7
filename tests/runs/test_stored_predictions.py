"""A file of predictions that its run has not written is refused by every reader."""

from __future__ import annotations

import json

import pytest
from prediction_cases import BRACS
from run_folders import finish, make_spec, protect

from mil_bench.base.errors import DataError
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.run import predictions_of
from mil_bench.runs.stored_predictions import PredictionsChangedError, stored_predictions


def edited(folder, **changes):
    path = folder / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_file_of_the_run_is_read(tmp_path):
    folder, p = finish(tmp_path, make_spec())
    sets = stored_predictions(RunDirectory(protect(folder)), BRACS)
    assert sets["test"].slide_ids.tolist() == p.slide_ids.tolist()
    assert (sets["test"].heads["leaf"] == p.heads["leaf"]).all()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(text.split(",")[8], "0.5"),
        lambda text: text[:-1],
        lambda text: text + "\n",
        lambda _: "",
    ],
)
def test_any_other_file_is_refused(tmp_path, damage):
    spec = make_spec()
    folder = protect(finish(tmp_path, spec)[0])
    text = (folder / "predictions.csv").read_text()
    (folder / "predictions.csv").write_text(damage(text), newline="")
    assert (folder / "predictions.csv").read_bytes() != text.encode()
    with pytest.raises(PredictionsChangedError, match="is not the file that the run wrote"):
        stored_predictions(RunDirectory(folder), BRACS)
    with pytest.raises(PredictionsChangedError):
        predictions_of(RunDirectory(folder), spec)


def test_a_missing_file_is_a_sentence(tmp_path):
    folder = protect(finish(tmp_path, make_spec())[0])
    (folder / "predictions.csv").unlink()
    with pytest.raises(DataError, match="cannot read"):
        stored_predictions(RunDirectory(folder), BRACS)


def test_an_older_run_without_a_digest_is_read_as_before(tmp_path):
    folder, _ = finish(tmp_path, make_spec())
    path = folder / "predictions.csv"
    lines = path.read_text().splitlines()
    words = lines[1].split(",")
    words[4] = repr(float(words[4]) + 1.5e-3)  # within the tolerance of format 1
    path.write_text("\n".join([lines[0], ",".join(words), *lines[2:]]) + "\n")
    assert stored_predictions(RunDirectory(folder), BRACS)
    with pytest.raises(DataError, match="do not sum to 1"):
        stored_predictions(RunDirectory(protect(folder)), BRACS)


def test_a_run_of_a_newer_format_is_refused(tmp_path):
    folder = protect(finish(tmp_path, make_spec())[0])
    edited(folder, format=3)
    with pytest.raises(DataError, match=r"newer mil-bench \(format 3; this version reads up to 2"):
        stored_predictions(RunDirectory(folder), BRACS)
