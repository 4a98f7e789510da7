"""From run directories to leaderboards: collect, score, infer, tabulate, write, show."""

from mil_bench.leaderboard.board import Board, BoardId, BoardRow
from mil_bench.leaderboard.build import build_boards
from mil_bench.leaderboard.collect import RunRecord, collect
from mil_bench.leaderboard.formats.folder import check_writable, write_reports
from mil_bench.leaderboard.formats.terminal import EVERYTHING, READ, check_tables, show
from mil_bench.leaderboard.report import Report, report_of

__all__ = [
    "EVERYTHING",
    "READ",
    "Board",
    "BoardId",
    "BoardRow",
    "Report",
    "RunRecord",
    "build_boards",
    "check_tables",
    "check_writable",
    "collect",
    "report_of",
    "show",
    "write_reports",
]
