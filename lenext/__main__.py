"""`python -m lenext`: the command line."""

from lenext.cli import main

main()
