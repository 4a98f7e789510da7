"""CAMELYON16 and CAMELYON17 from small files in the form of the challenges."""

import pytest
from small_cohorts import write_features

from mil_bench.bags.splits.make import make_split
from mil_bench.dataset import DatasetOptions
from mil_bench.datasets.camelyon import Camelyon16, Camelyon17
from mil_bench.errors import DataError
from mil_bench.loading import load_dataset

REFERENCE = "test_001,Tumor,IDC,Macro\ntest_002,Normal,None,None\n"


def labels_of(adapter, root):
    return adapter().cohort(DatasetOptions(data_root=root)).labels


@pytest.fixture
def challenge(tmp_path):
    root = tmp_path / "CAMELYON16"
    (root / "testing").mkdir(parents=True)
    (root / "testing" / "reference.csv").write_text(REFERENCE)
    training = [f"{kind}_{i:03}" for kind in ("normal", "tumor") for i in range(1, 9)]
    write_features(root / "h5_files", [*training, "test_001", "test_002"])
    return tmp_path


def test_training_slides_are_labelled_by_their_names_and_test_slides_by_the_reference(challenge):
    labels = labels_of(Camelyon16, challenge)
    assert labels.manifest.labels()["normal_003"] == "normal"
    assert labels.manifest.labels()["tumor_008"] == "tumor"
    assert labels.manifest.labels()["test_001"] == "tumor"
    assert labels.official[0].test == ("test_001", "test_002")
    assert len(labels.official[0].train) == 16


def test_the_official_split_gets_validation_slides_out_of_training(challenge):
    dataset = load_dataset("camelyon16", DatasetOptions(data_root=challenge))
    fold = make_split("official", dataset)[0]
    assert len(fold.val) == 2
    assert set(fold.test) == {"test_001", "test_002"}
    assert len(fold.train) + len(fold.val) == 16


def test_a_reference_with_a_header_is_read_alike(challenge):
    before = labels_of(Camelyon16, challenge).manifest.labels()
    file = challenge / "CAMELYON16" / "testing" / "reference.csv"
    file.write_text(f"NAME,LABEL,TYPE,SIZE\n{REFERENCE}")
    assert labels_of(Camelyon16, challenge).manifest.labels() == before


def test_an_own_table_goes_before_the_files_of_the_challenge(challenge):
    (challenge / "CAMELYON16" / "camelyon16.csv").write_text(
        "slide_id,label,split\nnormal_001,Normal,train\ntest_001,Tumor,test\n"
    )
    labels = labels_of(Camelyon16, challenge)
    assert labels.manifest.labels() == {"normal_001": "normal", "test_001": "tumor"}


def test_stages_of_nodes_are_labels_and_rows_of_patients_are_left_out(tmp_path):
    (tmp_path / "stages.csv").write_text(
        "patient,stage\n"
        "patient_000.zip,pN1\n"
        "patient_000_node_0.tif,negative\n"
        "patient_000_node_1.tif,macro\n"
        "patient_017.zip,pN0(i+)\n"
        "patient_017_node_2.tif,itc\n"
    )
    labels = labels_of(Camelyon17, tmp_path)
    assert labels.manifest.labels() == {
        "patient_000_node_0": "negative",
        "patient_000_node_1": "macro",
        "patient_017_node_2": "itc",
    }
    assert labels.manifest.groups()["patient_000_node_1"] == "patient_000"
    assert Camelyon17.card.tree(None).ordered


def test_another_stage_is_refused_with_the_nearest(tmp_path):
    (tmp_path / "stages.csv").write_text("patient,stage\npatient_000_node_0.tif,makro\n")
    with pytest.raises(DataError, match=r"'makro'; did you mean 'macro'"):
        labels_of(Camelyon17, tmp_path)
