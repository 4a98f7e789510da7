"""The predictions of a complete run, refused when they are not those that the run has written."""

from __future__ import annotations

from pathlib import Path

from mil_bench.base.errors import DataError, RunError
from mil_bench.base.formats import RUN_FOLDER, format_of
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.predictions_csv import OWN_TOLERANCE, TOLERANCE, read_predictions
from mil_bench.runs.directory import PREDICTIONS_DIGEST, RunDirectory, file_digest


class PredictionsChangedError(RunError):
    """A file of predictions differs from what its run has written, or from the dataset's labels."""


def stored_predictions(directory: RunDirectory, tree: Taxonomy) -> dict[str, Predictions]:
    """Return the predictions of a complete run by set (``val``, ``test``).

    Raises ``PredictionsChangedError`` when the file does not match the digest in ``result.json``.
    Runs of format 1 have no digest, and their file is read unchecked. Raises ``DataError`` for a
    damaged file and for a run folder of a newer format.
    """
    result = directory.read_result()
    format_of(result, RUN_FOLDER, str(directory.result))  # a newer format may mean other things
    digest = result.get(PREDICTIONS_DIGEST)
    if digest is not None:
        check_digest(directory.predictions, str(digest))
    return read_predictions(
        directory.predictions, tree, TOLERANCE if digest is None else OWN_TOLERANCE
    )


def check_digest(predictions: Path, digest: str) -> None:
    """Raise ``PredictionsChangedError`` unless the SHA-256 of the file is ``digest``."""
    try:
        present = file_digest(predictions)
    except OSError as error:
        raise DataError(f"cannot read {predictions}: {error.strerror}.") from None
    if present != digest:
        raise PredictionsChangedError(
            f"{predictions.name} is not the file that the run wrote (SHA-256 {present[:12]}, "
            f"result.json has {digest[:12]}); restore it, or rerun with --overwrite."
        )
