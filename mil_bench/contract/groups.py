"""Groups of slides that must stay together: patients, or one group per slide.

This file imports no pandas: scores of predictions need numpy and scipy only.
"""

from __future__ import annotations

from collections.abc import Iterable


def slide_group(slide_id: str) -> str:
    """Return the group of a slide whose patient is unknown, which no other slide shares."""
    return f"slide:{slide_id}"


def patients_known(slide_ids: Iterable[str], groups: Iterable[str]) -> bool:
    """Return whether any slide has a patient (group) other than itself.

    Manifests and files of predictions have a column for groups and none for whether they are
    patients. A slide without a patient has exactly the id that :func:`slide_group` makes for it.
    """
    return any(g != slide_group(s) for s, g in zip(slide_ids, groups, strict=True))
