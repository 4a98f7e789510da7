import pytest
import toy_grid  # noqa: F401
from run_specs import SPEC

from mil_bench.base.errors import ConfigError, UsageError
from mil_bench.methods import METHODS
from mil_bench.tuning.search_syntax import SearchOption, search_options
from mil_bench.tuning.space import known_fields, make_space

TINY = METHODS.get("tiny")
START = SPEC.model_copy(
    update={"method": "tiny", "method_config": TINY.Config().model_dump(mode="json")}
)


def fields(*texts, start=START, **options):
    space = make_space(TINY, start, search_options(texts), **options)
    return {field.name: field for field in space.fields}


def with_trainer(**changes):
    return START.model_copy(update={"trainer": START.trainer.model_copy(update=changes)})


def test_every_tunable_field_of_method_and_trainer_is_searched_around_the_default():
    space = make_space(TINY, START, [])
    assert space.describe() == {
        "lr": "1e-05 to 0.01, log",
        "weight_decay": "1e-06 to 0.01, log",
        "batch_size": "1, 4, 16, 64",
        "width": "1 to 10",
    }
    assert space.start() == {"lr": 1e-4, "weight_decay": 1e-5, "batch_size": 1, "width": 5}
    assert space.notes == ()


def test_a_range_of_ours_is_widened_to_hold_the_default_of_a_recipe():
    assert fields(start=with_trainer(lr=0.05))["lr"].text == "1e-05 to 0.05, log"
    assert fields(start=with_trainer(batch_size=8))["batch_size"].choices == (1, 4, 16, 64, 8)


def test_a_range_of_the_user_is_kept_and_the_default_stands_at_its_nearest_end():
    space = make_space(TINY, START, search_options(["lr=1e-3:1e-2:log", "width=7,9"]))
    assert space.describe()["lr"] == "0.001 to 0.01, log"
    assert space.start()["lr"] == 1e-3
    assert space.start()["width"] == 7
    lr, width = space.notes
    assert "the default lr=0.0001 is outside the search (0.001 to 0.01, log)" in lr
    assert "the sampler treats it as 7" in width


def test_zero_on_a_log_scale_is_told_and_taken_for_the_lowest_value():
    space = make_space(TINY, with_trainer(weight_decay=0.0), [])
    assert space.start()["weight_decay"] == 1e-6
    assert "trial 0 uses it anyway" in space.notes[0]


def test_any_field_may_be_searched_in_its_own_type():
    found = fields("trainer.epochs=2:5", "bias=true,false", "max_instances=16,none")
    assert found["trainer.epochs"].whole
    assert found["bias"].choices == (True, False)
    assert found["max_instances"].choices == (16, None)


def test_a_name_that_both_sections_have_needs_its_section():
    known = known_fields(TINY.Config)
    assert "epochs" not in known
    assert {"trainer.epochs", "method.epochs"} <= set(known)


def test_only_and_fix_choose_among_the_declared_fields():
    assert set(fields(only=["lr"])) == {"lr"}
    assert set(fields(fix=["lr", "weight_decay"])) == {"batch_size", "width"}
    assert set(fields("dropout=0:0.5", only=["lr"])) == {"lr", "dropout"}
    with pytest.raises(ConfigError, match="nothing is left to search for tiny"):
        fields(only=["lr"], fix=["lr"])


def test_values_go_into_the_configuration_they_belong_to():
    space = make_space(TINY, START, [])
    spec = space.apply(START, TINY.Config, {"lr": 1e-3, "width": 7})
    assert spec.trainer == START.trainer.model_copy(update={"lr": 1e-3})
    assert spec.method_config == {**START.method_config, "width": 7}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr", "is empty"),
        ("lr=", "is empty"),
        ("width=5", "leaves no choice"),
        ("lr=1e-3:1e-4", "is an empty range"),
        ("lr=1e-3:1e-3", "is an empty range"),
        ("lr=nan:1", "lacks two numbers"),
        ("lr=-inf:1", "lacks two numbers"),
        ("lr=0:1:log", "a log scale starts above zero"),
        ("lr=a:b", "lacks two numbers"),
        ("lr=1:2:cubic", "'cubic' is not a scale"),
    ],
)
def test_an_empty_or_misspelt_range_is_one_sentence(text, said):
    with pytest.raises(UsageError, match=said):
        search_options([text])


def test_a_field_searched_twice_is_refused():
    with pytest.raises(UsageError, match="names 'lr' twice"):
        search_options(["lr=1:2", "lr=1:3"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr=-1:2", "lr"),
        ("width=0:4", "width"),
        ("width=1.5:4", "must be whole numbers"),
        ("bias=0:1", "is not a number"),
        ("optimizer=adam,sgd", "optimizer"),
    ],
)
def test_a_range_that_the_field_does_not_allow_is_refused_before_any_trial(text, said):
    with pytest.raises(ConfigError, match=said):
        make_space(TINY, START, search_options([text]))


def test_asked_ranges_are_read_as_typed():
    assert search_options(["lr=1e-5:1e-3:log", "width=128,256"]) == [
        SearchOption("lr", 1e-5, 1e-3, log=True),
        SearchOption("width", choices=("128", "256")),
    ]
