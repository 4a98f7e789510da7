"""EBRAINS: the Digital Brain Tumour Atlas, 30 diagnoses in 12 groups."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Final

import pandas as pd

from mil_bench.bags.labels.cohort import FolderAdapter, Labels
from mil_bench.bags.labels.official import official_split, patient_findings
from mil_bench.bags.labels.tables import SET, read_sets
from mil_bench.base.errors import counted
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import DatasetCard
from mil_bench.contract.manifest import Manifest

COLUMNS = ("slide_id", "case_id", "diagnosis", "diagnosis_group")
GROUPS: Final = MappingProxyType(
    {
        "Adult-type diffuse gliomas": (
            "Glioblastoma, IDH-wildtype",
            "Glioblastoma, IDH-mutant",
            "Gliosarcoma",
            "Anaplastic astrocytoma, IDH-wildtype",
            "Anaplastic astrocytoma, IDH-mutant",
            "Oligodendroglioma, IDH-mutant and 1p/19q codeleted",
            "Anaplastic oligodendroglioma, IDH-mutant and 1p/19q codeleted",
        ),
        "Paediatric-type diffuse low-grade gliomas": ("Diffuse astrocytoma, IDH-mutant",),
        "Circumscribed astrocytic gliomas": ("Pilocytic astrocytoma",),
        "Glioneuronal and neuronal tumours": ("Ganglioglioma",),
        "Ependymal Tumours": ("Ependymoma", "Anaplastic ependymoma"),
        "Embryonal Tumors": ("Medulloblastoma, non-WNT/non-SHH",),
        "Cranial and paraspinal nerve tumours": ("Schwannoma",),
        "Meningiomas": (
            "Meningothelial meningioma",
            "Fibrous meningioma",
            "Transitional meningioma",
            "Secretory meningioma",
            "Angiomatous meningioma",
            "Atypical meningioma",
            "Anaplastic meningioma",
        ),
        "Mesenchymal, non-meningothelial tumours involving the CNS": (
            "Haemangioma",
            "Haemangioblastoma",
            "Haemangiopericytoma",
            "Lipoma",
        ),
        "Haematolymphoid tumours involving the CNS": (
            "Diffuse large B-cell lymphoma of the CNS",
            "Langerhans cell histiocytosis",
        ),
        "Tumours of the sellar region": (
            "Pituitary adenoma",
            "Adamantinomatous craniopharyngioma",
        ),
        "Metastatic tumours": ("Metastatic tumours",),  # a diagnosis that is its own group
    }
)
GROUP_OF = {leaf: group for group, leaves in GROUPS.items() for leaf in leaves}


class Ebrains(FolderAdapter):
    """EBRAINS from the published tables with ``diagnosis`` and ``diagnosis_group``.

    The groups are those of the atlas as the tables have them, spelling included.
    """

    card = DatasetCard(
        name="ebrains",
        title="EBRAINS: brain tumour subtyping",
        source=(
            "https://doi.org/10.25493/WQ48-ZGX (registration); Roetzer-Pejrimovsky et al., "
            "Scientific Data 2022, doi 10.1038/s41597-022-01157-0"
        ),
        licence="that of the EBRAINS data use agreement",
        files=(
            "train.csv, val.csv and test.csv, or one table with a column split, each with the "
            "columns slide_id, case_id, diagnosis and diagnosis_group (as PANTHER publishes them "
            "in src/splits/classification/ebrains), and the patch features"
        ),
        trees={
            "ebrains-12": Taxonomy(
                "ebrains-12",
                # A path of one node for a group that is its own leaf.
                tuple((g, leaf) if g != leaf else (leaf,) for leaf, g in GROUP_OF.items()),
            ),
            "flat": Taxonomy.flat("flat", GROUP_OF),
        },
        default_tree="ebrains-12",
        default_split="official",
    )

    def read_folder(self, root: Path) -> Labels | None:
        """Read all tables of ``root`` with the four columns."""
        table = read_sets(root, COLUMNS)
        if table is None:
            return None
        manifest = Manifest.build(table["slide_id"], table["diagnosis"], table["case_id"])
        official = official_split(dict(zip(table["slide_id"], table[SET], strict=True)))
        findings = (*patient_findings(manifest, official), *_other_groups(table))
        return Labels(manifest, official, findings)


def _other_groups(table: pd.DataFrame) -> list[str]:
    """Diagnoses that the file puts elsewhere than the shipped tree does, one sentence."""
    # nan for a diagnosis outside the tree, which is refused elsewhere.
    expected = table["diagnosis"].map(GROUP_OF)
    differ = table[expected.notna() & (expected != table["diagnosis_group"])]
    if differ.empty:
        return []
    pairs = differ[["diagnosis", "diagnosis_group"]].drop_duplicates().itertuples(index=False)
    shown = "; ".join(f"{leaf}: {group or 'blank'}" for leaf, group in pairs)
    return [
        f"{counted(len(differ), 'slide has', 'slides have')} another group in the file "
        f"than in the tree ({shown})"
    ]
