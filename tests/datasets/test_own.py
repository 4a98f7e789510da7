import h5py
import numpy as np
import pandas as pd
import pytest
from small_cohorts import write_features

from mil_bench.base.errors import (
    ConfigError,
    DataError,
    FeatureError,
    TaxonomyError,
    UnknownNameError,
)
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.contract.store import Tiling
from mil_bench.datasets.own import OwnData

BASIC = 'name = "mine"\nlabels = "labels.csv"\nfeatures = "features"\n'
LABELS = "slide_id,label,patient_id,site\ns1,N,p1,x\ns2,IC,p1,y\ns3,IC,p2,x\n"
INSTANCES = "bag,kind,class,f1,f2\nb1,x,cat,1,2\nb1,x,cat,3,4\nb2,y,car,5,6\n"
OF_INSTANCES = 'name = "m"\nfeatures = "t.csv"\n[columns]\nslide_id = "bag"\nlabel = "class"\n'


@pytest.fixture
def make(tmp_path):
    """Write a TOML file, a label table and features of s1..s3; give the adapter."""

    def made(toml=BASIC, labels=LABELS, **files):
        (tmp_path / "labels.csv").write_text(labels)
        write_features(tmp_path / "features", ["s1", "s2", "s3"])
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(text)
        (tmp_path / "my.toml").write_text(toml)
        return OwnData(tmp_path / "my.toml")

    return made


@pytest.fixture
def options(tmp_path):
    return DatasetOptions(cache=tmp_path / "cache")


def test_three_keys_are_enough(make, options, monkeypatch, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)  # paths are relative to the file
    dataset = make().load(options)
    assert dataset.name == "mine"
    assert dataset.taxonomy.leaves == ("IC", "N")
    assert dataset.manifest.groups() == {"s1": "p1", "s2": "p1", "s3": "p2"}
    assert list(dataset.manifest.table["site"]) == ["x", "y", "x"]
    assert dataset.store.bag("s2").shape == (3, 4)
    assert dataset.card.default_split == "kfold-5"
    assert any("1 of 2 patients" in finding for finding in dataset.findings)


def test_a_split_column_is_the_official_split(make, options):
    labels = "slide_id,label,split\ns1,N,train\ns2,IC,valid\ns3,IC,Test\n"
    dataset = make(labels=labels).load(options)
    assert dataset.card.default_split == "official"
    assert (dataset.official[0].val, dataset.official[0].test) == (("s2",), ("s3",))


def test_a_split_file_is_the_default_split_and_relative_to_the_toml(make, options, tmp_path):
    dataset = make('splits = "my_split.csv"\n' + BASIC).load(options)
    assert dataset.card.default_split == str(tmp_path / "my_split.csv")


def test_a_set_that_is_no_set_is_refused(make, options):
    labels = "slide_id,label,split\ns1,N,trian\ns2,IC,val\ns3,IC,test\n"
    with pytest.raises(DataError, match="slide s1 is in the set 'trian'; expected train, val"):
        make(labels=labels).load(options)


@pytest.mark.parametrize(
    "tree", ['tree = "tree.toml"\n' + BASIC, BASIC + '[tree]\nbenign=["N"]\ncancer=["IC"]\n']
)
def test_a_tree_is_a_file_or_inline(make, options, tree):
    adapter = make(tree, tree__toml='[tree]\nbenign = ["N"]\ncancer = ["IC"]\n')
    assert adapter.load(options).taxonomy.paths == (("benign", "N"), ("cancer", "IC"))


def test_a_label_outside_the_tree_is_refused_with_the_slide(make, options):
    with pytest.raises(DataError, match=r"slide s2: unknown label .*'IC'"):
        make(BASIC + '[tree]\nbenign=["N"]\ncancer=["ICC"]\n').load(options)


def test_classes_order_the_leaves(make, options):
    dataset = make('classes = ["N", "DCIS", "IC"]\nordered = true\n' + BASIC).load(options)
    assert dataset.taxonomy.leaves == ("N", "DCIS", "IC")
    assert dataset.taxonomy.ordered
    with pytest.raises(DataError, match=r"\['IC'\] are not among `classes`"):
        make('classes = ["N", "DCIS"]\n' + BASIC).load(options)


