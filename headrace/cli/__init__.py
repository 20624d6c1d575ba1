"""The command line, one file a group of commands: each parses, calls one public function, prints."""

from headrace.cli.main import main

__all__ = ["main"]
