"""Slides with something wrong: one clear sentence each, and the others go on."""

from __future__ import annotations

import errno
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from extraction_requests import by_name, run_extraction, told_extraction
from PIL import Image
from slide_writer import glass, paint, write_slide

from mil_bench.base.atomic import replacing
from mil_bench.base.errors import DataError, MilBenchError, RunError
from mil_bench.extraction import extract
from mil_bench.extraction.encoders.encoder import Encoder
from mil_bench.extraction.slide_files import write_bag


def tissue(height: int = 400, width: int = 500) -> np.ndarray:
    return paint(glass(height, width), "pink", (64, 64, width - 60, height - 60))


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    """A folder with one good slide; tests add a bad one."""
    write_slide(tmp_path / "slides" / "good.tif", tissue())
    return tmp_path / "slides"


def failure(slides: Path, name: str = "bad", **changes: object) -> str:
    """The sentence about the bad slide, after the good one was extracted."""
    outcome = run_extraction(slides, slides.parent / "out", **changes)
    rows = by_name(outcome)
    assert rows["good"].status == "done"
    assert rows[name].status == "failed"
    assert not outcome.ok
    assert not list((slides.parent / "out").rglob(f"*{name}.h5"))
    text = (outcome.folder / "summary.md").read_text()
    assert f"- **{name}**: {rows[name].reason}" in text
    assert "\n" not in rows[name].reason
    return rows[name].reason


def test_a_slide_that_does_not_say_how_large_its_pixels_are(slides: Path) -> None:
    write_slide(slides / "bad.tif", tissue(), mpp=None)
    assert "has no pixel size" in (sentence := failure(slides))
    assert "--mpp-override" in sentence
    assert run_extraction(slides, slides.parent / "other", mpp_override=0.5).ok


def test_a_tiff_that_openslide_refuses_is_read_as_an_image_when_its_resolution_is_told(
    slides: Path,
) -> None:
    write_slide(slides / "bad.tif", tissue(), tiled=False, levels=1)
    assert "--mpp-override" in failure(slides)
    assert run_extraction(slides, slides.parent / "other", mpp_override=0.5).ok


def test_a_tiff_that_nothing_reads(slides: Path) -> None:
    (slides / "bad.tif").write_bytes(b"II*\0 and no more")
    assert "truncated, damaged or not an image" in failure(slides)


def test_a_file_that_is_no_slide(slides: Path) -> None:
    (slides / "bad.svs").write_text("words")
    assert "convert it to a pyramidal TIFF" in failure(slides)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_truncated_slide(slides: Path, share: float) -> None:
    whole = write_slide(slides / "bad.tif", tissue()).read_bytes()
    (slides / "bad.tif").write_bytes(whole[: int(share * len(whole))])
    assert "truncated" in failure(slides)


