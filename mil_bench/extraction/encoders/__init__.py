"""Patch encoders by name. Adding one: its card in :mod:`.cards`; elsewhere an entry point."""

from __future__ import annotations

from mil_bench.base.registry import Registry
from mil_bench.extraction.encoders.cards import CARDS, EncoderCard

ENCODERS: Registry[EncoderCard] = Registry("encoder", "mil_bench.encoders")
for card in CARDS:
    ENCODERS.add(card.name, card, card.summary)
