"""How a broker finds and joins the lead: the folder that `flux-burst init` writes, and what is read from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Lead:
    """A lead as plugins see it. folder: its configuration. owner: the mark of everything that it makes."""

    folder: Path
    owner: str

    def broker(self, host: str, *, folder: str = "", rundir: str = "") -> list[str]:
        """The command of the broker that joins as `host`.

        folder: where the configuration is on that machine, by default where it is here. rundir: an empty folder of
        its own, by default one that the broker makes and removes.
        """
        options = [f"-Srundir={rundir}"] if rundir else []
        configuration = folder or str(self.folder)
        return [
            "flux",
            "broker",
            f"-Shostname={host}",
            f"--config-path={configuration}",
            "-Sbroker.rc2_none=1",
            *options,
        ]

    def files(self) -> Mapping[str, bytes]:
        """The configuration by file name, for machines that don't see the folder; it holds a secret key."""
        names = ("system.toml", "R", "curve.cert")
        return {name: (self.folder / name).read_bytes() for name in names}
