"""Fragments of the pages on bursting, read as flux-burst reads them. The checks of `fragment`, run beside it."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path


def settings(text: str, into: str = "") -> str:
    """settings [FILE]: the block is a part of burst.toml; it is put into FILE, as readers do."""
    from fluxburst.errors import FluxBurstError

    try:
        _check(text)
        if into:
            file = Path(into).expanduser()
            whole = merged(file.read_text(), text)
            _check(whole)
            file.write_text(whole)
    except FluxBurstError as error:
        return str(error)
    return ""


def _check(text: str) -> None:
    """Raise FluxBurstError for what is no setting, or no parameter of its plugin; one that is missing may be."""
    from fluxburst.errors import ParameterError
    from fluxburst.parameters import build
    from fluxburst.plugins import REGISTRY
    from fluxburst.settings import read_settings

    for name, found in read_settings(text, "settings").plugins.items():
        parameters = REGISTRY.load(name).parameters
        try:
            if parameters is not None:
                build(parameters, found.parameters)
        except ParameterError as error:
            if error.message != "is required" and "there is no such file" not in error.message:
                raise ParameterError(error.message, f"plugins.{name}.{error.field}") from None


def merged(text: str, fragment: str) -> str:
    """A TOML file with the lines of a fragment: its keys first, its tables in place of those of the same name."""
    tables = re.split(r"^(?=\[)", fragment, flags=re.MULTILINE)
    keys = tables.pop(0)
    for table in tables:
        header = re.escape(table.partition("]")[0] + "]")
        text = re.sub(rf"^{header}.*?(?=^\[|\Z)", "", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join([keys, text, *tables])


def catalogue(text: str, key: str) -> str:
    """catalogue instance_type|machine_type: the block is a catalogue of machines."""
    from fluxburst.burstables._catalogue import read
    from fluxburst.errors import ParameterError

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "catalogue.toml")
        path.write_text(text)
        try:
            read(path, key)
        except ParameterError as error:
            return str(error)
    return ""


def policy(text: str) -> str:
    """policy: the block is a policy of IAM, and every action that it allows is one of the service."""
    import boto3

    absent = []
    for statement in json.loads(text)["Statement"]:
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            service, _, name = action.partition(":")
            if (service, name) == ("iam", "PassRole"):  # a permission that no call has
                continue
            if name not in boto3.client(service, region_name="us-east-1").meta.service_model.operation_names:
                absent.append(action)
    return f"{', '.join(absent)}: no such action" if absent else ""
