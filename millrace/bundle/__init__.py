"""The artifact: a folder of open formats, written whole or not at all, checked before it is used."""

from millrace.bundle.contents import contents
from millrace.bundle.manifest import Manifest
from millrace.bundle.open import Bundle, find_bundle, open_bundle
from millrace.bundle.profile import profile
from millrace.bundle.write import BundleName, write_bundle

__all__ = ["Bundle", "BundleName", "Manifest", "contents", "find_bundle", "open_bundle", "profile", "write_bundle"]
