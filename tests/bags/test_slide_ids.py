"""A slide gets the file of its name: exact first, then normalised, then in any case; no prefix."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mil_bench.bags.formats.names import SLIDE_SUFFIXES, match_ids, normalise
from mil_bench.base.errors import FeatureError

NAMES = st.text("abcAB019_-. ", min_size=1, max_size=12).map(lambda s: f"x{s}x")


@pytest.mark.parametrize(
    ("name", "slide"),
    [
        ("BRACS_74.svs", "BRACS_74"),
        ("a.ome.tif", "a"),
        ("a.OME.TIFF", "a"),
        ("CCC_1_feat", "CCC_1"),
        ("CCC_1_features", "CCC_1"),
        ("CCC_1_feat.svs", "CCC_1"),
        ("TCGA-3C-AALI-01Z.F6E9A5DF", "TCGA-3C-AALI-01Z.F6E9A5DF"),
        ("tifs", "tifs"),
    ],
)
def test_one_slide_suffix_and_one_tail_are_taken_off(name, slide):
    assert normalise(name) == slide


def test_a_prefix_never_matches():
    assert match_ids(["BRACS_74", "BRACS_747"], ["BRACS_747"]) == {"BRACS_747": "BRACS_747"}


def test_an_exact_name_is_preferred_to_a_normalised_one():
    found = match_ids(["a"], ["a_feat", "a"])
    assert found == {"a": "a"}
    assert match_ids(["a", "a_feat"], ["a_feat", "a"]) == {"a": "a", "a_feat": "a_feat"}


def test_suffixes_are_ignored_on_both_sides():
    assert match_ids(["a.svs", "b"], ["a_feat", "b.ome.tif"]) == {
        "a.svs": "a_feat",
        "b": "b.ome.tif",
    }


def test_case_is_ignored_where_nothing_else_fits():
    assert match_ids(["tumor_001"], ["Tumor_001_feat"]) == {"tumor_001": "Tumor_001_feat"}
    assert match_ids(["a", "A"], ["A", "a"]) == {"a": "a", "A": "A"}


def test_nested_files_match_by_their_own_name_or_their_whole_path():
    assert match_ids(["a"], ["site1/a", "site1/b"]) == {"a": "site1/a"}
    assert match_ids(["site2/a"], ["site1/a", "site2/a"]) == {"site2/a": "site2/a"}


@pytest.mark.parametrize("names", [["site1/a", "site2/a"], ["a_feat", "a.svs"]])
def test_two_files_for_one_slide_are_an_error(names):
    with pytest.raises(FeatureError, match="slide 'a' fits 2 feature files"):
        match_ids(["a"], names)


def test_one_file_for_two_slides_is_an_error():
    with pytest.raises(FeatureError, match=r"'a' fits 2 slides \('a.svs', 'a.tif'\)"):
        match_ids(["a.svs", "a.tif"], ["a"])


@settings(max_examples=60, deadline=None)
@given(st.sets(NAMES, max_size=8), st.sampled_from(["", *SLIDE_SUFFIXES, "_feat", "_features"]))
def test_every_slide_finds_the_file_named_after_it_and_no_other(slides, ending):
    found = match_ids(sorted(slides), [f"{s}{ending}" for s in slides])
    assert found == {s: f"{s}{ending}" for s in slides}
    assert match_ids(["yy"], [f"{s}{ending}" for s in slides]) == {}
