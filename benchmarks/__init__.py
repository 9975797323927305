"""Measurements against what a user would take instead: `make bench`."""
