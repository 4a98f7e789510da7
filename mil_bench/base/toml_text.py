"""Values as the text of a TOML file, which the standard library reads but does not write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(values: Mapping[str, Any]) -> str:
    """Return ``values`` as TOML: plain values, then tables and lists of tables under their names.

    Keys whose value is ``None`` are left out. Keys, texts, numbers, truth values, lists of these
    and mappings are possible; anything else is a ``TypeError`` of the standard library.
    """
    return _table(values, ()).lstrip("\n")


def _table(values: Mapping[str, Any], path: tuple[str, ...]) -> str:
    plain = {k: v for k, v in values.items() if v is not None and not _is_nested(v)}
    text = "".join(f"{_key(key)} = {_value(value)}\n" for key, value in plain.items())
    for key, value in values.items():
        place = (*path, key)
        name = ".".join(map(_key, place))
        if isinstance(value, Mapping):
            text += f"\n[{name}]\n{_table(value, place)}"
        elif _is_nested(value):
            text += "".join(f"\n[[{name}]]\n{_table(each, place)}" for each in value)
    return text


def _is_nested(value: object) -> bool:
    if isinstance(value, Mapping):
        return True
    return isinstance(value, (list, tuple)) and any(isinstance(v, Mapping) for v in value)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _value(value: object) -> str:
    """The spelling of JSON, which is that of TOML but for one control character."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
