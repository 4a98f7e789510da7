"""Own data without code: a TOML file that names a label table, features and a tree.

Minimal file::

    name = "my-cohort"
    labels = "labels.csv"       # slide_id, label and, if known, patient_id, split
    features = "features"       # a folder, or one file: .h5, .npz, .pt or a table

Paths are relative to the TOML file. ``docs/add-a-dataset.md`` lists all keys.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from mil_bench.bags.labels.cohort import (
    LabelledAdapter,
    LabelledCohort,
    Labels,
    OpenFeatures,
    choose_tree,
    kind_of,
    open_in_memory,
)
from mil_bench.bags.labels.instances import read_instance_file
from mil_bench.bags.labels.official import official_split, patient_findings
from mil_bench.bags.labels.single_file import (
    PARQUET,
    Bags,
    bags_of_table,
    read_parquet,
    read_single_file,
)
from mil_bench.bags.labels.slide_table import Columns, manifest_of, read_slide_table, tree_of
from mil_bench.bags.labels.tables import read_table
from mil_bench.base.config import StrictConfig, build, read_toml
from mil_bench.base.errors import ConfigError, DataError, FeatureError, UnknownNameError
from mil_bench.base.tables import is_table
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import Dataset, DatasetCard, DatasetOptions
from mil_bench.contract.spec import DataKind, TrainerConfig
from mil_bench.contract.store import Tiling
from mil_bench.datasets import DATASETS


class OwnConfig(StrictConfig):
    """The keys of the TOML file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    features: str  # folder, .h5, .npz or .pt with all bags, or table with a row per instance
    labels: str | None = None  # table with a row per slide; None: the instance table has labels
    instances: str | None = None  # table slide_id, row, label of patches whose class is known
    columns: dict[str, Any] = Field({})
    # Column -> its values of the rows to use. Classes are those of all rows.
    only: dict[str, str | tuple[str, ...]] = Field({})
    feature_columns: tuple[str, ...] = ()  # of an instance table; all others by default
    tree: str | dict[str, Any] | None = None  # tree file, or the tree itself
    classes: tuple[str, ...] = ()  # order of the leaves when there is no tree
    titles: dict[str, str] = Field({})  # full names of classes
    ordered: bool = False  # the order of classes is a scale (grades)
    splits: str | None = None  # file or folder of a split to import
    encoder: str | None = None
    patch_size: float | None = Field(None, gt=0)  # of features in one file: side, in their pixels
    anchor: Literal["top_left", "center"] = "top_left"  # of a patch, that coordinates are of
    kind: DataKind = "real"
    standardize: bool = False  # by mean and deviation over the training bags
    title: str = ""
    source: str = "your own data"
    licence: str = "not stated"
    trainer: dict[str, Any] = Field({})  # recommended settings, below --set
    methods: dict[str, dict[str, Any]] = Field({})


