"""CAMELYON16 and CAMELYON17: metastases in sentinel lymph nodes, from the challenge's files."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from mil_bench.bags.labels.cohort import FolderAdapter, Labels
from mil_bench.bags.labels.files import column, read_table, require, tables_in
from mil_bench.bags.labels.official import official_split, patient_findings
from mil_bench.bags.manifest import Manifest
from mil_bench.dataset import DatasetCard
from mil_bench.taxonomy import Taxonomy

CLASSES = ("normal", "tumor")
STAGES = ("negative", "itc", "micro", "macro")
TITLES = {
    "negative": "No metastasis",
    "itc": "Isolated tumour cells",
    "micro": "Micro-metastasis",
    "macro": "Macro-metastasis",
}
_TRAINING = re.compile(r"(normal|tumor)_\d+", re.IGNORECASE)
_NODE = r"^(patient_\d+)_node_\d+$"
_FILES = {".tif", ".h5", ".pt", ".npy"}
_DEPTHS = ("*", "*/*", "*/*/*", "*/*/*/*")  # bounded, a data root may be huge


class Camelyon16(FolderAdapter):
    """CAMELYON16: ``reference.csv`` of the test slides; names say the class of the others.

    Or one table with ``slide_id`` and ``label`` (and ``split``). Official sets are those of the
    challenge, without validation slides; a part of training becomes those.
    """

    card = DatasetCard(
        name="camelyon16",
        title="CAMELYON16: lymph node metastasis",
        source=(
            "https://camelyon17.grand-challenge.org/Data/; Ehteshami Bejnordi et al., JAMA 2017, "
            "doi 10.1001/jama.2017.14585"
        ),
        licence="CC0",
        files=(
            "reference.csv (test slides: name, Normal or Tumor) and slides or features called "
            "normal_001, tumor_001, test_001; or a table camelyon16.csv with slide_id, label and, "
            "if known, split; and the patch features"
        ),
        trees={"flat": Taxonomy.flat("flat", CLASSES)},
        default_tree="flat",
    )

    def read_folder(self, root: Path) -> Labels | None:
        """``camelyon16.csv``, else ``reference.csv`` and what is called normal or tumor."""
        own = next(tables_in(root, ("camelyon16",)), None)
        table = _read_own(own) if own else _read_challenge(root)
        if table is None:
            return None
        manifest = Manifest.build(table["slide_id"], table["label"])
        sets = dict(zip(table["slide_id"], table["set"], strict=True))
        official = official_split(sets)
        return Labels(manifest, official, tuple(patient_findings(manifest, official)))


class Camelyon17(FolderAdapter):
    """CAMELYON17: the stage of every node of the 100 training patients, from ``stages.csv``.

    Rows of whole patients (``patient_000.zip``, a pN stage) are no slides and are left out.
    """

    card = DatasetCard(
        name="camelyon17",
        title="CAMELYON17: size of lymph node metastases",
        source=(
            "https://camelyon17.grand-challenge.org/Data/; Litjens et al., GigaScience 2018, "
            "doi 10.1093/gigascience/giy065"
        ),
        licence="CC0",
        files="stages.csv (patient, stage) of the training patients, and the patch features",
        trees={"flat": Taxonomy.flat("flat", STAGES, ordered=True, titles=TITLES)},
        default_tree="flat",
    )

    def read_folder(self, root: Path) -> Labels | None:
        """``stages.csv``: ``patient_004_node_4.tif,macro``."""
        path = next(tables_in(root, ("stages", "stage_labels", "camelyon17")), None)
        if path is None:
            return None
        table = read_table(path)
        names = table[require(table, ["patient", "slide_id"], path)]
        stages = table[require(table, ["stage", "label"], path)].str.lower()
        nodes = ~names.str.endswith(".zip")
        slides = names[nodes].str.removesuffix(".tif")
        patients = slides.str.extract(_NODE, expand=False).fillna("")
        manifest = Manifest.build(slides, stages[nodes], patients)
        return Labels(manifest, None, tuple(patient_findings(manifest, None)))


def _read_own(path: Path) -> pd.DataFrame:
    table = read_table(path)
    split = column(table, ["split", "set"])
    return pd.DataFrame(
        {
            "slide_id": table[require(table, ["slide_id", "slide", "image_id"], path)],
            "label": table[require(table, ["label", "class"], path)].str.lower(),
            "set": table[split] if split else "",
        }
    )


def _read_challenge(root: Path) -> pd.DataFrame | None:
    """Test slides of ``reference.csv``, which has no header; training slides by their names."""
    path = next(
        (p for place in (root, root / "testing") for p in place.glob("reference.csv")), None
    )
    if path is None:
        return None
    reference = read_table(path, header=False)
    rows = {
        name.removesuffix(".tif"): (label.lower(), "test")
        for name, label in zip(reference["0"], reference["1"], strict=True)
        if label.lower() in CLASSES  # a header, where a copy has one, is no slide
    }
    files = (file for depth in _DEPTHS for file in sorted(root.glob(depth)))
    for file in files:
        if file.suffix.lower() in _FILES and _TRAINING.fullmatch(file.stem):
            rows[file.stem] = (file.stem.partition("_")[0].lower(), "train")
    labels, sets = zip(*rows.values(), strict=True)
    return pd.DataFrame({"slide_id": list(rows), "label": labels, "set": sets})
