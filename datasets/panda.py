"""PANDA: prostate biopsies of two hospitals with ISUP grades 0 to 5."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mil_bench.bags.labels.cohort import FolderAdapter, Labels
from mil_bench.bags.labels.tables import column, read_table, require, tables_in
from mil_bench.base.errors import counted
from mil_bench.base.tables import headers
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import DatasetCard
from mil_bench.contract.manifest import Manifest

# Benign is "0+0" at Karolinska and "negative" at Radboud.
ISUP_OF_GLEASON = {
    **dict.fromkeys(("0+0", "negative"), "0"),
    "3+3": "1",
    "3+4": "2",
    "4+3": "3",
    **dict.fromkeys(("4+4", "3+5", "5+3"), "4"),
    **dict.fromkeys(("4+5", "5+4", "5+5"), "5"),
}
WRONG_ROW = "b0a92a74cb53899311acc30b7405e101"  # Gleason 4+3 given as ISUP 2
LEAVES = [f"ISUP{grade}" for grade in range(6)]
TITLES = {
    "ISUP0": "ISUP 0 (benign)",
    "ISUP1": "ISUP 1 (3+3)",
    "ISUP2": "ISUP 2 (3+4)",
    "ISUP3": "ISUP 3 (4+3)",
    "ISUP4": "ISUP 4 (4+4, 3+5, 5+3)",
    "ISUP5": "ISUP 5 (4+5, 5+4, 5+5)",
}


def _tree(name: str, **nodes: tuple[str, str]) -> Taxonomy:
    """An ordered tree from node -> (title, its grades)."""
    groups = {node: [f"ISUP{g}" for g in grades] for node, (_, grades) in nodes.items()}
    titles = TITLES | {node: title for node, (title, _) in nodes.items()}
    return Taxonomy.from_tree(name, groups, ordered=True, titles=titles)


class Panda(FolderAdapter):
    """PANDA from ``train.csv``, with near-duplicate and noisy-label lists if they are next to it.

    Slides on a noisy-label list stay in evaluation and leave training: the lists are made with
    model losses, so filtering a test set by them flatters models.
    """

    card = DatasetCard(
        name="panda",
        title="PANDA: prostate cancer grade assessment",
        source=(
            "https://www.kaggle.com/c/prostate-cancer-grade-assessment; Bulten et al., "
            "Nature Medicine 2022, doi 10.1038/s41591-021-01620-2"
        ),
        licence="CC BY-SA-NC 4.0 and the terms of the Kaggle competition",
        files=(
            "train.csv, optionally duplicate_imgids_imghash_thres_090.csv (near-duplicates) and "
            "train_with_noisy_labels.csv or PANDA_Suspicious_Slides.csv (noisy labels), and the "
            "patch features of train_images/"
        ),
        trees={
            "risk": _tree(
                "risk",
                benign=("Benign", "0"),
                low=("Grade-based low risk", "1"),
                intermediate=("Grade-based intermediate risk", "23"),
                high=("Grade-based high risk", "45"),
            ),
            "csPCa": _tree(
                "csPCa",
                benign=("Benign", "0"),
                insignificant=("Clinically insignificant cancer", "1"),
                significant=("Clinically significant cancer", "2345"),
            ),
            "cancer": _tree("cancer", benign=("Benign", "0"), cancer=("Cancer", "12345")),
            "gleason-3": _tree(
                "gleason-3",
                benign=("Benign", "0"),
                low=("Gleason up to 3+4", "12"),
                high=("Gleason 4+3 and above", "345"),
            ),
            "flat": Taxonomy.flat("flat", LEAVES, ordered=True, titles=TITLES),
        },
        default_tree="risk",
    )

    def read_folder(self, root: Path) -> Labels | None:
        """Read ``train.csv`` and the optional lists of ``root``."""
        path = next(
            tables_in(root, ("train.csv", "train_with_noisy", "train", "panda_train")), None
        )
        if path is None:
            return None
        table = read_table(path)
        hint = "Use Kaggle's train.csv."
        slides = table[require(table, ["image_id"], path, hint)]
        grades = table[require(table, ["isup_grade"], path, hint)]
        gleason, provider = column(table, ["gleason_score"]), column(table, ["data_provider"])
        findings: list[str] = []
        if gleason:
            grades = _correct(slides, grades, table[gleason], findings)
        providers = table[provider] if provider else pd.Series("", index=table.index)
        findings += _provider_finding(providers, grades)
        groups, on_groups = _near_duplicates(root, slides, providers, grades)
        noisy, on_noise = _noisy_labels(root, frozenset(slides))
        manifest = Manifest.build(
            slides, "ISUP" + grades, group_id=groups, provider=providers.tolist()
        )
        patients = "no patient ids are public: near-duplicates and slides count as patients"
        return Labels(manifest, None, (*findings, *on_groups, *on_noise, patients), noisy)


def _correct(
    slides: pd.Series, grades: pd.Series, gleason: pd.Series, findings: list[str]
) -> pd.Series:
    """Compare every ISUP grade with its Gleason score; only the known wrong row is changed."""
    implied = gleason.str.lower().map(ISUP_OF_GLEASON)
    known = (slides == WRONG_ROW) & implied.notna() & (implied != grades)
    for row in slides.index[known]:
        findings.append(
            f"slide {WRONG_ROW} is Gleason {gleason[row]} but ISUP {grades[row]} in the table; "
            f"corrected to ISUP {implied[row]}"
        )
    # Other contradictions stay: they are those of the published labels.
    grades = grades.mask(known, implied)
    wrong = slides[implied != grades].tolist()
    if wrong:
        findings.append(
            f"{counted(len(wrong), 'slide has', 'slides have')} an ISUP grade that their "
            "Gleason score does not imply "
            f"(first: {', '.join(wrong[:5])}); left unchanged"
        )
    return grades


def _provider_finding(providers: pd.Series, grades: pd.Series) -> list[str]:
    """Slides per grade of each hospital, when there is more than one."""
    if providers.nunique() < 2:
        return []
    counts = pd.crosstab(providers, grades)
    shown = "; ".join(f"{name} {'/'.join(map(str, row))}" for name, *row in counts.itertuples())
    grade_names = "/".join(map(str, counts))
    return [f"provider predicts grade (slides of ISUP {grade_names}: {shown})"]


def _near_duplicates(
    root: Path, slides: pd.Series, providers: pd.Series, grades: pd.Series
) -> tuple[list[str] | None, list[str]]:
    """Group id per slide (blank outside the list) and what the groups look like."""
    path = _list_with(root, "image_id", "group_id")
    if path is None:
        return None, [
            "no near-duplicate list (image_id, group_id) is next to train.csv: duplicate images "
            "may be on both sides of a split"
        ]
    table = read_table(path)
    group = slides.map(dict(zip(table["image_id"], table["group_id"], strict=True)))
    members = pd.DataFrame({"group": group, "provider": providers, "grade": grades}).dropna()
    by_group = members.groupby("group")
    finding = (
        f"{counted(len(members), 'image forms', 'images form')} {by_group.ngroups} "
        "near-duplicate groups (largest "
        f"{by_group.size().max()}; {(by_group['grade'].nunique() > 1).sum()} hold several grades, "
        f"{(by_group['provider'].nunique() > 1).sum()} both providers); splits keep them whole"
    )
    # Blank: its own group.
    return ["" if pd.isna(g) else f"duplicates:{g}" for g in group], [finding]


def _noisy_labels(root: Path, slides: frozenset[str]) -> tuple[frozenset[str], list[str]]:
    """Slides on any noisy-label list: ``noise_ratio_10`` of 0, or named with a ``reason``."""
    noisy: set[str] = set()
    findings = []
    for column_name in ("noise_ratio_10", "reason"):
        path = _list_with(root, "image_id", column_name)
        if path is None:
            continue
        table = read_table(path)
        if column_name == "noise_ratio_10":
            table = table[table[column_name].isin(["0", "0.0"])]
        listed = slides.intersection(table["image_id"])
        noisy |= listed
        findings.append(
            f"{path.name} excludes {counted(len(listed), 'slide')} from training, not from "
            "evaluation"
        )
    return frozenset(noisy), findings


def _list_with(root: Path, *columns: str) -> Path | None:
    """The first table in ``root`` that has all ``columns``."""
    texts = (p for p in tables_in(root) if p.suffix.lower() != ".xlsx")
    return next((p for p in texts if set(columns) <= set(headers(p))), None)
