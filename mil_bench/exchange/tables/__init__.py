"""Predictions in: tables of any tool, external runs."""
