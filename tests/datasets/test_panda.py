from collections import Counter

import pandas as pd
import pytest

from mil_bench.base.errors import DataError
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.datasets.panda import ISUP_OF_GLEASON, LEAVES, WRONG_ROW, Panda


def labels_of(root):
    return Panda().cohort(DatasetOptions(data_root=root)).labels


def write_train(folder, rows):
    names = ["image_id", "data_provider", "isup_grade", "gleason_score"]
    pd.DataFrame(rows, columns=names).to_csv(folder / "train.csv", index=False)


@pytest.fixture
def small(tmp_path):
    rows = [
        ("a", "karolinska", 0, "0+0"),
        ("b", "radboud", 0, "negative"),
        ("c", "radboud", 5, "4+5"),
        (WRONG_ROW, "radboud", 2, "4+3"),
    ]
    write_train(tmp_path, rows)
    return tmp_path


@pytest.fixture(scope="session")
def real(shared):
    return labels_of(shared / "data/labels/panda")


def test_the_real_table_has_10616_images_of_two_providers(real):
    table = real.manifest.table
    assert len(table) == 10_616
    assert Counter(table["provider"]) == {"karolinska": 5456, "radboud": 5160}
    counts = Counter(table["label"])
    # as published, with the wrong row moved from ISUP 2 to 3
    assert [counts[leaf] for leaf in LEAVES] == [2892, 2666, 1342, 1243, 1249, 1224]


@pytest.mark.parametrize(
    ("tree", "counts"),
    [
        ("risk", [2892, 2666, 2585, 2473]),
        ("csPCa", [2892, 2666, 5058]),
        ("cancer", [2892, 7724]),
        ("gleason-3", [2892, 4009 - 1, 3715 + 1]),
    ],
)
def test_every_tree_groups_the_real_grades_as_its_source_says(real, tree, counts):
    taxonomy = Panda.card.tree(tree)
    index = taxonomy.ancestor_index("coarse")
    found = Counter(int(index[taxonomy.index(label)]) for label in real.manifest.table["label"])
    assert [found[k] for k in range(len(counts))] == counts
    assert taxonomy.leaves == tuple(LEAVES)
    assert taxonomy.ordered


def test_near_duplicates_of_the_real_list_share_a_group(real):
    groups = Counter(real.manifest.table["group_id"])
    sizes = [n for group, n in groups.items() if group.startswith("duplicates:")]
    assert (len(sizes), sum(sizes), max(sizes), sizes.count(2)) == (631, 2121, 131, 506)
    assert any("199 hold several grades, 77 both providers" in f for f in real.findings)


def test_the_real_suspicious_slides_leave_training_only(real):
    assert len(real.not_for_training) == 662  # 675 rows, some slides for two reasons
    assert real.not_for_training < set(real.manifest.slide_ids)


def test_only_one_real_row_contradicts_its_gleason_score(real):
    assert any(WRONG_ROW in f and "corrected to ISUP 3" in f for f in real.findings)
    assert not any("left unchanged" in f for f in real.findings)
    assert real.manifest.labels()[WRONG_ROW] == "ISUP3"


def test_both_spellings_of_benign_are_grade_zero(small):
    labels = labels_of(small).manifest.labels()
    assert labels["a"] == labels["b"] == "ISUP0"


def test_gleason_scores_imply_the_isup_2014_grades():
    for primary in (3, 4, 5):
        for secondary in (3, 4, 5):
            total = primary + secondary
            grade = {6: 1, 7: 2 if primary == 3 else 3, 8: 4}.get(total, 5)
            assert ISUP_OF_GLEASON[f"{primary}+{secondary}"] == str(grade)


def test_unknown_contradictions_are_reported_and_left(tmp_path):
    write_train(tmp_path, [("a", "radboud", 1, "4+4"), ("b", "radboud", 0, "negative")])
    labels = labels_of(tmp_path)
    assert labels.manifest.labels()["a"] == "ISUP1"
    assert any("1 slide has" in f and "left unchanged" in f for f in labels.findings)


def test_provider_by_grade_is_told(small):
    assert any(
        "ISUP 0/3/5: karolinska 1/0/0; radboud 1/1/1" in f for f in labels_of(small).findings
    )


def test_a_list_of_near_duplicates_makes_groups(small):
    (small / "any_name.csv").write_text("image_id,group_id,index_in_group\na,7,0\nc,7,1\n")
    groups = labels_of(small).manifest.groups()
    assert groups["a"] == groups["c"] != groups["b"]
    assert groups["b"] == "slide:b"


def test_without_a_list_of_near_duplicates_the_risk_is_told(small):
    assert any("no near-duplicate list" in f for f in labels_of(small).findings)


def test_noise_ratio_zero_means_not_for_training_and_one_means_keep(small):
    noisy = "image_id,noise_ratio_5,noise_ratio_10\na,1,1\nb,1,0\nelsewhere,0,0\n"
    (small / "train_with_noisy_labels.csv").write_text(noisy)
    assert labels_of(small).not_for_training == {"b"}


def test_wrong_columns_name_what_is_there_and_what_is_expected(tmp_path):
    (tmp_path / "train.csv").write_text("image,isup\na,1\n")
    with pytest.raises(
        DataError, match=r"has the columns \['image', 'isup'\]; expected 'image_id'"
    ):
        labels_of(tmp_path)


def test_a_table_without_rows_is_refused(tmp_path):
    (tmp_path / "train.csv").write_text("image_id,isup_grade\n\n")
    with pytest.raises(DataError, match="no rows below its header"):
        labels_of(tmp_path)


def test_a_grade_that_does_not_exist_is_refused(tmp_path):
    write_train(tmp_path, [("a", "radboud", 6, "5+5"), ("b", "radboud", 0, "negative")])
    with pytest.raises(DataError, match=r"slide a: .*'ISUP6'"):
        labels_of(tmp_path)
