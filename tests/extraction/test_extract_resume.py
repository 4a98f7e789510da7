"""What is extracted already is skipped, only if it was made in the same way."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from extraction_requests import by_name, run_extraction, told_extraction
from slide_writer import glass, paint, write_slide

from mil_bench.base.errors import UsageError


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        image = paint(glass(400, 400), "pink", (64, 64, 320, 320))
        write_slide(tmp_path / "slides" / f"{name}.tif", image)
    return tmp_path / "slides"


def file_of(out: Path, name: str) -> Path:
    (path,) = out.rglob(f"{name}.h5")
    return path


def test_finished_slides_are_skipped_and_say_what_they_hold(slides: Path, tmp_path: Path) -> None:
    first = run_extraction(slides, tmp_path / "out")
    before = file_of(tmp_path / "out", "a").stat().st_mtime_ns
    outcome, text = told_extraction(slides, tmp_path / "out")
    assert [s.status for s in outcome.slides] == ["skipped", "skipped"]
    assert [s.tiles for s in outcome.slides] == [s.tiles for s in first.slides] == [16, 16]
    assert outcome.ok
    assert "[2/2] skipped    b · 16 tiles" in text
    assert file_of(tmp_path / "out", "a").stat().st_mtime_ns == before


def test_only_what_is_missing_or_damaged_is_made(slides: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_extraction(slides, out)
    with h5py.File(file_of(out, "a")) as file:
        features = file["features"][:]
    file_of(out, "a").write_bytes(file_of(out, "a").read_bytes()[:2000])
    write_slide(slides / "c.tif", paint(glass(400, 400), "purple", (64, 64, 320, 320)))
    rows = by_name(run_extraction(slides, out))
    assert {name: row.status for name, row in rows.items()} == {
        "a": "done",
        "b": "skipped",
        "c": "done",
    }
    with h5py.File(file_of(out, "a")) as file:
        np.testing.assert_array_equal(file["features"], features)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tissue": "smear"}, "tissue default, now smear"),
        ({"min_tissue": 0.5}, "min_tissue 0.25, now 0.5"),
        ({"weights": "random, seed 1"}, "weights random, seed 0, now random, seed 1"),
        ({"precision": "bf16"}, "precision 32, now bf16"),
        ({"mpp_override": 0.49}, "mpp_override None, now 0.49"),
    ],
)
def test_other_settings_are_refused_by_name_until_overwrite_is_said(
    changes: dict[str, object], named: str, slides: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_extraction(slides, out)
    with pytest.raises(UsageError) as error:
        run_extraction(slides, out, **changes)
    assert f"2 of 2 slides in {out}" in str(error.value)
    assert named in str(error.value)
    assert "--overwrite" in str(error.value)
    assert run_extraction(slides, out, overwrite=True, **changes).count("done") == 2
    assert run_extraction(slides, out, **changes).count("skipped") == 2


def test_a_slide_that_has_changed_is_not_taken_for_done(slides: Path, tmp_path: Path) -> None:
    run_extraction(slides, tmp_path / "out")
    write_slide(slides / "a.tif", paint(glass(500, 400), "pink", (64, 64, 320, 320)))
    with pytest.raises(UsageError, match=r"1 of 2 slides.*\(a: slide_bytes"):
        run_extraction(slides, tmp_path / "out")


def test_features_of_another_tool_are_not_replaced_silently(slides: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_extraction(slides, out)
    with h5py.File(file_of(out, "a"), "a") as file:
        del file.attrs["mil_bench_extraction"]
    with pytest.raises(UsageError, match="a: it was not written by mil-bench extract"):
        run_extraction(slides, out)


def test_slides_extracted_before_an_interruption_are_kept(
    slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mil_bench.extraction import extract

    encode = extract._encode

    def interrupted(plan, *rest):
        if plan.source.name == "b":
            raise KeyboardInterrupt
        return encode(plan, *rest)

    monkeypatch.setattr(extract, "_encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_extraction(slides, tmp_path / "out")
    monkeypatch.undo()
    statuses = [s.status for s in run_extraction(slides, tmp_path / "out").slides]
    assert statuses == ["skipped", "done"]
