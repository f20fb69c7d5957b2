"""Apptainer, which may be here by the name of its ancestor only: `singularity` is a link that it installs."""

from __future__ import annotations

from resource_secretary.providers import Absent, Active, Unreachable
from resource_secretary.providers.container._singularity import SingularityBase, SingularityLike, read_version


class ApptainerProvider(SingularityBase):
    name = "apptainer"
    brand = "apptainer"
    description = "Apptainer: setuid or not, cache, instances, the site's settings, GPUs."
    variables = ("APPTAINER_CACHEDIR", "APPTAINER_CONFIGDIR", "APPTAINER_TMPDIR", "HOME")

    def probe(self) -> Active[SingularityLike] | Absent | Unreachable:
        command = self._command()
        if not self.system.which(command):
            return Absent("the command apptainer on PATH, or singularity as a link to it")
        answer = self.system.run(command, "--version")
        if not answer.ok:
            return answer.unreachable()
        runtime, version = read_version(answer.stdout)
        if runtime != self.brand:
            return Absent(f"the command apptainer on PATH; {command} is {runtime} {version}")
        return Active(self._facts(runtime, version))

    def _command(self) -> str:
        return "apptainer" if self.system.which("apptainer") or not self.system.which("singularity") else "singularity"
