"""From run directories to leaderboards: collect, score, summarise, write, show."""

from mil_bench.leaderboard.board import Board, BoardId, BoardRow
from mil_bench.leaderboard.build import build_boards
from mil_bench.leaderboard.collect import RunRecord, collect
from mil_bench.leaderboard.csv_io import write_boards
from mil_bench.leaderboard.figure import board_figure, write_figures
from mil_bench.leaderboard.render import show

__all__ = [
    "Board",
    "BoardId",
    "BoardRow",
    "RunRecord",
    "board_figure",
    "build_boards",
    "collect",
    "show",
    "write_boards",
    "write_figures",
]
