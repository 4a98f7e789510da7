"""From run directories to leaderboards: collect, score, infer, tabulate, write, show."""
