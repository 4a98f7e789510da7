"""Where a row stands on its board, by the score that orders boards."""

from __future__ import annotations

from dataclasses import dataclass

from mil_bench.evaluation.inference.detectable import detectable_difference
from mil_bench.evaluation.inference.draws import Replicated
from mil_bench.evaluation.inference.holm import holm
from mil_bench.evaluation.inference.ranks import Rank
from mil_bench.leaderboard.analysis import RANKED, Analysis
from mil_bench.leaderboard.tables.table import NAN, Cell, Number


@dataclass(frozen=True)
class Standing:
    """Tier, rank, and difference of the first row to this one (``None`` for the first).

    ``p`` is Holm's, over the differences of all rows to the first.
    """

    tier: int
    rank: Rank
    behind: Replicated | None = None
    p: float = NAN

    def cells(self) -> dict[str, Cell]:
        """Cells by column name."""
        found: dict[str, Cell] = {
            "tier": Number(self.tier),
            "rank": Number(self.rank.rank, self.rank.low, self.rank.high),
            "first": Number(self.rank.first),
        }
        if self.behind:
            found["behind"] = Number(self.behind.value, self.behind.low, self.behind.high)
            found["p"] = Number(self.p)
            found["detectable"] = Number(detectable_difference(self.behind.error))
        return found


def standings(analysis: Analysis) -> dict[str, Standing]:
    """Row label -> standing, of rows that can be compared, the first row first."""
    tiers = analysis.tiers(RANKED, 1)
    ranks = analysis.ranks(RANKED, 1)
    tier = {label: i for i, group in enumerate(tiers, 1) for label in group}
    if not tier:
        return {}
    first = tiers[0][0]
    behind = {
        label: analysis.difference(first, label, RANKED)
        for label in tier
        if label != first and label in ranks
    }
    p = dict(zip(behind, holm([d.p for d in behind.values()]), strict=True))
    return {
        label: Standing(tier[label], ranks[label], behind.get(label), float(p.get(label, NAN)))
        for label in tier
        if label in ranks
    }
