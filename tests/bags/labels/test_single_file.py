import contextlib
import io
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mil_bench.bags.labels.single_file import read_grouped_h5
from mil_bench.base.errors import FeatureError


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "bags.h5", "w") as file:
        file["a/features"] = np.ones((2, 3), np.float16)
        file["b/features"] = np.zeros((1, 3), np.float16)
        file["a/coords"] = np.zeros((2, 2))
    return tmp_path / "bags.h5"


def test_coordinates_count_only_where_all_bags_have_them(path):
    assert read_grouped_h5(path).coords is None
    with h5py.File(path, "a") as file:
        file["b/coords"] = np.ones((1, 2))
    assert read_grouped_h5(path).coords["b"].tolist() == [[1, 1]]


def test_features_keep_their_precision(path):
    assert read_grouped_h5(path).features["a"].dtype == np.float16


def test_a_group_without_features_is_named(path):
    with h5py.File(path, "a") as file:
        file["c/other"] = np.ones((1, 2))
    with pytest.raises(FeatureError, match=r"group 'c' holds \['other'\] and no 'features'"):
        read_grouped_h5(path)


def test_a_file_of_one_bag_is_not_a_file_of_groups(path):
    with h5py.File(path, "w") as file:
        file["features"] = np.ones((2, 3))
    with pytest.raises(FeatureError, match=r"holds \['features'\] and no group per bag"):
        read_grouped_h5(path)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_is_read_or_refused_and_never_breaks(data):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name in "abc":
            file[f"{name}/features"] = np.ones((2, 3))
    content = bytearray(buffer.getvalue())
    where = data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=30))
    for place in where:
        content[place] ^= data.draw(st.integers(1, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bags.h5")
        path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
        with contextlib.suppress(FeatureError):
            assert read_grouped_h5(path).features


def test_a_truncated_file_is_refused(path):
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FeatureError, match="truncated, damaged"):
        read_grouped_h5(path)
    path.write_bytes(b"")
    with pytest.raises(FeatureError, match="empty"):
        read_grouped_h5(path)
