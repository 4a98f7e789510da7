"""Embeddings of whole slides, as slide encoders write them, are bags of one."""

import pickle

import numpy as np
import pytest
import torch
from feature_writers import grid_coords, random_bags, write_h5, write_npy, write_pt, write_trident

from mil_bench.bags.cache.pack import open_store
from mil_bench.bags.formats.folder import choose, discover
from mil_bench.bags.formats.names import slide_encoder, slide_folder
from mil_bench.bags.formats.reader import read_bag
from mil_bench.bags.labels.single_file import read_single_file
from mil_bench.bags.store import store_of_arrays
from mil_bench.base.errors import FeatureError, UnknownNameError

VECTOR = random_bags({"s": 1})["s"][0]
XY = grid_coords(10)


def embedding(path):
    """The one row of a file, which must be read as a slide embedding without coordinates."""
    bag = read_bag(path)
    assert bag.whole_slide
    assert bag.coords is None
    assert bag.features.shape == (1, len(VECTOR))
    return bag


@pytest.mark.parametrize(
    "coords", [None, XY, XY[0], grid_coords(8)], ids=["alone", "patches", "one patch", "as many"]
)
def test_tridents_vector_has_no_coordinates_whatever_stands_beside_it(tmp_path, coords):
    data = {"features": VECTOR} | ({} if coords is None else {"coords": coords})
    path = write_h5(tmp_path / "slide_features_titan" / "s.h5", data)
    np.testing.assert_array_equal(embedding(path).features[0], VECTOR)


@pytest.mark.parametrize("kind", ["slide", "patient"])
@pytest.mark.parametrize("shape", [(8,), (1, 8)])
def test_a_stamp_encoding_names_its_slide_encoder(tmp_path, kind, shape):
    attrs = {"feat_type": kind, "encoder": "TITAN", "stamp_version": "2.4.0"}
    path = write_h5(tmp_path / "s.h5", {"feats": VECTOR.reshape(shape)}, attrs)
    assert embedding(path).encoder == "titan"


@pytest.mark.parametrize(
    "content",
    [
        torch.from_numpy(VECTOR),
        {"features": torch.from_numpy(VECTOR)},
        {"image_embedding": torch.from_numpy(VECTOR)[None], "image_latents": torch.ones(2, 3)},
        {"layer_0_embed": torch.ones(1, 3), "last_layer_embed": torch.from_numpy(VECTOR)[None]},
    ],
    ids=["slide2vec", "dict", "PRISM", "GigaPath"],
)
def test_vectors_of_torch_files(tmp_path, content):
    np.testing.assert_array_equal(
        embedding(write_pt(tmp_path / "s.pt", content)).features[0], VECTOR
    )


def test_vectors_of_numpy_files(tmp_path):
    embedding(write_npy(tmp_path / "s.npy", VECTOR))
    np.savez(tmp_path / "s.npz", features=VECTOR)
    embedding(tmp_path / "s.npz")


def test_a_row_in_a_folder_of_slide_embeddings_is_one_and_several_are_refused(tmp_path):
    embedding(write_npy(tmp_path / "slide_embeddings" / "s.npy", VECTOR[None]))
    two = write_npy(tmp_path / "slide_embeddings" / "two.npy", np.ones((2, 8)))
    with pytest.raises(FeatureError, match="2 vectors, but slide_embeddings is a folder of slide"):
        read_bag(two)
    prism = write_pt(tmp_path / "p.pt", {"image_embedding": torch.ones(3, 8)})
    with pytest.raises(FeatureError, match="`image_embedding` is the embedding of a slide"):
        read_bag(prism)


def test_a_bag_of_one_patch_is_no_slide_embedding(tmp_path):
    assert not read_bag(write_npy(tmp_path / "s.npy", VECTOR[None])).whole_slide


def test_an_empty_slide_of_trident_is_an_empty_bag(tmp_path):
    path = write_h5(tmp_path / "slide_features_titan" / "s.h5", {"features": np.zeros(0)})
    with pytest.raises(FeatureError, match="an empty bag"):
        read_bag(path)


@pytest.mark.parametrize(
    ("folder", "encoder"),
    [
        ("slide_features_titan", "titan"),
        ("slide_features_gigapath", "gigapath-slide"),
        ("titan-slide-0a1b2c3d", "titan"),
        ("chief-pat", "chief"),
        ("slide_embeddings", "unknown"),
        ("features_uni_v1", None),
        ("whole-slide", None),
    ],
)
def test_folders_of_slide_embeddings_by_name(folder, encoder):
    assert slide_folder(folder) == encoder


