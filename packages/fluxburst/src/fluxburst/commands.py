"""Commands of providers and of Flux, run so that none of them can hang."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from fluxburst.errors import FluxBurstError


class Said(NamedTuple):
    """What a command printed, and its exit status; None where it did not end in time and was killed."""

    status: int | None
    output: str
    error: str


def call(argv: Sequence[str], environ: Mapping[str, str], stdin: str = "", timeout: float = 30.0) -> Said:
    """Run a command, in a session of its own. Raises FileNotFoundError (or another OSError) if it can't be started.

    timeout: seconds until it is killed, with everything that it has started.
    """
    with subprocess.Popen(
        argv, env=dict(environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, errors="replace", start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, error = process.communicate(stdin, timeout)
            return Said(process.returncode, output, error)
        except subprocess.TimeoutExpired:
            _kill(process)
            with suppress(subprocess.TimeoutExpired):
                output, error = process.communicate(timeout=5)
                return Said(None, output, error)
            return Said(None, "", "")
        except BaseException:
            _kill(process)
            raise


def flux(*arguments: str, uri: str | None = None) -> str:
    """What a command of Flux prints. Raises FluxBurstError.

    uri: of the instance that is asked, by default that of FLUX_URI; "": none is.
    """
    environ = dict(os.environ)
    if uri is not None:
        environ["FLUX_URI"] = uri
    if not environ.get("FLUX_URI"):
        environ.pop("FLUX_URI", None)
    try:
        said = call(["flux", *arguments], environ, timeout=60)
    except FileNotFoundError:
        raise FluxBurstError("there is no command 'flux' here: install flux-core, or set PATH to it") from None
    if said.status is None:
        raise FluxBurstError(f"'flux {arguments[0]}' does not answer")
    if said.status:
        raise FluxBurstError(f"'flux {arguments[0]}' failed: {' '.join(said.error.split())}")
    return said.output


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
