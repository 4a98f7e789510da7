"""Label trees: shape, distances, and every malformed tree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mil_bench.base.errors import TaxonomyError, UnknownNameError
from mil_bench.base.taxonomy import Taxonomy

BRACS = {"benign": ["N", "PB", "UDH"], "atypical": ["FEA", "ADH"], "malignant": ["DCIS", "IC"]}


@st.composite
def trees(draw):
    """Random trees of depth one to four whose nodes have unique names."""
    names = iter(f"n{i}" for i in range(1000))

    def node(depth):
        if depth == 0 or draw(st.integers(0, 2)) == 0:
            return [next(names) for _ in range(draw(st.integers(1, 3)))]
        return {next(names): node(depth - 1) for _ in range(draw(st.integers(1, 3)))}

    return {next(names): node(draw(st.integers(0, 2))) for _ in range(draw(st.integers(2, 3)))}


def test_bracs_has_the_levels_classes_and_distances_of_the_paper():
    tree = Taxonomy.from_tree("bracs", BRACS)
    assert tree.levels == ("coarse", "leaf")
    assert tree.classes["coarse"] == ("benign", "atypical", "malignant")
    assert tree.ancestor_index("coarse").tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert tree.lca_height[0].tolist() == [0, 1, 1, 2, 2, 2, 2]


def test_a_leaf_above_the_deepest_level_stands_for_itself_below():
    tree = Taxonomy.from_tree(
        "ccc", {"negative": ["NILM"], "positive": {"low": ["A"], "high": ["B"]}}
    )
    assert tree.classes["level2"] == ("NILM", "low", "high")
    assert tree.parent_index("leaf").tolist() == [0, 1, 2]


@given(trees())
def test_levels_partition_the_leaves_and_the_distance_is_an_ultrametric(tree):
    taxonomy = Taxonomy.from_tree("t", tree)
    for level in taxonomy.levels:
        assert (taxonomy.membership(level).sum(1) == 1).all()
        assert (taxonomy.membership(level).sum(0) >= 1).all()
    d = taxonomy.lca_height
    assert (d == d.T).all()
    assert ((d == 0) == np.eye(len(d), dtype=bool)).all()
    assert (d[:, :, None] <= np.maximum(d[:, None, :], d.T[None, :, :]) + 1e-12).all()


@given(trees())
def test_the_dictionary_form_reads_back(tree):
    taxonomy = Taxonomy.from_tree("t", tree)
    again = Taxonomy.from_dict(taxonomy.to_dict())
    assert again == taxonomy
    assert again.digest() == taxonomy.digest()


@given(trees(), st.integers(0, 99))
def test_a_shuffled_tree_keeps_leaves_and_shape(tree, seed):
    taxonomy = Taxonomy.from_tree("t", tree)
    shuffled = taxonomy.shuffled(seed)
    assert shuffled.leaves == taxonomy.leaves
    assert sorted(p[:-1] for p in shuffled.paths) == sorted(p[:-1] for p in taxonomy.paths)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"tree": {"x": ["a"], "y": ["a", "b"]}}, "'a' has two parents"),
        (
            {"tree": {"x": ["a", "b"], "y": ["a", "b", "c"], "z": ["b"]}},
            r"'a' has two parents \(x and y\); 'b' has 3 parents \(x and y and z\); keep one",
        ),
        ({"parents": {"a": ["x", "y"], "b": "x"}, "leaves": ["a", "b"]}, "expected exactly one"),
        ({"parents": {"a": "b", "b": "a", "c": "b"}, "leaves": ["a", "c"]}, "has a cycle"),
        ({"tree": {"x": ["a"]}}, "at least two"),
        ({"tree": {"x": ["a", "x"]}}, "two parents"),
        ({"tree": {"x": "a"}}, "expected a list of leaves"),
        ({"branches": {}}, "expected `tree`, `parents` or `leaves`"),
    ],
)
def test_a_malformed_tree_is_one_clear_sentence(content, sentence):
    with pytest.raises(TaxonomyError, match=sentence):
        Taxonomy.from_dict(content)


def test_a_tree_file_in_which_a_key_stands_twice_is_refused(tmp_path):
    path = tmp_path / "tree.json"
    path.write_text('{"parents": {"a": "x", "a": "y", "b": "y"}, "leaves": ["a", "b"]}')
    with pytest.raises(TaxonomyError, match="'a' occurs twice"):
        Taxonomy.load(path)


def test_a_tree_file_with_a_slip_of_syntax_says_where_and_what_to_do(tmp_path):
    path = tmp_path / "tree.toml"
    path.write_text("[tree\nx = 1\n")
    with pytest.raises(TaxonomyError, match=r"is not valid TOML .*line 1.*; correct it, and"):
        Taxonomy.load(path)


def test_an_unknown_label_lists_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'DCIS'"):
        Taxonomy.from_tree("bracs", BRACS).index("DCI")
