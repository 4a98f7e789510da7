"""From a study file to runs: the product, the rules, and data that are not there."""

from functools import cache
from itertools import product

import pytest
import toy_grid

from mil_bench.base.errors import ConfigError, DataError, SplitError, UnknownNameError, UsageError
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.contract.spec import AdapterTraining
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.studies.expand import StudyContext, expand
from mil_bench.runs.studies.study_file import read_study
from mil_bench.runs.task import DataRequest

TOY = 'methods = ["plain", "tiny"]\ndatasets = ["toy"]\n'


@pytest.fixture
def expanded(tmp_path):
    """What a study file in ``tmp_path`` stands for, and which data were loaded for it."""
    loaded = []

    @cache
    def prepare(data):
        loaded.append(data)
        return data.prepare()

    def _expanded(text):
        path = tmp_path / "study.toml"
        path.write_text(text)
        around = StudyContext(tmp_path, MachineRequest(tmp_path / "runs", device="cpu"))
        found = expand(read_study(path), around, prepare)
        found.loaded = loaded
        return found

    return _expanded


def coordinates(tasks):
    return [(t.spec.method, t.spec.fold, t.spec.seed) for t in tasks]


def test_a_study_is_the_product_of_its_lists_fold_by_fold(expanded):
    tasks = expanded(TOY + "seeds = [0, 4]\nfolds = [2, 0]").tasks
    by_fold = [(m, f, s) for f, s, m in product((0, 2), (0, 4), ("plain", "tiny"))]
    assert coordinates(tasks) == by_fold
    assert len({task.spec.key for task in tasks}) == len(tasks)


def test_splits_of_a_dataset_win_over_those_of_the_study(expanded):
    text = 'methods = ["plain"]\nsplits = ["kfold-4"]\nfolds = [0]\n'
    text += '[[datasets]]\nname = "toy"\nsplits = ["kfold-3", "mccv-2"]\n[[datasets]]\nname = "toy"'
    assert [t.spec.split for t in expanded(text).tasks] == ["kfold-3", "mccv-2", "kfold-4"]


def test_variants_are_overrides_of_the_common_settings_and_the_same_run_is_made_once(expanded):
    text = TOY + "folds = [0]\n[settings]\nlr = 0.5\nepochs = 3\n"
    text = text.replace("epochs", '"trainer.epochs"')
    text += '[[variants]]\nname = "default"\n'
    text += '[[variants]]\nname = "wide"\nsettings = { lr = 0.25, tiny.width = 9 }\n'
    text += '[[variants]]\nname = "wide tiny"\nsettings = { tiny.width = 9 }\n'
    found = {}
    for task in expanded(text).tasks:
        spec = task.spec
        found.setdefault(spec.method, []).append((spec.trainer.lr, spec.method_config["width"]))
        assert spec.trainer.epochs == 3
    assert found == {
        "plain": [(0.5, 5), (0.25, 5)],  # the third variant says nothing about it
        "tiny": [(0.5, 6), (0.25, 9), (0.5, 9)],
    }


def test_a_variant_may_train_its_features(expanded):
    text = 'methods = ["plain"]\ndatasets = ["toy"]\nfolds = [0]\n[[variants]]\nname = "stored"\n'
    tasks = expanded(text + '[[variants]]\nname = "adapted"\nonline = "adapter=8"\n').tasks
    assert [task.spec.online for task in tasks] == [None, AdapterTraining(adapter=8)]
    with pytest.raises(UsageError, match="--online 'lora'"):
        expanded(text + 'online = "lora"\n')


def test_rules_drop_runs_and_variants_have_names_in_them(expanded):
    text = TOY + "folds = [0, 1]\n"
    text += '[[variants]]\nname = "a"\n[[variants]]\nname = "b"\nsettings = { lr = 0.5 }\n'
    text += '[[exclude]]\nvariant = "b"\nmethod = "plain"\n[[exclude]]\nfold = 1\nvariant = "a"\n'
    found = [(t.spec.method, t.spec.fold, t.spec.trainer.lr) for t in expanded(text).tasks]
    assert found == [("plain", 0, 1e-2), ("tiny", 0, 1e-2), ("tiny", 0, 0.5), ("tiny", 1, 0.5)]


def test_encoder_and_split_of_the_data_can_be_named_in_rules(expanded):
    text = TOY + "folds = [0]\n[[exclude]]\nencoder = 'toy'\nsplit = 'kfold-3'\nmethod = 'tiny'"
    assert coordinates(expanded(text).tasks) == [("plain", 0, 0)]


@pytest.mark.parametrize(
    ("more", "error", "sentence"),
    [
        ("[[exclude]]\nfold = 7", ConfigError, r"the rule \(fold = 7\) .* matches no run"),
        ("[[include]]\nencoder = 'uni'", ConfigError, "exclude every run|matches no run"),
        ("[[exclude]]\ndataset = 'toy'", ConfigError, "exclude every run"),
        ("folds = [3]", SplitError, "fold 3 does not exist"),
        ("[settings]\nwidht = 3", UnknownNameError, "did you mean 'width'"),
        ("[settings]\nlr = 'fast'", ConfigError, "lr='fast' is not valid"),
    ],
)
def test_what_fits_nothing_is_one_sentence(expanded, more, error, sentence):
    with pytest.raises(error, match=sentence):
        expanded(TOY + more)


MISSING = 'methods = ["plain"]\nfolds = [0]\ndatasets = ["toy", { name = "bracs", %s }]\n'


def test_a_missing_dataset_is_named_and_the_runs_of_the_others_are_known(expanded):
    found = expanded(MISSING % 'data_root = "nowhere", splits = ["official"]')
    assert coordinates(found.tasks) == [("plain", 0, 0)]
    (name,) = found.unready
    assert name == "bracs official"
    with pytest.raises(DataError, match=r"nothing was run.*bracs official: .*nowhere") as raised:
        found.check()
    assert "--allow-missing-datasets" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_excluded_dataset_is_not_even_loaded(expanded):
    found = expanded(MISSING % 'data_root = "nowhere"' + "[[exclude]]\ndataset = 'bracs'")
    assert found.unready == {}
    assert [data.dataset for data in found.loaded] == ["toy"]


def test_paths_are_those_of_the_study_file_and_names_stay_names(expanded, tmp_path):
    split = tmp_path / "mine.csv"
    ids = toy_grid.toy_dataset().manifest.slide_ids
    sets = ["train"] * 16 + ["val"] * 16 + ["test"] * 16
    rows = "".join(f"{s},{t}\n" for s, t in zip(ids, sets, strict=True))
    split.write_text("slide_id,split\n" + rows)
    text = 'methods = ["plain"]\n[[datasets]]\nname = "toy"\ndata_root = "data"\n'
    text += 'features = "/elsewhere"\ntree = "toy"\nsplits = ["mine.csv", "kfold-3"]\nfolds = [0]'
    text += "\nallow_missing = true\nallow_leaks = true\n"
    first, second = (task.data for task in expanded(text).tasks)
    assert first == DataRequest(
        "toy",
        DatasetOptions(
            tmp_path / "data",
            features=type(tmp_path)("/elsewhere"),
            tree="toy",
            allow_missing=True,
        ),
        split=str(split),
        allow_leaks=True,
    )
    assert second.split == "kfold-3"