@dataclass(frozen=True)
class OwnData(LabelledAdapter):
    """The adapter of one TOML file."""

    path: Path

    @cached_property
    def config(self) -> OwnConfig:
        """The checked content of the TOML file."""
        content = read_toml(self.path, "dataset")
        config = build(OwnConfig, content, str(self.path))
        self._check(config)
        return config

    @cached_property
    def columns(self) -> Columns:
        """The checked ``[columns]`` of the TOML file."""
        return build(Columns, self.config.columns, f"{self.path} [columns]")

    def read(self, options: DatasetOptions) -> LabelledCohort:
        """Return labels and tree; the card is made from the TOML file."""
        config = self.config
        source = self._at(config.labels or config.features)
        whole = read_slide_table(source, self.columns, row_per_slide=config.labels is not None)
        table = self._chosen_rows(whole, source)
        manifest = manifest_of(table)
        sets = (
            dict(zip(manifest.slide_ids, table["split"], strict=True)) if "split" in table else {}
        )
        official = official_split(sets)
        card = self._card(self._tree(whole), has_official=official is not None)
        features = options.features or self._at(config.features)
        return LabelledCohort(
            card,
            kind_of(config.kind, source, features),
            choose_tree(card, options.tree),
            Labels(manifest, official, tuple(patient_findings(manifest, official))),
            features,
        )

    def open(self, cohort: LabelledCohort, options: DatasetOptions) -> OpenFeatures:
        """Open features from a folder, or from one file with all bags."""
        source = cohort.features
        options = replace(options, encoder=options.encoder or self.config.encoder)
        if source.is_dir():
            return super().open(cohort, options)
        if not source.exists():
            raise FeatureError(
                f"features {source} do not exist; expected a folder, or one file with all bags "
                f"(.h5, .npz, .pt or a table). Correct `features` in {self.path}."
            )
        tabular = is_table(source) or source.suffix.lower() == PARQUET
        bags = self._instances(source) if tabular else read_single_file(source)
        tiling = Tiling("level0_px", self.config.anchor, self.config.patch_size)
        return open_in_memory(bags, cohort, options, tiling)

    def load(self, options: DatasetOptions) -> Dataset:
        """Load labels and features, known patches, and whether features are to be standardised."""
        dataset = replace(super().load(options), standardize=self.config.standardize)
        if self.config.instances is None:
            return dataset
        sizes = {slide: size for slide, (_, size) in dataset.store.rows.items()}
        patch_labels = read_instance_file(self._at(self.config.instances), sizes)
        return replace(dataset, instance_labels=patch_labels)

    def _check(self, config: OwnConfig) -> None:
        if config.name in DATASETS:  # runs are stored under the name
            raise ConfigError(
                f"{self.path}: the name {config.name!r} belongs to a built-in dataset; choose "
                "another name, because results would be mixed."
            )
        if config.tree is not None and (config.classes or "coarse" in config.columns):
            raise ConfigError(
                f"{self.path} has `tree` and also `classes` or columns.coarse; a tree already "
                "orders and groups the classes. Keep one of them."
            )
        # Checked now: an error after training would cost a run.
        build(TrainerConfig, config.trainer, f"{self.path} [trainer]")

    def _chosen_rows(self, table: pd.DataFrame, source: Path) -> pd.DataFrame:
        """The rows of the label table that ``only`` selects, such as those of some sites."""
        for name, values in self.config.only.items():
            column = self.columns.find(name, table, source)
            wanted = [values] if isinstance(values, str) else list(values)
            absent = [value for value in wanted if value not in set(table[column])]
            if absent:
                known = sorted(set(table[column]))
                raise UnknownNameError(f"value of {name!r}", absent[0], known, of=str(source))
            table = table[table[column].isin(wanted)].reset_index(drop=True)
        if table.empty:
            raise DataError(f"`only` of {self.path} leaves no row of {source}; correct it.")
        return table

    def _at(self, relative: str) -> Path:
        return self.path.parent / relative

    def _tree(self, table: pd.DataFrame) -> Taxonomy:
        tree = self._bare_tree(table)
        return replace(tree, titles={**tree.titles, **self.config.titles})

    def _bare_tree(self, table: pd.DataFrame) -> Taxonomy:
        config = self.config
        if config.tree is None:
            return tree_of(table, config.name, config.classes, config.ordered)
        if isinstance(config.tree, str):
            return Taxonomy.load(self._at(config.tree))
        # Without a key of a tree file, the table is the tree itself.
        nested = not {"tree", "parents", "leaves"} & config.tree.keys()
        content = {"tree": config.tree} if nested else config.tree
        return Taxonomy.from_dict({"name": config.name, "ordered": config.ordered, **content})

    @property
    def recommended(self) -> DatasetCard:
        """A card with nothing but the name and the settings that the file recommends."""
        config = self.config
        overrides = {"trainer": config.trainer, "methods": config.methods}
        return DatasetCard(config.name, config.name, "", "", "", {}, "", overrides=overrides)

    def _card(self, tree: Taxonomy, has_official: bool) -> DatasetCard:
        config = self.config
        split = str(self._at(config.splits)) if config.splits else ""
        return DatasetCard(
            name=config.name,
            title=config.title or config.name,
            source=config.source,
            licence=config.licence,
            files=f"the files that {self.path} names",
            trees={tree.name: tree},
            default_tree=tree.name,
            default_split=split or ("official" if has_official else "kfold-5"),
            kind=config.kind,
            overrides={"trainer": config.trainer, "methods": config.methods},
            file=self.path,
        )

    def _instances(self, path: Path) -> Bags:
        parquet = path.suffix.lower() == PARQUET
        table = read_parquet(path) if parquet else read_table(path, header=self.columns.header)
        slide = self.columns.find(self.columns.slide_id, table, path)
        # Columns that describe the slide are left out.
        about_slide = {name.lower() for name in self.columns.names}
        features = [c for c in map(str, table) if c.lower() not in about_slide]
        return bags_of_table(table, slide, self.config.feature_columns or features, path)
