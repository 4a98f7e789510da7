"""Every run of a folder as a record; what cannot be read becomes a record that says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from mil_bench.base.errors import DataError, MilBenchError
from mil_bench.base.finding import Note
from mil_bench.base.formats import RUN_FOLDER, format_of
from mil_bench.base.privacy import without_places
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.spec import KEY_LENGTH, Experiment, ExternalSpec, read_definition
from mil_bench.evaluation.predictions import Predictions, SeedFold
from mil_bench.evaluation.scores import Scores
from mil_bench.exchange.bundles.sources import RunFolder, run_folders
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.stored_predictions import PredictionsChangedError, stored_predictions

LabelCheck = Literal["", "verified", "not verified"]
Status = Literal["done", "failed", "running", "interrupted", "changed", "unreadable"]


class RunResult(BaseModel):
    """What boards show of ``result.json``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    parameters: float = float("nan")
    flops: float = float("nan")
    epochs: float = float("nan")
    train_seconds: float = float("nan")
    test_seconds: float = float("nan")
    peak_memory_mb: float = float("nan")
    device: str = ""
    device_type: str = ""
    n_train: int | None = None
    n_test: int | None = None
    missing: tuple[str, ...] = ()
    split_notes: tuple[Note, ...] = ()

    @field_validator("split_notes", mode="before")
    @classmethod
    def _typed_notes(cls, notes: Any) -> Any:
        """Read the notes of older runs, which were stored as sentences without their kind.

        Those on leaks began with "leak: ". This is the only place that still looks at the text.
        """
        if not isinstance(notes, list):
            return notes
        return [
            {"kind": "leak" if note.startswith("leak: ") else "split", "text": note}
            if isinstance(note, str)
            else note
            for note in notes
        ]

    @property
    def gpu_memory_mb(self) -> float:
        """Peak on a GPU; ``nan`` for a run on a CPU, whose process holds much that is not its."""
        return self.peak_memory_mb if self.device_type == "cuda" else float("nan")

    @property
    def test_share(self) -> float:
        """Test slides per training slide; ``nan`` if a run lacks it."""
        return self.n_test / self.n_train if self.n_test and self.n_train else float("nan")


@dataclass(frozen=True)
class RunRecord:
    """One run. ``scores`` (of the test set) and ``sets`` are there when ``status`` is ``done``.

    ``sets`` are the stored predictions, ``val`` and ``test``; those of the leaves alone where the
    tree of the training was shuffled.

    ``spec`` is ``None`` when ``spec.json`` itself cannot be trusted; ``reason`` says the problem of
    an unfinished run, without places of this machine. ``labels`` is whether the dataset itself says
    the same labels, empty where that was not checked. Where records are scored under a requested
    tree, ``trained_tree`` names that of the training, ``lost_heads`` the levels that have no place.
    ``bundle`` is the file of a run that came in one, ``verification`` its level. ``differing_copy``
    says that another bundle has the same run with other predictions, which do not count.
    ``keyed_ids`` and ``left_out_labels`` say what the bundle withholds.
    """

    path: Path
    status: Status
    reason: str = ""
    spec: Experiment | None = None
    result: RunResult | None = None
    version: str = ""  # of mil-bench
    environment: Mapping[str, Any] = field(default_factory=dict)  # env.json
    scores: Scores | None = None
    sets: Mapping[str, Predictions] = field(default_factory=dict)
    trained_tree: str = ""
    lost_heads: tuple[str, ...] = ()
    bundle: str = ""
    verification: str = ""
    differing_copy: bool = False
    keyed_ids: bool = False
    left_out_labels: bool = False
    labels: LabelCheck = ""
    extraction: str = ""
    deviation: float = 0.0
    at: SeedFold = (-1, -1)  # the cell of a record without a definition

    @property
    def key(self) -> str:
        """Key of the run, the name of its folder."""
        return self.path.name

    @property
    def cell(self) -> SeedFold:
        """``(seed, fold)``."""
        return (self.spec.seed, self.spec.fold) if self.spec else self.at


