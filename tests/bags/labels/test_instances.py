"""Known patch labels beside a label file."""

from __future__ import annotations

from pathlib import Path

import pytest

from mil_bench.bags.labels.instances import read_instances, write_instances
from mil_bench.base.errors import DataError


def test_patches_that_are_not_listed_are_background(tmp_path: Path) -> None:
    write_instances(tmp_path, {"a": {1: "IC"}, "b": {}})
    assert read_instances(tmp_path, {"a": 3, "b": 1}) == {
        "a": ("background", "IC", "background"),
        "b": ("background",),
    }


def test_slides_without_a_bag_are_left_out(tmp_path: Path) -> None:
    write_instances(tmp_path, {"a": {0: "IC"}, "gone": {5: "IC"}})
    assert read_instances(tmp_path, {"a": 1}) == {"a": ("IC",)}


def test_ids_that_look_like_numbers_stay_text(tmp_path: Path) -> None:
    write_instances(tmp_path, {"007": {0: "3"}})
    assert read_instances(tmp_path, {"007": 1}) == {"007": ("3",)}


def test_without_the_file_nothing_is_known(tmp_path: Path) -> None:
    assert read_instances(tmp_path, {"a": 1}) is None


@pytest.mark.parametrize("row", ["9", "-1", "1.5", "x", ""])
def test_a_row_that_is_no_patch_of_the_bag_is_refused(row: str, tmp_path: Path) -> None:
    (tmp_path / "instances.csv").write_text(f"slide_id,row,label\na,{row},IC\n")
    with pytest.raises(DataError, match=f"patch {row} of slide a, whose bag has 3"):
        read_instances(tmp_path, {"a": 3})


def test_missing_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / "instances.csv").write_text("slide,patch\na,1\n")
    with pytest.raises(DataError, match="expected 'slide_id'"):
        read_instances(tmp_path, {"a": 3})
