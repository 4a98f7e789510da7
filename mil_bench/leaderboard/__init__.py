"""From run directories to leaderboards: collect, tables, CSV."""
