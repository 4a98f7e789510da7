"""Predictions made elsewhere become external runs, if they are those of the split."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from foreign_tables import written
from run_folders import finish, make_spec
from sklearn.metrics import roc_auc_score

from mil_bench.base.errors import DataError, RunError, SplitError, TaxonomyError, UsageError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.report import report_of
from mil_bench.cli.main import main
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.contract.spec import ExternalSpec
from mil_bench.datasets.load import load_labels
from mil_bench.evaluation.predictions import Predictions
from mil_bench.exchange.tables.imported import ImportRequest, import_predictions
from mil_bench.runs.task import DataRequest

N = 60
SLIDES = [f"s{i:02d}" for i in range(N)]
LABELS = [("no", "yes")[i % 2] for i in range(N)]


@pytest.fixture
def cohort(tmp_path):
    """Own data with 60 slides of 30 patients; its request."""
    pd.DataFrame(
        {"slide_id": SLIDES, "patient_id": [f"p{i // 2}" for i in range(N)], "label": LABELS}
    ).to_csv(tmp_path / "labels.csv", index=False)
    toml = tmp_path / "own.toml"
    toml.write_text('name = "own"\nlabels = "labels.csv"\nfeatures = "."\n')
    return DataRequest(str(toml), split="kfold-3")


@pytest.fixture
def split(cohort):
    return cohort.with_split(load_labels(cohort.dataset, cohort.options))[1]


@pytest.fixture
def table(split):
    """The test slides of every fold."""
    rows = [(slide, k) for k, fold in enumerate(split.folds) for slide in fold.test]
    yes = np.random.default_rng(0).uniform(size=len(rows))
    return pd.DataFrame(
        {
            "slide_id": [slide for slide, _ in rows],
            "fold": [fold for _, fold in rows],
            "label": [LABELS[SLIDES.index(slide)] for slide, _ in rows],
            "no": 1 - yes,
            "yes": yes,
        }
    )


def stored(tmp_path, cohort, table, name="theirs", **how):
    path = written(tmp_path / "t.csv", table)
    return import_predictions(ImportRequest(name, [path], cohort, tmp_path / "runs", **how))


def test_an_external_run_per_fold_has_the_predictions_of_the_file(tmp_path, cohort, table):
    imported = stored(tmp_path, cohort, table)
    assert [(r.spec.seed, r.spec.fold, r.new) for r in imported.runs] == [
        (0, 0, True),
        (0, 1, True),
        (0, 2, True),
    ]
    for run in imported.runs:
        own = table[table["fold"] == run.spec.fold].set_index("slide_id")
        p = Predictions.read(run.directory.predictions)
        assert p.heads[LEAF][:, 1].tolist() == own.loc[p.slide_ids, "yes"].tolist()
        auc = roc_auc_score(own["label"] == "yes", own["yes"])
        assert run.scores.by_name["macro_auc"] == pytest.approx(auc)
        assert p.patients_known


def test_nothing_is_said_of_a_training(tmp_path, cohort, table):
    (run, *_) = stored(tmp_path, cohort, table).runs
    files = {path.name for path in run.directory.path.iterdir() if path.name != ".lock"}
    assert files == {"spec.json", "env.json", "predictions.csv", "result.json"}
    spec, result = (
        json.loads((run.directory.path / name).read_text()) for name in ("spec.json", "result.json")
    )
    assert isinstance(run.directory.read_definition(), ExternalSpec)
    assert spec["evidence"] == "external"
    assert not {"trainer", "epochs", "parameters", "device"} & {*spec, *result}
    with pytest.raises(RunError, match="external predictions of theirs, without a model"):
        run.directory.read_spec()


def test_importing_again_changes_nothing_and_other_files_need_another_name(tmp_path, cohort, table):
    first = stored(tmp_path, cohort, table)
    before = {r.directory.path: r.directory.result.read_bytes() for r in first.runs}
    assert [run.new for run in stored(tmp_path, cohort, table).runs] == [False] * 3
    other = table.assign(no=table["yes"], yes=table["no"])
    with pytest.raises(RunError, match=r"3 runs of theirs on own came from other files.*--overw"):
        stored(tmp_path, cohort, other)
    assert before == {r.directory.path: r.directory.result.read_bytes() for r in first.runs}
    assert [run.new for run in stored(tmp_path, cohort, other, overwrite=True).runs] == [True] * 3
    assert len(list((tmp_path / "runs" / ".replaced").rglob("result.json"))) == 3
    stored(tmp_path, cohort, table, name="others")


def test_folds_that_no_file_states_are_told_by_their_slides(tmp_path, cohort, table):
    bare = table.drop(columns="fold")
    assert [r.spec.fold for r in stored(tmp_path, cohort, bare).runs] == [0, 1, 2]
    one = bare[table["fold"] == 1]
    (run,) = stored(tmp_path, cohort, one, name="one").runs
    assert run.spec.fold == 1
    with pytest.raises(DataError, match="no fold of split 'kfold-3' tests its 50 slides"):
        stored(tmp_path, cohort, bare.head(50), name="half")


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (
            lambda t: t.assign(slide_id=t["slide_id"].replace({"s00": "z"})),
            DataError,
            "1 slide unk",
        ),
        (lambda t: pd.concat([t, t.head(1)]), DataError, "lists slide .* twice"),
        (lambda t: t.iloc[1:], DataError, "1 slide of the test set of split 'kfold-3' have no"),
        (lambda t: t.assign(fold=t["fold"] + 1), (DataError, SplitError), "count the folds as the"),
        (lambda t: t.assign(fold=0), DataError, "20 slides are in the train set"),
        (lambda t: t.assign(label="yes"), DataError, "labels differ from the dataset's"),
        (lambda t: t.assign(label="maybe"), TaxonomyError, "unknown label 'maybe'"),
        (lambda t: t.rename(columns={"no": "LUAD", "yes": "LUSC"}), DataError, "no columns"),
        (lambda t: t.assign(no=t["no"] * 3 - 2), DataError, "--logits"),
        (lambda t: t.assign(set="train"), DataError, "has no test set; it has train"),
    ],
)
def test_what_does_not_fit_the_split_is_refused_and_nothing_is_written(
    tmp_path, cohort, table, change, error, sentence
):
    with pytest.raises(error, match=sentence):
        stored(tmp_path, cohort, change(table))
    assert not (tmp_path / "runs").exists()


def test_training_slides_among_the_tested_are_refused(tmp_path, cohort, table, split):
    leaked = split[0].train[0]
    row = table.head(1).assign(slide_id=leaked, fold=0, label=LABELS[SLIDES.index(leaked)])
    with pytest.raises(DataError, match=rf"1 slide is in the train set .*first: \['{leaked}'\]"):
        stored(tmp_path, cohort, pd.concat([table, row]))


def test_predictions_of_another_split_are_refused(tmp_path, cohort, table):
    other = DataRequest(cohort.dataset, cohort.options, "kfold-3-seed1")
    with pytest.raises(DataError, match="split 'kfold-3-seed1'"):
        stored(tmp_path, other, table)


def test_a_name_that_is_no_folder_and_files_of_two_models_are_refused(tmp_path, cohort, table):
    with pytest.raises(UsageError, match="cannot be the name"):
        stored(tmp_path, cohort, table, name="../up")
    paths = [written(tmp_path / f"{name}.csv", table) for name in "ab"]
    with pytest.raises(UsageError, match=r"of 2 models by their names \(a, b\)"):
        import_predictions(ImportRequest("x", paths, cohort, tmp_path / "runs"))


def ours(tmp_path, cohort, table, split, features="f1", encoder="uni_v1"):
    """Runs that were trained here, on the same folds."""
    dataset = load_labels(cohort.dataset, DatasetOptions())
    labels, groups = dataset.manifest.labels(), dataset.manifest.clusters()
    for k, fold in enumerate(split.folds):
        slides = list(fold.test)
        yes = table.set_index("slide_id").loc[slides, "yes"].to_numpy() / 2
        p = Predictions(
            dataset.taxonomy,
            np.array(slides),
            np.array([groups[s] for s in slides]),
            np.array([dataset.taxonomy.index(labels[s]) for s in slides]),
            {LEAF: np.stack([1 - yes, yes], 1)},
        )
        spec = make_spec(
            "abmil",
            fold=k,
            tree=dataset.taxonomy,
            dataset="own",
            kind=dataset.kind,
            labels_digest=dataset.manifest.digest(),
            split=split.name,
            split_digest=split.digest(),
            encoder=encoder,
            features_digest=features,
        )
        finish(tmp_path / "runs", spec, p, n_train=len(fold.train))


def test_external_runs_stand_beside_ours_marked_and_tested(tmp_path, cohort, table, split):
    ours(tmp_path, cohort, table, split)
    stored(tmp_path, cohort, table)
    (board,) = build_boards(collect(tmp_path / "runs"))
    assert {row.label: row.evidence for row in board.rows} == {
        "abmil": "trained",
        "theirs (external)": "external",
    }
    assert board.id.encoder == "uni_v1"
    report = report_of(board)
    overall = report.table("overall")
    assert "evidence" in overall.shown
    cells = {row.method: row for row in overall.rows}
    assert cells["theirs (external)"]["precision"] == ""
    (pair,) = [row for row in report.table("pairs").rows if str(row.score) == "balanced_accuracy"]
    assert pair["p_refits"].value == pair["p_refits"].value  # training sizes are those of the split
    assert all(row["evidence"] == cells[label]["evidence"] for label, row in cells.items())


def test_boards_without_external_runs_have_no_such_column(tmp_path, cohort, table, split):
    ours(tmp_path, cohort, table, split)
    (board,) = build_boards(collect(tmp_path / "runs"))
    names = {column.name for column in report_of(board).table("overall").columns}
    assert "evidence" not in names


def test_an_external_run_joins_every_board_of_its_slides_unless_it_names_the_encoder(
    tmp_path, cohort, table, split
):
    ours(tmp_path, cohort, table, split)
    ours(tmp_path, cohort, table, split, features="f2", encoder="conch_v1")
    stored(tmp_path, cohort, table)
    named = DataRequest(cohort.dataset, DatasetOptions(encoder="CONCH"), "kfold-3")
    stored(tmp_path, named, table.assign(no=table["yes"], yes=table["no"]), name="conch-model")
    boards = {board.id.encoder: board for board in build_boards(collect(tmp_path / "runs"))}
    rows = {encoder: {row.method for row in board.rows} for encoder, board in boards.items()}
    assert rows == {"uni_v1": {"abmil", "theirs"}, "conch_v1": {"abmil", "theirs", "conch-model"}}


def test_alone_external_runs_have_a_board(tmp_path, cohort, table):
    stored(tmp_path, cohort, table)
    (board,) = build_boards(collect(tmp_path / "runs"))
    assert [row.label for row in board.rows] == ["theirs"]


def test_decisions_alone_stay_decisions_when_they_are_read_again(tmp_path, cohort, table):
    pred = np.where(table["yes"] > 0.5, "yes", "no")
    stored(tmp_path, cohort, table.drop(columns=["no", "yes"]).assign(pred=pred))
    (board,) = build_boards(collect(tmp_path / "runs"))
    names = {score.metric for scores in board.scores for score in scores.values}
    assert "balanced_accuracy" in names
    assert not {"macro_auc", "auc", "brier", "ece"} & names
    assert report_of(board).table("calibration").rows == ()


def test_the_command_prints_the_runs(tmp_path, cohort, table, capsys):
    path = written(tmp_path / "t.csv", table)
    runs = tmp_path / "runs"
    words = ["import", "theirs", str(path), "--dataset", cohort.dataset, "--split", "kfold-3"]
    with pytest.raises(SystemExit) as end:
        main([*words, "--runs", str(runs)])
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("theirs on own, split kfold-3: balanced accuracy")
    assert "3 external runs written under" in text


# CLAM on TCGA-NSCLC: fifteen folds whose AUCs are published.

PUBLISHED = {
    "sb": (0.9300, 0.9561, 0.9594, 0.8205, 0.9656),
    "mb": (0.9519, 0.9598, 0.9647, 0.8136, 0.9773),
    "mil": (0.8800, 0.9182, 0.9271, 0.8578, 0.9590),
}


def test_the_fifteen_folds_of_clam_are_a_board_with_the_published_aucs(tmp_path, shared):
    clam = shared / "data" / "preds_tcga_nsclc_clam"
    toml = tmp_path / "nsclc.toml"
    toml.write_text(f'name = "nsclc"\nlabels = "{clam / "labels.csv"}"\nfeatures = "."\n')
    data = DataRequest(str(toml), split=str(clam))
    for name in PUBLISHED:
        files = sorted(clam.glob(f"100_level1_{name}__fold*.csv"))
        import_predictions(ImportRequest(f"clam-{name}", files, data, tmp_path / "runs"))
    (board,) = build_boards(collect(tmp_path / "runs"))
    for row in board.rows:
        values = {r.cell[1]: r.scores.by_name["macro_auc"] for r in row.done.values()}
        expected = PUBLISHED[row.method.removeprefix("clam-")]
        assert [values[k] for k in range(5)] == pytest.approx(expected, abs=5e-5)
    assert (board.slides, board.groups) == (339, 296)
    assert {row.label for row in board.rows} == {"clam-sb", "clam-mb", "clam-mil"}
    assert board.taxonomy == Taxonomy.flat("nsclc", ["LUAD", "LUSC"])
