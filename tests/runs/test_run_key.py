import json
from pathlib import Path

import pytest
from run_specs import EXTERNAL, SPEC, TRANSFERRED

from mil_bench.contract.spec import (
    AdapterTraining,
    BlockTraining,
    ExternalSpec,
    RunSpec,
    TrainerConfig,
    TransferredSpec,
    read_definition,
)

STORED = Path(__file__).parent / "stored_spec.json"

CHANGED = {
    "harness": "0",
    "dataset": "other",
    "kind": "real",
    "labels_digest": "x",
    "tree": {"name": "toy", "leaves": ["b", "a"]},
    "split": "official",
    "split_digest": "x",
    "fold": 0,
    "encoder": "virchow",
    "dim": 9,
    "features_digest": "x",
    "standardize": True,
    "method": "tiny",
    "method_version": "2",
    "method_config": {"width": 6},
    "trainer": TrainerConfig(lr=2e-4),
    "seed": 3,
    "precision": "bf16",
    "online": BlockTraining(blocks=1),
    "init": "w",
}


def test_the_key_of_a_fixed_run_never_changes():
    """A changed key orphans every stored run: bump it only on purpose."""
    assert SPEC.key == "b66472e2eb2db81e"


def test_every_field_is_tested_below():
    assert {*CHANGED, "evidence"} == set(RunSpec.model_fields)


@pytest.mark.parametrize("field", CHANGED)
def test_any_changed_field_changes_the_key(field):
    assert SPEC.model_copy(update={field: CHANGED[field]}).key != SPEC.key


@pytest.mark.parametrize("field", TrainerConfig.model_fields)
def test_any_changed_training_setting_changes_the_key(field):
    other = {"optimizer": "adamw", "schedule": "cosine", "class_weighting": "balanced"}
    other |= {"sampling": "balanced", "monitor": "accuracy"}
    trainer = SPEC.trainer.model_copy(update={field: other.get(field, 7)})
    assert SPEC.model_copy(update={"trainer": trainer}).key != SPEC.key


def test_the_order_of_configuration_keys_does_not_matter():
    one = SPEC.model_copy(update={"method_config": {"a": 1, "b": 2}})
    two = SPEC.model_copy(update={"method_config": {"b": 2, "a": 1}})
    assert one.key == two.key


def test_a_definition_survives_json():
    assert RunSpec(**SPEC.model_dump(mode="json")).key == SPEC.key


ONLINE = [AdapterTraining(), AdapterTraining(adapter=8), BlockTraining(blocks=2, tiles=4)]


@pytest.mark.parametrize("online", ONLINE)
def test_online_features_are_part_of_the_key_and_survive_json(online):
    run = SPEC.model_copy(update={"online": online})
    again = RunSpec(**run.model_dump(mode="json"))
    assert again == run
    assert run.key != SPEC.key


def test_a_run_without_online_features_is_stored_as_before():
    assert "online" not in SPEC.model_dump(mode="json")


def test_a_stored_definition_is_read_with_its_key_and_written_as_it_was():
    content = json.loads(STORED.read_text())
    spec = read_definition(content)
    assert isinstance(spec, RunSpec)
    assert spec.key == "e51fca1201a603d9"
    assert spec.model_dump(mode="json") == content


@pytest.mark.parametrize(
    ("spec", "kind"), [(SPEC, RunSpec), (EXTERNAL, ExternalSpec), (TRANSFERRED, TransferredSpec)]
)
def test_a_definition_is_read_as_the_kind_that_it_was_stored_as(spec, kind):
    again = read_definition(json.loads(spec.canonical()))
    assert type(again) is kind
    assert (again, again.key) == (spec, spec.key)


def test_the_evidence_is_stored_where_it_is_not_a_training():
    stored = [
        spec.model_dump(mode="json").get("evidence") for spec in (SPEC, EXTERNAL, TRANSFERRED)
    ]
    assert stored == [None, "external", "transferred"]


def test_predictions_made_elsewhere_say_nothing_of_a_training():
    assert not {"trainer", "harness", "precision"} & set(EXTERNAL.model_dump(mode="json"))


@pytest.mark.parametrize(
    "change", [{"evidence": "guessed"}, {"evidence": "trained"}, {"trainer": {}}, {"seed": "x"}]
)
def test_content_that_is_no_definition_is_refused(change):
    with pytest.raises(ValueError, match=r"evidence|trainer|seed|field"):
        read_definition({**EXTERNAL.model_dump(mode="json"), **change})
