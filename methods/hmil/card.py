"""HMIL's paper card: the source, every difference to the released code, the open choices."""

from __future__ import annotations

from mil_bench.method import PaperCard

CARD = PaperCard(
    title="HMIL: Hierarchical Multi-Instance Learning for Fine-Grained Whole Slide Image "
    "Classification",
    year=2025,
    venue="IEEE Transactions on Medical Imaging 44(4):1796-1808",
    link="arXiv:2411.07660",
    code="https://github.com/ChengJin-git/HMIL @ af6f85a",
    differs=(),
)
