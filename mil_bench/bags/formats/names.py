"""One name for every patch encoder: the writers' aliases mapped to TRIDENT's names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from mil_bench.base.errors import FeatureError, UnknownNameError

# Aliases are squeezed (lower case, letters and digits only). Other networks and other outputs of
# one network (`virchow-full`, `resnet50_trunc`, `chief-ctranspath`) keep their own names. Encoders
# called like a dataset or a common word (`musk`, `keep`) are left out: a folder of that name may
# hold anything.
_CANONICAL = {
    "uni_v1": ("uni", "univ1", "mahmooduni"),
    "uni_v2": ("uni2", "univ2", "uni2h", "univ2h", "mahmooduni2h"),
    "conch_v1": ("conch", "conchv1", "mahmoodconch"),
    "conch_v15": ("conch15", "conchv15"),
    "virchow": ("virchow", "paigevirchow"),
    "virchow2": ("virchow2", "paigevirchow2"),
    "gigapath": ("gigapath", "provgigapath"),
    "hoptimus0": ("hoptimus0", "bioptimushoptimus0"),
    "hoptimus1": ("hoptimus1", "bioptimushoptimus1"),
    "h0-mini": ("h0mini", "bioptimush0mini"),
    "phikon": ("phikon", "owkinphikon"),
    "phikon_v2": ("phikonv2", "owkinphikonv2"),
    "hibou_l": ("hiboul", "histaihiboul"),
    "midnight12k": ("midnight12k", "kaikomidnight12k"),
    "ctranspath": ("ctranspath",),
    "resnet50": ("resnet50",),
    "resnet50_trunc": ("resnet50trunc",),
    "chief-ctranspath": ("chiefctranspath",),
    "virchow-full": ("virchowfull",),
    "dino-bloom": ("dinobloom",),
    "red-dino": ("reddino",),
    "mstar": ("mstar",),
    "plip": ("plip",),
    "gpfm": ("gpfm",),
    "openmidnight": ("openmidnight",),
    "genbio-pathfm": ("genbiopathfm",),
    "lunit-vits8": ("lunitvits8",),
}
_BY_ALIAS = {alias: name for name, aliases in _CANONICAL.items() for alias in aliases}
UNKNOWN = "unknown"


def canonical_encoder(name: str) -> str:
    """Return the canonical id of an encoder (``UNI`` -> ``uni_v1``), else ``name``."""
    return _BY_ALIAS.get(_squeeze(name), name.strip())


def is_known_encoder(name: str) -> bool:
    """Return whether ``name`` is an encoder's name or alias, so that its folder has features."""
    return _squeeze(name) in _BY_ALIAS


# Slide encoders whose folders STAMP calls ``<encoder>-slide`` or ``<encoder>-slide-<hash8>``.
_SLIDE_ENCODERS = (
    *("titan", "prism", "prism2", "chief", "gigapath", "cobra", "eagle", "madeleine", "feather"),
    *("threads", "care", "moozy"),
)
_SLIDE_FOLDER = re.compile(
    r"slide_features_(?P<trident>.+)"
    rf"|(?P<stamp>{'|'.join(_SLIDE_ENCODERS)})-(?:slide|pat)(?:-[0-9a-f]{{8}})?"
    r"|(?P<slide2vec>slide_embeddings|patient_embeddings)"
)


def slide_encoder(name: str) -> str:
    """Return the id of a slide encoder: ``titan``, or ``gigapath-slide``.

    The ending is for those called like a patch encoder, whose features mean something else.
    """
    return f"{canonical_encoder(name)}-slide" if is_known_encoder(name) else name.strip().lower()


def slide_folder(name: str) -> str | None:
    """Return the encoder of a folder of slide embeddings, by its name; ``None`` for other folders.

    TRIDENT writes ``slide_features_<encoder>``, STAMP ``<encoder>-slide-<hash8>``, slide2vec
    ``slide_embeddings``, which names no encoder.
    """
    match = _SLIDE_FOLDER.fullmatch(name)
    if match is None:
        return None
    encoder = match["trident"] or match["stamp"]
    return slide_encoder(encoder) if encoder else UNKNOWN


def _squeeze(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.strip().lower().removeprefix("pathology/"))


