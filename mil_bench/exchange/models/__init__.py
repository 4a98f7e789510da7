"""Models out: predictions of new slides, external validation, exports."""
