from io import StringIO

import pytest
from rich.console import Console
from small_cohorts import bracs_sheet, write_bracs_workbook, write_features

from mil_bench.checks.dataset import check_dataset, show
from mil_bench.cli.main import main
from mil_bench.contract.dataset import DatasetOptions


def text_of(report):
    console = Console(file=StringIO(), width=200)
    show(report, console)
    return console.file.getvalue()


def told(report, subject, state="ok"):
    """Facts on one subject."""
    return [f.fact for f in report.findings if (f.subject, f.state) == (subject, state)]


@pytest.fixture
def cohort(tmp_path):
    root = write_bracs_workbook(tmp_path / "bracs")
    write_features(root / "features", bracs_sheet()["WSI Filename"])
    return DatasetOptions(data_root=root, cache=tmp_path / "cache", allow_missing=True)


def test_classes_are_counted_by_level_and_set(cohort):
    report = check_dataset("bracs", cohort, "official")
    rows = report.classes.set_index("class")
    assert list(rows.loc["atypical", ["level", "slides", "patients"]]) == ["coarse", 2, 1]
    leaf = report.classes[report.classes["level"] == "leaf"]
    assert leaf["slides"].sum() == 6
    assert told(report, "ids") == ["6 labelled slides, each listed once"]
    assert told(report, "patients") == ["4 patients, 4 groups"]


def test_sets_are_counted_by_class_where_the_split_is_sound(tmp_path):
    labels = "slide_id,label,split\n" + "".join(
        f"s{i},{'AB'[i % 2]},{name}\n" for i, name in enumerate(["train"] * 4 + ["val", "test"] * 2)
    )
    (tmp_path / "labels.csv").write_text(labels)
    write_features(tmp_path / "features", [f"s{i}" for i in range(8)])
    toml = tmp_path / "my.toml"
    toml.write_text('name = "mine"\nlabels = "labels.csv"\nfeatures = "features"\n')
    report = check_dataset(str(toml), DatasetOptions(cache=tmp_path / "cache"))
    rows = report.classes.set_index("class")[["slides", "train", "val", "test"]]
    assert rows.to_dict("index") == {
        "A": {"slides": 4, "train": 2, "val": 2, "test": 0},
        "B": {"slides": 4, "train": 2, "val": 0, "test": 2},
    }
    assert not report.problems
    assert told(report, "split") == [
        "official (official): 1 fold; fold 0 has 4 train, 2 val, 2 test slides"
    ]
    assert told(report, "leaks") == ["no patient or group is in two sets of a fold"]
    assert told(report, "patients", "note") == ["unknown for 8 of 8 slides, 8 groups"]
    assert "ready to run" in text_of(report)


def test_sizes_dimension_and_type_of_features_are_told(cohort):
    facts = check_dataset("bracs", cohort, "official").features
    assert (facts.dim, facts.dtype, facts.coords) == (4, "float32", True)
    assert (facts.smallest, facts.median, facts.largest, facts.total) == (3, 3, 3, 18)


def test_a_leaking_split_is_a_problem(cohort):
    report = check_dataset("bracs", cohort, "official")
    (leak,) = told(report, "leaks", "problem")
    assert "group '2' is in train" in leak


def test_missing_features_are_listed_and_make_the_check_fail(tmp_path):
    root = write_bracs_workbook(tmp_path)
    write_features(root / "features", bracs_sheet()["WSI Filename"][:5])
    options = DatasetOptions(data_root=root, cache=tmp_path / "cache", allow_missing=True)
    report = check_dataset("bracs", options, "official")
    assert told(report, "features", "problem") == ["1 slide without features: BRACS_6"]
    assert "-> extract them" in text_of(report)
    assert "to fix" in text_of(report)


def test_a_split_is_checked_without_features_too(tmp_path):
    root = write_bracs_workbook(tmp_path)
    report = check_dataset("bracs", DatasetOptions(data_root=root), "official")
    assert any("group '2' is in train" in problem for problem in report.problems)
    leaf = report.classes[report.classes["level"] == "leaf"]
    assert leaf[["train", "val", "test"]].sum().tolist() == [2, 3, 1]


def test_labels_are_checked_when_there_are_no_features_at_all(tmp_path):
    root = write_bracs_workbook(tmp_path)
    options = DatasetOptions(data_root=root, allow_missing=True)
    report = check_dataset("bracs", options, "official")
    assert report.features is None
    assert report.classes.set_index("class").loc["IC", "test"] == 1  # official sets are known
    assert "only the labels were checked" in text_of(report)
    assert told(report, "features", "problem")


def test_classes_that_no_fold_can_hold_are_notes(cohort):
    absent, rare = told(check_dataset("bracs", cohort, "official"), "labels", "note")
    assert absent == "2 classes without a slide: PB, UDH"
    assert rare.startswith("5 classes with fewer than 3 patients (groups): N, FEA, ADH, DCIS, IC")


def test_findings_of_the_adapter_and_of_the_split_are_notes(cohort):
    notes = told(check_dataset("bracs", cohort, "official"), "finding", "note")
    assert any("1 of 4 patients have slides of different classes" in note for note in notes)
    assert any(note.startswith("leak: ") for note in notes)


@pytest.mark.parametrize("words", [("check", "dataset", "bracs"), ("data", "check", "-d", "bracs")])
def test_both_commands_print_the_same_report(cohort, words, capsys):
    with pytest.raises(SystemExit) as end:
        main([*words, "--data-root", str(cohort.data_root), "--cache-dir", str(cohort.cache)])
    said = capsys.readouterr().out
    assert end.value.code == 1
    assert "6 labelled slides, each listed once" in said
    assert "problem" in said


def test_a_toml_that_does_not_exist_is_one_sentence(capsys):
    with pytest.raises(SystemExit) as end:
        main(["check", "dataset", "nowhere.toml"])
    assert end.value.code == 2
    assert "dataset file nowhere.toml does not exist" in capsys.readouterr().err
