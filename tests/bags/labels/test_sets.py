"""Labels in a table per set."""

import gzip

from mil_bench.bags.labels.sets import read_sets

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


def test_tables_without_the_columns_are_those_of_another_dataset(tmp_path):
    (tmp_path / "train.csv").write_text("image_id,isup_grade\ni1,0\n")
    assert read_sets(tmp_path, COLUMNS) is None
