"""A member like `local` whose jobs are told how many threads to use: as many as the cores that they asked for."""

from collections.abc import Sequence
from dataclasses import replace

from ensemble.job import Job, Spec
from ensemble.members.local import LocalMember

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def with_threads(spec: Spec) -> Spec:
    """The same job with the variables set; what its file sets wins."""
    return replace(spec, environment={**dict.fromkeys(VARIABLES, str(spec.cores)), **spec.environment})


class ThreadsMember(LocalMember):
    name = "threads"

    async def submit(self, jobs: Sequence[Job]) -> None:
        await super().submit([replace(job, spec=with_threads(job.spec)) for job in jobs])


MEMBER = ThreadsMember
