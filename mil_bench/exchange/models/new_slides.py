"""Features of slides that no run has seen: found, chosen by a list, and checked against a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mil_bench.bags.cache.pack import opened
from mil_bench.bags.formats.folder import FeatureSet, discover
from mil_bench.bags.formats.names import UNKNOWN, canonical_encoder, known_ids, normalise
from mil_bench.bags.formats.scale import PatchScale, read_scale
from mil_bench.bags.labels.single_file import read_grouped_h5
from mil_bench.bags.labels.tables import column, read_table
from mil_bench.bags.store import store_of_arrays
from mil_bench.base.errors import DataError, FeatureError, listed
from mil_bench.base.tables import TABLE_SUFFIXES
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import Dataset, DatasetCard
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.spec import RunSpec
from mil_bench.contract.store import BagStore
from mil_bench.runs.directory import RunDirectory

SLIDE_COLUMNS = ("slide_id", "slide", "image_id", "filename", "file", "wsi", "slide_path", "path")
HDF5 = (".h5", ".hdf5")


@dataclass(frozen=True)
class NewSlides:
    """Bags of slides without labels; ``where`` they were read from, ``notes`` on what is unknown.

    The encoder of ``store`` is what the files or their folder name, else ``unknown``.
    """

    store: BagStore
    where: Path
    notes: tuple[str, ...] = ()

    def dataset(self, tree: Taxonomy) -> Dataset:
        """Return the slides as a dataset whose labels are empty, for code that needs one."""
        name = str(self.where)
        card = DatasetCard(name, name, name, "", "", {tree.name: tree}, tree.name)
        ids = list(self.store.rows)
        return Dataset(card, "real", Manifest.build(ids, [""] * len(ids)), tree, self.store)


def open_new_slides(
    features: Path,
    directories: Sequence[RunDirectory],
    slides: Sequence[str] | None = None,
    *,
    encoder: str | None = None,
    cache: Path | None = None,
) -> NewSlides:
    """Open the bags of a folder of any known layout, or of one HDF5 file with a group per bag.

    ``slides`` are the ids to take, with or without file extension, in that order; all by default.
    ``encoder`` names the features where neither files nor folder do, or one of several. Raises
    ``FeatureError`` for features of another encoder, dimension or scale than those of any of the
    runs, and ``UnknownNameError`` for ids without features.
    """
    if features.is_file() and features.suffix.lower() in HDF5:
        bags = read_grouped_h5(features)
        chosen = list(bags.features) if slides is None else _ids(slides, bags.features, features)
        coords = {s: bags.coords[s] for s in chosen} if bags.coords else None
        store = store_of_arrays(
            encoder or UNKNOWN, {slide: bags.features[slide] for slide in chosen}, coords
        )
    else:
        bag_files = _feature_set(features, directories[0], encoder)
        names = _slide_names(bag_files)
        chosen = list(names) if slides is None else _ids(slides, names, features)
        sources = {slide: bag_files.sources[names[slide]] for slide in chosen}
        store = opened(bag_files, sources, cache)
    return NewSlides(store, features, check_fits(store, directories, str(features)))


def check_fits(store: BagStore, directories: Sequence[RunDirectory], where: str) -> tuple[str, ...]:
    """Return notes on what cannot be compared between ``store`` and the features of runs.

    Raises ``FeatureError`` where encoder, dimension or scale of the patches differ.
    """
    scales = _scales(store)
    notes = (n for directory in directories for n in _check_run(store, scales, directory, where))
    return tuple(dict.fromkeys(notes))  # the same note of several models once


def _check_run(
    store: BagStore, scales: Mapping[str, PatchScale], directory: RunDirectory, where: str
) -> Iterator[str]:
    spec, key = directory.read_spec(), directory.path.name
    _check_encoder(spec, key, store.encoder, where)
    if store.dim != spec.dim:
        known = _base(spec.encoder) != UNKNOWN
        wanted = spec.encoder if known else "the encoder of its training"
        raise FeatureError(
            f"run {key} was trained on features of dimension {spec.dim} ({spec.encoder}), but "
            f"those of {where} have dimension {store.dim}; pass features of {wanted}."
        )
    if UNKNOWN in (_base(spec.encoder), _base(store.encoder)):
        unnamed = [
            name
            for name, encoder in (("the training", spec.encoder), (where, store.encoder))
            if _base(encoder) == UNKNOWN
        ]
        verb = "does" if len(unnamed) == 1 else "do"
        yield (
            f"encoders are not compared: {' and '.join(unnamed)} {verb} not name one; both have "
            f"dimension {spec.dim}"
        )
    trained = trained_scale(directory)
    for slide, scale in scales.items():
        if not scale.fits(trained):
            raise FeatureError(
                f"run {key} was trained on patches of {trained}, but {slide} in {where} has "
                f"patches of {scale}; extract the slides at the scale of the training."
            )
    if bool(trained) != any(scales.values()):  # one of them without a scale: nothing to compare
        whose = where if trained else "the training"
        yield f"the scale of patches is not checked: {whose} does not record it"


def trained_scale(directory: RunDirectory) -> PatchScale:
    """Return the scale of the patches that a run was trained on, as its result records it."""
    return PatchScale(**directory.read_result().get("patches", {}))


def read_slide_list(path: Path) -> list[str]:
    """Return the slide ids of a table, or of a text file with an id per line; each once.

    A table has a column ``slide_id`` (or ``slide``, ``image_id``, ``filename``), or one column.
    Folders in ids are left out. Raises ``DataError``.
    """
    if not path.is_file():
        raise DataError(f"--slides {path}: there is no such file; expected a list of slide ids.")
    if path.name.lower().endswith(TABLE_SUFFIXES) and path.suffix.lower() != ".txt":
        ids = _of_table(path)
    else:
        try:
            ids = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise DataError(
                f"--slides {path} is not a text file or table; expected a slide id per line."
            ) from None
    # Windows paths, too.
    names = [name.strip().replace("\\", "/").rpartition("/")[2] for name in ids]
    if names and names[0].lower() in SLIDE_COLUMNS:  # the header of a single column
        names = names[1:]
    chosen = list(dict.fromkeys(filter(None, names)))
    if not chosen:
        raise DataError(f"--slides {path} lists no slide; expected a slide id per line.")
    return chosen


def _of_table(path: Path) -> list[str]:
    table = read_table(path)
    name = column(table, SLIDE_COLUMNS)
    if name is None and len(table.columns) == 1:  # a list of ids without a header
        only = table.columns[0]
        return [str(only), *table[only]]
    if name is None:
        raise DataError(
            f"--slides {path} has the columns {list(table.columns)[:12]}; expected 'slide_id'. "
            "Rename the column."
        )
    return list(table[name])


def _feature_set(root: Path, directory: RunDirectory, encoder: str | None) -> FeatureSet:
    """The set of bags with the encoder of the run, or the only one of an unknown encoder."""
    spec, sets = directory.read_spec(), discover(root)
    wanted = encoder or spec.encoder
    # The exact name first, then the same encoder in another folder.
    fitting = [s for s in sets if s.encoder == wanted] or [
        s for s in sets if _base(s.encoder) == _base(wanted)
    ]
    if not fitting and len(sets) == 1 and (sets[0].encoder == UNKNOWN or spec.encoder == UNKNOWN):
        named = canonical_encoder(encoder) if encoder else sets[0].encoder
        fitting = [FeatureSet(named, sets[0].folder, sets[0].sources)]
    if not fitting:
        names = listed([s.encoder for s in sets])
        raise FeatureError(
            f"run {directory.path.name} was trained on features of {spec.encoder}, but {root} "
            f"holds features of {names}; pass features of {spec.encoder}."
        )
    if len(fitting) > 1:
        names = listed([s.encoder for s in fitting])
        raise FeatureError(
            f"{root} holds {len(fitting)} sets of features of {_base(wanted)} ({names}); choose "
            "one with --encoder."
        )
    return fitting[0]


def _check_encoder(spec: RunSpec, key: str, encoder: str, where: str) -> None:
    known = UNKNOWN not in (_base(spec.encoder), _base(encoder))
    if known and _base(encoder) != _base(spec.encoder):
        raise FeatureError(
            f"run {key} was trained on features of {spec.encoder}, but {where} holds features of "
            f"{encoder}; pass features of {spec.encoder}."
        )


def _base(encoder: str) -> str:
    """An encoder without the folder that tells two sets of it apart."""
    name = canonical_encoder(encoder.partition("@")[0])
    return UNKNOWN if name in (UNKNOWN, "features") else name


def _scales(store: BagStore) -> dict[str, PatchScale]:
    files = ((slide, store.files[slide]) for slide in store.rows if slide in store.files)
    return {slide: read_scale(file) for slide, file in files}


def _slide_names(features: FeatureSet) -> dict[str, str]:
    """Slide id -> name in the set; ids are file names without tails, and with folders if needed."""
    short = [normalise(name.rpartition("/")[2]) for name in features.sources]
    unique = len(set(short)) == len(short)  # with folders where file names repeat
    return dict(zip(short if unique else features.sources, features.sources, strict=True))


def _ids(slides: Sequence[str], known: Iterable[str], where: Path) -> list[str]:
    return known_ids(slides, list(known), of=str(where))
