"""``mil-bench curves``: how runs were trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mil_bench.cli.options import add_shared
from mil_bench.cli.parser import Parser
from mil_bench.errors import UnknownNameError


def curves(parser: Parser, words: Sequence[str]) -> int:
    """Draw the training curves of runs, finished or not."""
    parser.add_argument("keys", metavar="KEY", nargs="+", help="Key of a run, or how it begins.")
    add_shared(parser, "runs")
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("figures"),
        help="Folder of curves-KEY.png and .svg.",
    )
    given = parser.parse(words)
    folders = [folder for key in given.keys for folder in _find(given.runs, key)]

    from mil_bench.leaderboard.collect import read_record
    from mil_bench.leaderboard.figures.files import save_both
    from mil_bench.leaderboard.figures.training import draw

    for folder in folders:
        for path in save_both(draw(read_record(folder)), given.out / f"curves-{folder.name}"):
            print(path)
    return 0


def _find(runs: Path, key: str) -> list[Path]:
    """Folders of the runs whose keys begin so."""
    folders = sorted(path for path in runs.glob("[!.]*/*/*") if path.is_dir())
    found = [path for path in folders if path.name.startswith(key)]
    if not found:
        hint = f"`mil-bench status --all --runs {runs}` lists runs."
        raise UnknownNameError("run", key, [path.name for path in folders], hint)
    return found