# Which feature file belongs to which slide: the same name, normalised, in any case; no prefix.

# In the order of preference when a slide has several: h5 carries coordinates.
FEATURE_SUFFIXES = (".h5", ".hdf5", ".npy", ".pt", ".pth", ".npz")
PICKLES = (".pkl", ".pickle")
SLIDE_SUFFIXES = (
    *(".ome.tiff", ".ome.tif", ".svs", ".ndpi", ".mrxs", ".tiff", ".tif", ".sdpc", ".kfb"),
    *(".vms", ".vmu", ".scn", ".bif", ".svslide", ".czi", ".dcm", ".isyntax", ".qptiff"),
    *(".png", ".jpeg", ".jpg", ".bmp"),
)
FEATURE_TAILS = ("_features", "_feat")


def normalise(name: str) -> str:
    """Return a slide name without one slide suffix and one ``_feat`` or ``_features`` tail.

    >>> normalise("CCC_0001.ome.tif"), normalise("CCC_0001_feat")
    ('CCC_0001', 'CCC_0001')
    """
    lower = name.lower()
    # One suffix only: `a.svs.tif` is another name.
    suffix = next((s for s in SLIDE_SUFFIXES if lower.endswith(s)), "")
    name = name[: len(name) - len(suffix)]
    tail = next((t for t in FEATURE_TAILS if name.endswith(t)), "")
    return name[: len(name) - len(tail)]


def match_ids(slide_ids: Sequence[str], names: Iterable[str]) -> dict[str, str]:
    """Return the feature name of every slide id that has one.

    ``names`` are file names without the feature suffix, possibly with folders (``site1/x``). An id
    without a slash is compared with the last part. Equal names are taken first, then names equal
    after :func:`normalise`, then those that differ in case. Raises ``FeatureError`` when two files
    fit one slide or one file fits two slides.
    """
    names = list(names)
    keys = (str, normalise, lambda name: normalise(name).lower())
    looser = [(key, _by(names, key)) for key in keys]  # from strict to loose
    matches: dict[str, str] = {}
    for slide in dict.fromkeys(slide_ids):
        # The strictest form that fits.
        fits = next((near for key, by_key in looser if (near := by_key.get(key(slide)))), [])
        if len(fits) > 1:
            raise FeatureError(
                f"slide {slide!r} fits {len(fits)} feature files ({_listed(fits)}); expected one. "
                "Remove or rename the others."
            )
        if fits:
            matches[slide] = fits[0]
    _check_distinct(matches)
    return matches


def known_id(slide: str, known: Collection[str], of: str = "") -> str:
    """Return the id among ``known`` of a slide that is named with or without its file extension.

    Raises as :func:`known_ids`.
    """
    return slide if slide in known else known_ids([slide], known, of)[0]


def known_ids(slides: Sequence[str], known: Collection[str], of: str = "") -> list[str]:
    """Return the id among ``known`` of every slide, matched as in :func:`match_ids`.

    ``of`` says whose ids they are. Raises ``UnknownNameError`` with the nearest ids and
    ``FeatureError`` for a slide that fits several.
    """
    matches = match_ids(slides, known)
    unknown = [slide for slide in slides if slide not in matches]
    if unknown:
        count = f"{len(unknown)} of {len(slides)} ids are unknown." if len(slides) > 1 else ""
        raise UnknownNameError("slide", unknown[0], known, count, of)
    return [matches[slide] for slide in slides]


def _by(names: Iterable[str], key: Callable[[str], str]) -> Mapping[str, list[str]]:
    """Names by their whole key and by its last part."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        # With and without its folders.
        for form in dict.fromkeys((key(name), key(name.rpartition("/")[2]))):
            groups[form].append(name)
    return groups


def _check_distinct(matches: Mapping[str, str]) -> None:
    slides: dict[str, list[str]] = defaultdict(list)
    for slide, name in matches.items():
        slides[name].append(slide)
    for name, owners in slides.items():
        if len(owners) > 1:
            raise FeatureError(
                f"the feature file {name!r} fits {len(owners)} slides ({_listed(owners)}); "
                "expected one file per slide. Rename it to the exact id of its slide."
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5]))
