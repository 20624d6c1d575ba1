"""The artifact: a folder of open formats, written whole or not at all, and checked before use.

ads-000003/manifest.json     what it is, and the checksum of every file
           system.yaml       the resolved spec
           schema.json       the columns that the graph takes
           model.onnx        raw columns → features → prediction
           holdout.parquet   test rows, and the predictions of them
           profile.json      reference distributions of inputs and score
           examples.json     golden requests and replies
           evaluation.json   metrics, intervals, curves, gates
           card.html         the model card
           MLmodel           for MLflow
"""

from headrace.bundle.contents import Parts, build_files
from headrace.bundle.evaluation import Evaluation
from headrace.bundle.golden import TOLERANCE, same_reply
from headrace.bundle.holdout import join_answers
from headrace.bundle.manifest import Manifest, read_manifest
from headrace.bundle.open import Bundle, find_bundle, open_bundle, read_champion
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
    "join_answers",
    "open_bundle",
    "read_champion",
    "read_manifest",
    "same_reply",
    "write_bundle",
]
