"""Singularity: SingularityCE, SingularityPRO, and what was Singularity until 3.8. Apptainer is another provider."""

from __future__ import annotations

from resource_secretary.providers import Absent, Active, Unreachable
from resource_secretary.providers.container._singularity import SingularityBase, SingularityLike, read_version


class SingularityProvider(SingularityBase):
    name = "singularity"
    brand = "singularity"
    description = "Singularity (CE or PRO): setuid or not, cache, instances, the site's settings, GPUs."
    variables = ("SINGULARITY_CACHEDIR", "SINGULARITY_CONFIGDIR", "SINGULARITY_TMPDIR", "HOME")

    def probe(self) -> Active[SingularityLike] | Absent | Unreachable:
        path = self.system.which("singularity")
        if not path:
            return Absent("the command singularity on PATH")
        if (self.system.target(path) or "").rpartition("/")[2] == "apptainer":
            return Absent(f"Singularity: {path} is a link to apptainer")
        answer = self.system.run("singularity", "--version")
        if not answer.ok:
            return answer.unreachable()
        runtime, version = read_version(answer.stdout)
        if runtime == "apptainer":
            return Absent(f"Singularity: {path} is Apptainer {version}")
        return Active(self._facts(runtime, version))
