"""The command line: thin commands, each importing what it needs when it runs."""

from lenext.cli.main import main

__all__ = ["main"]
