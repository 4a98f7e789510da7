"""``mil-bench predict``, and ``mil-bench heatmap --method``: screens, files and refusals."""

from __future__ import annotations

import csv
import shutil

import pytest
from trained_site import train, write_sites

from mil_bench.cli.main import main
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.slide_sets import run_for_slide, sets_of


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    root = tmp_path_factory.mktemp("site")
    write_sites(root)
    train(root, root / "ab.toml", "abmil")
    return root


@pytest.fixture
def obey(site, capsys, monkeypatch):
    """Exit code, output and errors of a command in the folder of the cohort."""
    monkeypatch.chdir(site)
    monkeypatch.setenv("MIL_BENCH_CACHE", str(site / "cache"))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words):
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        return end.value.code, *capsys.readouterr()

    return run


def directories(site):
    return sorted(
        (RunDirectory(path.parent) for path in site.glob("runs/ab/abmil/*/spec.json")),
        key=lambda d: d.read_spec().fold,
    )


def slides_of(site, fold, of_set):
    directory = directories(site)[fold]
    sets = sets_of(directory, [f"CCC_SIM_{i}" for i in range(1, 161)])
    return [slide for slide, name in sets.items() if name == of_set]


def test_few_slides_are_a_line_each_and_the_file_has_all(site, obey, tmp_path):
    new = [f"CCC_SIM_{i}" for i in range(1, 161)]
    new = [slide for slide in new if slide not in sets_of(directories(site)[0], new)][:4]
    (tmp_path / "new.txt").write_text("".join(f"{slide}.svs\n" for slide in new))
    out_file = tmp_path / "sub" / "preds.csv"
    words = ["--features", "cohort", "--slides", tmp_path / "new.txt", "--out", out_file]
    code, out, _ = obey("predict", "--method", "abmil", *words)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "3 abmil models trained on ab (folds 0-2, seed 0)"
    assert [line.split()[0] for line in lines if line.startswith("  CCC")] == new
    assert "of 3" in out
    assert "training set" not in out
    with out_file.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["slide_id"] for row in rows] == new
    assert all(float(row["spread"]) >= 0 for row in rows)


def test_many_slides_are_counts_and_the_least_certain(site, obey):
    key = directories(site)[0].path.name
    code, out, _ = obey("predict", "--run", key[:8], "--features", "cohort")
    assert code == 0
    assert "Slides per class" in out
    assert "The 10 slides that the models are least certain of" in out
    assert len([line for line in out.splitlines() if line.startswith("  CCC")]) == 10
    assert "in the training set of the model" in out
    assert "agree" not in out  # of one model


def test_a_labelled_dataset_is_scored_and_stored(site, obey, tmp_path):
    code, out, _ = obey("predict", "--method", "abmil", "--trained-on", "ab", "--dataset", "c.toml")
    assert code == 0
    assert "tested on c" in out.splitlines()[0]
    assert "Balanced accuracy" in out.splitlines()[1]
    assert "3 runs stored under runs" in out
    _, out, _ = obey("leaderboard", "--out", tmp_path, "--no-html", "--no-figures")
    assert "trained on ab (kfold-3), tested on c, simulated8 (simulated)" in out
    assert "From ab to c" in out
    assert (tmp_path / "simulated/c/simulated8/trained-on-ab-kfold-3/transfer.csv").is_file()
    shutil.rmtree(site / "runs" / "c")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--features", "cohort"], "choose the models by --run KEY or by --method NAME"),
        (["--method", "abmil"], "nothing to predict: pass --features DIR, or a labelled dataset"),
        (["--method", "abmil", "--dataset", "c.toml", "--heatmap"], "are for slides of --features"),
        (["--method", "abmil", "--features", "nowhere"], "there is no such folder of features"),
        (["--method", "abmil", "--features", "cohort", "--out", "cohort"], "is a folder; pass a"),
        (["--method", "abmil", "--features", "cohort", "--fold", "x"], "--fold has 'x'"),
        (["--method", "a,b", "--dataset", "c.toml", "--out", "p.csv"], "predictions of one method"),
        (["--run", "zz", "--features", "cohort"], "unknown run 'zz'"),
        (["--run", "zz", "--features", "cohort", "--slides", "cohort"], "pass a list of slide ids"),
        (["--method", "abmil", "--features", "cohort", "--slides", "no.csv"], "no such file"),
    ],
)
def test_wrong_words_are_one_sentence(obey, words, sentence):
    code, _, err = obey("predict", *words)
    assert code in (1, 2)
    assert sentence in err
    assert err.count("\n") == 1


def test_heatmaps_of_new_slides_are_drawn_with_a_model_that_did_not_train_on_them(
    site, obey, tmp_path
):
    trained = slides_of(site, 0, "test")[0]  # in the training sets of the other folds
    (tmp_path / "one.txt").write_text(trained)
    words = ["--features", "cohort", "--slides", tmp_path / "one.txt", "--heatmap"]
    code, out, _ = obey("predict", "--method", "abmil", *words)
    assert code == 0
    folder = directories(site)[0].path / "heatmaps" / trained
    assert (folder / "leaf_all-classes.png").is_file()
    assert str(folder.relative_to(site)) in out.replace("\n", "")


def test_heatmap_by_method_takes_the_run_that_tested_the_slide(site, obey):
    slide = slides_of(site, 1, "test")[0]
    code, out, _ = obey("heatmap", "--method", "abmil", "--slide", f"{slide}.ndpi")
    assert code == 0
    assert (directories(site)[1].path / "heatmaps" / slide / "summary.json").is_file()
    assert "trained on this slide" not in out


def test_heatmap_says_when_a_slide_was_trained_on(site, obey):
    key, slide = directories(site)[2].path.name, slides_of(site, 2, "train")[0]
    code, out, _ = obey("heatmap", "--run", key, "--slide", slide)
    assert code == 0
    assert "note the model was trained on this slide" in out


def test_heatmap_draws_slides_outside_the_cohort(site, obey):
    known = [f"CCC_SIM_{i}" for i in range(1, 161)]
    outside = next(s for s in known if s not in sets_of(directories(site)[0], known))
    code, _, err = obey("heatmap", "--method", "abmil", "--slide", outside)
    assert (code, f"unknown slide '{outside}' of ab" in err) == (2, True)
    code, _, _ = obey("heatmap", "--method", "abmil", "--slide", outside, "--features", "cohort")
    assert code == 0
    page = directories(site)[0].path / "heatmaps" / "index.html"
    assert "new slide, " in page.read_text()
    code, _, err = obey("heatmap", "--method", "abmil", "--run", "0", "--slide", outside)
    assert "pass one --run or one --method" in err


def test_the_set_of_a_slide_comes_from_the_stored_split(site):
    runs = directories(site)
    slide = slides_of(site, 1, "test")[0]
    assert run_for_slide(runs, slide) == (runs[1], "test")
    assert run_for_slide([runs[0]], slide)[1] in ("train", "val")
    assert run_for_slide(runs, "nobody") == (runs[0], None)
