"""Stored features -> what a model is given: another type, standardised if the dataset asks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mil_bench.bags.standardize import Standardization

ROWS_AT_ONCE = 64  # 64 x 1024 float32 stay in a core's cache between two passes


@dataclass(frozen=True)
class Conversion:
    """To ``dtype``, after standardisation in float32 if there is one."""

    dtype: torch.dtype
    standardization: Standardization | None = None

    def changes(self, stored: torch.dtype) -> bool:
        """Whether features stored as ``stored`` cannot be used as they are."""
        return self.dtype != stored or self.standardization is not None

    def __call__(self, rows: Tensor) -> Tensor:
        """``(N, D)`` of any type -> new ``(N, D)`` of :attr:`dtype` on the same device.

        The result may be ``rows`` itself when nothing changes.
        """
        wide = rows.float() if self.standardization is None else self.standardization(rows.float())
        return wide.to(self.dtype)

    def into(self, rows: Tensor, out: Tensor) -> None:
        """Write converted ``rows`` to ``out``; both ``(N, D)`` on the host."""
        for some, part in zip(
            torch.split(rows, ROWS_AT_ONCE), torch.split(out, ROWS_AT_ONCE), strict=True
        ):
            part.copy_(self(some))

    def to(self, device: torch.device) -> Conversion:
        """The same conversion with its statistics on ``device``."""
        fitted = self.standardization
        return self if fitted is None else Conversion(self.dtype, fitted.to(device))
