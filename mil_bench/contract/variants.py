"""Names of the variants of one method, on boards and of runs: only what sets them apart."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from mil_bench.contract.spec import RunSpec

Settings = Mapping[str, str]
_LONG_NUMBER = re.compile(r"-?\d+\.\d{5,}(e-?\d+)?")


def settings(spec: RunSpec) -> dict[str, str]:
    """Everything a user can vary between two runs of a method in one cell, as text.

    Harness settings stand under their own name unless the method has one of the same name.
    """
    method = flattened(spec.method_config)
    trainer = flattened(spec.trainer.model_dump(mode="json"))
    harness = {(f"trainer.{k}" if k in method else k): v for k, v in trainer.items()}
    other = {
        "precision": spec.precision,
        "standardize": _text(spec.standardize),
        "version": spec.method_version,
    }
    online = spec.online.model_dump() if spec.online is not None else {}
    return {**method, **harness, **other, **flattened(online, "online.")}


def digest(chosen: Settings) -> str:
    """Short hash of all settings; rows with the same hash were made alike."""
    content = json.dumps(dict(chosen), sort_keys=True)
    return sha256(content.encode()).hexdigest()[:8]


def labels(variants: Sequence[Settings], default: Settings | None = None) -> list[str]:
    """What distinguishes each variant of one method: ``"gated=false"``, or ``""``.

    What goes without saying is that a variant lacks a setting that others have; of a setting that
    all have, the value of ``default`` (one of ``variants``), else the value that more than half of
    them share. Everything else is named. Different variants therefore have different labels.
    """
    keys = dict.fromkeys(key for variant in variants for key in variant)
    told: list[list[str]] = [[] for _ in variants]
    for key in keys:
        values = [variant.get(key) for variant in variants]
        unsaid = _unsaid(values, default.get(key) if default else None)
        for parts, value in zip(told, values, strict=True):
            if value not in (unsaid, None):
                parts.append(f"{key}={value}")
    return [", ".join(parts) for parts in told]


def _unsaid(values: Sequence[str | None], default: str | None) -> str | None:
    """The value of a setting that goes without saying, if any."""
    if None in values:
        return None
    if default is not None:
        return default
    most, count = Counter(values).most_common(1)[0]
    return most if count * 2 > len(values) else None


def titles(specs: Iterable[RunSpec]) -> dict[str, str]:
    """Key -> a line for people, with what sets a run apart from the others of its method.

    ``hmil on digit-bags, fold 0, seed 1 [ia_weight=0.0]``; ``specs`` are the runs of one grid.
    """
    found: dict[str, str] = {}
    groups: dict[tuple[str, str], list[RunSpec]] = defaultdict(list)
    for spec in specs:
        groups[spec.dataset, spec.method].append(spec)
    for alike in groups.values():
        chosen = [
            {**settings(spec), "encoder": spec.encoder, "split": spec.split} for spec in alike
        ]
        distinct = {digest(own): own for own in chosen}
        told = [{key: _brief(value) for key, value in own.items()} for own in distinct.values()]
        names = dict(zip(distinct, labels(told), strict=True))
        for spec, own in zip(alike, chosen, strict=True):
            name = names[digest(own)]
            found[spec.key] = f"{spec.title} [{name}]" if name else spec.title
    return found


def flattened(config: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Settings as text, those of nested groups under dotted names."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        flat |= (
            flattened(value, f"{above}{key}.")
            if isinstance(value, dict)
            else {above + key: _text(value)}
        )
    return flat


def _brief(value: str) -> str:
    """Three digits of a number with many, as searches find them."""
    return f"{float(value):.3g}" if _LONG_NUMBER.fullmatch(value) else value


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
