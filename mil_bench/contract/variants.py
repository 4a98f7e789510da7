"""Names of the variants of one method, on boards and of runs: only what sets them apart."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from mil_bench.contract.spec import Experiment, RunSpec, TransferredSpec

SettingTexts = Mapping[str, str]
_LONG_NUMBER = re.compile(r"-?\d+\.\d{5,}(e-?\d+)?")


def settings(spec: Experiment) -> dict[str, str]:
    """Return, as text, everything that a user can vary between two runs of a method in one cell.

    Trainer settings have their own name, or ``trainer.NAME`` if the method has one of that name.
    Transferred predictions have those of their model, predictions made elsewhere none.
    """
    if isinstance(spec, TransferredSpec):
        return settings(spec.source)
    method = flattened(spec.method_config)
    if not isinstance(spec, RunSpec):
        return method
    trainer = flattened(spec.trainer.model_dump(mode="json"))
    # The method's name wins where both have it.
    harness = {(f"trainer.{k}" if k in method else k): v for k, v in trainer.items()}
    other = {
        "precision": spec.precision,
        "standardize": _text(spec.standardize),
        "version": spec.method_version,
    }
    if spec.init is not None:
        other["init"] = spec.init[:8]
    online = spec.online.model_dump() if spec.online is not None else {}
    return {**method, **harness, **other, **flattened(online, "online.")}


def digest(variant: SettingTexts) -> str:
    """Return a short hash of all settings: equal for runs with equal settings."""
    content = json.dumps(dict(variant), sort_keys=True)
    return sha256(content.encode()).hexdigest()[:8]


def labels(variants: Sequence[SettingTexts], default: SettingTexts | None = None) -> list[str]:
    """Return what distinguishes each variant of one method: ``"gated=false"``, or ``""``.

    Three things are not named: that a variant lacks a setting that others have, the value of
    ``default`` (one of ``variants``), and without a default the value of more than half of them.
    Everything else is. Different variants therefore have different labels.
    """
    keys = dict.fromkeys(key for variant in variants for key in variant)
    named: list[list[str]] = [[] for _ in variants]
    for key in keys:
        values = [variant.get(key) for variant in variants]
        unsaid = _unsaid(values, default.get(key) if default else None)
        for parts, value in zip(named, values, strict=True):
            if value not in (unsaid, None):
                parts.append(f"{key}={value}")
    return [", ".join(parts) for parts in named]


def _unsaid(values: Sequence[str | None], default: str | None) -> str | None:
    """The value of a setting that labels do not name, if any."""
    if None in values:  # None: a variant without the setting
        return None
    if default is not None:
        return default
    most, count = Counter(values).most_common(1)[0]
    return most if count * 2 > len(values) else None  # more than half: a majority of one value


def titles(specs: Iterable[RunSpec]) -> dict[str, str]:
    """Map the key of each run to a line that distinguishes it from others of its method.

    ``hmil on digit-bags, fold 0, seed 1 [ia_weight=0.0]``; ``specs`` are the runs of one grid.
    """
    lines: dict[str, str] = {}
    groups: dict[tuple[str, str], list[RunSpec]] = defaultdict(list)
    for spec in specs:
        groups[spec.dataset, spec.method].append(spec)
    for runs in groups.values():
        texts = [{**settings(spec), "encoder": spec.encoder, "split": spec.split} for spec in runs]
        variants = {digest(text): text for text in texts}
        brief = [{key: _brief(value) for key, value in v.items()} for v in variants.values()]
        names = dict(zip(variants, labels(brief), strict=True))
        for spec, text in zip(runs, texts, strict=True):
            name = names[digest(text)]
            lines[spec.key] = f"{spec.title} [{name}]" if name else spec.title
    return lines


def flattened(config: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Return settings as text, those of nested groups under dotted names."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        flat |= (
            flattened(value, f"{above}{key}.")
            if isinstance(value, dict)
            else {above + key: _text(value)}
        )
    return flat


def _brief(value: str) -> str:
    """Three significant digits of a long number, such as those of searches."""
    return f"{float(value):.3g}" if _LONG_NUMBER.fullmatch(value) else value


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
