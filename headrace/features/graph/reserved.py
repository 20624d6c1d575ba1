"""Numbers that mean "no value": missing and rare categories, and a missing time."""

import numpy as np

MISSING = -1
"""The code of a missing category."""
RARE = 0
"""The code of a rare or unknown category; frequent categories have the codes 1, 2, 3, …"""
MISSING_TIME = int(np.iinfo(np.int64).min)
"""The microseconds of a missing time."""
