"""The leaderboard as one self-contained HTML file: reports in, a page out."""

from mil_bench.leaderboard.page.build import page_html, write_page

__all__ = ["page_html", "write_page"]
