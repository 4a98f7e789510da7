"""The leaderboard as one self-contained HTML file: reports in, a page out."""
