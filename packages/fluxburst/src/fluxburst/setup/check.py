"""What would keep a broker from joining: each check one finding, with what to do about it.

`lead_findings` looks at a lead on its own machine, `join_findings` at a copy of its files where a broker is to start.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fluxburst.lead import CERTIFICATE, CONFIG, Lead, LeadError, bootstrap, read_config
from fluxburst.setup import file_checks, network_checks
from fluxburst.setup.findings import Finding, Running, problem

if TYPE_CHECKING:
    from fluxburst.handles import Handle


def problems(lead: Lead, handle: Handle | None = None) -> list[Finding]:
    """What would keep brokers from joining, as far as files and the lead's own list of nodes tell; nothing: none.

    Nothing is started and nobody but the lead is asked.
    """
    found = _files(lead)
    inventory = None if handle is None else handle.inventory()
    if inventory is not None:
        found += file_checks.known(lead, {host for group in inventory.groups for host in group.hosts})
    return [one for one in found if one.state == "problem"]


def lead_findings(lead: Lead, running: Running | None) -> list[Finding]:
    """Every check of a lead on its own machine; running: what it says of itself, None while it does not run."""
    version = running.attributes.get("version", "") if running else ""
    return [
        *file_checks.version(version, "the lead"),
        *file_checks.bindings(version),
        *file_checks.private(lead.folder),
        *_files(lead),
        *(file_checks.known(lead, set(running.hosts)) if running else ()),
        *file_checks.user(running),
        *network_checks.listening(lead, running),
    ]


def join_findings(folder: Path, host: str) -> list[Finding]:
    """Every check of the files in `folder` on the machine where the broker `host` is to start."""
    try:
        config = read_config(folder)
        hosts, uri = bootstrap(config, folder / CONFIG)
    except LeadError as error:
        cure = f"put the lead's {CONFIG} and {CERTIFICATE} into {folder}"
        return [*file_checks.version("", ""), problem("configuration", str(error), cure)]
    path = folder / str(config["bootstrap"].get("curve_cert", CERTIFICATE))
    said = file_checks.metadata(path)
    return [
        *file_checks.version(said.get("keygen.flux-core-version", ""), "the lead's certificate"),
        *file_checks.certificate(path),
        *file_checks.declared(hosts, host),
        *file_checks.joining(config, folder),
        *file_checks.made_by(said),
        *file_checks.clock(said),
        *network_checks.reachable(uri, said),
    ]


def no_lead(around: Running) -> list[Finding]:
    """The one finding of a Flux instance that was not started from a lead's folder."""
    size = around.attributes.get("size", "?")
    text = f"this instance has {size} brokers and no folder of flux-burst: no host can join that was not declared"
    return [problem("slots", text, file_checks.CURE_SLOTS)]


def _files(lead: Lead) -> list[Finding]:
    return [
        *file_checks.certificate(lead.certificate),
        *file_checks.slots(lead),
        *file_checks.topology(lead),
        *file_checks.resources(lead),
    ]
