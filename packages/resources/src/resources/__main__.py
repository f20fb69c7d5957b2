"""`python -m resources` is the command line `resources`."""

from resources.cli import main

main(prog_name="resources")
