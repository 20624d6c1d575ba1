"""The command line: each command parses, calls one public function, and prints.

There is one file for each group of commands.
"""

from headrace.cli.main import main

__all__ = ["main"]
