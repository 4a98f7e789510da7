"""``mil-bench run study.toml`` and ``--dry-run`` as a user types them."""

import re
from pathlib import Path

import pytest
import toy_grid

from mil_bench.cli.main import main
from mil_bench.runs.directory import run_directories
from mil_bench.runs.studies.stored_plans import stored_grids
from mil_bench.runs.studies.study_file import read_study

STUDY = 'methods = ["plain", "broken"]\ndatasets = ["toy"]\nfolds = [0, 1]\n'
STUDY += "[[exclude]]\nmethod = 'broken'\nfold = 1\n"


@pytest.fixture
def typed(tmp_path, monkeypatch, capfd):
    """Exit code and output of ``mil-bench run`` beside a study file."""
    assert toy_grid.ToyData.card.name == "toy"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("MIL_BENCH_DATA", raising=False)
    (tmp_path / "study.toml").write_text(STUDY)

    def _typed(*words):
        with pytest.raises(SystemExit) as ended:
            main(["run", *words])
        said = capfd.readouterr()
        return ended.value.code, said.out + said.err

    return _typed


def row(said, *first):
    """The numbers of the table's row that begins so."""
    for line in said.splitlines():
        cells = re.split(r"\s{2,}", line.strip())
        if cells[: len(first)] == list(first):
            return cells[len(first) :]
    raise AssertionError(first)


def test_a_study_is_planned_made_and_then_done(typed, tmp_path):
    code, said = typed("study.toml", "--dry-run")
    assert (code, list(tmp_path.glob("runs"))) == (0, [])
    assert row(said, "toy", "plain")[0] == "2"
    assert "3 runs, 3 to do; time unknown" in said
    code, said = typed("study.toml", "--device", "cpu")
    assert (code, "2 done, 0 done before, 1 failed" in said) == (1, True)
    assert len(run_directories(tmp_path / "runs")) == 3
    ((grid,), _) = stored_grids(tmp_path / "runs")
    assert (grid.title, len(grid.runs)) == ("study.toml", 3)
    code, said = typed("study.toml", "--dry-run")
    assert row(said, "toy", "plain")[:6] == ["2", "2", "·", "·", "·", "·"]
    assert row(said, "toy", "broken")[:6] == ["1", "·", "·", "1", "·", "·"]
    assert "3 runs, 0 to do; nothing left to do" in said
    _, said = typed("study.toml", "--dry-run", "--existing", "retry-failed")
    assert row(said, "toy", "broken")[:6] == ["1", "·", "·", "1", "·", "1"]
    _, said = typed("study.toml", "--dry-run", "--overwrite")
    assert "3 runs, 3 to do; about" in said


def test_a_plain_grid_has_a_dry_run_too(typed, tmp_path):
    words = ["-m", "plain,tiny", "-d", "toy", "--fold", "0,2", "--seed", "0,1", "--dry-run"]
    code, said = typed(*words)
    assert (code, row(said, "all")[0]) == (0, "8")
    assert not (tmp_path / "runs").exists()


def test_a_missing_dataset_stops_everything_unless_told_otherwise(typed, tmp_path):
    (tmp_path / "study.toml").write_text(
        'methods = ["plain"]\nfolds = [0]\ndatasets = ["toy", "bracs"]\n'
    )
    code, said = typed("study.toml")
    assert code == 1
    assert said.startswith("error: nothing was run")
    assert "bracs: dataset bracs requires its files" in said
    assert not (tmp_path / "runs").exists()
    code, said = typed("study.toml", "--allow-missing-datasets", "--device", "cpu")
    assert code == 1
    assert "1 done, 0 done before, 0 failed" in said
    assert "left out bracs: dataset bracs requires its files" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "nothing to run: pass --method NAMES and --dataset NAME, or a study file"),
        (["-m", "plain"], "nothing to run"),
        (["study.toml", "-m", "plain"], "--method cannot be combined with a study file"),
        (["study.toml", "--fold", "0"], "--fold cannot be combined with a study file"),
        (["study.toml", "--set", "lr=1"], "--set cannot be combined with a study file"),
        (["study.toml", "--allow-missing"], "--allow-missing cannot be combined"),
        (["toy"], "'toy' is not a study file; expected a .toml file"),
        (["no.toml"], "cannot read study file no.toml"),
        (["typo.toml"], "unknown method 'plan'; did you mean 'plain'"),
        (["own.toml"], "dataset file my.toml does not exist"),
        (["exact.toml", "--precision", "bf16"], "both set the precision"),
    ],
)
def test_wrong_words_are_one_sentence(typed, tmp_path, words, sentence):
    (tmp_path / "typo.toml").write_text(STUDY.replace("plain", "plan"))
    (tmp_path / "own.toml").write_text(STUDY.replace("toy", "my.toml"))
    (tmp_path / "exact.toml").write_text('precision = "32"\n' + STUDY)
    code, said = typed(*words)
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith("error: ")
    assert sentence in said


def test_the_example_of_the_documentation_is_a_study_file(tmp_path):
    text = (Path(__file__).resolve().parents[2] / "docs" / "studies.md").read_text()
    example = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0]
    (tmp_path / "study.toml").write_text(example)
    study = read_study(tmp_path / "study.toml")
    assert {"bracs", "panda", "digit-bags"} <= {dataset.name for dataset in study.datasets}
    assert study.include == []
    assert len(study.exclude) == 2
