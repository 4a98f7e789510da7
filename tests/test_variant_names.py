"""What sets the variants of a method apart, on boards and in the lines about its runs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from run_folders import make_spec

from mil_bench.contract.variants import labels, titles

VARIANTS = st.lists(
    st.fixed_dictionaries({k: st.sampled_from("xyz") for k in "abc"}),
    min_size=1,
    max_size=8,
    unique_by=lambda v: tuple(sorted(v.items())),
)


@given(VARIANTS)
def test_different_variants_always_have_different_labels(variants):
    assert len(set(labels(variants))) == len(variants)


@given(VARIANTS)
def test_with_a_default_it_has_no_words_and_the_others_stay_different(variants):
    found = labels(variants, variants[0])
    assert found[0] == ""
    assert len(set(found)) == len(variants)


def titled(*specs):
    found = titles(specs)
    return [found[spec.key] for spec in specs]


def test_a_run_is_called_by_what_sets_it_apart_from_others_of_its_method():
    usual = [make_spec("hmil", seed=s, config={"weight": 1.0, "tree": "own"}) for s in (0, 1)]
    out = make_spec("hmil", config={"weight": 0.0, "tree": "own"})
    shuffled = make_spec("hmil", config={"weight": 1.0, "tree": "shuffled"})
    assert titled(*usual, out, shuffled, make_spec("abmil", trainer={"lr": 1e-3})) == [
        "hmil on digit-bags, fold 0, seed 0",
        "hmil on digit-bags, fold 0, seed 1",
        "hmil on digit-bags, fold 0, seed 0 [weight=0.0]",
        "hmil on digit-bags, fold 0, seed 0 [tree=shuffled]",
        "abmil on digit-bags, fold 0, seed 0",
    ]


def test_encoders_and_splits_of_one_dataset_are_told_apart():
    found = titled(make_spec(encoder="uni"), make_spec(encoder="gigapath"))
    assert [title.partition(" [")[2] for title in found] == ["encoder=uni]", "encoder=gigapath]"]


def test_numbers_with_many_digits_are_told_in_three():
    found = titled(*(make_spec(trainer={"lr": lr}) for lr in (0.00038632190678178786, 2e-4)))
    assert [title.partition(" [")[2] for title in found] == ["lr=0.000386]", "lr=0.0002]"]
