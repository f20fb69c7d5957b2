"""Clusters and clouds in which pages make nodes: what is real of them, and what plays the rest."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from documents.programs import ROOT

SERVER = ROOT / "packages/fluxburst/tests"  # has `apiserver`


@contextmanager
def kubernetes(_: str) -> Iterator[dict[str, str]]:
    """A real API server with the MiniCluster resource and the namespace `bursts`; no operator, and no node."""
    if str(SERVER) not in sys.path:
        sys.path.append(str(SERVER))
    import apiserver  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory(prefix="kubernetes-", ignore_cleanup_errors=True) as folder:
        server = apiserver.Server(Path(folder))
        try:
            server.core().create_namespace({"metadata": {"name": "bursts"}})
            server.collector()
            yield {"KUBECONFIG": str(server.kubeconfig())}
        finally:
            server.stop()


@contextmanager
def moto(_: str) -> Iterator[dict[str, str]]:
    """moto in place of Amazon's services."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not each request
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "example",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }
    finally:
        server.stop()
