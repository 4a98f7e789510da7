import pytest

from mil_bench.base.errors import DataError
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.datasets.ccc import Ccc


def labels_of(root):
    return Ccc().cohort(DatasetOptions(data_root=root)).labels


def test_common_spellings_of_columns_and_classes_are_understood(tmp_path):
    (tmp_path / "ccc.csv").write_text(
        "Slide ID;Bethesda System;Case ID;Split\n"
        "s1;Negative for intraepithelial lesion;p1;train\n"
        "s2;ASCUS;p1;train\n"
        "s3;asc_h;p2;validation\n"
        "s4;ASC-US;p3;test\n"
    )
    labels = labels_of(tmp_path)
    assert labels.manifest.labels() == {"s1": "NILM", "s2": "ASC-US", "s3": "ASC-H", "s4": "ASC-US"}
    assert labels.manifest.groups()["s1"] == labels.manifest.groups()["s2"]
    assert labels.official[0].val == ("s3",)


def test_a_manifest_of_two_columns_is_enough(tmp_path):
    (tmp_path / "manifest.tsv").write_text("slide_id\tlabel\ns1\tNILM\ns2\tSCC\n")
    labels = labels_of(tmp_path)
    assert labels.official is None
    assert any("patient ids are unknown" in finding for finding in labels.findings)


def test_the_tree_has_the_bethesda_classes_in_clinical_order():
    tree = Ccc.card.tree(None)
    assert tree.leaves == ("NILM", "ASC-US", "LSIL", "ASC-H", "HSIL", "SCC")
    assert tree.ancestor_index("coarse").tolist() == [0, 1, 1, 1, 1, 1]


def test_a_class_outside_bethesda_is_refused(tmp_path):
    (tmp_path / "labels.csv").write_text("slide_id,label\ns1,NILM\ns2,ASC-X\n")
    with pytest.raises(DataError, match=r"slide s2: .*'ASC-X' of .*; did you mean"):
        labels_of(tmp_path)


def test_a_slide_without_label_is_refused(tmp_path):
    (tmp_path / "labels.csv").write_text("slide_id,label\ns1,NILM\ns2,\n")
    with pytest.raises(DataError, match=r"ccc has 1 slide without a label \(first: \['s2'\]\)"):
        labels_of(tmp_path)
