"""One name for every patch encoder: the writers' aliases mapped to TRIDENT's names."""

from __future__ import annotations

import re

# Aliases are squeezed (lower case, letters and digits only). Other networks and other outputs of
# one network (`virchow-full`, `resnet50_trunc`, `chief-ctranspath`) keep their own names. Encoders
# called like a data set or a common word (`musk`, `keep`) are left out: a folder of that name does
# not tell.
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
    """The canonical id of an encoder (``UNI``, ``mahmood_uni`` -> ``uni_v1``), else ``name``."""
    return _BY_ALIAS.get(_squeeze(name), name.strip())


def is_known_encoder(name: str) -> bool:
    """Whether ``name`` is an encoder's name or alias, so that a folder called so holds features."""
    return _squeeze(name) in _BY_ALIAS


def _squeeze(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.strip().lower().removeprefix("pathology/"))
