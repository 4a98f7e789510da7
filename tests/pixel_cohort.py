"""A cohort of small slides of two kinds of tissue, extracted with timm's ``test_vit``."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from extraction_requests import run_extraction
from slide_writer import glass, paint, write_slide

from mil_bench.contract.dataset import Dataset, DatasetOptions
from mil_bench.datasets.load import load_dataset

TILE = 64


def write_cohort(root: Path, patients: int = 6, tiles: int = 3) -> Path:
    """One slide per patient, of ``tiles`` x ``tiles`` tiles of pink tissue; the ``.toml``.

    In every second one two tiles are purple.
    """
    rows = []
    for number in range(patients):
        side = TILE * tiles
        image = paint(glass(side + 64, side + 64, number), "pink", (0, 0, side, side), number)
        if number % 2:
            paint(image, "purple", (0, 0, TILE * 2, TILE), number)
        write_slide(root / "slides" / f"s{number:02}.tif", image)
        rows.append((f"s{number:02}", f"p{number:02}", "tumour" if number % 2 else "normal"))
    table = pd.DataFrame(rows, columns=["slide_id", "patient_id", "label"])
    table.to_csv(root / "labels.csv", index=False)
    assert run_extraction(root / "slides", root / "features", tile=TILE).ok
    toml = root / "cohort.toml"
    toml.write_text(
        'name = "written"\nlabels = "labels.csv"\nfeatures = "features"\nkind = "simulated"\n'
    )
    return toml


def opened(toml: Path, **options) -> Dataset:
    """The dataset, its features packed beside the file."""
    cache = toml.parent / "cache"
    return load_dataset(str(toml), DatasetOptions(cache=cache, **options))
