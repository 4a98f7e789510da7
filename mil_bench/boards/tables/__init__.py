"""What a board shows: one file per table, all made of the same columns, rows and numbers."""
