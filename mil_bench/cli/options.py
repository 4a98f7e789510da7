"""Options that several commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DATA = "Data"

DatasetName = Annotated[
    str, typer.Option("--dataset", "-d", help="A name of `list datasets`, or a .toml file.")
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        envvar="MIL_BENCH_DATA",
        help="Folder with the dataset's files, directly or in a sub-folder of its name.",
        rich_help_panel=DATA,
    ),
]
Features = Annotated[
    Path | None,
    typer.Option(help="Folder of feature files, if not under the data root.", rich_help_panel=DATA),
]
Encoder = Annotated[
    str | None,
    typer.Option(help="Which encoder, if the folder holds several.", rich_help_panel=DATA),
]
Tree = Annotated[
    str | None,
    typer.Option(
        help="A tree of the dataset by name, or a tree file (.toml, .json).", rich_help_panel=DATA
    ),
]
AllowMissing = Annotated[
    bool,
    typer.Option(
        "--allow-missing", help="Go on without slides that have no features.", rich_help_panel=DATA
    ),
]
DropLeaky = Annotated[
    bool,
    typer.Option(
        "--drop-leaky-patients",
        help="Leave out patients who stand in two official sets.",
        rich_help_panel=DATA,
    ),
]
CacheDir = Annotated[
    Path | None,
    typer.Option(
        envvar="MIL_BENCH_CACHE",
        help="Folder of packed features (default ~/.cache/mil-bench).",
        rich_help_panel=DATA,
    ),
]
Plugin = Annotated[
    list[Path] | None,
    typer.Option(help="Python file that registers methods or datasets; repeatable."),
]
Runs = Annotated[Path, typer.Option(help="Folder of run directories.")]
