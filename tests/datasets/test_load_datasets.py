import pytest
from small_cohorts import bracs_sheet, write_bracs_workbook, write_features

from mil_bench.base.errors import UnknownNameError
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.datasets.load import load_dataset


def test_the_environment_names_the_data_root_unless_an_option_does(tmp_path, monkeypatch):
    root = write_bracs_workbook(tmp_path / "data" / "bracs")
    write_features(root / "features", bracs_sheet()["WSI Filename"])
    monkeypatch.setenv("MIL_BENCH_DATA", str(tmp_path / "data"))
    cache = tmp_path / "cache"
    assert len(load_dataset("bracs", DatasetOptions(cache=cache)).manifest) == 6
    monkeypatch.setenv("MIL_BENCH_DATA", "/nowhere")
    assert len(load_dataset("bracs", DatasetOptions(data_root=root, cache=cache)).manifest) == 6


def test_an_unknown_dataset_lists_the_nearest():
    with pytest.raises(UnknownNameError, match="'brasc'; did you mean 'bracs'"):
        load_dataset("brasc")
