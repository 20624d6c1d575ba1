"""A fitted model of any family."""

from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Matrix = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]


class Fitted(Struct, frozen=True):
    """`params` are the settings that were used, chosen rounds included; `state` is the family's own."""

    family: str
    params: Any
    state: Any