def test_a_slide_encoder_called_like_a_patch_encoder_keeps_apart():
    assert slide_encoder("Prov-GigaPath") == "gigapath-slide"
    assert slide_encoder("PRISM") == "prism"


def test_embeddings_beside_patch_features_are_chosen_by_name(tmp_path):
    bags = random_bags({"a": 3, "b": 5})
    write_trident(tmp_path, bags, {slide: grid_coords(len(x)) for slide, x in bags.items()})
    [patches] = discover(tmp_path)
    folder = patches.folder.parent / "slide_features_titan"
    for slide in bags:
        write_h5(folder / f"{slide}.h5", {"features": VECTOR})
    assert choose(tmp_path).encoder == "uni_v1"
    assert choose(tmp_path, "titan").folder == folder
    assert choose(folder).encoder == "titan"
    with pytest.raises(UnknownNameError, match="titan"):
        choose(tmp_path, "titam")


def test_a_folder_with_only_embeddings_is_packed_as_bags_of_one(tmp_path):
    for slide in ("a", "b"):
        write_pt(tmp_path / "out" / "slide_embeddings" / f"{slide}.pt", torch.from_numpy(VECTOR))
    store, missing = open_store(
        tmp_path / "out", ["a", "b"], encoder="prism", cache=tmp_path / "cache"
    )
    assert (store.encoder, store.dim, missing) == ("prism", 8, ())
    assert {length for _, length in store.rows.values()} == {1}
    assert store.coords is None


@pytest.mark.parametrize("first", ["vector", "patches"])
def test_vectors_and_patches_in_one_folder_are_refused(tmp_path, first):
    order = ["vector", "patches"] if first == "vector" else ["patches", "vector"]
    for name in order:
        array = VECTOR if name == "vector" else np.ones((3, 8), "float32")
        write_npy(tmp_path / "f" / f"{name}.npy", array)
    with pytest.raises(FeatureError, match="separate folders"):
        open_store(tmp_path / "f", order, cache=tmp_path / "cache")
    arrays = {"v": VECTOR, "p": np.ones((3, 8), "float32")}
    with pytest.raises(FeatureError, match="slide 'v' has one vector"):
        store_of_arrays("e", arrays)


class Bomb:
    """Runs code when a careless reader unpickles it."""

    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return (open, (str(self.flag), "w"))


def test_titans_pickle_is_never_opened(tmp_path):
    path = tmp_path / "TCGA_TITAN_features.pkl"
    path.write_bytes(pickle.dumps({"embeddings": Bomb(tmp_path / "ran"), "filenames": []}))
    for read in (read_bag, read_single_file):
        with pytest.raises(FeatureError, match="pickle") as caught:
            read(path)
        assert "convert it once to .npz" in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_all_embeddings_in_one_file(tmp_path):
    both = {"a": VECTOR, "b": VECTOR * 2}
    rows = np.stack(list(both.values()))
    np.savez(tmp_path / "ids.npz", slide_ids=["a", "b"], embeddings=rows, n=[3, 4])
    np.savez(tmp_path / "named.npz", **both)
    write_h5(tmp_path / "cobra.h5", both)
    write_pt(tmp_path / "all.pt", {slide: torch.from_numpy(x) for slide, x in both.items()})
    for name in ("ids.npz", "named.npz", "cobra.h5", "all.pt"):
        bags = read_single_file(tmp_path / name)
        store = store_of_arrays("e", bags.features)
        assert set(store.rows) == {"a", "b"}, name
        np.testing.assert_array_equal(store.bag("b")[0], both["b"])


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"slide_ids": ["a", "a"], "embeddings": np.ones((2, 3))}, "'a' has several rows"),
        ({"slide_ids": ["a"], "embeddings": np.ones((2, 3))}, "expected slide_ids"),
        ({"embeddings": np.ones((2, 3))}, "slide_ids of shape None"),
        ({"a": np.ones((2, 3, 4))}, "expected a vector"),
        ({"a": np.array([{}], dtype=object)}, "without pickles"),
    ],
)
def test_an_npz_of_another_form_is_refused(tmp_path, arrays, reason):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(FeatureError, match=reason):
        read_single_file(tmp_path / "x.npz")


def test_a_torch_file_of_one_bag_is_not_a_cohort(tmp_path):
    for content in (torch.ones(2, 3), {"features": torch.ones(2, 3)}, {}):
        with pytest.raises(FeatureError, match="expected a dict of slide id"):
            read_single_file(write_pt(tmp_path / "x.pt", content))
    path = tmp_path / "x.bin"
    path.write_bytes(b"1")
    with pytest.raises(FeatureError, match="has the ending"):
        read_single_file(path)
