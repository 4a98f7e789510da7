"""Files of predictions made elsewhere, joined by model and completed by a dataset or each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from foreign_tables import clam, frame, written
from prediction_cases import BRACS, FLAT, random_predictions

from mil_bench.base.errors import DataError, MilBenchError, UsageError
from mil_bench.evaluation.scores import Scores
from mil_bench.exchange.tables.foreign import models_of, read_models, with_count
from mil_bench.exchange.tables.reference import Reference

P = random_predictions(BRACS, n=40, skill=1)
LABELS = {s: BRACS.leaves[y] for s, y in zip(P.slide_ids.tolist(), P.labels, strict=True)}
GROUPS = dict(zip(P.slide_ids.tolist(), P.groups.tolist(), strict=True))


@pytest.mark.parametrize(
    ("files", "models"),
    [
        (["a.csv", "b.csv"], {"a": [(None, None)], "b": [(None, None)]}),
        (["a_fold0.csv", "a_fold1.csv"], {"a": [(0, None), (1, None)]}),
        (["sb__fold0.csv", "mb__fold0.csv"], {"sb": [(0, None)], "mb": [(0, None)]}),
        (["a_seed1_fold-2.csv.gz"], {"a": [(2, 1)]}),
        (["run/fold_0.csv", "run/fold_1.csv"], {"run": [(0, None), (1, None)]}),
        (["x/split-0/preds.csv", "x/split-1/preds.csv"], {"preds": [(0, None), (1, None)]}),
        (["Log_3fold.csv"], {"Log": [(3, None)]}),
        (["x/preds.csv", "y/preds.csv"], {"x/preds": [(None, None)], "y/preds": [(None, None)]}),
        (["unfold2.csv"], {"unfold2": [(None, None)]}),
    ],
)
def test_files_whose_names_differ_by_fold_or_seed_are_of_one_model(files, models):
    found = models_of([Path(file) for file in files])
    assert {n: [(m.fold, m.seed) for m in members] for n, members in found.items()} == models


def test_folds_of_several_files_become_cells_of_one_model(tmp_path):
    folds = {k: random_predictions(FLAT, n=20, seed=k) for k in (0, 1, 2)}
    paths = [written(tmp_path / f"m_fold{k}.csv", frame(p)) for k, p in folds.items()]
    (model,) = read_models(paths, Reference(FLAT))
    assert list(model.sets["test"]) == [(0, 0), (0, 1), (0, 2)]
    for (_, fold), p in model.sets["test"].items():
        assert Scores.of(p).by_name == pytest.approx(Scores.of(folds[fold]).by_name, nan_ok=True)


def test_two_files_of_the_same_fold_are_refused(tmp_path):
    paths = [written(tmp_path / f"m_fold{k}.csv", frame(P, fold=0)) for k in (0, 1)]
    with pytest.raises(DataError, match="both have seed 0 fold 0"):
        read_models(paths)
    with pytest.raises(UsageError, match="is given twice"):
        read_models([paths[0], paths[0]])
    with pytest.raises(UsageError, match="is a folder"):
        read_models([tmp_path])


def test_folds_that_lack_what_others_have_are_refused(tmp_path):
    first = written(tmp_path / "m_fold0.csv", frame(P))
    decided = frame(P)[["slide_id", "label"]].assign(pred="N")
    second = written(tmp_path / "m_fold1.csv", decided)
    with pytest.raises(DataError, match="some files of m have probabilities and others decisions"):
        read_models([first, second], Reference(BRACS))
    upper = random_predictions(BRACS, n=40, heads=("coarse",))
    names = BRACS.classes["coarse"]
    named = {f"coarse:{c}": upper.heads["coarse"][:, k] for k, c in enumerate(names)}
    written(second, frame(P, **named))
    with pytest.raises(DataError, match="have columns of level 'coarse' and others lack them"):
        read_models([first, second], Reference(BRACS))


def test_labels_and_patients_come_from_the_dataset_whatever_the_extension(tmp_path):
    table = frame(P).drop(columns="label")
    table["slide_id"] = "C:\\slides\\" + table["slide_id"] + ".SVS"
    path = written(tmp_path / "p.csv", table)
    reference = Reference(BRACS, {**LABELS, "s98": "N", "s99": "N"}, {**GROUPS, "s98": "x"})
    (model,) = read_models([path], reference)
    model = with_count(model, reference)
    (p,) = model.sets["test"].values()
    assert p.labels.tolist() == P.labels.tolist()
    assert p.groups.tolist() == P.groups.tolist()
    assert p.slide_ids.tolist() == P.slide_ids.tolist()
    assert model.notes == ("2 of the dataset's 42 slides have no prediction",)


def test_the_column_of_slides_may_be_called_as_in_the_dataset(tmp_path):
    path = written(tmp_path / "p.csv", frame(P).rename(columns={"slide_id": "Präparat"}))
    with pytest.raises(DataError, match="expected one with the slide"):
        read_models([path], Reference(BRACS, LABELS, GROUPS))
    (model,) = read_models([path], Reference(BRACS, LABELS, GROUPS, "Präparat"))
    assert len(model.sets["test"][0, 0]) == 40


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.assign(slide_id="z" + t["slide_id"]), "40 slides unknown to the dataset"),
        (
            lambda t: t.assign(slide_id=t["slide_id"].replace({"s1": "s0.svs"}), label=None).drop(
                columns="label"
            ),
            "lists slide 's0' twice",
        ),
        (lambda t: t.assign(label="N"), r"labels differ from the dataset's .first: s"),
    ],
)
def test_what_contradicts_the_dataset_is_refused(tmp_path, change, sentence):
    path = written(tmp_path / "p.csv", change(frame(P)))
    with pytest.raises(DataError, match=sentence):
        read_models([path], Reference(BRACS, LABELS, GROUPS))


def test_what_one_file_lacks_comes_from_another(tmp_path):
    whole = written(tmp_path / "a.csv", frame(P, patient_id=P.groups))
    bare = frame(random_predictions(BRACS, n=40, seed=1)).drop(columns="label")
    bare["slide_id"] += ".svs"
    models = read_models([whole, written(tmp_path / "b.csv", bare)])
    for model in models:
        (p,) = model.sets["test"].values()
        assert p.labels.tolist() == P.labels.tolist()
        assert p.groups.tolist() == P.groups.tolist()


def test_files_of_other_classes_need_a_tree(tmp_path):
    p2 = random_predictions(FLAT, n=20)
    named = written(tmp_path / "a.csv", frame(p2))
    counted = written(tmp_path / "b.csv", clam(p2))
    with pytest.raises(
        DataError, match=r"b.csv has the classes 0 and 1, .*a.csv has no and yes; pass"
    ):
        read_models([named, counted])
    a, b = read_models([named, counted], Reference(FLAT))
    assert a.same_as(b)


def test_the_same_numbers_in_another_order_are_the_same(tmp_path):
    a = written(tmp_path / "a.csv", frame(P))
    b = written(tmp_path / "b.csv", frame(P).iloc[::-1])
    c = written(tmp_path / "c.csv", frame(P).assign(label="N"))
    first, second, third = read_models([a, b, c], Reference(BRACS))
    assert first.same_as(second)
    assert not first.same_as(third)


def test_no_label_anywhere_says_where_to_take_them_from(tmp_path):
    path = written(tmp_path / "p.csv", frame(P).drop(columns="label"))
    with pytest.raises(DataError, match=r"no column 'label'.*--dataset"):
        read_models([path], Reference(BRACS))


def test_only_sentences_come_out_of_damaged_files(tmp_path):
    """Mutated bytes of real forms: whatever happens, it is a ``MilBenchError`` or a result."""
    import random

    rng, path = random.Random(0), tmp_path / "p.csv"
    sources = []
    for table in (frame(P), clam(P), frame(P, patient_id=P.groups, fold=0, seed=1)):
        sources.append(written(tmp_path / "s.csv", table.head(8)).read_bytes())
        sources.append(
            written(tmp_path / "s.csv", table.head(8), sep=";", decimal=",").read_bytes()
        )
    signs = [b",", b";", b"\n", b'"', b"", b"\x00", b"\xff", b"nan", b"1e999", b"-", b"0", b"%"]
    outcomes = set()
    for _ in range(400):
        data = bytearray(rng.choice(sources))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 9)] = rng.choice(signs)
        path.write_bytes(bytes(data))
        try:
            read_models([path], Reference(rng.choice([BRACS, None])))
            outcomes.add("read")
        except MilBenchError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}
