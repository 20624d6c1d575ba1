"""A way out: a plain script that refits a model without Headrace, and files to run the bundle.

write.py    the public function `eject`: gather, write, and prove that the script predicts the same
script.py   write the script: the settings of one model, and the parts of `parts.py` that it needs
parts/      the parts, which import nothing of Headrace
"""

from headrace.plain.write import Ejected, eject

__all__ = ["Ejected", "eject"]
