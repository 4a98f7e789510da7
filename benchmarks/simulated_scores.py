"""Probabilities of imaginary methods on imaginary patients, whose true scores are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.evaluation.predictions import Predictions


class Cohort(NamedTuple):
    """Slides ``(n,)``: the patient and the leaf of each."""

    patient: NDArray[np.int64]
    label: NDArray[np.int64]


@dataclass(frozen=True)
class Sampling:
    """How patients come about.

    A patient has a main class and ``slides_per_patient`` slides on average (one, and a Poisson
    number more), each of the main class with probability ``loyalty``, else of any. ``patient_sd``
    of the total noise ``NOISE`` in the scores of a slide is common to the slides of a patient:
    0 makes slides independent given their classes.
    """

    tree: Taxonomy
    counts: tuple[int, ...]
    patients: int
    slides_per_patient: float
    loyalty: float = 0.65
    patient_sd: float = 1.0

    def draw(self, rng: np.random.Generator, patients: int = 0) -> Cohort:
        """Return a new sample of patients (``self.patients`` by default)."""
        number = patients or self.patients
        share = np.array(self.counts) / sum(self.counts)
        main = rng.choice(len(share), number, p=share)
        patient = np.repeat(np.arange(number), 1 + rng.poisson(self.slides_per_patient - 1, number))
        loyal = rng.random(len(patient)) < self.loyalty
        return Cohort(
            patient, np.where(loyal, main[patient], rng.choice(len(share), len(patient), p=share))
        )


_BRACS_TREE = Taxonomy.from_tree(
    "bracs-3",
    {"benign": ["N", "PB", "UDH"], "atypical": ["FEA", "ADH"], "malignant": ["DCIS", "IC"]},
)
_GRADES = {"benign": ["0"], "low": ["1"], "intermediate": ["2", "3"], "high": ["4", "5"]}
BRACS: Final = Sampling(_BRACS_TREE, (7, 16, 9, 11, 12, 12, 20), 30, 2.9)
"""Like the official test set: 87 slides on average, of 30 patients, in its seven classes."""
PANDA: Final = Sampling(
    Taxonomy.from_tree("risk", _GRADES, ordered=True),
    (2892, 2666, 1343, 1242, 1249, 1224),
    10616,
    1.0,
)
"""10,616 slides in six grades."""
SKILL = 2.0
NOISE = 1.41


def predictions_of(
    sampling: Sampling,
    cohort: Cohort,
    rng: np.random.Generator,
    heads: bool = False,
    skill: float = SKILL,
) -> Predictions:
    """Return a method that adds ``skill`` to the true class and noise to all."""
    tree = sampling.tree
    levels = tree.levels if heads else (LEAF,)
    names = np.arange(len(cohort.label)).astype(str)
    found = {level: _head(sampling, cohort, rng, level, skill) for level in levels}
    return Predictions(tree, names, cohort.patient.astype(str), cohort.label, found)


def _head(
    sampling: Sampling, cohort: Cohort, rng: np.random.Generator, level: str, skill: float
) -> NDArray[np.float64]:
    classes = len(sampling.tree.classes[level])
    own = np.sqrt(NOISE**2 - sampling.patient_sd**2)
    of_patient = rng.normal(0, sampling.patient_sd, (cohort.patient.max() + 1, classes))
    noise = of_patient[cohort.patient] + rng.normal(0, own, (len(cohort.label), classes))
    truth = sampling.tree.ancestor_index(level)[cohort.label]
    logits = skill * np.eye(classes)[truth] + noise
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(odds / odds.sum(1, keepdims=True))
