"""The backends of the online store, one file each."""
