"""``mil_bench.predict``: trained models on new slides, or on the labelled slides of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from mil_bench.base.errors import UsageError, counted
from mil_bench.base.registry import load_plugins
from mil_bench.base.taxonomy import LEAF
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.contract.spec import RunSpec
from mil_bench.datasets.load import load_dataset
from mil_bench.evaluation.scores import Scores
from mil_bench.exchange.models.ensemble import EnsemblePredictions, write_ensemble
from mil_bench.exchange.models.external_validation import ExternalValidation, validate_on
from mil_bench.exchange.models.members import predict_slides, used_precision
from mil_bench.exchange.models.new_slides import NewSlides, open_new_slides, read_slide_list
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.find_run import RunChoice, find_run, find_runs
from mil_bench.runs.machine import devices
from mil_bench.runs.run import PathLike
from mil_bench.runs.slide_sets import sets_of

if TYPE_CHECKING:
    import pandas as pd


Numbers = Literal["all"] | int | Sequence[int]


def predict(
    features: PathLike | None = None,
    *,
    dataset: PathLike | None = None,
    run: str | Sequence[str] = (),
    method: str | None = None,
    trained_on: str | None = None,
    fold: Numbers = "all",
    seed: Numbers = "all",
    split: str | None = None,
    encoder: str | None = None,
    slides: PathLike | Sequence[str] | None = None,
    runs: PathLike = "runs",
    data_root: PathLike | None = None,
    cache_dir: PathLike | None = None,
    plugins: Sequence[PathLike] = (),
    device: str = "auto",
    quiet: bool = True,
) -> PredictedSlides:
    """Predict slides with trained models, as `mil-bench predict` does.

    ``features`` is a folder of feature files of slides without labels; ``slides`` (ids, or a file
    that lists them) restricts it. Without it ``dataset`` is a labelled dataset: its slides are
    predicted, scored, and stored under ``runs`` as a test of models that were trained elsewhere.

    The models are ``run`` (keys, or their beginnings), or all complete runs of ``method`` with
    default settings, on the dataset ``trained_on``; several are one ensemble. Raises a
    ``MilBenchError`` for features or classes that do not fit the models.
    """
    load_plugins([Path(plugin) for plugin in plugins])
    choice = ModelChoice(
        (run,) if isinstance(run, str) else tuple(run),
        method,
        trained_on,
        _numbers(fold),
        _numbers(seed),
        split,
        encoder,
    )
    directories = choice.find(Path(runs))
    [place] = devices(device, 1)
    cache = Path(cache_dir) if cache_dir else None
    if features is not None:
        if dataset is not None:
            raise UsageError(
                "features and dataset are both given; pass features for slides without labels, or "
                "dataset for labelled ones, and name the training data with trained_on."
            )
        listed_slides = read_slide_list(Path(slides)) if isinstance(slides, str | Path) else slides
        new = open_new_slides(
            Path(features), directories, listed_slides, encoder=encoder, cache=cache
        )
        return predict_new(directories, new, place, quiet=quiet)
    if dataset is None:
        raise UsageError("nothing to predict; pass features, or a labelled dataset.")
    root = Path(data_root) if data_root else None
    options = DatasetOptions(data_root=root, encoder=encoder, cache=cache)
    data = load_dataset(str(dataset), options)
    validation = validate_on(directories, data, Path(runs), place, quiet=quiet)
    return of_validation(validation)


@dataclass(frozen=True)
class ModelChoice:
    """The models of an ensemble: runs by key, or the runs of a method."""

    keys: tuple[str, ...] = ()
    method: str | None = None
    trained_on: str | None = None
    folds: Literal["all"] | Sequence[int] = "all"
    seeds: Literal["all"] | Sequence[int] = "all"
    split: str | None = None
    encoder: str | None = None

    def find(self, runs: Path) -> list[RunDirectory]:
        """Return their folders. Raises ``UsageError`` unless it is keys or a method."""
        if bool(self.keys) == bool(self.method):
            raise UsageError("choose the models by --run KEY or by --method NAME, one of the two.")
        if self.method is None:
            return list(dict.fromkeys(find_run(runs, key) for key in self.keys))
        choice = RunChoice(
            self.method, self.trained_on, self.encoder, self.split, self.folds, self.seeds
        )
        return find_runs(runs, choice)


@dataclass(frozen=True)
class PredictedSlides:
    """Predictions of an ensemble; ``notes`` say what to distrust.

    ``validation`` is there for labelled slides: the predictions of every model, own and here.
    """

    predictions: EnsemblePredictions
    notes: tuple[str, ...] = ()
    validation: ExternalValidation | None = None

    @property
    def members(self) -> tuple[str, ...]:
        """Keys of the runs behind the models."""
        return self.predictions.members

    @property
    def table(self) -> pd.DataFrame:
        """A row per slide: class, probability, agreement and spread of the members, all heads."""
        import pandas as pd

        return pd.DataFrame(self.predictions.columns())

    @property
    def scores(self) -> dict[str, float]:
        """Scores of the ensemble by their names on boards. Raises ``UsageError`` without labels."""
        if self.validation is None:
            raise UsageError("slides without labels have no scores; pass dataset, not features.")
        return Scores.of(self.validation.predictions()).by_name

    def save(self, path: PathLike) -> Path:
        """Write the table as CSV, exact to the last bit, and return its path."""
        write_ensemble(Path(path), self.predictions)
        return Path(path)


def predict_new(
    directories: Sequence[RunDirectory], new: NewSlides, device: torch.device, *, quiet: bool = True
) -> PredictedSlides:
    """Predict slides without labels with the models of all runs."""
    predicted = predict_slides(directories, new.store, device, str(new.where), quiet=quiet)
    notes = (
        *_seen(directories, predicted.slide_ids),
        *new.notes,
        *_contradictions(predicted),
        *_precision(directories, device),
    )
    return PredictedSlides(predicted, notes)


def of_validation(validation: ExternalValidation) -> PredictedSlides:
    """Return an external validation in the form of predictions."""
    return PredictedSlides(validation.ensemble, validation.notes, validation)


def title_of(directories: Sequence[RunDirectory]) -> str:
    """Return a line about the models: ``5 abmil models trained on A (folds 0-4, seed 0)``."""
    specs = [directory.read_spec() for directory in directories]
    methods = ", ".join(dict.fromkeys(spec.method for spec in specs))
    datasets = ", ".join(dict.fromkeys(spec.dataset for spec in specs))
    cells = f"{_span('fold', specs)}, {_span('seed', specs)}"
    keys = f", run {directories[0].path.name}" if len(directories) == 1 else ""
    return f"{counted(len(specs), f'{methods} model')} trained on {datasets} ({cells}{keys})"


def _span(name: str, specs: Sequence[RunSpec]) -> str:
    numbers = sorted({getattr(spec, name) for spec in specs})
    if len(numbers) == 1:
        return f"{name} {numbers[0]}"
    whole = numbers == list(range(numbers[0], numbers[-1] + 1))
    return f"{name}s " + (f"{numbers[0]}-{numbers[-1]}" if whole else ", ".join(map(str, numbers)))


def _seen(directories: Sequence[RunDirectory], slides: Sequence[str]) -> list[str]:
    """A note on slides that models were trained on."""
    models, trained = 0, set[str]()
    for directory in directories:
        # Validation slides are not trained on.
        seen = [s for s, of_set in sets_of(directory, slides).items() if of_set == "train"]
        models += bool(seen)
        trained.update(seen)
    if not trained:
        return []
    whose = "the model" if len(directories) == 1 else f"{models} of the {len(directories)} models"
    was = "was" if len(trained) == 1 else "were"
    return [
        f"{len(trained)} of {counted(len(slides), 'slide')} {was} in the training set of {whose}, "
        "so probabilities there are too certain"
    ]


def _contradictions(predictions: EnsemblePredictions) -> list[str]:
    """A note on slides whose upper head decides another branch than the leaf."""
    tree, leaf = predictions.taxonomy, predictions.mean[LEAF].argmax(1)
    return [
        f"the {level} head and the leaf of {counted(number, 'slide')} contradict each other"
        for level in tree.levels[:-1]
        if level in predictions.mean
        and (
            number := int(
                (predictions.level(level).argmax(1) != tree.ancestor_index(level)[leaf]).sum()
            )
        )
    ]


def _precision(directories: Sequence[RunDirectory], device: torch.device) -> list[str]:
    precisions = {directory.read_spec().precision for directory in directories}
    if any(used_precision(precision, device) != precision for precision in precisions):
        return ["models trained in float16 predict in float32, because float16 requires CUDA"]
    return []


def _numbers(numbers: Numbers) -> Literal["all"] | Sequence[int]:
    if numbers == "all":
        return "all"
    return [numbers] if isinstance(numbers, int) else numbers
