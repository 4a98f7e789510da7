"""A small simulated cohort with several sites, and models trained on some of them."""

from __future__ import annotations

from pathlib import Path

from mil_bench import run
from mil_bench.simulation.simulate import simulate

TREE = """
[tree]
negative = ["NILM"]
abnormal = ["ASC-US", "LSIL", "ASC-H", "HSIL", "SCC"]
"""


def write_sites(root: Path) -> None:
    """``ab.toml``: sites 1 to 7 of a simulated CCC; ``c.toml``: the other three."""
    simulate("ccc", root / "cohort", slides=160, dim=8, max_patches=24)
    for name, sites in (("ab", range(1, 8)), ("c", range(8, 11))):
        write_site(root, name, sites)


def write_site(root: Path, name: str, sites, extra: str = "", tree: str = TREE) -> Path:
    chosen = ", ".join(f'"site_{site}"' for site in sites)
    path = root / f"{name}.toml"
    path.write_text(
        f'name = "{name}"\nlabels = "cohort/manifest.csv"\nfeatures = "cohort"\n{extra}\n'
        f"[only]\nsite = [{chosen}]\n{tree}"
    )
    return path


def train(root: Path, dataset: Path, method: str, **options):
    """One epoch on the folds of kfold-3."""
    settings = {"epochs": 1, **options.pop("settings", {})}
    return run(
        method,
        dataset,
        settings=settings,
        split="kfold-3",
        runs=root / "runs",
        cache_dir=root / "cache",
        device="cpu",
        quiet=True,
        **options,
    )