def test_numeric_classes_are_in_numeric_order(make, options):
    labels = "slide_id,label\ns1,10\ns2,9\ns3,0\n"
    assert make(labels=labels).load(options).taxonomy.leaves == ("0", "9", "10")


def test_columns_may_have_any_name(make, options):
    labels = "WSI,Diagnosis,Case\ns1,N,p1\ns2,IC,p1\ns3,IC,p2\n"
    columns = '[columns]\nslide_id = "WSI"\nlabel = "diagnosis"\npatient_id = "Case"\n'
    assert make(BASIC + columns, labels).load(options).manifest.has_patients


def test_a_missing_column_lists_what_is_there_and_how_to_name_it(make, options):
    with pytest.raises(DataError, match=r"\['WSI', 'label'\]; expected 'slide_id'.*\[columns\]"):
        make(labels="WSI,label\ns1,N\ns2,IC\n").load(options)
    with pytest.raises(DataError, match="expected 'Patient'"):
        make(BASIC + '[columns]\npatient_id = "Patient"\n').load(options)


def test_the_tree_can_be_spelled_out_by_columns_of_any_depth(make, options):
    labels = "slide_id,label,organ,group\ns1,N,breast,ok\ns2,IC,breast,bad\ns3,SCC,lung,worse\n"
    dataset = make(BASIC + '[columns]\ncoarse = ["organ", "group"]\n', labels).load(options)
    assert set(dataset.taxonomy.paths) == {
        ("breast", "ok", "N"),
        ("breast", "bad", "IC"),
        ("lung", "worse", "SCC"),
    }


def test_a_class_in_two_groups_of_a_coarse_column_has_two_parents(make, options):
    labels = "slide_id,label,group\ns1,N,a\ns2,IC,a\ns3,IC,b\n"
    with pytest.raises(TaxonomyError, match="'IC' has two parents"):
        make(BASIC + '[columns]\ncoarse = "group"\n', labels).load(options)


def test_one_h5_with_a_group_per_bag_gives_features_coordinates_and_patch_labels(
    make, options, tmp_path
):
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file.attrs["classes"] = ["benign", "tumour"]
        for i, name in enumerate(("s1", "s2", "s3", "unlabelled"), start=1):
            group = file.create_group(name)
            group["features"] = np.full((i, 2), i, np.float32)
            group["coords"] = np.full((i, 2), 7)
            group["inst_labels"] = np.arange(i) % 2
    dataset = make(BASIC.replace('"features"', '"all.h5"')).load(options)
    assert set(dataset.store.rows) == {"s1", "s2", "s3"}
    np.testing.assert_array_equal(dataset.store.bag("s2"), [[2, 2], [2, 2]])
    np.testing.assert_array_equal(dataset.store.bag_coords("s1"), [[7, 7]])
    assert dataset.instance_labels["s3"] == ("benign", "tumour", "benign")
    assert dataset.store.tiling("s2") == Tiling(patch_size=None)
    toml = BASIC.replace('"features"', '"all.h5"') + 'patch_size = 92\nanchor = "center"\n'
    assert make(toml).load(options).store.tiling("s2") == Tiling("level0_px", "center", 92)


def test_known_patches_are_read_from_the_table_that_the_file_names(make, options):
    toml = BASIC + 'instances = "marks.csv"\n'
    marks = "slide_id,row,label\ns2,2,IC\ngone,0,N\n"
    known = make(toml, marks__csv=marks).load(options).instance_labels
    assert known["s2"] == ("background", "background", "IC")
    assert set(known) == {"s1", "s2", "s3"}


def test_a_table_of_patches_that_is_not_there_is_one_sentence(make, options):
    with pytest.raises(DataError, match=r"marks\.csv: No such file"):
        make(BASIC + 'instances = "marks.csv"\n').load(options)


def test_one_table_holds_labels_and_instances(make, options):
    dataset = make(OF_INSTANCES + 'coarse = "kind"\n', t__csv=INSTANCES).load(options)
    assert dataset.manifest.labels() == {"b1": "cat", "b2": "car"}
    assert set(dataset.taxonomy.paths) == {("x", "cat"), ("y", "car")}
    np.testing.assert_array_equal(dataset.store.bag("b1"), [[1, 2], [3, 4]])


