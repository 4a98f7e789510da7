"""All heatmap files of one slide: pictures, scores, GeoJSON and a summary.

``<run>/heatmaps/<slide>/`` holds for every map ``<level>_<class>.png`` and, if pixels are
available, ``<level>_<class>_patches.png``. ``scores.csv`` and ``summary.json`` are always written.
``tiles.geojson`` requires places on the slide, ``hierarchy.png`` attention at several levels.
Requested scores by gradient or occlusion are in a sub-folder of that name.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mil_bench.base.atomic import write_json, write_text
from mil_bench.base.taxonomy import LEAF
from mil_bench.contract.manifest import check_id
from mil_bench.heatmaps.agreement import agreement_figure, agreements
from mil_bench.heatmaps.backdrop import Backdrop, backdrop_of, contact_sheet, pixels_of
from mil_bench.heatmaps.draw import Scene, heat_figure
from mil_bench.heatmaps.exports import file_names, scores_csv, tiles_geojson
from mil_bench.heatmaps.page import SUMMARY, write_page
from mil_bench.heatmaps.patch_scores import ALL, ScoreKind, ScoreMap, score_maps, select
from mil_bench.heatmaps.patches import KnownPatches, Places, places_of, witnesses_of
from mil_bench.pictures.style import save
from mil_bench.runs.load_run import LoadedRun
from mil_bench.runs.slide_sets import sets_of

HEATMAPS = "heatmaps"
DPI = 130  # pictures are many: a run may have hundreds


@dataclass(frozen=True)
class HeatmapRequest:
    """What is drawn: one level and class or all (``None``), the kind of scores, the slide files."""

    level: str | None = None
    name: str | None = None
    by: ScoreKind = "auto"
    slides: Path | None = None


@dataclass(frozen=True)
class SlideHeatmaps:
    """``folder`` with the files of a slide; ``notes`` say what could not be made and why."""

    folder: Path
    pictures: tuple[Path, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...]


def write_heatmaps(run: LoadedRun, slide_id: str, request: HeatmapRequest) -> SlideHeatmaps:
    """Make the files of one slide and the run's ``heatmaps/index.html``.

    Tables hold all maps, pictures are those of ``request``. Raises ``UnknownNameError`` for an
    unknown slide, level or class, and what reading the slide raises.
    """
    slide_id = run.known_id(slide_id)
    batch = run.batch(slide_id)
    maps = score_maps(run.method, batch, request.by)
    drawn = select(maps, run.taxonomy, request.level, request.name)
    home = run.directory.path / HEATMAPS
    folder = home / check_id(slide_id)  # an id must not leave the folder
    if request.by in ("gradient", "occlusion"):  # beside the method's own attention
        folder /= request.by
    # The slide stays open until all files are written.
    with ExitStack() as stack:
        backdrop = None
        if request.slides is not None:
            backdrop = stack.enter_context(backdrop_of(slide_id, request.slides))
        written = _SlideFiles(run, slide_id, maps, backdrop).write(folder, drawn)
    write_page(home)  # the page of all slides of the run
    return written


class _SlideFiles:
    """One slide of one run, with everything that its files need."""

    def __init__(
        self, run: LoadedRun, slide_id: str, maps: Sequence[ScoreMap], backdrop: Backdrop | None
    ) -> None:
        self.run, self.id, self.maps, self.backdrop = run, slide_id, maps, backdrop
        self.notes: list[str] = []
        self.marks = (run.dataset.instance_labels or {}).get(slide_id)
        self.label = run.dataset.manifest.labels().get(slide_id, "")
        self.places, self.backdrop = self._on_slide(places_of(run.dataset.store, slide_id))
        self.probabilities = self._prediction()
        self.set = self._set()
        if self.set in ("train", "val"):
            used = "trained on" if self.set == "train" else "chosen by"
            self.notes.append(f"the model was {used} this slide")

    def write(self, folder: Path, drawn: Sequence[ScoreMap]) -> SlideHeatmaps:
        """Write all files; the summary comes last."""
        folder.mkdir(parents=True, exist_ok=True)
        names = file_names(self.maps)
        overview = self.backdrop.overview if self.backdrop is not None else None
        scene = Scene(self.places, self._title(), overview)
        pixels = pixels_of(self.run.dataset, self.id, self.backdrop, self.places)
        if pixels is None:
            self.notes.append(
                "no pixels of patches are available: pass --slides for contact sheets"
            )
        pictures = []
        for score_map in drawn:
            pictures.append(folder / f"{names[score_map.title]}.png")
            witnesses = self.witnesses(score_map)
            save(heat_figure(score_map, scene, witnesses), pictures[-1], DPI)
            if pixels is not None:
                pictures.append(folder / f"{names[score_map.title]}_patches.png")
                save(
                    contact_sheet(score_map, pixels, scene.title, self.marks, witnesses),
                    pictures[-1],
                    DPI,
                )
        agreeing = agreements(self.maps, self.run.taxonomy)
        if agreeing:
            pictures.append(folder / "hierarchy.png")
            save(agreement_figure(agreeing, scene), pictures[-1], DPI)
        write_text(folder / "scores.csv", scores_csv(self.maps, self.places, self.marks))
        if self.places.unit == "level0_px":  # QuPath needs pixels of the slide
            geojson = tiles_geojson(self.maps, self.places, self.marks)
            write_text(folder / "tiles.geojson", geojson)
        else:
            self.notes.append("no GeoJSON: patch coordinates in slide pixels are unknown")
        summary = self._summary() | {
            "maps": [
                {"title": m.title, "source": m.source, "file": names[m.title]} for m in self.maps
            ],
            "agreement": [{"class": pair.upper.title, **pair.numbers()} for pair in agreeing],
        }
        write_json(folder / SUMMARY, summary)  # last: the page lists folders with a summary
        sources = tuple(dict.fromkeys(m.source for m in self.maps))
        return SlideHeatmaps(folder, tuple(pictures), sources, tuple(self.notes))

    def witnesses(self, score_map: ScoreMap) -> KnownPatches | None:
        """Return the patches known to show the map's class; the slide's class for a map of all."""
        if self.marks is None:
            return None
        level, name = (
            # A shared map: the label's own patches.
            (LEAF, self.label) if score_map.name == ALL else (score_map.level, score_map.name)
        )
        return KnownPatches(name, witnesses_of(self.marks, self.run.taxonomy, level, name))

    def _on_slide(self, places: Places) -> tuple[Places, Backdrop | None]:
        """Places in pixels of the slide wherever that is possible, and the slide if they are."""
        there = places.in_pixels(self.backdrop.mpp if self.backdrop else None)
        if there is not None:
            return there, self.backdrop
        if self.backdrop is not None:
            unknown = "cannot be used: patch coordinates are unknown"
            why = "has no mpp" if places.unit == "um" else unknown
            self.notes.append(f"the slide {why}; drawn without it")
        return places, None

    def _prediction(self) -> dict[str, dict[str, float]]:
        """Level -> class -> probability, of every head of the model."""
        with torch.inference_mode():
            logits = self.run.method(self.run.batch(self.id)).logits
        classes = self.run.taxonomy.classes
        return {
            level: dict(
                zip(classes[level], rows[0].double().softmax(0).cpu().tolist(), strict=True)
            )
            for level, rows in logits.items()
        }

    def _title(self) -> str:
        best = max(self.probabilities[LEAF], key=self.probabilities[LEAF].__getitem__)
        spec, key = self.run.spec, self.run.directory.path.name
        label = f", label {self.label}" if self.label else ""
        return (
            f"slide {self.id} ({self.set}{label}), predicted {best} "
            f"({self.probabilities[LEAF][best]:.0%}); {spec.title}, run {key}"
        )

    def _set(self) -> str:
        """``train``, ``val`` or ``test``; ``new`` for a slide that the run does not know."""
        of_set = sets_of(self.run.directory, [self.id]).get(self.id)
        return of_set or ("train" if self.label else "new")

    def _summary(self) -> dict[str, Any]:
        return {
            "slide": self.id,
            "set": self.set,
            "label": self.label,
            "run": self.run.directory.path.name,
            "title": self.run.spec.title,
            "probabilities": self.probabilities,
            "patches": len(self.places.corners),
            "notes": self.notes,
        }
