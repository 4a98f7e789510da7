"""CAMELYON16 and CAMELYON17 from small files in the form of the challenges."""

import numpy as np
import pytest
from small_cohorts import write_features

from mil_bench.bags.splits.make import make_split
from mil_bench.base.errors import DataError, FeatureError
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.datasets.camelyon import TRAINING, Camelyon16, Camelyon17
from mil_bench.datasets.load import load_dataset

REFERENCE = "test_001,Tumor,IDC,Macro\ntest_002,Normal,None,None\n"


def labels_of(adapter, root):
    return adapter().cohort(DatasetOptions(data_root=root)).labels


@pytest.fixture
def challenge(tmp_path):
    root = tmp_path / "CAMELYON16"
    (root / "testing").mkdir(parents=True)
    (root / "testing" / "reference.csv").write_text(REFERENCE)
    return tmp_path


def reference_of(challenge, text):
    (challenge / "CAMELYON16" / "testing" / "reference.csv").write_text(text)
    return labels_of(Camelyon16, challenge).manifest.labels()


def features_of(folder, challenge):
    options = DatasetOptions(data_root=challenge, features=folder, cache=folder / "cache")
    return load_dataset("camelyon16", options)


def test_the_training_slides_are_the_159_normal_and_111_tumor_slides_of_the_challenge(challenge):
    labels = labels_of(Camelyon16, challenge)
    assert labels.official[0].test == ("test_001", "test_002")
    training = [labels.manifest.labels()[slide] for slide in labels.official[0].train]
    assert [training.count(name) for name in ("normal", "tumor")] == [159, 111]
    assert "normal_086" not in labels.official[0].train  # its README: renamed to tumor_111
    assert "tumor_111" in labels.official[0].train


def test_test_slides_are_labelled_by_the_reference_with_or_without_a_header(challenge):
    plain = reference_of(challenge, REFERENCE)
    assert (plain["test_001"], plain["test_002"]) == ("tumor", "normal")
    assert reference_of(challenge, f"NAME,LABEL,TYPE,SIZE\n{REFERENCE}") == plain


def test_features_elsewhere_and_in_capitals_are_found_and_give_validation_slides(challenge):
    names = [name.capitalize() for name in (*TRAINING, "test_001", "test_002")]
    dataset = features_of(write_features(challenge / "uni", names), challenge)
    fold = make_split(dataset.card.default_split, dataset)[0]
    assert set(fold.test) == {"test_001", "test_002"}
    assert len(fold.train) + len(fold.val) == 270
    assert len(fold.val) == round(270 / 8)


def test_one_file_of_slide_embeddings_serves_a_built_in_dataset(challenge):
    names = [*TRAINING, "test_001", "test_002"]
    vectors = np.arange(2 * len(names), dtype="float32").reshape(-1, 2)
    np.savez(challenge / "titan.npz", slide_ids=names, embeddings=vectors)
    options = DatasetOptions(data_root=challenge, features=challenge / "titan.npz", encoder="titan")
    store = load_dataset("camelyon16", options).store
    assert (store.encoder, store.dim, len(store.rows)) == ("titan", 2, len(names))
    np.testing.assert_array_equal(store.bag(names[7])[0], vectors[7])


def test_a_training_slide_without_features_is_named(challenge):
    names = [name for name in (*TRAINING, "test_001", "test_002") if name != "tumor_005"]
    with pytest.raises(FeatureError, match=r"1 of 272 slides have no features .*: tumor_005;"):
        features_of(write_features(challenge / "uni", names), challenge)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (REFERENCE.replace("Normal", "Nomal"), "slide test_002: .*'nomal' .*mean 'normal'"),
        (REFERENCE + "test_001,Normal\n", "1 slide is listed more than once .*test_001"),
        ("test_001\n", "reference.csv has one column; expected a test slide and Normal or Tumor"),
    ],
)
def test_a_reference_that_cannot_be_used_is_told(challenge, text, sentence):
    with pytest.raises(DataError, match=sentence):
        reference_of(challenge, text)


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


def test_a_list_of_patients_alone_has_no_slide(tmp_path):
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "stages.csv").write_text("patient,stage\npatient_000.zip,pN1\n")
    with pytest.raises(DataError, match="label file of camelyon17 lists no slide"):
        labels_of(Camelyon17, tmp_path)


def test_another_stage_is_refused_with_the_nearest(tmp_path):
    (tmp_path / "stages.csv").write_text("patient,stage\npatient_000_node_0.tif,makro\n")
    with pytest.raises(DataError, match=r"'makro' of tree 'flat'; did you mean 'macro'"):
        labels_of(Camelyon17, tmp_path)
