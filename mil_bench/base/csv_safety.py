"""Text cells that a spreadsheet must not run as a formula (CSV injection, OWASP)."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@", "\t", "\r")
_QUOTE = "'"


def escape(text: str) -> str:
    """Put ``'`` before a cell that starts like a formula, or with ``'`` itself."""
    return _QUOTE + text if text.startswith((*FORMULA, _QUOTE)) else text


def unescape(text: str) -> str:
    """Return the inverse of :func:`escape`; a ``'`` before anything else is the cell's own."""
    escaped = text.startswith(_QUOTE) and text[1:].startswith((*FORMULA, _QUOTE))
    return text[1:] if escaped else text
