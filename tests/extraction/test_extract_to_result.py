"""From slides to a result: written, extracted with random weights, trained, scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from slide_writer import glass, paint, write_slide

from mil_bench.cli.main import main

PATIENTS, SLIDES_EACH = 12, 2  # purple fills a quarter of the tissue of the sick
CHANCE = 0.5


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words)])
    return ended.value.code


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slides of pink tissue; those of a sick patient have purple in a corner of it."""
    root = tmp_path_factory.mktemp("cohort")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(PATIENTS * SLIDES_EACH):
        patient, sick = number // SLIDES_EACH, number // SLIDES_EACH % 2 == 1
        left, top = (int(n) for n in rng.integers(10, 60, 2))
        image = paint(glass(320, 320, number), "pink", (left, top, left + 256, top + 256), number)
        if sick:
            paint(image, "purple", (left + 64, top + 64, left + 192, top + 192), number)
        write_slide(root / "slides" / f"p{patient:02}" / f"s{number:02}.tif", image)
        rows.append((f"s{number:02}", f"p{patient:02}", "tumour" if sick else "normal"))
    table = pd.DataFrame(rows, columns=["slide_id", "patient_id", "label"])
    table.to_csv(root / "labels.csv", index=False)
    (root / "cohort.toml").write_text(
        'name = "written"\nlabels = "labels.csv"\nfeatures = "features"\nkind = "simulated"\n'
    )
    return root


def test_slides_become_features_and_features_a_result_above_chance(
    cohort: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--encoder", "test_vit", "--random-weights", "--tile", 64, "--workers", 0]
    code = call("extract", "--slides", cohort / "slides", "--out", cohort / "features", *words)
    assert code == 0
    dataset = ["--dataset", cohort / "cohort.toml"]
    runs = ["--runs", tmp_path / "runs", "--cache-dir", tmp_path / "cache"]
    split = ["--split", "kfold-3", "--fold", 0, "--set", "epochs=20", "--precision", 32]
    assert call("run", "--method", "abmil", *dataset, *runs, *split) == 0
    printed = capfd.readouterr().out
    assert "test_vit-random features of 64" in " ".join(printed.split())
    (predictions,) = (tmp_path / "runs").rglob("predictions.csv")
    table = pd.read_csv(predictions)
    test = table[table["set"] == "test"]
    predicted = np.where(test["leaf:tumour"] > 0.5, "tumour", "normal")
    right = test["label"] == predicted
    recalls = right.groupby(test["label"]).mean()
    assert len(recalls) == 2
    assert recalls.mean() > CHANCE + 0.3