def collect(runs: Path) -> list[RunRecord]:
    """Read and score every run under ``runs/<dataset>/<method>/<key>/``, in order of path.

    ``runs`` is a folder of runs, a bundle, or a folder with bundles. Scores are computed from
    ``predictions.csv``. Raises ``DataError`` when there is no such folder or no run in it, and for
    a damaged bundle. A damaged run raises nothing; its record says so.
    """
    folders = run_folders(runs)
    if not folders:
        raise DataError(
            f"{runs} holds no runs (<dataset>/<method>/<key>/); make some with `mil-bench run`."
        )
    return [replace(read_record(run.path), **_origin(run)) for run in folders]


def _origin(run: RunFolder) -> dict[str, Any]:
    bundle = run.source.bundle
    return {
        "bundle": bundle.name if bundle else "",
        "verification": run.source.level,
        "differing_copy": run.differs,
        "left_out_labels": _are_left_out(run),
        "keyed_ids": run.source.submission is not None and run.source.submission.ids == "keyed",
    }


def _are_left_out(run: RunFolder) -> bool:
    return run.source.submission is not None and run.source.submission.labels == "left out"


def read_record(path: Path) -> RunRecord:
    """Read the record of one run directory."""
    record = _read_record(path)
    # Reasons are published: no folder of this machine.
    return replace(record, reason=without_places(record.reason, path.parents[2]))


def _read_record(path: Path) -> RunRecord:
    directory = RunDirectory(path)
    try:
        spec = _read_spec(path)
    except DataError as error:
        return RunRecord(path, "unreadable", str(error))
    status = directory.status()
    if status == "failed":
        return RunRecord(path, "failed", _failure(directory), spec)
    if status != "done":
        return RunRecord(path, "running" if status == "running" else "interrupted", "", spec)
    try:
        return _done(directory, spec)
    except PredictionsChangedError as error:  # before its base class
        return RunRecord(path, "changed", str(error), spec)
    except MilBenchError as error:
        return RunRecord(path, "unreadable", str(error), spec)


def _done(directory: RunDirectory, spec: Experiment) -> RunRecord:
    content = _read_json(directory.result)
    format_of(content, RUN_FOLDER, str(directory.result))
    result = _read_result(directory.result, content)
    if result.key != directory.path.name:  # a copied folder would count twice
        raise DataError(f"{directory.result} belongs to run {result.key!r}; was it copied?")
    env = _read_json(directory.env_path) if directory.env_path.exists() else {}
    sets = stored_predictions(directory, Taxonomy.from_dict(spec.tree))
    if "test" not in sets:
        raise DataError(f"{directory.predictions} holds no test set.")
    tested = len(sets["test"])
    if result.n_test not in (None, tested):  # a file that was cut has fewer rows
        raise DataError(
            f"{directory.predictions} holds {tested} test slides, result.json says {result.n_test}."
        )
    if spec.shuffled_tree:
        sets = {name: p.leaves_alone() for name, p in sets.items()}
    if isinstance(spec, ExternalSpec) and spec.decisions_only:
        sets = {name: replace(p, ranked=False) for name, p in sets.items()}
    version = str(env.get("mil-bench", ""))
    scores = Scores.of(sets["test"])
    return RunRecord(directory.path, "done", "", spec, result, version, env, scores, sets)


def _read_result(path: Path, content: Mapping[str, Any]) -> RunResult:
    try:
        return RunResult(**content)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"{path}: {first['loc']} is not valid ({first['msg']}).") from None


def _read_spec(path: Path) -> Experiment:
    """The definition, which must hash to the folder's name."""
    file = path / "spec.json"
    content = _read_json(file)
    # Hashed as stored: a field that a later version adds must not disown the runs before it.
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    key = sha256(canonical.encode()).hexdigest()[:KEY_LENGTH]
    if key != path.name:
        raise DataError(f"{file} has the key {key}, its folder is {path.name}; was it edited?")
    try:
        spec = read_definition(content)
        Taxonomy.from_dict(spec.tree)
    except (TypeError, ValueError, MilBenchError) as error:
        first = " ".join(str(error).split())
        raise DataError(f"{file} is not a run definition of this version ({first}).") from None
    return spec


def _failure(directory: RunDirectory) -> str:
    try:
        return str(_read_json(directory.failure).get("error", ""))
    except DataError as error:
        return str(error)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot read {path} ({error}).") from None
    if not isinstance(content, dict):
        raise DataError(f"{path} holds a {type(content).__name__}; expected an object.")
    return content
