"""CCC: cervical cytology in the six Bethesda classes, from the user's own manifest."""

from __future__ import annotations

import re
from pathlib import Path

from mil_bench.bags.labels.cohort import FolderAdapter, Labels
from mil_bench.bags.labels.official import official_split, patient_findings
from mil_bench.bags.labels.tables import column, read_table, require, tables_in
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import DatasetCard
from mil_bench.contract.manifest import Manifest

TITLES = {
    "NILM": "Negative for intraepithelial lesion or malignancy",
    "ASC-US": "Atypical squamous cells of undetermined significance",
    "LSIL": "Low-grade squamous intraepithelial lesion",
    "ASC-H": "Atypical squamous cells, cannot exclude HSIL",
    "HSIL": "High-grade squamous intraepithelial lesion",
    "SCC": "Squamous cell carcinoma",
    "negative": "Negative",
    "positive": "Any epithelial abnormality",
}
GROUPS = {"negative": ["NILM"], "positive": ["ASC-US", "LSIL", "ASC-H", "HSIL", "SCC"]}
LEAVES = [leaf for leaves in GROUPS.values() for leaf in leaves]
SLIDE = ["slide_id", "slide", "filename", "wsi", "image_id", "bag_id", "name"]
LABEL = ["label", "class", "diagnosis", "category", "bethesda", "bethesda_system"]
PATIENT = ["patient_id", "patient", "case_id", "case"]
SPLIT = ["split", "set", "split_info", "dataset_split"]


def _plain(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())  # ASC-US, asc_us and "ASC US" are one


_SPELLINGS = {
    **{_plain(leaf): leaf for leaf in LEAVES},
    **{_plain(TITLES[leaf]): leaf for leaf in LEAVES},
    "negative": "NILM",
    "normal": "NILM",
    "negativeforintraepitheliallesion": "NILM",
}


class Ccc(FolderAdapter):
    """CCC (Jin et al. 2025, HMIL) has no public release: bring your own manifest."""

    card = DatasetCard(
        name="ccc",
        title="CCC: cervical cancer cytology, Bethesda classes",
        source="your own hospital (the cohort of HMIL, Jin et al. 2025, is not public)",
        licence="that of your data",
        files=(
            "a table manifest.csv, labels.csv or ccc*.csv (.tsv, .xlsx) with the columns slide_id, "
            "label and optionally patient_id and split, and the patch features"
        ),
        trees={
            "bethesda-2": Taxonomy.from_tree("bethesda-2", GROUPS, titles=TITLES),
            "flat": Taxonomy.flat("flat", LEAVES, titles=TITLES),
        },
        default_tree="bethesda-2",
    )

    def read_folder(self, root: Path) -> Labels | None:
        """Read the first manifest found, with the usual spellings of columns and classes."""
        path = next(tables_in(root, ("ccc", "manifest", "labels")), None)
        if path is None:
            return None
        table = read_table(path)
        patient, split = column(table, PATIENT), column(table, SPLIT)
        manifest = Manifest.build(
            table[require(table, SLIDE, path)],
            [_SPELLINGS.get(_plain(text), text) for text in table[require(table, LABEL, path)]],
            table[patient] if patient else None,
        )
        sets = dict(zip(manifest.slide_ids, table[split], strict=True)) if split else {}
        official = official_split(sets)
        return Labels(manifest, official, tuple(patient_findings(manifest, official)))
