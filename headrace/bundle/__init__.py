"""The artifact: a folder of open formats, written whole or not at all, checked before it is used."""

from headrace.bundle.contents import Parts, build_files
from headrace.bundle.evaluation import Evaluation
from headrace.bundle.golden import TOLERANCE, same_reply
from headrace.bundle.holdout import is_answer, join_answers
from headrace.bundle.manifest import Manifest, read_manifest
from headrace.bundle.open import Bundle, find_bundle, open_bundle
from headrace.bundle.profile import build_profile
from headrace.bundle.write import Contents, write_bundle

__all__ = [
    "TOLERANCE",
    "Bundle",
    "Contents",
    "Evaluation",
    "Manifest",
    "Parts",
    "build_files",
    "build_profile",
    "find_bundle",
    "is_answer",
    "join_answers",
    "open_bundle",
    "read_manifest",
    "same_reply",
    "write_bundle",
]
