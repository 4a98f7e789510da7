"""Labels in a table per set."""

import gzip

import pytest

from mil_bench.bags.labels.tables import read_sets
from mil_bench.base.errors import DataError

COLUMNS = ("slide_id", "code")


def rows(table):
    return list(table.itertuples(index=False, name=None))


def test_the_set_is_the_last_word_of_the_name_of_the_file(tmp_path):
    (tmp_path / "train.csv").write_text("slide_id,code\ns1,A\n")
    (tmp_path / "my_val.csv").write_text("code,slide id,more\nB,s2,x\n")
    with gzip.open(tmp_path / "my-list_test.csv.gz", "wt") as file:
        file.write("slide_id,code\ns3,A\n")
    found = read_sets(tmp_path, COLUMNS)
    assert sorted(rows(found)) == [("s1", "A", "train"), ("s2", "B", "val"), ("s3", "A", "test")]
    assert list(found.columns) == ["slide_id", "code", "set"]


def test_a_column_of_sets_goes_before_the_name_and_other_names_say_nothing(tmp_path):
    (tmp_path / "all_train.csv").write_text("slide_id,code,split\ns1,A,test\n")
    (tmp_path / "further.csv").write_text("slide_id,code\ns2,A\n")
    assert sorted(rows(read_sets(tmp_path, COLUMNS))) == [("s1", "A", "test"), ("s2", "A", "")]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("test.csv", b"slide_id,label\ns2,B\n", r"test.csv has the columns .* expected 'code'"),
        ("list.csv", b"slide_id,label\ns2,B\n", None),  # of something else
        ("test.csv", "slide_id,code\ns\u00e9,B\n".encode("latin-1"), "not a readable CSV table"),
        ("test.csv", b"", "not a readable CSV table"),
    ],
)
def test_no_set_gets_lost_beside_others(tmp_path, name, content, sentence):
    (tmp_path / "train.csv").write_text("slide_id,code\ns1,A\n")
    (tmp_path / name).write_bytes(content)
    if sentence is None:
        assert rows(read_sets(tmp_path, COLUMNS)) == [("s1", "A", "train")]
    else:
        with pytest.raises(DataError, match=sentence):
            read_sets(tmp_path, COLUMNS)


def test_the_only_table_that_has_half_of_the_columns_is_told_which_it_lacks(tmp_path):
    (tmp_path / "list.csv").write_text("slide_id,label\ns1,A\n")
    with pytest.raises(DataError, match=r"\['slide_id', 'label'\]; expected 'code'"):
        read_sets(tmp_path, COLUMNS)


def test_tables_without_the_columns_are_those_of_another_dataset(tmp_path):
    (tmp_path / "train.csv").write_text("image_id,isup_grade\ni1,0\n")
    assert read_sets(tmp_path, COLUMNS) is None