def test_one_file_of_slide_embeddings_gives_bags_of_one(make, options, tmp_path):
    ids = ["s1.svs", "s2", "s3_features", "other"]  # with endings, as slide encoders name them
    np.savez(tmp_path / "titan.npz", slide_ids=ids, embeddings=np.arange(8).reshape(4, 2))
    toml = BASIC.replace('"features"', '"titan.npz"') + 'encoder = "titan"\n'
    store = make(toml).load(options).store
    assert store.encoder == "titan"
    assert {slide: store.bag(slide).tolist() for slide in store.rows} == {
        "s1": [[0, 1]],
        "s2": [[2, 3]],
        "s3": [[4, 5]],
    }


def test_a_parquet_table_of_embeddings(make, options, tmp_path):
    pytest.importorskip("pyarrow")
    frame = {"slide_id": ["s1", "s2", "s3"], "embedding": [[1.0, 2], [3, 4], [5, 6]]}
    pd.DataFrame(frame).to_parquet(tmp_path / "e.parquet")
    store = make(BASIC.replace('"features"', '"e.parquet"')).load(options).store
    assert store.bag("s3").tolist() == [[5, 6]]


def test_a_parquet_table_without_pyarrow_says_what_to_install(make, options, tmp_path, monkeypatch):
    def absent(path):
        raise ImportError("no engine")

    monkeypatch.setattr(pd, "read_parquet", absent)
    adapter = make(BASIC.replace('"features"', '"e.parquet"'), e__parquet="x")
    with pytest.raises(FeatureError, match="pip install pyarrow"):
        adapter.load(options)


def test_a_table_without_header_is_addressed_by_position(make, options):
    toml = 'name = "m"\nfeatures = "t.csv"\n[columns]\nlabel = 0\nslide_id = 1\n'
    dataset = make(toml, t__csv="1,b1,1.5,2\n1,b1,3,4\n0,b2,5,6\n").load(options)
    assert dataset.manifest.labels() == {"b1": "1", "b2": "0"}
    np.testing.assert_array_equal(dataset.store.bag("b1"), [[1.5, 2], [3, 4]])


def test_feature_columns_choose_and_a_column_of_words_is_refused(make, options):
    with pytest.raises(FeatureError, match=r"column 'kind' holds 'x' in data row 1.*feature_col"):
        make(OF_INSTANCES, t__csv=INSTANCES).load(options)
    chosen = make('feature_columns = ["f2"]\n' + OF_INSTANCES, t__csv=INSTANCES).load(options)
    np.testing.assert_array_equal(chosen.store.bag("b1"), [[2], [4]])
    with pytest.raises(FeatureError, match=r"no feature columns \['f3'\]"):
        make('feature_columns = ["f3"]\n' + OF_INSTANCES, t__csv=INSTANCES).load(options)


def test_rows_of_one_bag_with_two_labels_are_refused(make, options):
    rows = "bag,class,f1\nb1,cat,1\nb1,car,3\n"
    with pytest.raises(DataError, match="rows of bag 'b1' disagree"):
        make(OF_INSTANCES, t__csv=rows).load(options)


def test_bags_missing_in_a_single_file_are_named_or_recorded(make, options, tmp_path):
    toml = BASIC.replace('"features"', '"t.csv"')
    table = "slide_id,f1\ns1,1\ns3,2\n"
    with pytest.raises(FeatureError, match=r"1 of 3 labelled slides are not in .*\(first: s2\)"):
        make(toml, t__csv=table).load(options)
    allowed = DatasetOptions(allow_missing=True)
    dataset = make(toml, t__csv=table).load(allowed)
    assert (dataset.missing, dataset.manifest.slide_ids) == (("s2",), ["s1", "s3"])


def test_standardising_is_asked_of_the_harness_and_features_stay_raw(make, options):
    toml = 'standardize = true\nfeature_columns = ["f1"]\n' + OF_INSTANCES
    dataset = make(toml, t__csv=INSTANCES).load(options)
    assert dataset.standardize
    np.testing.assert_array_equal(dataset.store.bag("b1"), [[1], [3]])


