"""Train, validation and test sets: made, imported, checked and saved."""
