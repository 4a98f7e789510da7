"""``mil-bench extract``: a feature file per slide; one that fails does not stop the others."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from rich.console import Console
from torch import Tensor

from mil_bench.base.errors import RunError, SlideError, UsageError
from mil_bench.extraction.encoders.encoder import Encoder
from mil_bench.extraction.outcome import (
    ExtractionOutcome,
    SlideOutcome,
    SlideProgress,
    done_before,
    duplicated,
    failed,
    outcome_of,
    write_summary,
)
from mil_bench.extraction.plan import SlidePlan, no_tissue, plan_ahead
from mil_bench.extraction.reading import BlockPixels, stream
from mil_bench.extraction.settings import ExtractionSettings, SlideSource, SlideSources, differences
from mil_bench.extraction.slide_files import SlideFeatures, draw_check, read_record, write_bag

MOST_BAD = 0.1  # of a slide's tiles; with more of them unreadable its bag would mislead
WAITING = 2  # slides that are encoded and not yet on disk: their features are in memory
PICTURES = "visualization"


@dataclass(frozen=True)
class ExtractionRequest:
    """What to extract, where to, and with how many processes and tiles at a time."""

    slides: SlideSources
    out: Path
    settings: ExtractionSettings
    workers: int = 1
    batch: int = 8
    overwrite: bool = False


def extract(request: ExtractionRequest, encoder: Encoder, console: Console) -> ExtractionOutcome:
    """Extract all slides that are not done; write features, pictures, summary.

    Raises ``MilBenchError`` when nothing can be started; what happens to single slides is in the
    outcome.
    """
    folder = request.settings.folder(request.out)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):  # two extractions would write the same files
            return _extract(request, encoder, console)
    except Timeout:
        raise RunError(
            f"another extraction is running in {folder}; wait for it, or choose another --out."
        ) from None


def _extract(request: ExtractionRequest, encoder: Encoder, console: Console) -> ExtractionOutcome:
    start = time.perf_counter()
    sources, twice = request.slides
    folder = request.settings.folder(request.out)
    left, finished = split_finished(sources, request.settings, folder, request.overwrite)
    outcomes = [duplicated(name, reason) for name, reason in twice.items()] + finished
    with SlideProgress(console, len(sources) + len(twice)) as progress:
        for slide in outcomes:
            progress.slide(slide)
        for slide in _outcomes(left, request, encoder, progress):
            outcomes.append(slide)
            progress.slide(slide)
    # Feature files carry all that a rerun needs, so the summary can be last.
    outcome = ExtractionOutcome(tuple(outcomes), folder, time.perf_counter() - start)
    write_summary(outcome, request.settings, encoder.card)
    return outcome


def _outcomes(
    sources: list[SlideSource],
    request: ExtractionRequest,
    encoder: Encoder,
    progress: SlideProgress,
) -> Iterator[SlideOutcome]:
    """Read, encode and write slides.

    All three overlap: worker processes read ahead, this thread keeps the device busy, and one
    thread writes, which is mostly waiting for the disk.
    """
    folder = request.settings.folder(request.out)
    pictures = request.settings.grid_folder(request.out) / PICTURES
    plans = plan_ahead(sources, request.settings, folder, encoder.card.dim)
    ended: list[SlideOutcome] = []
    slides = stream(
        plans,
        encoder.card.scaled,
        request.workers,
        # Called in this thread, between two items: the order of outcomes stays that of reading.
        lambda source, reason: ended.append(failed(source, reason)),
    )
    writing: list[Future[SlideOutcome]] = []
    with ThreadPoolExecutor(1) as writer:  # one writer: files in order, one handle to HDF5
        for plan, items in slides:
            began = time.perf_counter()
            try:
                features = _encode(plan, items, encoder, request.batch, progress)
            except SlideError as error:
                ended.append(failed(plan.source, str(error)))
            else:
                paths = (folder / f"{plan.source.name}.h5", pictures / f"{plan.source.name}.jpg")
                seconds = time.perf_counter() - began
                job = writer.submit(_write, *paths, features, request.settings, seconds)
                writing.append(job)
            # No more features in memory than WAITING slides.
            while len(writing) > WAITING or (writing and writing[0].done()):
                ended.append(writing.pop(0).result())
            yield from _emptied(ended)
        ended += [job.result() for job in writing]
    yield from _emptied(ended)


def _encode(
    plan: SlidePlan,
    items: Iterator[BlockPixels],
    encoder: Encoder,
    batch: int,
    progress: SlideProgress,
) -> SlideFeatures:
    """Compute all features of one slide.

    A batch holds tiles of one slide only: kernels of other batch sizes round differently, and the
    features of a slide must not depend on which others were extracted with it. Raises
    ``SlideError`` when no tile has tissue or too many tiles cannot be read.
    """
    waiting: list[Tensor] = []
    features, rows, bad = [], [], []
    for tiles, read, unreadable in items:
        rows.append(read)
        bad.append(unreadable)
        waiting.append(tiles)
        while sum(map(len, waiting)) >= batch:
            joined = torch.cat(waiting)
            features.append(encoder(joined[:batch]))
            waiting = [joined[batch:]]  # the rest opens the next batch
            progress.tiles(batch, len(plan.coords))
    rest = torch.cat(waiting)
    if len(rest):
        features.append(encoder(rest))
        progress.tiles(len(rest), len(plan.coords))
    return _checked(plan, features, torch.cat(rows).numpy(), torch.cat(bad).numpy())


def _checked(
    plan: SlidePlan, features: list[Tensor], rows: np.ndarray, bad: np.ndarray
) -> SlideFeatures:
    path, tiles = plan.source.path, len(plan.coords)
    if len(bad) > MOST_BAD * tiles:  # few unreadable tiles are counted in the file instead
        raise SlideError(
            f"{path}: {len(bad)} of {tiles} tiles could not be read: the slide is truncated or "
            "damaged. Copy it again."
        )
    if not features:
        raise no_tissue(plan.source)
    values = torch.cat(features).cpu().numpy()
    if not np.isfinite(values).all():
        raise SlideError(f"{path}: the encoder returned NaN or Inf; try --precision 32.")
    order = np.argsort(rows)  # workers return blocks, the file has tiles row after row
    blank = tiles - len(rows) - len(bad)
    return SlideFeatures(plan, values[order], plan.coords[rows[order]], plan.coords[bad], blank)


def _write(
    path: Path,
    picture: Path,
    extracted: SlideFeatures,
    settings: ExtractionSettings,
    seconds: float,
) -> SlideOutcome:
    try:
        write_bag(path, extracted, settings)
        draw_check(picture, extracted)
    except OSError as error:
        # HDF5 reports a full disk as an OSError without errno, so its text is all there is.
        full = error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space" in str(error)
        reason = "no space left on the disk" if full else str(error)
        advice = "free space and rerun the same command."
        return failed(extracted.plan.source, f"{path} could not be written ({reason}); {advice}")
    return outcome_of(extracted, seconds)


def _emptied(ended: list[SlideOutcome]) -> Iterator[SlideOutcome]:
    while ended:
        yield ended.pop(0)


# Slides that an earlier extraction has completed.


def split_finished(
    sources: Sequence[SlideSource], settings: ExtractionSettings, folder: Path, overwrite: bool
) -> tuple[list[SlideSource], list[SlideOutcome]]:
    """Return the slides still to be extracted, and the outcomes of completed ones.

    A damaged feature file counts as none. Raises ``UsageError`` when files were made with other
    settings (or from another version of the slide) and are not to be overwritten.
    """
    left, finished, others = [], [], {}
    for source in sources:
        path = folder / f"{source.name}.h5"
        changes, outcome = _judge(path, source, settings)
        if outcome is not None:
            finished.append(outcome)
        else:
            left.append(source)
            if changes:
                others[source.name] = changes
    if others and not overwrite:
        name, changes = next(iter(others.items()))
        raise UsageError(
            f"{len(others)} of {len(sources)} slides in {folder} were extracted with other options "
            f"({name}: {'; '.join(changes)}); choose another --out, use the same options, or pass "
            "--overwrite to replace them."
        )
    return left, finished


def _judge(
    path: Path, source: SlideSource, settings: ExtractionSettings
) -> tuple[list[str], SlideOutcome | None]:
    if not path.exists():
        return [], None
    try:
        record = read_record(path)
        changes = differences(record.settings, settings.record(source))
    except KeyError:
        return ["it was not written by mil-bench extract"], None
    except (OSError, RuntimeError, ValueError):  # damaged: extracted again
        return [], None
    return changes, None if changes else done_before(source, record)
