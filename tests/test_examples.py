"""The dataset files of examples/ on the real data beside the project."""

import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from mil_bench.contract.dataset import DatasetOptions
from mil_bench.datasets.load import load_dataset

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def counts(dataset, level):
    taxonomy = dataset.taxonomy
    index = taxonomy.ancestor_index(level)
    found = np.bincount([index[taxonomy.index(v)] for v in dataset.manifest.labels().values()])
    return dict(zip(taxonomy.classes[level], found.tolist(), strict=True))


@pytest.fixture(scope="session")
def classic(shared, tmp_path_factory):
    """The MATLAB sets, converted."""
    out = tmp_path_factory.mktemp("classic")
    sys.path.insert(0, str(EXAMPLES))
    from convert_mat import convert

    for folder in sorted((shared / "data/classic_mil").glob("*_*/")):
        convert(folder, out)
    return out


def test_cric_cervix_has_229_fields_5581_cells_and_the_bethesda_classes(shared):
    dataset = load_dataset(str(EXAMPLES / "cric_cervix.toml"))
    assert len(dataset.manifest) == 229
    assert dataset.store.features.shape == (5581, 59)
    assert counts(dataset, "coarse") == {"normal": 36, "low_grade": 168, "high_grade": 25}
    severe = {k: n for k, n in counts(dataset, "leaf").items() if k in ("ASC-H", "HSIL", "SCC")}
    assert severe == {"ASC-H": 6, "HSIL": 5, "SCC": 14}


def test_a_cric_field_has_the_label_of_its_most_severe_cell(shared):
    dataset = load_dataset(str(EXAMPLES / "cric_cervix.toml"))
    for slide, label in dataset.manifest.labels().items():
        cells = [dataset.taxonomy.index(cell) for cell in dataset.instance_labels[slide]]
        assert len(cells) == len(dataset.store.bag(slide))
        assert max(cells) == dataset.taxonomy.index(label)


def test_corel20_has_100_bags_per_class_in_six_groups(shared):
    dataset = load_dataset(str(EXAMPLES / "corel20.toml"))
    assert dataset.store.features.shape == (7947, 9)
    assert set(counts(dataset, "leaf").values()) == {100}
    assert counts(dataset, "coarse") == {
        "people_culture": 300,
        "objects_food": 300,
        "vehicles": 300,
        "landscape": 500,
        "animals": 500,
        "plants": 100,
    }


def test_musk1_has_92_molecules_of_which_47_are_musks(shared):
    dataset = load_dataset(str(EXAMPLES / "musk1.toml"))
    assert dataset.store.features.shape == (476, 166)
    assert counts(dataset, "leaf") == {"0": 45, "1": 47}
    assert dataset.standardize


@pytest.mark.parametrize(
    ("name", "rows", "bags", "positive"),
    [
        ("musk1", 476, 92, 47),
        ("musk2", 6598, 102, 39),
        ("elephant", 1391, 200, 100),
        ("fox", 1320, 200, 100),
        ("tiger", 1220, 200, 100),
    ],
)
def test_converted_matlab_sets_have_the_published_sizes(classic, name, rows, bags, positive):
    dataset = load_dataset(str(classic / f"{name}.toml"), DatasetOptions())
    assert dataset.store.instances == rows
    assert counts(dataset, "leaf") == {"0": bags - positive, "1": positive}


def test_a_converted_bag_holds_the_rows_of_the_matlab_file(classic, shared):
    folder = shared / "data/classic_mil/elephant_original"
    rows = scipy.io.loadmat(folder / "X.mat")["X"]
    bag = scipy.io.loadmat(folder / "Bag2.mat")["Bag2"].ravel()
    store = load_dataset(str(classic / "elephant.toml")).store
    np.testing.assert_allclose(store.bag("17"), rows[bag == 17], rtol=1e-6)
