"""Files of simulated cohorts: the form of the real ones, a signal that can be found, a tag."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import openpyxl
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from mil_bench.bags.labels.instances import read_instances
from mil_bench.base.errors import DataError, UnknownNameError
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.datasets.load import load_dataset
from mil_bench.simulation.simulate import simulate

LEAVES = ["N", "PB", "UDH", "FEA", "ADH", "DCIS", "IC"]


@pytest.fixture(scope="module")
def bracs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cohort") / "sim"
    simulate("bracs", out, slides=150, dim=24, max_patches=120, seed=3)
    return out


def bags_of(root: Path) -> dict[str, np.ndarray]:
    bags = {}
    for path in sorted(root.glob("20x_256px_0px_overlap/features_simulated24/*.h5")):
        with h5py.File(path) as file:
            bags[path.stem] = file["features"][:].astype(np.float32)
    return bags


def test_the_bracs_workbook_has_both_sheets_with_the_official_headers(bracs: Path) -> None:
    book = openpyxl.load_workbook(bracs / "BRACS.xlsx")
    first, second = book.worksheets
    assert (first.title, second.title) == ("WSI_Information", "WSI_with_RoI_Distribution")
    header = [cell.value for cell in first[1]]
    assert header == ["WSI Filename", "Patient Id", "RoI ", "WSI label", "Set"]
    assert second["E1"].value == "RoI Distribution"
    assert [cell.value for cell in second[2]] == [
        "WSI Filename",
        "WSI label",
        "Set",
        "Total RoI number",
        *LEAVES,
    ]


def test_trident_files_carry_the_attributes_of_trident(bracs: Path) -> None:
    path = next(bracs.glob("20x_256px_0px_overlap/features_simulated24/*.h5"))
    with h5py.File(path) as file:
        features, coords = file["features"], file["coords"]
        assert features.chunks == (1, 24)
        assert features.attrs["encoder"] == "simulated24"
        assert coords.dtype == np.int64
        assert coords.attrs["patch_size"] == 256
        assert coords.attrs["patch_size_level0"] == 512
        assert coords.attrs["level0_magnification"] == 40
        assert coords.attrs["target_magnification"] == 20
        assert coords.attrs["overlap"] == 0
        assert (coords[:] % 512 == 0).all()
        assert len(np.unique(coords[:], axis=0)) == len(features)


def test_clam_files_are_plain_and_hold_the_same_features_twice(tmp_path: Path) -> None:
    simulate("ccc", tmp_path / "c", slides=20, dim=8, max_patches=30, layout="clam")
    folder = tmp_path / "c" / "features" / "simulated8"
    slides = pd.read_csv(tmp_path / "c" / "manifest.csv")["slide_id"].tolist()
    assert {p.stem for p in folder.glob("h5_files/*.h5")} == set(slides)
    with h5py.File(folder / "h5_files" / f"{slides[0]}.h5") as file:
        assert dict(file["features"].attrs) == {}
        assert file["coords"].dtype == np.int32
        tensor = torch.load(folder / "pt_files" / f"{slides[0]}.pt", weights_only=True)
        np.testing.assert_array_equal(tensor.numpy(), file["features"][:])


@pytest.mark.parametrize("layout", ["trident", "clam"])
@pytest.mark.parametrize("like", ["bracs", "panda", "ccc"])
def test_the_adapter_reads_every_cohort_and_tags_it_simulated(
    like: str, layout: str, tmp_path: Path
) -> None:
    simulate(like, tmp_path / "c", slides=40, dim=8, max_patches=20, layout=layout)
    options = DatasetOptions(data_root=tmp_path / "c", cache=tmp_path / "cache")
    data = load_dataset(like, options)
    assert data.kind == "simulated"
    assert len(data.manifest) == 40
    assert data.missing == ()
    assert data.store.dim == 8
    assert data.store.coords is not None
    assert set(data.manifest.table["label"]) == set(data.taxonomy.leaves)
    assert data.instance_labels is not None
    for slide, label in data.manifest.labels().items():
        marks = data.instance_labels[slide]
        assert len(marks) == len(data.store.bag(slide))
        assert label in marks or label == data.taxonomy.leaves[0]
    if like != "panda":
        assert data.official is not None
        data.official.check(data.manifest.groups())


def test_witness_patches_are_recorded_and_decide_the_label(bracs: Path) -> None:
    bags = bags_of(bracs)
    marks = read_instances(bracs, {slide: len(bag) for slide, bag in bags.items()})
    assert marks is not None
    labels = pd.read_excel(bracs / "BRACS.xlsx").set_index("WSI Filename")["WSI label"]
    assert set(labels.index) == set(bags)
    for slide, label in labels.items():
        found = set(marks[str(slide)]) - {"background"}
        assert label == (max(found, key=LEAVES.index) if found else "N")
        if len(bags[str(slide)]) >= 25:
            assert marks[str(slide)].count("background") >= 0.4 * len(bags[str(slide)])


def test_witnesses_tell_the_coarse_class_and_shuffled_labels_do_not(bracs: Path) -> None:
    bags = bags_of(bracs)
    marks = read_instances(bracs, {slide: len(bag) for slide, bag in bags.items()})
    assert marks is not None
    labels = pd.read_excel(bracs / "BRACS.xlsx").set_index("WSI Filename")["WSI label"]
    labels = labels[labels != "N"]
    means = [bags[s][np.array(marks[s]) == label].mean(0) for s, label in labels.items()]
    coarse = labels.map(lambda leaf: 0 if leaf in LEAVES[:3] else 1 if leaf in LEAVES[3:5] else 2)

    def score(target: np.ndarray) -> float:
        model = LogisticRegression(class_weight="balanced", max_iter=2000)
        return cross_val_score(model, means, target, cv=5, scoring="balanced_accuracy").mean()

    assert score(coarse.to_numpy()) > 0.75
    assert score(np.random.default_rng(0).permutation(coarse.to_numpy())) < 0.5


def test_slides_of_one_patient_look_more_alike_than_others(bracs: Path) -> None:
    table = pd.read_excel(bracs / "BRACS.xlsx").set_index("WSI Filename")
    means = pd.DataFrame({s: bag.mean(0) for s, bag in bags_of(bracs).items()}).T
    patient = table["Patient Id"].loc[means.index]
    within = means.groupby(patient).transform(lambda column: column - column.mean())
    several = patient.map(patient.value_counts()) > 1
    assert within[several].to_numpy().var() < 0.5 * means[several].to_numpy().var(0).mean()


def test_the_same_seed_gives_the_same_features_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        simulate("bracs", tmp_path / name, slides=21, dim=24, max_patches=120, seed=seed)
    a, b, c = (bags_of(tmp_path / name) for name in "abc")
    assert all(np.array_equal(a[slide], b[slide]) for slide in a)
    assert not any(np.array_equal(a[slide], c[slide]) for slide in a)


def test_the_mark_names_what_was_simulated(bracs: Path) -> None:
    mark = json.loads((bracs / "SIMULATED.json").read_text())
    assert (mark["like"], mark["seed"]) == ("bracs", 3)
    assert mark["options"]["slides"] == 150
    assert mark["version"]


def test_a_folder_with_other_content_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty and not a simulation"):
        simulate("bracs", tmp_path, slides=21)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_an_earlier_simulation_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    simulate("panda", tmp_path, slides=30, dim=8, max_patches=20)
    (tmp_path / "notes.txt").write_text("mine")
    simulate("ccc", tmp_path, slides=20, dim=8, max_patches=20, layout="clam")
    assert {p.name for p in tmp_path.iterdir()} == {
        "SIMULATED.json",
        "manifest.csv",
        "instances.csv",
        "features",
        "notes.txt",
    }


def test_a_mark_that_points_outside_its_folder_removes_nothing(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "sim").mkdir()
    mark = json.dumps({"files": ["../precious"]})
    (tmp_path / "sim" / "SIMULATED.json").write_text(mark)
    with pytest.raises(DataError, match="leave its folder"):
        simulate("bracs", tmp_path / "sim", slides=21)
    assert (tmp_path / "precious").is_dir()


def test_unknown_cohorts_and_layouts_get_suggestions(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'bracs'"):
        simulate("brcs", tmp_path / "x")
    with pytest.raises(UnknownNameError, match="'trident'"):
        simulate("bracs", tmp_path / "x", layout="tridnt")
    assert not (tmp_path / "x").exists()