def test_recommended_settings_reach_the_card(make, options):
    toml = BASIC + "[trainer]\nlr = 1e-3\n[methods.abmil]\nhidden = 64\n"
    overrides = make(toml).load(options).card.overrides
    assert overrides == {"trainer": {"lr": 1e-3}, "methods": {"abmil": {"hidden": 64}}}


@pytest.mark.parametrize(
    ("toml", "error", "message"),
    [
        (
            BASIC + 'lables = "x"\n',
            UnknownNameError,
            r"'lables' of .*my.toml; did you mean 'labels'",
        ),
        (
            BASIC + '[columns]\nslide = "x"\n',
            UnknownNameError,
            r"'slide' of .*; did you mean 'slide_id'",
        ),
        (BASIC + "[trainer]\nlearning = 1\n", UnknownNameError, "option 'learning' of .*trainer"),
        (BASIC + "[trainer]\nlr = -1\n", ConfigError, "lr=-1"),
        (BASIC.replace("mine", "../mine"), ConfigError, r"name='\.\./mine' is not valid"),
        (BASIC.replace("mine", "bracs"), ConfigError, "'bracs' belongs to a built-in dataset"),
        (BASIC + "name = 3\n", ConfigError, "not valid TOML"),
        ('name = "mine"\n', ConfigError, "required key 'features' is missing"),
        ('classes = ["a"]\n' + BASIC + '[tree]\na=["b"]\n', ConfigError, "Keep one of them"),
    ],
)
def test_a_wrong_toml_gets_one_sentence(make, options, toml, error, message):
    with pytest.raises(error, match=message):
        make(toml).load(options)


def test_missing_files_are_named(make, options, tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read dataset file .*none\.toml"):
        OwnData(tmp_path / "none.toml").load(options)
    with pytest.raises(DataError, match=r"cannot read label file .*none\.csv: No such file"):
        make(BASIC.replace("labels.csv", "none.csv")).load(options)
    with pytest.raises(FeatureError, match=r"features .*nowhere do not exist"):
        make(BASIC.replace('"features"', '"nowhere"')).load(options)


def test_an_id_with_dots_and_slashes_is_refused(make, options):
    with pytest.raises(DataError, match=r"'\.\./s1'"):
        make(labels="slide_id,label\n../s1,N\ns2,IC\n").load(options)


def test_a_slide_listed_twice_is_refused(make, options):
    with pytest.raises(DataError, match="listed more than once"):
        make(labels="slide_id,label\ns1,N\ns1,IC\n").load(options)


def test_features_under_a_simulated_root_make_simulated_data(make, options, tmp_path):
    adapter = make(SIMULATED__json="{}")
    assert adapter.load(options).kind == "simulated"


def test_only_takes_the_rows_with_some_values_of_a_column(tmp_path):
    slides = [f"s{i}" for i in range(4)]
    write_features(tmp_path / "features", slides)
    rows = "".join(f"{s},{'ab'[i % 2]},site {i}\n" for i, s in enumerate(slides))
    (tmp_path / "labels.csv").write_text(f"slide_id,label,hospital\n{rows}")
    text = 'name = "some"\nlabels = "labels.csv"\nfeatures = "features"\n[only]\nhospital = {}\n'
    path = tmp_path / "some.toml"

    def slides_with(value):
        path.write_text(text.format(value))
        data = OwnData(path).load(DatasetOptions(cache=tmp_path / "cache"))
        assert data.taxonomy.leaves == ("a", "b")  # also without a slide of one
        return data.manifest.slide_ids

    assert slides_with('["site 0", "site 3"]') == ["s0", "s3"]
    assert slides_with('"site 2"') == ["s2"]
    with pytest.raises(UnknownNameError, match="value of 'hospital' 'site 9'"):
        slides_with('["site 0", "site 9"]')
    path.write_text(text.format('"a"').replace("hospital =", "hospitl ="))
    with pytest.raises(DataError, match="expected 'hospitl'; the nearest is 'hospital'"):
        OwnData(path).load(DatasetOptions())
