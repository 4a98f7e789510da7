"""Data inside a page: JSON that no name can break out of."""

from __future__ import annotations

import json
from typing import Any

_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def island(data: Any) -> str:
    """``data`` as JSON for a ``<script type="application/json">``.

    ``<``, ``>`` and ``&`` are written as escapes of JSON, so a name such as ``</script>`` stays
    text. Raises ``ValueError`` for ``nan``, which JSON does not have.
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign, escape in _ESCAPES.items():
        text = text.replace(sign, escape)
    return text
