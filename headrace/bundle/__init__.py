"""The artifact: a folder of open formats, written whole or not at all, checked before it is used."""

from headrace.bundle.contents import contents
from headrace.bundle.golden import TOLERANCE, same_reply
from headrace.bundle.holdout import is_answer, together
from headrace.bundle.manifest import Manifest, read_manifest
from headrace.bundle.open import Bundle, find_bundle, open_bundle
from headrace.bundle.profile import profile
from headrace.bundle.write import write_bundle

__all__ = [
    "TOLERANCE",
    "Bundle",
    "Manifest",
    "contents",
    "find_bundle",
    "is_answer",
    "open_bundle",
    "profile",
    "read_manifest",
    "same_reply",
    "together",
    "write_bundle",
]
