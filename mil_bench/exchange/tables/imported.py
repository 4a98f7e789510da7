"""Predictions made elsewhere as runs of kind ``external``, checked against a split of the dataset.

They are written as run folders, so that boards and tests read them like runs that were trained
here. Nothing is said of their training.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mil_bench.bags.formats.names import canonical_encoder
from mil_bench.base.atomic import write_json
from mil_bench.base.errors import DataError, RunError, UsageError, counted
from mil_bench.base.registry import load_plugins
from mil_bench.base.version import __version__
from mil_bench.contract.dataset import Dataset
from mil_bench.contract.spec import ExternalSpec
from mil_bench.contract.split import Split
from mil_bench.datasets.load import load_labels
from mil_bench.evaluation.predictions import Predictions, SeedFold
from mil_bench.evaluation.predictions_csv import write_predictions
from mil_bench.evaluation.scores import Scores
from mil_bench.exchange.tables.foreign import ForeignModel, read_models
from mil_bench.exchange.tables.reference import Reference, id_column_of
from mil_bench.runs.directory import RunDirectory, file_digest, run_directories
from mil_bench.runs.task import DataRequest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_SHOWN = 3
Sets = Mapping[str, Predictions]


@dataclass(frozen=True)
class ImportRequest:
    """Files of one model, what it is called on boards, and the dataset and split of its tests.

    The encoder of ``data.options`` is what the authors state; it may be unknown.
    """

    name: str
    files: Sequence[Path]
    data: DataRequest
    runs: Path
    logits: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class ImportedRun:
    """One external run; ``new`` unless the same file was imported before."""

    spec: ExternalSpec
    directory: RunDirectory
    scores: Scores
    new: bool


@dataclass(frozen=True)
class Imported:
    """The runs of one import, in order of seed and fold, and how the files were read."""

    dataset: str
    split: Split
    runs: tuple[ImportedRun, ...]
    notes: tuple[str, ...]


def import_predictions(request: ImportRequest) -> Imported:
    """Check predictions made elsewhere and store them as external runs.

    Nothing is written unless all files fit. Raises ``DataError`` for slides that are unknown,
    missing, doubled, not tested by the split, or of its training set. Raises ``RunError`` where
    other predictions of that name exist and ``overwrite`` is not requested.
    """
    _check_name(request.name)
    load_plugins(request.data.plugins)
    dataset = load_labels(request.data.dataset, request.data.options)
    _, split = request.data.with_split(dataset)
    reference = Reference.of(dataset, id_column_of(request.data.dataset))
    models = read_models(request.files, reference, logits=request.logits)
    if len(models) > 1:
        names = ", ".join(model.name for model in models)
        raise UsageError(
            f"the files are of {len(models)} models by their names ({names}); import one at a "
            "time, or name the files of one model alike (model_fold0.csv, model_fold1.csv)."
        )
    (model,) = models
    cells = _by_fold(model, split)
    for (seed, fold), sets in cells.items():  # all cells first: nothing is written unless all fit
        _check_cell(f"{model.name}, seed {seed}", sets, split, fold)
    specs = {cell: _spec(request, model, dataset, split, cell) for cell in cells}
    old = list(_others(request.runs, specs))
    if old and not request.overwrite:
        raise RunError(
            f"{counted(len(old), 'run')} of {request.name} on {dataset.name} came from other files "
            f"(first: {old[0].path}); choose another NAME, or replace them with --overwrite."
        )
    for directory in old:
        directory.set_aside(request.runs)
    runs = tuple(
        _store(RunDirectory.of(request.runs, specs[cell]), specs[cell], sets, split)
        for cell, sets in cells.items()
    )
    return Imported(dataset.name, split, runs, model.notes)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a row and folder; use letters, digits, '.', '_', '-' "
            "and '+', at most 64."
        )


# Which fold a file is of, and whether its slides are those that the split tests.


def _by_fold(model: ForeignModel, split: Split) -> dict[SeedFold, Sets]:
    """Predictions by set of every ``(seed, fold)``; slides tell a fold that no file states.

    Raises ``DataError`` where they remain unknown.
    """
    if "test" not in model.sets:
        raise DataError(f"{model.name} has no test set; it has {', '.join(model.sets)}.")
    cells: dict[SeedFold, Sets] = {}
    for cell, p in model.sets["test"].items():
        sets = {name: runs[cell] for name, runs in model.sets.items() if cell in runs}
        if model.numbered or len(split) == 1:  # one fold needs no number
            cells[cell] = sets
        else:
            cells |= {(cell[0], fold): own for fold, own in _told(model, split, p).items()}
    return dict(sorted(cells.items()))


def _told(model: ForeignModel, split: Split, p: Predictions) -> dict[int, Sets]:
    """The fold whose test slides these are, or all folds of a partition together."""
    slides = frozenset(p.slide_ids.tolist())
    tests = [frozenset(fold.test) for fold in split.folds]
    same = [k for k, test in enumerate(tests) if test == slides]
    if len(same) == 1:
        return {same[0]: {"test": p}}
    # A partition in one file: every slide once.
    if sum(map(len, tests)) == len(slides) and frozenset[str]().union(*tests) == slides:
        place = {str(slide): i for i, slide in enumerate(p.slide_ids)}
        return {
            k: {"test": p.cut([place[slide] for slide in fold.test])}
            for k, fold in enumerate(split.folds)
        }
    raise DataError(
        f"{model.name} does not state its folds, and no fold of split {split.name!r} tests its "
        f"{len(slides)} slides. Add a column fold, or name the files fold0, fold1."
    )


def _check_cell(what: str, sets: Sets, split: Split, fold: int) -> None:
    """Refuse slides other than those of the same set of the fold."""
    own = dict(split[fold].sets())
    for name in ("test", "val"):
        if name in sets:
            slides = set(sets[name].slide_ids.tolist())
            _check_set(f"{what}, fold {fold}", slides, name, own, split)


def _check_set(
    what: str, slides: set[str], name: str, own: Mapping[str, tuple[str, ...]], split: Split
) -> None:
    expected = set(own[name])
    if slides == expected:
        return
    # Folds that are counted from 1.
    others = [k for k, fold in enumerate(split.folds) if set(dict(fold.sets())[name]) == slides]
    if others:
        raise DataError(
            f"{what} has the {name} slides of fold {others[0]} of split {split.name!r}; count the "
            "folds as the split does, from 0."
        )
    for other in ("train", "val", "test"):
        leaked = sorted(slides & set(own[other]))
        if leaked and other != name:
            raise DataError(
                f"{what}: {counted(len(leaked), 'slide is', 'slides are')} in the {other} set of "
                f"split {split.name!r} (first: {leaked[:_SHOWN]}); pass the split that the "
                "predictions are of."
            )
    stray, missing = sorted(slides - expected), sorted(expected - slides)
    if stray:
        raise DataError(
            f"{what}: {counted(len(stray), 'slide is', 'slides are')} not tested by split "
            f"{split.name!r} (first: {stray[:_SHOWN]}); remove them, or pass the split that they "
            "are from."
        )
    raise DataError(
        f"{what}: {counted(len(missing), 'slide')} of the {name} set of split {split.name!r} have "
        f"no prediction (first: {missing[:_SHOWN]}); all {len(expected)} are required."
    )


# Run folders.


def _spec(
    request: ImportRequest, model: ForeignModel, dataset: Dataset, split: Split, cell: SeedFold
) -> ExternalSpec:
    file = model.files.get(cell) or next(iter(model.files.values()))
    encoder = request.data.options.encoder
    return ExternalSpec(
        dataset=dataset.name,
        kind=dataset.kind,
        labels_digest=dataset.manifest.digest(),
        tree=dataset.taxonomy.to_dict(),
        split=split.name,
        split_digest=split.digest(),
        fold=cell[1],
        encoder=canonical_encoder(encoder) if encoder else "",
        method=request.name,
        seed=cell[0],
        file_digest=file_digest(file),
        decisions_only=not model.ranked,
    )


def _others(runs: Path, specs: Mapping[SeedFold, ExternalSpec]) -> Iterator[RunDirectory]:
    """External runs of the same cells that came from other files."""
    first = next(iter(specs.values()))
    keys = {spec.key for spec in specs.values()}
    for directory in run_directories(runs):
        if directory.path.parent != RunDirectory.of(runs, first).path.parent:
            continue
        spec = directory.read_definition()
        fields = {"file_digest": first.file_digest, "encoder": first.encoder}
        # Equal in all but the file and what follows from it.
        same = isinstance(spec, ExternalSpec) and spec.model_copy(
            update={**fields, "decisions_only": first.decisions_only}
        ) == first.model_copy(update={"fold": spec.fold, "seed": spec.seed})
        if same and (spec.seed, spec.fold) in specs and directory.path.name not in keys:
            yield directory


def _store(directory: RunDirectory, spec: ExternalSpec, sets: Sets, split: Split) -> ImportedRun:
    """Write the run folder, ``result.json`` last, unless it is there."""
    scores = Scores.of(sets["test"])
    if directory.status() == "done":
        return ImportedRun(spec, directory, scores, new=False)
    fold = split[spec.fold]
    with directory.locked():
        directory.begin(spec)
        write_json(directory.env_path, {"mil-bench": __version__})
        stored = {name: sets[name] for name in ("val", "test") if name in sets}
        write_predictions(directory.predictions, stored)
        directory.commit(
            {
                "key": spec.key,
                "status": "done",
                "n_train": len(fold.train),
                "n_val": len(fold.val),
                "n_test": len(fold.test),
                "missing": [],
                "split_mode": split.mode,
                "split_notes": [asdict(note) for note in split.notes],
            }
        )
    return ImportedRun(spec, directory, scores, new=True)
