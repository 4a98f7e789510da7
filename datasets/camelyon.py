"""CAMELYON16 and CAMELYON17: metastases in sentinel lymph nodes, from the challenge's files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pandas as pd

from mil_bench.bags.labels.cohort import FolderAdapter, Labels
from mil_bench.bags.labels.official import official_split, patient_findings
from mil_bench.bags.labels.tables import column, read_table, require, tables_in
from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import DatasetCard
from mil_bench.contract.manifest import Manifest

CLASSES = ("normal", "tumor")
STAGES = ("negative", "itc", "micro", "macro")
TITLES = {
    "negative": "No metastasis",
    "itc": "Isolated tumour cells",
    "micro": "Micro-metastasis",
    "macro": "Macro-metastasis",
}
# The 270 training slides of CAMELYON16; its README: normal_086 was misclassified, and renamed.
TRAINING: Final = MappingProxyType(
    {
        **{f"normal_{i:03}": "normal" for i in range(1, 161) if i != 86},
        **{f"tumor_{i:03}": "tumor" for i in range(1, 112)},
    }
)
_NODE = r"^(patient_\d+)_node_\d+$"  # slides of a patient are its nodes
_FOLDERS = ("training", "testing", "evaluation")  # of the challenges


class Camelyon16(FolderAdapter):
    """CAMELYON16: ``reference.csv`` of the test slides; the training slides are known by name.

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
            "reference.csv (test slides: name, Normal or Tumor), or a table camelyon16.csv with "
            "slide_id, label and optionally split; and the patch features (normal_001, tumor_001, "
            "test_001)"
        ),
        trees={"flat": Taxonomy.flat("flat", CLASSES)},
        default_tree="flat",
        default_split="official",
    )

    def read_folder(self, root: Path) -> Labels | None:
        """Read ``camelyon16.csv``, else ``reference.csv`` and the names of the training slides."""
        table_file = next(tables_in(root, ("camelyon16",)), None)
        reference = next(_tables(root, "reference"), None)
        if table_file is not None:
            table = _read_own(table_file)
        elif reference is not None:
            table = _read_challenge(reference)
        else:
            return None
        manifest = Manifest.build(table["slide_id"], table["label"])
        sets = dict(zip(table["slide_id"], table["set"], strict=True))
        official = official_split(sets)
        return Labels(manifest, official, tuple(patient_findings(manifest, official)))


class Camelyon17(FolderAdapter):
    """CAMELYON17: the stage of every node of the 100 training patients, from ``stages.csv``.

    Rows of whole patients (``patient_000.zip``, a pN stage) are not slides and are left out.
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
        """Read ``stages.csv``: ``patient_004_node_4.tif,macro``."""
        path = next(_tables(root, "stages", "stage_labels", "camelyon17"), None)
        if path is None:
            return None
        table = read_table(path)
        names = table[require(table, ["patient", "slide_id"], path)]
        stages = table[require(table, ["stage", "label"], path)].str.lower()
        nodes = ~names.str.endswith(".zip")  # rows of patients have the stage of all nodes
        slides = names[nodes].str.removesuffix(".tif")
        patients = slides.str.extract(_NODE, expand=False).fillna("")
        manifest = Manifest.build(slides, stages[nodes], patients)
        return Labels(manifest, None, tuple(patient_findings(manifest, None)))


def _tables(root: Path, *stems: str) -> Iterator[Path]:
    """Tables called like one of ``stems`` in ``root`` or a folder of the challenge below it."""
    for place in (root, *(root / name for name in _FOLDERS)):
        yield from tables_in(place, stems)


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


def _read_challenge(reference: Path) -> pd.DataFrame:
    """Training slides, and the test slides of ``reference.csv``, which has no header."""
    table = read_table(reference, header=False)
    if table.shape[1] < 2:
        raise DataError(
            f"{reference} has one column; expected a test slide and Normal or Tumor in each row, "
            "as test_001,Tumor."
        )
    if not table["0"][0].lower().startswith("test"):
        table = table[1:]  # the header that some copies have
    train = pd.DataFrame({"slide_id": list(TRAINING), "label": list(TRAINING.values())})
    test = pd.DataFrame(
        {"slide_id": table["0"].str.removesuffix(".tif"), "label": table["1"].str.lower()}
    )
    return pd.concat([train.assign(set="train"), test.assign(set="test")], ignore_index=True)
