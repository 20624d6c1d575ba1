"""Anytime-valid statistics of live comparisons: pure functions over counts. See `../README.md`."""
