"""CLAM's paper cards: one source, and the steps of its two forms."""

from __future__ import annotations

from dataclasses import replace

from mil_bench.method import PaperCard

SINGLE = PaperCard(
    title="Data-efficient and weakly supervised computational pathology on whole-slide images",
    year=2021,
    venue="Nature Biomedical Engineering",
    link="https://doi.org/10.1038/s41551-020-00682-w",
    code="mahmoodlab/CLAM @ 53e2409",
    differs=(
        "bags smaller than k_sample use k = N (the official code raises); below 2k the "
        "positive and negative sets overlap, as in the official code",
        "instance loss svm and lr 2e-4 as in the paper and README, balanced sampling as in the "
        "README; without options the official program takes cross entropy, 1e-4, no balancing",
        "subtyping is on, since leaf classes exclude each other; officially a flag, off by default",
        "PyTorch's initial weights, as in the code since April 2024; init=xavier is the paper's",
        "without subtyping the instance classifiers of absent classes get zero gradients; "
        "the official optimiser skips them",
        "several bags per step average both losses over the bags",
    ),
    steps=("project", "gated attention", "weighted mean", "classify"),
    losses=("cross entropy", "clustering of top and bottom patches"),
)

MULTIPLE = replace(
    SINGLE,
    steps=(
        "project",
        "gated attention per class",
        "weighted mean per class",
        "a scorer per class",
    ),
)
