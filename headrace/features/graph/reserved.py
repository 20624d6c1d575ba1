"""Numbers that stand for no value: the codes of missing and rare categories, the time that is missing."""

import numpy as np

MISSING, RARE = -1, 0
"""Codes of categories; a value of its own has a code from 1 on."""
MISSING_TIME = int(np.iinfo(np.int64).min)
