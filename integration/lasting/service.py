"""A server with an agent beside each queue that is here."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from engines import free_ports

from lasting.fluxes import Flux
from lasting.house import Act, House, Kept
from lasting.loads import ServerLoad
from lasting.plain import Slurm
from lasting.site import PATIENCE, Site, missing


def never(since: float) -> bool:
    """Of this machine nobody kills anything."""
    return False


class Service(Site):
    """A server with an agent beside each queue that is here."""

    name = "service"

    @staticmethod
    def lacks(where: dict[str, Site]) -> str:
        return "pip install 'ensemble-python[service]'" if missing("grpc", "google.protobuf") else ""

    def __init__(self, house: House, where: dict[str, Site], stack: ExitStack) -> None:
        super().__init__(house)
        folder = house.folder / "server"
        [port] = free_ports(1)
        address = f"127.0.0.1:{port}"
        self.server = house.keep("server", ["ensemble-server", "start", "--bind", address, "--dir", str(folder)])
        self.server.start()
        if not house.until((folder / "token").exists, PATIENCE):
            raise RuntimeError(f"the server does not come up: {self.server.said}")
        self.agents = []
        for queue in ("local", "slurm", "flux"):
            site = where.get(queue)
            if site is None:
                continue
            more = ["--cores", "2"] if queue == "local" else []
            base = site.environ if isinstance(site, (Slurm, Flux)) else house.environ
            environ = {**base, "ENSEMBLE_SERVER": address}
            argv = ["ensemble-server", "join", "--name", queue, "--member", queue, "--interval", "1", *more]
            argv += ["--token-file", str(folder / "token"), "--dir", str(house.folder / f"agent-{queue}")]
            self.agents.append(house.keep(f"agent-{queue}", argv, environ))
            client = {**environ, "ENSEMBLE_TOKEN": (folder / "token").read_text().strip()}
            taken, forgot = (site.taken, site.forgot) if queue != "local" else (never, never)
            self.loads.append(
                ServerLoad(house, self.name, f"service-{queue}", cluster=queue, runs=folder / "runs",
                           taken=taken, forgot=forgot, environ=client)
            )  # fmt: skip

    def kept(self) -> Sequence[Kept]:
        return (self.server, *self.agents)

    def acts(self) -> list[Act]:
        made = []
        for number, weight in ((signal.SIGKILL, 1.5), (signal.SIGTERM, 0.7)):
            made.append(Act(self.name, f"server {number.name}", weight, partial(self.server.kill, number)))
            made.append(Act(self.name, f"agent {number.name}", weight, partial(self._kill, number)))
        return made

    def _kill(self, number: signal.Signals) -> bool:
        return self.house.dice.choice(self.agents).kill(number)
