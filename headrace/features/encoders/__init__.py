"""The encoders, one short file each; `registry` says which functions a file has."""
