"""The study file: every mistake is one sentence that names the table and the key."""

import re
from pathlib import Path

import pytest

from mil_bench.base.errors import ConfigError, UnknownNameError
from mil_bench.runs.studies.study_file import (
    DEFAULT,
    Selection,
    StudyRule,
    as_settings,
    read_study,
)

SMALL = (
    'methods = ["mean", "hmil"]\ndatasets = ["toy", { name = "bracs", splits = ["official"] }]\n'
)


@pytest.fixture
def read(tmp_path):
    def _read(text):
        path = tmp_path / "study.toml"
        path.write_text(text)
        return read_study(path)

    return _read


def test_names_alone_and_tables_both_name_datasets(read):
    study = read(SMALL)
    assert [d.name for d in study.datasets] == ["toy", "bracs"]
    assert study.datasets[1].splits == ["official"]
    assert (study.folds, study.seeds) == ("all", [0])
    assert [(v.name, v.settings) for v in study.variants] == [(DEFAULT, {})]


def test_settings_are_told_as_the_command_line_tells_them():
    table = {"lr": 1e-3, "gated": False, "patience": "none", "hmil": {"dims": [64, 8], "a": 1}}
    assert as_settings(table) == {
        "lr": "0.001",
        "gated": "false",
        "patience": "none",
        "hmil.dims": "[64, 8]",
        "hmil.a": "1",
    }


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("method = ['mean']\n" + SMALL, UnknownNameError, "unknown option 'method' of "),
        ("methods = ['mean']", ConfigError, "required key 'datasets' is missing"),
        (SMALL.replace('["mean", "hmil"]', "[]"), ConfigError, "methods=[] is not valid"),
        (SMALL.replace('["mean", "hmil"]', '"mean"'), ConfigError, "valid list"),
        (SMALL.replace("splits", "split"), UnknownNameError, "[[datasets]] 2; did you mean 'split"),
        (SMALL.replace('"toy"', "1"), ConfigError, "[[datasets]] is [1,"),
        (SMALL + "seeds = [-1]", ConfigError, "seeds.0=-1 is not valid"),
        (SMALL + "folds = 'al'", ConfigError, "folds"),
        (SMALL + "precision = 'auto'", ConfigError, "precision='auto' is not valid"),
        (SMALL + "[[variants]]\nsettings = {}", ConfigError, "required key 'name' is missing"),
        (SMALL + "[[variants]]\nname='a'\n" * 2, ConfigError, "two variants 'a'"),
        (SMALL + "[variants]\nname = 'a'", ConfigError, "expected tables"),
        (SMALL + "[[exclude]]", ConfigError, "[[exclude]] 1 is empty"),
        (SMALL + "[[exclude]]\nmethods = 'mean'", UnknownNameError, "did you mean 'method'"),
        (SMALL + "[[include]]\nmethod = 'hmill'", UnknownNameError, "did you mean 'hmil'"),
        (SMALL + "[[exclude]]\nfold = 'one'", ConfigError, "[[exclude]] 1: fold"),
        (SMALL + "[[exclude]]\nseed = 3", UnknownNameError, "known: '0'"),
        ("methods = [", ConfigError, "is not valid TOML"),
    ],
)
def test_a_mistake_is_one_sentence(read, text, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)) as raised:
        read(text)
    assert "study.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read study file .*no\.toml: No such file"):
        read_study(Path(tmp_path / "no.toml"))


CELLS = [{"method": m, "fold": f} for m in ("a", "b") for f in (0, 1, 2)]


def kept(include=(), exclude=()):
    chosen = Selection([StudyRule(**r) for r in include], [StudyRule(**r) for r in exclude])
    return "".join(f"{c['method']}{c['fold']} " for c in CELLS if chosen.keeps(c)).split()


def test_rules_choose_cells_of_the_product():
    assert kept() == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert kept(exclude=[{"method": "a", "fold": [1, 2]}]) == ["a0", "b0", "b1", "b2"]
    assert kept(include=[{"method": "a"}, {"fold": 0}]) == ["a0", "a1", "a2", "b0"]
    assert kept(include=[{"method": "a"}], exclude=[{"fold": 0}]) == ["a1", "a2"]


def test_before_folds_are_known_only_certain_exclusions_count():
    chosen = Selection([], [StudyRule(method="a"), StudyRule(method="b", fold=0)])
    assert not chosen.may_keep({"method": "a"})
    assert chosen.may_keep({"method": "b"})
    chosen = Selection([StudyRule(method="b", fold=0)], [])
    assert not chosen.may_keep({"method": "a"})
    assert chosen.may_keep({"method": "b"})
