import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mil_bench.bags.labels.cohort import Labels, drop_leaky
from mil_bench.bags.labels.official import leaky_groups, mixed_patients, official_split
from mil_bench.base.errors import DataError, SplitError
from mil_bench.contract.manifest import Manifest

COHORTS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(["train", "val", "test"])),
    min_size=1,
    max_size=20,
).map(lambda rows: [*rows, ("x", "train"), ("y", "val"), ("z", "test")])


def labels_of(rows):
    slides = [f"s{i}" for i in range(len(rows))]
    patients, sets = zip(*rows, strict=True)
    manifest = Manifest.build(slides, ["N"] * len(rows), patients)
    return Labels(manifest, official_split(dict(zip(slides, sets, strict=True))))


@given(COHORTS)
@settings(max_examples=100, deadline=None)
def test_a_split_has_leaky_groups_exactly_when_its_check_refuses_it(rows):
    labels = labels_of(rows)
    try:
        labels.official.check(labels.manifest.groups())
        refused = False
    except SplitError:
        refused = True
    assert refused == bool(leaky_groups(labels.official, labels.manifest.groups()))


@given(COHORTS)
@settings(max_examples=100, deadline=None)
def test_dropping_leaky_patients_leaves_a_sound_split_and_touches_no_other_patient(rows):
    labels = labels_of(rows)
    kept = drop_leaky(labels)
    kept.official.check(kept.manifest.groups())
    homes = {}
    for patient, name in rows:
        homes.setdefault(patient, set()).add(name)
    sound = {patient for patient, names in homes.items() if len(names) == 1}
    assert set(kept.manifest.table["patient_id"]) == sound


def test_set_names_of_all_tools_are_understood_and_blanks_left_out():
    split = official_split({"a": "Training", "b": "valid", "c": "TEST", "d": "", "e": "dev"})
    assert [ids for _, ids in split[0].sets()] == [("a",), ("b", "e"), ("c",)]
    assert official_split({"a": "", "b": ""}) is None
    with pytest.raises(DataError, match="slide a is in the set 'holdout'"):
        official_split({"a": "holdout"})


def test_unknown_patients_are_not_one_mixed_patient():
    manifest = Manifest.build(["a", "b", "c", "d"], ["N", "IC", "N", "IC"], ["", "", "p", "p"])
    assert mixed_patients(manifest) == ["p"]
