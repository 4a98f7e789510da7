"""Small label files and feature folders in the form of the real cohorts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd


def write_features(folder: Path, slides: Iterable[str], dim: int = 4) -> Path:
    """A CLAM-like ``<slide>.h5`` of three patches per slide."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for slide in slides:
        with h5py.File(folder / f"{slide}.h5", "w") as file:
            file["features"] = rng.normal(size=(3, dim)).astype(np.float32)
            file["coords"] = np.array([[0, 0], [256, 0], [0, 256]])
    return folder


def bracs_sheet() -> pd.DataFrame:
    """Six slides of four patients; patient 2 stands in train and val, patient 3 has two classes."""
    return pd.DataFrame(
        [
            ("BRACS_1", "1", "N", "Training"),
            ("BRACS_2", "2", "DCIS", "Training"),
            ("BRACS_3", "2", "DCIS", "Validation"),
            ("BRACS_4", "3", "ADH", "Validation"),
            ("BRACS_5", "3", "FEA", "Validation"),
            ("BRACS_6", "4", "IC", "Testing"),
        ],
        columns=["WSI Filename", "Patient Id", "WSI label", "Set"],
    ).assign(**{"RoI ": 0})


def write_bracs_workbook(folder: Path) -> Path:
    """``BRACS.xlsx`` with the official sheets; the second one tells another set."""
    folder.mkdir(parents=True, exist_ok=True)
    sheet = bracs_sheet()
    with pd.ExcelWriter(folder / "BRACS.xlsx") as book:
        sheet.to_excel(book, sheet_name="WSI_Information", index=False)
        sheet.assign(Set="Testing").to_excel(
            book, sheet_name="WSI_with_RoI_Distribution", index=False
        )
    return folder
