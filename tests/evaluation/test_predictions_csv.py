"""Prediction files: exact round trips, and one sentence for each wrong file."""

from __future__ import annotations

import csv
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_cases import BRACS, DEEP, GRADES, predictions, random_predictions

from mil_bench.base.csv_safety import escape, unescape
from mil_bench.base.errors import DataError, TaxonomyError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.evaluation.predictions_csv import read_predictions, write_predictions


def assert_same(p, q):
    assert p.slide_ids.tolist() == q.slide_ids.tolist()
    assert p.groups.tolist() == q.groups.tolist()
    assert p.labels.tolist() == q.labels.tolist()
    assert set(p.heads) == set(q.heads)
    for level in p.heads:
        assert (p.heads[level] == q.heads[level]).all()


@given(predictions(), predictions(trees=(BRACS,)))
@settings(deadline=None, max_examples=25)
def test_what_is_written_is_read_back_to_the_last_bit(p, other):
    sets = {"val": p, "test": p if p.taxonomy is not other.taxonomy else other}
    sets = {k: v for k, v in sets.items() if set(v.heads) == set(p.heads)}
    with tempfile.TemporaryDirectory() as folder:
        first, again = Path(folder, "a.csv"), Path(folder, "b.csv")
        write_predictions(first, sets)
        back = read_predictions(first, p.taxonomy)
        write_predictions(again, back)
        assert first.read_bytes() == again.read_bytes()
        assert list(back) == list(sets)
        for name, expected in sets.items():
            assert_same(back[name], expected)
        assert sorted(f.name for f in Path(folder).iterdir()) == ["a.csv", "b.csv"]


def test_the_header_names_set_slide_group_label_and_every_class(tmp_path):
    p = random_predictions(DEEP, n=3, heads=("coarse", "level2"))
    write_predictions(tmp_path / "p.csv", {"test": p})
    header = (tmp_path / "p.csv").read_text().splitlines()[0]
    assert header == (
        "set,slide_id,group_id,label,leaf:NILM,leaf:ASC-US,leaf:LSIL,leaf:HSIL,leaf:SCC,"
        "coarse:negative,coarse:positive,level2:NILM,level2:low,level2:high"
    )


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8))
def test_escaped_cells_read_back_and_never_start_like_a_formula(text):
    assert unescape(escape(text)) == text
    assert not escape(text).startswith(("=", "+", "-", "@"))


@pytest.mark.parametrize("slide", ["=1+1", "+a", "-a", "@a", "'a", "''=a", 'a,"b"', "å b", "1e5"])
def test_dangerous_ids_are_stored_safely_and_read_back(tmp_path, slide):
    p = random_predictions(BRACS, n=1)
    p = replace(p, slide_ids=np.array([slide]), groups=np.array([slide]))
    write_predictions(tmp_path / "p.csv", {"test": p})
    with (tmp_path / "p.csv").open(newline="") as file:
        cell = list(csv.reader(file))[1][1]
    assert not cell.startswith(("=", "+", "-", "@"))
    assert read_predictions(tmp_path / "p.csv", BRACS)["test"].slide_ids.tolist() == [slide]


def test_a_diverged_model_is_refused_before_anything_is_written(tmp_path):
    p = random_predictions(BRACS, n=4)
    p.heads[LEAF][2] = np.nan
    with pytest.raises(DataError, match=r"leaf head on the test set: s2 hold NaN"):
        write_predictions(tmp_path / "p.csv", {"test": p})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_gives_a_sentence(tmp_path):
    with pytest.raises(DataError, match=r"cannot write .*No such file"):
        write_predictions(tmp_path / "no" / "p.csv", {"test": random_predictions(n=2)})


@pytest.fixture
def lines(tmp_path):
    """Header and three rows of a good file for the flat tree a/b, and a way to read them."""
    return [
        "set,slide_id,group_id,label,leaf:a,leaf:b",
        "test,s1,p1,a,0.75,0.25",
        "test,s2,p1,b,0.5,0.5",
        "val,s1,p1,a,1.0,0.0",
    ]


AB = Taxonomy.flat("ab", ["a", "b"])


def read(tmp_path, lines):
    (tmp_path / "p.csv").write_text("\n".join(lines) + "\n")
    return read_predictions(tmp_path / "p.csv", AB)


def test_the_sets_of_a_file_keep_their_order_and_may_share_a_slide(tmp_path, lines):
    sets = read(tmp_path, lines)
    assert {name: len(p) for name, p in sets.items()} == {"test": 2, "val": 1}


@pytest.mark.parametrize(
    ("line", "new", "error", "message"),
    [
        (1, "test,s1,p1,c,0.75,0.25", TaxonomyError, r"line 2: unknown label.*'c'"),
        (1, "test,s1,p1,a,0.75,0.5", DataError, r"line 2 \(s1\) do not sum to 1 \(first: 1.25\)"),
        (2, "test,s2,p1,b,nan,0.5", DataError, r"line 3 \(s2\) hold NaN"),
        (2, "test,s2,p1,b,,1.0", DataError, r"line 3, column 'leaf:a': '' is not a number"),
        (
            2,
            "test,s2,p1,b,3.5,-2.5",
            DataError,
            r"line 3 \(s2\) hold values outside",
        ),
        (2, "test,s1,p1,b,0.5,0.5", DataError, r"slide 's1' twice in the test set \(lines 2 and 3"),
        (2, "test,s2,p1,b,0.5", DataError, r"line 3 has 5 cells, the header 6"),
        (2, "test,,p1,b,0.5,0.5", DataError, r"line 3 has no slide_id"),
        (0, "set,slide_id,group_id,label,leaf:a,leaf:B", DataError, r"leaf:b.*nearest.*leaf:B"),
        (0, "set,slide_id,group_id,label,leaf:a,leaf:a", DataError, r"leaf:a.*more than once"),
        (0, "set,slide_id,group,label,leaf:a,leaf:b", DataError, r"no column \['group_id'\]"),
    ],
)
def test_each_wrong_file_is_refused_with_the_place(tmp_path, lines, line, new, error, message):
    lines[line] = new
    with pytest.raises(error, match=message):
        read(tmp_path, lines)


def test_columns_of_another_tree_are_refused(tmp_path):
    p = random_predictions(BRACS, n=3, heads=("coarse",))
    write_predictions(tmp_path / "p.csv", {"test": p})
    other = Taxonomy.from_tree(
        "two", {"no": ["N", "PB", "UDH", "FEA", "ADH"], "yes": ["DCIS", "IC"]}
    )
    with pytest.raises(DataError, match=r"coarse:atypical.*another tree"):
        read_predictions(tmp_path / "p.csv", other)


def test_missing_empty_and_binary_files_give_a_sentence(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        read_predictions(tmp_path / "none.csv", GRADES)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match="holds no predictions"):
        read_predictions(tmp_path / "empty.csv", GRADES)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00\x01\n")
    with pytest.raises(DataError, match="not a CSV file"):
        read_predictions(tmp_path / "bytes.csv", GRADES)
