"""The table of slides: ids, groups, units of inference, labels outside the tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.manifest import Manifest, check_id


@pytest.mark.parametrize(
    "slide_id", ["../a", "a/../../b", "/etc/passwd", "C:\\a", "", " a", "a\nb"]
)
def test_an_id_that_would_leave_its_folder_is_refused(slide_id):
    with pytest.raises(DataError, match="would leave its folder"):
        check_id(slide_id)


@pytest.mark.parametrize("slide_id", ["BRACS_74", "train_images/0005f7", "TCGA-3C..x", "a b"])
def test_ordinary_ids_are_accepted(slide_id):
    assert check_id(slide_id) == slide_id


def test_a_slide_listed_twice_is_named():
    with pytest.raises(DataError, match=r"1 slide is listed more than once \(first: \['s1'\]\)"):
        Manifest.build(["s1", "s2", "s1"], ["a", "b", "a"])


def test_the_group_is_the_patient_or_the_slide_itself():
    manifest = Manifest.build(["s1", "s2"], ["a", "b"], patient_id=["p", None])
    assert manifest.groups() == {"s1": "p", "s2": "slide:s2"}
    assert not manifest.has_patients


def test_the_unit_of_inference_is_the_patient_where_known_even_if_groups_are_wider():
    manifest = Manifest.build(["s1", "s2"], ["a", "b"], ["p1", ""], ["pool0", "pool0"])
    assert manifest.clusters() == {"s1": "p1", "s2": "pool0"}


def test_numeric_ids_of_spreadsheets_become_plain_text():
    manifest = Manifest.build([1.0, 2], ["a", "b"], patient_id=[float("nan"), 67.0])
    assert manifest.slide_ids == ["1", "2"]
    assert list(manifest.table["patient_id"]) == ["", "67"]


def test_a_label_outside_the_tree_names_slide_label_and_the_nearest_class():
    manifest = Manifest.build(["s1"], ["DCI"])
    with pytest.raises(DataError, match=r"slide s1: .*'DCI'.*'DCIS'"):
        manifest.check_labels(Taxonomy.flat("t", ["DCIS", "IC"]))


@given(st.permutations(range(6)))
def test_the_digest_does_not_depend_on_the_order_of_rows(order):
    rows = [(f"s{i}", "ab"[i % 2], f"p{i // 2}") for i in range(6)]
    shuffled = [rows[i] for i in order]
    assert _build(shuffled).digest() == _build(rows).digest()


def test_the_digest_changes_with_a_label():
    rows = [("s0", "a", "p"), ("s1", "b", "p")]
    assert _build(rows).digest() != _build([rows[0], ("s1", "a", "p")]).digest()


def _build(rows):
    slides, labels, patients = zip(*rows, strict=True)
    return Manifest.build(slides, labels, patients)
