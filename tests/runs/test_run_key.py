import pytest
from run_specs import SPEC

from mil_bench.contract.spec import AdapterTraining, BlockTraining, RunSpec, TrainerConfig

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
}


def test_the_key_of_a_fixed_run_never_changes():
    """A changed key orphans every stored run: bump it only on purpose."""
    assert SPEC.key == "b66472e2eb2db81e"


def test_every_field_is_tested_below():
    assert set(CHANGED) == set(RunSpec.model_fields)


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
