"""The datasets, one file each. Adding one: write the file, add its line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mil_bench.base.registry import Registry

if TYPE_CHECKING:
    from mil_bench.contract.dataset import DatasetAdapter


def _check(name: str, dataset: object) -> None:
    # Imported when a contributed dataset is used: listing names must stay free of heavy packages.
    from mil_bench.contract.dataset import check_adapter

    check_adapter(name, dataset)


DATASETS: Registry[type[DatasetAdapter]] = Registry("dataset", "mil_bench.datasets", check=_check)

_HERE = "mil_bench.datasets"
DATASETS.add("digit-bags", f"{_HERE}.digit_bags:DigitBags", "embedded: real digits, 3/7 classes")
DATASETS.add("bracs", f"{_HERE}.bracs:Bracs", "breast carcinoma subtyping, 3/7 classes")
DATASETS.add("panda", f"{_HERE}.panda:Panda", "prostate ISUP grades 0-5, four named trees")
DATASETS.add(
    "ccc", f"{_HERE}.ccc:Ccc", "cervical cytology, Bethesda 2/6 classes, your own manifest"
)
DATASETS.add("ebrains", f"{_HERE}.ebrains:Ebrains", "brain tumours, 12/30 classes")
DATASETS.add("tcga-ot", f"{_HERE}.tcga_ot:TcgaOt", "OncoTree codes of TCGA, 22/46 classes")
DATASETS.add("camelyon16", f"{_HERE}.camelyon:Camelyon16", "lymph node metastasis, normal or tumor")
DATASETS.add("camelyon17", f"{_HERE}.camelyon:Camelyon17", "size of metastases, four grades")
