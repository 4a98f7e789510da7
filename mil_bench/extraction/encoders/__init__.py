"""Patch encoders by name. Adding one: its card in :mod:`.cards`; elsewhere an entry point."""

from __future__ import annotations

from mil_bench.extraction.encoders.card import EncoderCard
from mil_bench.extraction.encoders.cards import CARDS
from mil_bench.registry import Registry

ENCODERS: Registry[EncoderCard] = Registry("encoder", "mil_bench.encoders")
for card in CARDS:
    ENCODERS.add(card.name, card, card.summary)
