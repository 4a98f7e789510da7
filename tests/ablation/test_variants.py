"""Which variants a declaration stands for."""

from __future__ import annotations

import pytest

from mil_bench.ablation.variants import Group, choose, variants_of
from mil_bench.base.errors import UnknownNameError, UsageError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.method import Ablations, Component, Switch
from mil_bench.methods import METHODS

TWO = Taxonomy.from_tree("two", {"x": ["a", "b"], "y": ["c"]})
FLAT = Taxonomy.flat("flat", "abc")
THREE = {name: Component(name, {name: False}) for name in ("p", "q", "r")}


def named(declared):
    return {variant.name: variant for variant in variants_of("m", declared)}


def on(variant):
    return {name for name, there in variant.components.items() if there}


def test_components_are_left_out_one_by_one_and_added_one_by_one_to_none():
    found = named(Ablations(components=THREE))
    assert {name: on(variant) for name, variant in found.items()} == {
        "full": {"p", "q", "r"},
        "no_p": {"q", "r"},
        "no_q": {"p", "r"},
        "no_r": {"p", "q"},
        "bare": set(),
        "only_p": {"p"},
        "only_q": {"q"},
        "only_r": {"r"},
    }
    assert found["only_q"].overrides == {"p": False, "r": False}
    assert found["no_q"].overrides == {"q": False}
    assert found["full"].overrides == {}


def test_the_same_set_of_components_is_run_once():
    assert list(named(Ablations(components={"p": THREE["p"]}))) == ["full", "no_p"]
    pair = {"p": THREE["p"], "q": THREE["q"]}
    assert list(named(Ablations(components=pair))) == ["full", "no_p", "no_q", "bare"]


def test_a_part_of_a_component_goes_with_it_and_is_never_added_alone():
    parts = {**THREE, "s": Component("s", {"s": 0}, within="p")}
    found = named(Ablations(components=parts))
    assert on(found["no_p"]) == {"q", "r"}
    assert on(found["no_s"]) == {"p", "q", "r"}
    assert "only_s" not in found


def test_other_forms_and_twins_have_no_component_marks_and_controls_have_all():
    declared = Ablations(
        components=THREE,
        variants={"other": Switch("other", {"v": 1})},
        controls={"broken": Switch("broken", {"w": 1})},
        twins=("abmil",),
    )
    found = named(declared)
    assert (found["other"].components, found["abmil"].components) == (None, None)
    assert on(found["broken"]) == {"p", "q", "r"}
    assert (found["abmil"].method, found["abmil"].group) == ("abmil", Group.TWIN)
    assert found["abmil"].title == "abmil (flat, same budget)"


def test_hmil_declares_its_five_parts_its_control_and_two_flat_twins():
    found = {v.name: v for v in variants_of("hmil", METHODS.get("hmil").ablations)}
    assert list(METHODS.get("hmil").ablations.components) == [
        "ia", "ba", "con", "curriculum", "online",
    ]  # fmt: skip
    assert {"released", "shuffled_tree", "abmil", "clam-mb", "bare"} <= set(found)
    assert found["only_ia"].overrides == {
        "ba_weight": 0.0,
        "con_weight": 0.0,
        "curriculum": "constant",
        "online": False,
    }


def test_a_method_that_declares_nothing_is_refused():
    with pytest.raises(UsageError, match="'mean' declares no ablations"):
        variants_of("mean", METHODS.get("mean").ablations)


def test_only_keeps_the_full_method_and_the_named_ones():
    variants = variants_of("m", Ablations(components=THREE))
    assert [v.name for v in choose(variants, ["no_r", "bare"], FLAT)] == ["full", "no_r", "bare"]
    with pytest.raises(UnknownNameError, match="no_p"):
        choose(variants, ["no_pp"], FLAT)


def test_a_flat_tree_refuses_what_needs_levels_and_takes_the_rest():
    parts = {**THREE, "p": Component("p", {"p": 0}, levels=True)}
    variants = variants_of("m", Ablations(components=parts))
    with pytest.raises(UsageError, match=r"no_p, bare, only_q, only_r .*'flat' is flat"):
        choose(variants, [], FLAT)
    assert len(choose(variants, [], TWO)) == len(variants)
    assert [v.name for v in choose(variants, ["no_q"], FLAT)] == ["full", "no_q"]
