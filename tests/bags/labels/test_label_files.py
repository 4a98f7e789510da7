import gzip

import pandas as pd
import pytest

from mil_bench.bags.labels.tables import column, read_table, require, tables_in
from mil_bench.base.errors import DataError
from mil_bench.base.tables import headers

ROWS = "slide_id, label ,note\n007,N,NA\n8, IC ,\n,,\n"


def test_cells_stay_text_and_blanks_are_stripped(tmp_path):
    (tmp_path / "t.csv").write_text(ROWS)
    table = read_table(tmp_path / "t.csv")
    assert table.to_dict("list") == {
        "slide_id": ["007", "8"],
        "label": ["N", "IC"],
        "note": ["NA", ""],
    }


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt", "t.csv.gz", "t.xlsx"])
def test_every_kind_of_file_gives_the_same_table(tmp_path, name):
    (tmp_path / "plain.csv").write_text(ROWS)
    expected = read_table(tmp_path / "plain.csv")
    path = tmp_path / name
    if name.endswith("xlsx"):
        expected.to_excel(path, index=False)
    else:
        text = expected.to_csv(sep="\t" if "tsv" in name else ";", index=False)
        data = b"\xef\xbb\xbf" + text.encode()  # with the byte-order mark that Excel writes
        path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
        assert headers(path) == ["slide_id", "label", "note"]
    pd.testing.assert_frame_equal(read_table(path), expected)


def test_a_column_is_found_whatever_its_case_and_blanks():
    table = pd.DataFrame(columns=["Patient Id", "WSI-Filename"])
    assert column(table, ["case_id", "patient_id"]) == "Patient Id"
    assert column(table, ["wsi filename"]) == "WSI-Filename"
    assert column(table, ["label"]) is None


def test_a_missing_column_names_the_nearest(tmp_path):
    table = pd.DataFrame(columns=["slideid_", "lable"])
    with pytest.raises(DataError, match=r"expected 'label'; the nearest is 'lable'"):
        require(table, ["label"], tmp_path)


def test_tables_come_by_stem_then_workbooks_first_and_from_the_labels_folder(tmp_path):
    (tmp_path / "labels").mkdir()
    for name in ("labels/BRACS.xlsx", "bracs_a.csv", "info.csv", "bracs.h5"):
        (tmp_path / name).touch()
    found = [path.name for path in tables_in(tmp_path, ["bracs", "info"])]
    assert found == ["BRACS.xlsx", "bracs_a.csv", "info.csv"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "it is empty"), (b"\xff\xfe\x00a", "utf-8"), (b"a,b\n", "no rows below its header")],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, content, reason):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=reason):
        read_table(tmp_path / "t.csv")


def test_a_truncated_archive_is_refused(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(ROWS.encode() * 1000)[:60])
    with pytest.raises(DataError, match="not a readable"):
        read_table(path)
    (tmp_path / "t.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match="not a readable XLSX"):
        read_table(tmp_path / "t.xlsx")
