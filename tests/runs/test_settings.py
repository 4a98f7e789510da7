from dataclasses import replace

import pytest
from toy_grid import Plain, Tiny, ToyData

from mil_bench.base.errors import ConfigError, UnknownNameError
from mil_bench.runs.plan import resolve

BOTH = {"tiny": Tiny, "plain": Plain}


def settle(methods, **settings):
    return resolve(methods, ToyData.card, {k.replace("__", "."): v for k, v in settings.items()})


def test_defaults_give_way_to_the_recipe_the_dataset_and_the_user_in_this_order():
    trainer = settle({"tiny": Tiny})["tiny"].trainer
    assert trainer.weight_decay == 1e-5  # default of the trainer
    assert trainer.lr == 1e-2  # the method's recipe
    assert trainer.epochs == 4  # the dataset's advice over the recipe
    assert settle({"tiny": Tiny}, lr="0.5")["tiny"].trainer.lr == 0.5
    assert settle({"plain": Plain}, epochs="9")["plain"].trainer.epochs == 9
    assert settle(BOTH)["tiny"].method.width == 6  # the dataset's advice to one method
    assert settle(BOTH)["plain"].method.width == 5
    assert settle(BOTH, width="7")["tiny"].method.width == 7


def test_the_dataset_may_advise_the_training_of_one_method():
    own = {"width": 6, "trainer": {"lr": 0.25}}
    advice = {"trainer": {"lr": 0.5, "epochs": 4}, "methods": {"tiny": own}}
    card = replace(ToyData.card, overrides=advice)
    resolved = resolve(BOTH, card, {})
    assert (resolved["tiny"].trainer.lr, resolved["plain"].trainer.lr) == (0.25, 0.5)
    assert resolved["tiny"].trainer.epochs == 4
    assert resolved["tiny"].method.width == 6
    assert resolve(BOTH, card, {"lr": "0.1"})["tiny"].trainer.lr == 0.1


def test_own_data_cannot_advise_a_method_that_does_not_exist(tmp_path):
    toml = tmp_path / "my.toml"
    card = replace(ToyData.card, overrides={"methods": {"hmill": {"x": 1}}}, file=toml)
    with pytest.raises(UnknownNameError, match=r"'hmill'; did you mean 'hmil'.*my\.toml"):
        resolve(BOTH, card, {})


def test_a_setting_reaches_every_method_that_has_it():
    resolved = settle(BOTH, dropout="0.5", lr="0.1")
    assert [r.method.dropout for r in resolved.values()] == [0.5, 0.5]
    assert [r.trainer.lr for r in resolved.values()] == [0.1, 0.1]


def test_a_setting_that_only_one_method_of_the_grid_has_is_no_error():
    resolved = settle(BOTH, method__epochs="3")
    assert resolved["tiny"].method.epochs == 3


def test_a_name_that_both_have_needs_a_prefix():
    with pytest.raises(ConfigError, match=r"both the trainer and method 'tiny' have 'epochs'"):
        settle(BOTH, epochs="3")
    resolved = settle(BOTH, trainer__epochs="3")
    assert resolved["tiny"].trainer.epochs == 3
    assert resolved["tiny"].method.epochs == 1


def test_a_method_name_as_prefix_changes_that_method_only():
    resolved = settle(BOTH, plain__lr="0.5", tiny__width="2")
    assert (resolved["plain"].trainer.lr, resolved["tiny"].trainer.lr) == (0.5, 1e-2)
    assert (resolved["plain"].method.width, resolved["tiny"].method.width) == (5, 2)


@pytest.mark.parametrize(
    ("key", "near"),
    [("widht", "'width'"), ("weigth_decay", "'weight_decay'"), ("trainer.widht", "trainer.")],
)
def test_an_unknown_setting_lists_the_nearest_of_method_and_trainer(key, near):
    with pytest.raises(UnknownNameError, match=f"unknown setting '{key}'.*{near}"):
        resolve(BOTH, ToyData.card, {key: "1"})


def test_an_unknown_prefix_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"prefix of a setting 'trainr'.*'trainer'"):
        resolve(BOTH, ToyData.card, {"trainr.lr": "1"})


@pytest.mark.parametrize(
    ("key", "text"),
    [("lr", "fast"), ("lr", "-1"), ("epochs", "2.5"), ("batch_size", "0"), ("bias", "maybe")],
)
def test_a_wrong_value_is_one_sentence_with_key_and_value(key, text):
    with pytest.raises(ConfigError, match=rf"plain: {key}='?{text}'? is not valid \(.*\); correct"):
        settle({"plain": Plain}, **{key: text})


def test_words_become_booleans_numbers_and_none_only_where_they_may():
    resolved = settle({"plain": Plain}, bias="False", patience="none", class_weighting="none")
    assert resolved["plain"].method.bias is False
    assert resolved["plain"].trainer.patience is None
    assert resolved["plain"].trainer.class_weighting == "none"
    with pytest.raises(ConfigError):
        settle({"plain": Plain}, width="none")
