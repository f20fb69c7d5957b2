"""Reads a fragment of burst.toml from stdin as flux-burst does; `--into FILE` puts it there, as a reader would.

With `--catalogue instance_type` (or `machine_type`) the fragment is a catalogue of machines. What flux-burst would
refuse is one line, and exit code 1.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

from fluxburst.burstables import _catalogue
from fluxburst.errors import FluxBurstError, ParameterError
from fluxburst.parameters import build
from fluxburst.plugins import REGISTRY
from fluxburst.settings import read_settings


def check(text: str, where: str) -> None:
    """Raise FluxBurstError for what is no setting, or no parameter of its plugin; one that is missing may be."""
    for name, settings in read_settings(text, where).plugins.items():
        parameters = REGISTRY.load(name).parameters
        try:
            if parameters is not None:
                build(parameters, settings.parameters)
        except ParameterError as error:
            if error.message != "is required":
                raise ParameterError(error.message, f"{where}: plugins.{name}.{error.field}") from None


def merged(text: str, fragment: str) -> str:
    """A file with the lines of a fragment: its keys first, its tables in place of those of the same name."""
    tables = re.split(r"^(?=\[)", fragment, flags=re.MULTILINE)
    keys = "" if tables[0].startswith("[") else tables.pop(0)
    for table in tables:
        header = re.escape(table.partition("]")[0] + "]")
        text = re.sub(rf"^{header}.*?(?=^\[|\Z)", "", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join([keys, text, *tables])


def check_catalogue(text: str, key: str) -> None:
    """Raise ParameterError for what is no catalogue."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "catalogue.toml")
        path.write_text(text)
        _catalogue.read(path, key)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path)
    parser.add_argument("--catalogue", choices=("instance_type", "machine_type"))
    given = parser.parse_args()
    fragment = sys.stdin.read()
    try:
        if given.catalogue:
            check_catalogue(fragment, given.catalogue)
            return 0
        check(fragment, "settings")
        if given.into:
            into = given.into.expanduser()
            text = merged(into.read_text(), fragment)
            check(text, str(into))
            into.write_text(text)
    except FluxBurstError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