def test_a_slide_damaged_in_the_middle(slides: Path) -> None:
    path = write_slide(slides / "bad.tif", tissue(1000, 1000))
    content = bytearray(path.read_bytes())
    content[len(content) // 4 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 4)
    path.write_bytes(content)
    assert "tiles could not be read: the slide is truncated or damaged" in failure(slides)


def test_a_few_damaged_tiles_are_left_out_and_recorded(
    slides: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mil_bench.base.errors import SlideError
    from mil_bench.extraction.slide import _Pyramid

    read = _Pyramid.read

    def damaged(self, level, corner, size):
        (left, top), (width, height) = corner, size
        if level == 0 and left <= 200 < left + width and top <= 150 < top + height:
            raise SlideError("scratched")
        return read(self, level, corner, size)

    write_slide(slides / "bad.tif", tissue())
    whole = run_extraction(slides, slides.parent / "whole")
    monkeypatch.setattr(_Pyramid, "read", damaged)
    monkeypatch.setattr(extract, "MOST_BAD", 0.2)
    monkeypatch.setattr("mil_bench.extraction.plan.BLOCK", 2)
    for expected in ("1 tile could not be read", "1 tile could not be read"):  # again when resumed
        outcome = run_extraction(slides, slides.parent / "out")
        bad = by_name(outcome)["bad"]
        assert (bad.status, bad.bad) == ("incomplete", 1)
        assert expected in bad.reason
        assert bad.tiles == by_name(whole)["bad"].tiles - 1
        assert not outcome.ok


def test_a_slide_without_tissue(slides: Path) -> None:
    write_slide(slides / "bad.tif", glass(500, 500))
    assert "no tissue found; inspect the slide. Try --tissue smear" in failure(slides)


def test_a_slide_of_blank_tiles_only(slides: Path) -> None:
    write_slide(slides / "bad.tif", glass(500, 500))
    assert "no tissue found" in failure(slides, tissue="none", min_tissue=0.0)


def test_a_tile_larger_than_the_slide(slides: Path) -> None:
    write_slide(slides / "bad.tif", tissue(200, 250))
    assert "250 x 200 pixels, less than one tile of 256" in failure(slides, tile=256)


def test_a_slide_of_one_tile_is_extracted(slides: Path) -> None:
    write_slide(slides / "tiny.tif", paint(glass(256, 256), "pink", (0, 0, 256, 256)), levels=1)
    outcome = run_extraction(slides / "tiny.tif", slides.parent / "out", tile=256)
    assert [(s.status, s.tiles) for s in outcome.slides] == [("done", 1)]


def test_a_slide_coarser_than_asked_for(slides: Path) -> None:
    write_slide(slides / "bad.tif", tissue(), mpp=1.0)
    assert "coarser than the requested 0.5; extract it with --mpp 1" in failure(slides)


def test_two_slides_with_one_name(slides: Path) -> None:
    for place in ("a", "b"):
        write_slide(slides / place / "bad.tif", tissue())
    sentence = failure(slides)
    assert "2 slides have this name" in sentence
    (table,) = (slides.parent / "out").rglob("slides.csv")
    assert pd.read_csv(table).set_index("name")["path"].isna().tolist() == [True, False]
    assert str(slides / "a" / "bad.tif") in sentence


def test_a_link_that_leads_nowhere(slides: Path) -> None:
    (slides / "bad.svs").symlink_to(slides / "moved.svs")
    assert "there is no such file" in failure(slides)


def test_an_image_of_16_bits_is_not_cut_off(slides: Path) -> None:
    deep = tissue()[:, :, 0].astype(np.uint16) * 200
    Image.fromarray(deep).save(slides / "bad.png")
    assert "convert it to 8 bits per channel" in failure(slides, mpp_override=0.5)


def test_a_table_that_names_a_file_twice_or_none_at_all(slides: Path) -> None:
    table = slides.parent / "table.csv"
    table.write_text("slide\nslides/good.tif\nslides/good.tif\n")
    assert [one.status for one in run_extraction(table, slides.parent / "out").slides] == ["done"]
    table.write_text("slide,mpp\nslides/good.tif,\n,0.5\n")
    with pytest.raises(DataError, match=r"table\.csv: 1 row of 2 without a path; fill in column"):
        run_extraction(table, slides.parent / "out")


def test_an_encoder_that_puts_out_nan(slides: Path) -> None:
    class Broken(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.full((len(images), 4), torch.nan)

    from extraction_requests import tiny_encoder

    good = tiny_encoder()
    encoder = Encoder(good.name, good.card, good.weights, Broken(), good.device, "32")
    (only,) = run_extraction(slides, slides.parent / "out", encoder).slides
    assert "NaN or Inf; try --precision 32" in only.reason


def test_a_disk_without_room_is_seen_before_anything_is_computed(
    slides: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**9, 10**9, 1000))
    (only,) = run_extraction(slides, slides.parent / "out").slides
    assert "need 1 MiB" in only.reason
    assert "free space and rerun the same command" in only.reason


def test_a_disk_that_fills_up_leaves_no_half_file_and_the_others_go_on(
    slides: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *rest: Any) -> None:
        if path.stem != "bad":
            return write_bag(path, *rest)
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    write_slide(slides / "bad.tif", tissue())
    monkeypatch.setattr(extract, "write_bag", full)
    assert "no space left on the disk" in failure(slides)
    assert not list((slides.parent / "out").rglob(".tmp*"))


def test_a_worker_that_is_lost_is_one_sentence(
    slides: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    from mil_bench.extraction.reading import TileReader

    monkeypatch.setattr(TileReader, "__getitem__", lambda self, job: os._exit(9))
    with pytest.raises(MilBenchError, match=r"a process that reads slides died.*--workers"):
        run_extraction(slides, slides.parent / "out", workers=1)


def test_nothing_to_extract(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder of slides"):
        run_extraction(tmp_path / "gone", tmp_path / "out")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match="holds no slides"):
        run_extraction(tmp_path, tmp_path / "out")


def test_a_table_with_a_wrong_resolution_or_a_missing_slide(slides: Path, tmp_path: Path) -> None:
    table = tmp_path / "slides.csv"
    pd.DataFrame({"slide": ["slides/good.tif"], "mpp": ["0,5x"]}).to_csv(table, index=False)
    with pytest.raises(DataError, match=r"'slides/good.tif' has mpp '0,5x'; expected um"):
        run_extraction(table, tmp_path / "out")
    pd.DataFrame({"wsi": ["slides/good.tif", "gone.svs"]}).to_csv(table, index=False)
    rows = by_name(run_extraction(table, tmp_path / "out"))
    assert rows["good"].status == "done"
    assert "there is no such file" in rows["gone"].reason


def test_a_slide_name_that_would_leave_its_folder_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (300, 300)).save(tmp_path / "...png", "PNG")
    pd.DataFrame({"slide": ["...png"]}).to_csv(tmp_path / "slides.csv", index=False)
    with pytest.raises(DataError, match="would leave its folder"):
        run_extraction(tmp_path / "slides.csv", tmp_path / "out")


def test_two_extractions_into_one_folder_at_once(slides: Path) -> None:
    from filelock import FileLock

    out = slides.parent / "out"
    run_extraction(slides, out)
    (folder,) = out.glob("*/features_*")
    with FileLock(folder / ".lock"), pytest.raises(RunError, match="another extraction is running"):
        told_extraction(slides, out)
