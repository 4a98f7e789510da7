"""BRACS: BReAst Carcinoma Subtyping, 547 slides of 189 patients in 7 classes of 3 groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mil_bench.bags.labels.cohort import FolderAdapter, Labels, kind_of
from mil_bench.bags.labels.official import official_split, patient_findings
from mil_bench.bags.labels.tables import column, read_table, require, tables_in
from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import DatasetCard
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.split import Split

SHEET = "WSI_Information"
TITLES = {
    "N": "Normal",
    "PB": "Pathological Benign",
    "UDH": "Usual Ductal Hyperplasia",
    "FEA": "Flat Epithelial Atypia",
    "ADH": "Atypical Ductal Hyperplasia",
    "DCIS": "Ductal Carcinoma In Situ",
    "IC": "Invasive Carcinoma",
    "benign": "Benign (BT)",
    "atypical": "Atypical (AT)",
    "malignant": "Malignant (MT)",
}
GROUPS = {"benign": ["N", "PB", "UDH"], "atypical": ["FEA", "ADH"], "malignant": ["DCIS", "IC"]}
LEAVES = [leaf for leaves in GROUPS.values() for leaf in leaves]
# Slides per class in the order of LEAVES, https://www.bracs.icar.cnr.it/details/
OFFICIAL = {
    "train": (27, 120, 56, 24, 28, 40, 100),
    "val": (10, 11, 9, 6, 8, 9, 12),
    "test": (7, 16, 9, 11, 12, 12, 20),
}
_SPELLINGS = {
    **{leaf.lower(): leaf for leaf in LEAVES},
    **{TITLES[leaf].lower(): leaf for leaf in LEAVES},
    **{str(i): leaf for i, leaf in enumerate(LEAVES)},
}
_SUFFIXES = {".svs", ".h5", ".pt"}
_DEPTHS = ("*", "*/*", "*/*/*")  # where the set folders may lie; bounded, a data root may be huge


class Bracs(FolderAdapter):
    """BRACS from ``BRACS.xlsx``, a CSV of its first sheet or in CLAM form, or its folder tree."""

    card = DatasetCard(
        name="bracs",
        title="BRACS: breast carcinoma subtyping",
        source=(
            "https://www.bracs.icar.cnr.it (registration); Brancati et al., Database 2022, "
            "doi 10.1093/database/baac093"
        ),
        licence="CC BY-NC 4.0",
        files=(
            "BRACS.xlsx (or a CSV of its sheet WSI_Information, or the folder tree "
            "BRACS_WSI/{train,val,test}/Group_*/Type_*/), and the patch features of the slides"
        ),
        trees={
            "bracs-3": Taxonomy.from_tree("bracs-3", GROUPS, titles=TITLES),
            "flat": Taxonomy.flat("flat", LEAVES, titles=TITLES),
        },
        default_tree="bracs-3",
    )

    def read_folder(self, root: Path) -> Labels | None:
        """Read the label table if there is one, else the official folder tree."""
        path = next(tables_in(root, ("BRACS", SHEET, "labels")), None)
        table, source = (_read_file(path), path) if path else (_read_tree(root), root)
        if table is None:
            return None
        # A column with another patient for every slide has no patients.
        known_patients = table["patient_id"].nunique() < len(table)
        manifest = Manifest.build(
            table["slide_id"], table["label"], table["patient_id"] if known_patients else None
        )
        official = official_split(dict(zip(table["slide_id"], table["set"], strict=True)))
        findings = patient_findings(manifest, official)
        if not known_patients and len(table) > 1:
            findings.append(f"{source} names no real patients; BRACS.xlsx does (189 patients)")
        if official and kind_of("real", root) == "real":  # a part or a simulation is not complete
            findings += _against_official(official, manifest.labels())
        return Labels(manifest, official, tuple(findings))


def _read_file(path: Path) -> pd.DataFrame:
    """Columns ``slide_id, label, patient_id, set`` from any of the table forms."""
    workbook = path.suffix.lower() == ".xlsx"
    table = read_table(path, SHEET if workbook else 0)
    if column(table, ["Total RoI number"]):
        raise DataError(
            f"{path} is the sheet WSI_with_RoI_Distribution, whose Set column is wrong; expected "
            f"the sheet {SHEET}. Export that sheet."
        )
    hint = f"Use BRACS.xlsx or a CSV export of its sheet {SHEET}."
    slides = table[require(table, ["WSI Filename", "slide_id"], path, hint)]
    labels = table[require(table, ["WSI label", "label"], path, hint)]
    patient = column(table, ["Patient Id", "patient_id", "case_id"])
    official = column(table, ["Set", "split", "split_info"])
    return pd.DataFrame(
        {
            "slide_id": slides.str.removesuffix(".svs"),
            # An unknown label stays: the tree refuses it by name.
            "label": [_SPELLINGS.get(text.lower(), text) for text in labels],
            "patient_id": table[patient] if patient else "",
            "set": table[official] if official else "",
        }
    )


def _read_tree(root: Path) -> pd.DataFrame | None:
    """The same columns from ``.../<set>/Group_*/Type_<label>/<slide>.<svs|h5|pt>``."""
    rows: dict[str, tuple[str, str]] = {}
    files = (path for depth in _DEPTHS for path in sorted(root.glob(f"{depth}/Group_*/Type_*/*")))
    for path in files:
        if path.suffix.lower() not in _SUFFIXES:
            continue
        label, group, name = path.parent.name, path.parent.parent, path.stem
        place = label.removeprefix("Type_"), group.parent.name
        if rows.setdefault(name, place) != place:  # the same slide as .svs and as .h5 is one
            raise DataError(
                f"slide {name} is in {'/'.join(rows[name][::-1])} and in {'/'.join(place[::-1])} "
                f"of {root}; keep one of the files."
            )
    if not rows:
        return None
    labels, sets = zip(*rows.values(), strict=True)
    columns = {"slide_id": list(rows), "label": labels, "patient_id": "", "set": sets}
    return pd.DataFrame(columns)


def _against_official(split: Split, labels: Mapping[str, str]) -> list[str]:
    """Classes whose number of slides differs from the official table, one sentence per set."""
    findings = []
    for name, slides in split[0].sets():
        counts = Counter(labels[slide] for slide in slides)
        expected = dict(zip(LEAVES, OFFICIAL[name], strict=True))
        differing = [f"{k} {counts[k]} of {n}" for k, n in expected.items() if counts[k] != n]
        if differing:
            findings.append(
                f"the {name} set has {len(slides)} of the official {sum(expected.values())} "
                f"slides ({', '.join(differing)})"
            )
    return findings
