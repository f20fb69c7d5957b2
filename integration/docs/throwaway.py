"""What the pages on bursting are tried against: `python throwaway.py NAME HOME` starts one engine and ends it.

It prints the environment that reaches the engine as a line of JSON once it is up, and ends it when stdin closes. HOME
is the reader's: the lead is that of HOME/burst, and is started as `flux-burst init` has said.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[1:1] = [str(ROOT / "packages/secretary/tests"), str(ROOT / "packages/fluxburst/tests")]
PATIENCE = 90  # seconds
NODES = "".join(
    f"NodeName=n{n} NodeHostname=localhost NodeAddr=127.0.0.1 Port={{ports[{n}]}} CPUs=2 RealMemory=1000\n"
    for n in (1, 2, 3)
)
PARTITION = "PartitionName=debug Nodes=n[1-3] Default=YES MaxTime=1:00:00\n"
Engine = Callable[[Path], AbstractContextManager[dict[str, str]]]


@contextmanager
def slurm(home: Path) -> Iterator[dict[str, str]]:
    """Three nodes of two cores in the partition `debug`."""
    from engines import slurm as engine

    conf = engine.CONF.partition("NodeName=")[0] + NODES + PARTITION
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        nodes = ("n1", "n2", "n3")
        with engine.slurm(Path(folder), nodes=nodes, conf=conf, partition="debug") as cluster:
            yield {name: cluster.environ[name] for name in ("SLURM_CONF", "PATH")}


@contextmanager
def lead(home: Path) -> Iterator[dict[str, str]]:
    """The lead of HOME/burst, in the background."""
    from fluxburst.lead import Lead, environment, start_commands

    folder = home / "burst"
    command = start_commands(Lead.open(folder))["background"]
    environ = {**environment(), "FLUX_URI": f"local://{folder}/lead.sock"}
    with (home / "lead.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment())
    try:
        end = time.monotonic() + PATIENCE
        while "run" not in subprocess.run(["flux", "uptime"], env=environ, capture_output=True, text=True).stdout:
            if process.poll() is not None or time.monotonic() > end:
                raise TimeoutError((home / "lead.log").read_text())
            time.sleep(0.1)
        yield {"FLUX_URI": environ["FLUX_URI"]}
        subprocess.run(["flux-burst", "destroy", "--all"], env=environ, capture_output=True, timeout=PATIENCE)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()


@contextmanager
def kubernetes(home: Path) -> Iterator[dict[str, str]]:
    """A real API server with the MiniCluster resource and the garbage collector; no operator, and no node."""
    import apiserver  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory(prefix="kubernetes-", ignore_cleanup_errors=True) as folder:
        server = apiserver.Server(Path(folder))
        try:
            server.collector()
            server.core().create_namespace({"metadata": {"name": "bursts"}})
            yield {"KUBECONFIG": str(server.kubeconfig())}
        finally:
            server.stop()


@contextmanager
def aws(home: Path) -> Iterator[dict[str, str]]:
    """moto, in place of Amazon's services."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
    }
    server.stop()


ENGINES: dict[str, Engine] = {"slurm": slurm, "lead": lead, "kubernetes": kubernetes, "aws": aws}


def main(name: str, home: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the tests, which close stdin then
    out, devnull = os.fdopen(os.dup(1), "w"), os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)  # no engine's daemon holds the pipe open
    with ENGINES[name](Path(home)) as environment:
        print(json.dumps(environment), file=out, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
