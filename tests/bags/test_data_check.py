from io import StringIO

import pytest
from rich.console import Console
from small_cohorts import bracs_sheet, write_bracs_workbook, write_features

from mil_bench.bags.check import check_dataset, render
from mil_bench.dataset import DatasetOptions


def text_of(report):
    console = Console(file=StringIO(), width=200)
    render(report, console)
    return console.file.getvalue()


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
    assert leaf["slides"].sum() == report.slides == 6
    assert report.patients == 4


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
    assert report.ok
    assert "ready to run" in text_of(report)


def test_sizes_dimension_and_type_of_features_are_told(cohort):
    facts = check_dataset("bracs", cohort, "official").features
    assert (facts.dim, facts.dtype, facts.coords) == (4, "float32", True)
    assert (facts.smallest, facts.median, facts.largest, facts.total) == (3, 3, 3, 18)


def test_a_leaking_split_is_a_problem(cohort):
    report = check_dataset("bracs", cohort, "official")
    assert not report.ok
    assert any("leaks" in problem for problem in report.problems)


def test_missing_features_are_listed_and_make_the_check_fail(tmp_path):
    root = write_bracs_workbook(tmp_path)
    write_features(root / "features", bracs_sheet()["WSI Filename"][:5])
    options = DatasetOptions(data_root=root, cache=tmp_path / "cache", allow_missing=True)
    report = check_dataset("bracs", options, "official")
    assert report.missing == ("BRACS_6",)
    assert not report.ok
    assert "1 slides have no features: BRACS_6" in text_of(report)


def test_a_split_is_checked_without_features_too(tmp_path):
    root = write_bracs_workbook(tmp_path)
    report = check_dataset("bracs", DatasetOptions(data_root=root), "official")
    assert any("group '2' stands in train" in problem for problem in report.problems)
    leaf = report.classes[report.classes["level"] == "leaf"]
    assert leaf[["train", "val", "test"]].sum().tolist() == [2, 3, 1]


def test_labels_are_checked_when_there_are_no_features_at_all(tmp_path):
    root = write_bracs_workbook(tmp_path)
    options = DatasetOptions(data_root=root, allow_missing=True)
    report = check_dataset("bracs", options, "official")
    assert report.features is None
    assert report.classes.set_index("class").loc["IC", "test"] == 1  # official sets are known
    assert "only the labels were checked" in text_of(report)
    assert not report.ok
