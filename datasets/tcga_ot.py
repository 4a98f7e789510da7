"""TCGA-OT: 46 OncoTree codes of TCGA, and why their sites do not form a tree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pandas as pd

from mil_bench.bags.labels.cohort import FolderAdapter, LabelledCohort, Labels
from mil_bench.bags.labels.official import official_split, patient_findings
from mil_bench.bags.labels.tables import SET, read_sets
from mil_bench.base.errors import TaxonomyError, counted
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import DatasetCard, DatasetOptions
from mil_bench.contract.manifest import Manifest

COLUMNS = ("slide_id", "case_id", "OncoTreeCode", "OncoTreeSiteCode")
SITE = "site"
# The rule: a code belongs to the tissue under which OncoTree (https://oncotree.mskcc.org) lists
# it, wherever the tumour of a slide was found.
TISSUES: Final = MappingProxyType(
    {
        "ADRENAL_GLAND": ("ACC", "PHC"),
        "BLADDER": ("BLCA",),
        "BOWEL": ("COAD", "MACR", "READ"),
        "BRAIN": ("AASTR", "AOAST", "ASTR", "GBM", "OAST", "ODG"),
        "BREAST": ("IDC", "ILC"),
        "CERVIX": ("CESC",),
        "EYE": ("UM",),
        "HEAD_NECK": ("HNSC",),
        "KIDNEY": ("CCRCC", "CHRCC", "PRCC"),
        "LIVER": ("HCC",),
        "LUNG": ("LUAD", "LUSC"),
        "OVARY": ("HGSOC",),
        "PANCREAS": ("PAAD",),
        "PLEURA": ("PLEMESO",),
        "PROSTATE": ("PRAD",),
        "SKIN": ("MEL", "SKCM"),
        "SOFT_TISSUE": ("DDLS", "LMS", "MFH", "MFS"),
        "STOMACH": ("DSTAD", "ESCA", "ESCC", "STAD", "TSTAD"),
        "TESTIS": ("NSGCT", "SEM"),
        "THYMUS": ("THYM",),
        "THYROID": ("THFO", "THPA"),
        "UTERUS": ("UCS", "UEC", "USC"),
    }
)
CODES = [code for codes in TISSUES.values() for code in codes]


class TcgaOt(FolderAdapter):
    """TCGA-OT from the tables that TITAN publishes: a code and a site per slide.

    A code can occur at several sites (a leiomyosarcoma of the uterus), so the sites of the file do
    not form a tree over the codes: ``--tree site`` is refused as long as that is so. The default
    tree ``oncotree`` puts every code under its OncoTree tissue.
    """

    card = DatasetCard(
        name="tcga-ot",
        title="TCGA-OT: OncoTree codes of TCGA",
        source=(
            "https://github.com/mahmoodlab/TITAN (datasets/), slides from "
            "https://portal.gdc.cancer.gov; Ding et al., TITAN, arXiv:2411.19666"
        ),
        licence="lists CC BY-NC-ND 4.0; slides open access of the GDC",
        files=(
            "tcga-ot_train.csv, tcga-ot_val.csv and tcga-ot_test.csv with the columns slide_id, "
            "case_id, OncoTreeCode and OncoTreeSiteCode, and the patch features"
        ),
        trees={
            "oncotree": Taxonomy.from_tree("oncotree", {k: list(v) for k, v in TISSUES.items()}),
            "flat": Taxonomy.flat("flat", CODES),
        },
        default_tree="oncotree",
        default_split="official",
    )

    def read(self, options: DatasetOptions) -> LabelledCohort:
        """Read the cohort as in every folder; ``--tree site`` takes the sites of the file."""
        if options.tree != SITE:
            return super().read(options)
        # Sites are known only when the file is read.
        cohort = super().read(replace(options, tree=None))
        return replace(cohort, taxonomy=_site_tree(cohort.labels.manifest))

    def read_folder(self, root: Path) -> Labels | None:
        """Read all tables of ``root`` with the four columns."""
        table = read_sets(root, COLUMNS)
        if table is None:
            return None
        slides, codes, sites = (table[n] for n in ("slide_id", "OncoTreeCode", "OncoTreeSiteCode"))
        manifest = Manifest.build(slides, codes, table["case_id"], **{SITE: sites})
        official = official_split(dict(zip(slides, table[SET], strict=True)))
        findings = patient_findings(manifest, official)
        several = _several_sites(manifest)
        if several:
            findings.append(
                f"{counted(len(several), 'code occurs', 'codes occur')} at several sites "
                f"({_shown(several)}); the tree "
                "oncotree puts each under its OncoTree tissue"
            )
        return Labels(manifest, official, tuple(findings))


def _site_tree(manifest: Manifest) -> Taxonomy:
    """Codes under the sites of the file. Raises ``TaxonomyError`` that names all that have two."""
    several = _several_sites(manifest)
    if several:
        raise TaxonomyError(
            f"{counted(len(several), 'code occurs', 'codes occur')} at several sites "
            f"({_shown(several)}), so sites do not "
            "form a tree over the codes. Use --tree oncotree, which puts each under its OncoTree "
            "tissue."
        )
    known = manifest.table[manifest.table[SITE] != ""]  # blank sites decide nothing
    home = dict(zip(known["label"], known[SITE], strict=True))
    return Taxonomy(SITE, tuple((home[code], code) for code in CODES if code in home))


def _several_sites(manifest: Manifest) -> dict[str, pd.Series]:
    """Slides per site, largest first, of every code that has more than one."""
    by_code = manifest.table[manifest.table[SITE] != ""].groupby("label")[SITE]
    counts = {str(code): sites.value_counts() for code, sites in by_code}
    return {code: sites for code, sites in counts.items() if len(sites) > 1}


def _shown(several: dict[str, pd.Series]) -> str:
    return "; ".join(
        f"{code}: {', '.join(f'{site} {n}' for site, n in sites.items())}"
        for code, sites in several.items()
    )
