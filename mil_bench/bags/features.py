"""From a folder of features and a list of slides to a store: the interface for adapters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mil_bench.bags.cache.pack import packed
from mil_bench.bags.formats.folder import FeatureSet, choose
from mil_bench.bags.formats.names import match_ids
from mil_bench.base.errors import FeatureError, nearest
from mil_bench.contract.store import BagStore

SHOWN_IDS, SHOWN_NAMES = 10, 5


def open_store(
    root: Path,
    slide_ids: Sequence[str],
    *,
    encoder: str | None = None,
    allow_missing: bool = False,
    cache: Path | None = None,
) -> tuple[BagStore, tuple[str, ...]]:
    """Open the packed features of ``slide_ids``; return the store and the ids without features.

    ``root`` is any folder layout of :func:`mil_bench.bags.formats.discover`; only the requested
    slides are packed, on first use, into ``cache`` (default ``$MIL_BENCH_CACHE`` or
    ``~/.cache/mil-bench``). Raises ``FeatureError`` when slides are missing (unless
    ``allow_missing``), when files are not bags, or when several encoders are there and none is
    named.
    """
    features = choose(root, encoder)
    names = match_ids(slide_ids, features.sources)
    missing = tuple(slide for slide in slide_ids if slide not in names)
    if missing and not (allow_missing and names):
        raise _missing(features, missing, len(slide_ids), allow_missing)
    sources = {slide: features.sources[names[slide]] for slide in slide_ids if slide in names}
    return packed(features, sources, cache), missing


def _missing(
    features: FeatureSet, missing: Sequence[str], wanted: int, allow_missing: bool
) -> FeatureError:
    shown = ", ".join(missing[:SHOWN_IDS]) + (", ..." if len(missing) > SHOWN_IDS else "")
    near = nearest(missing[0], [n.rpartition("/")[2] for n in features.sources], SHOWN_NAMES)
    close = ", ".join(near) or "none; files are named like " + next(iter(features.sources))
    advice = "pass their folder with --features"
    if not allow_missing:
        advice += ", or skip them with --allow-missing"
    return FeatureError(
        f"{len(missing)} of {wanted} slides have no features in {features.folder} "
        f"(encoder {features.encoder}, {len(features.sources)} bags): {shown}; "
        f"nearest to {missing[0]}: {close}; {advice}."
    )
