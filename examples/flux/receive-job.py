"""Receive jobspecs one after the other, and run each of them: on Flux where it is reachable, else here.

    python3 examples/flux/receive-job.py

Two jobspecs are "received" here from the files beside; a service would read a queue or a socket.
"""

import sys
from pathlib import Path

from jobspec import document, runner
from jobspec.errors import JobspecError
from jobspec.transformer import choose

EXAMPLES = Path(__file__).resolve().parent.parent


def receive():
    """Yield the texts of jobspecs as they come in."""
    for name in ("hello-world-wait-jobspec.yaml", "hello-world-batch.yaml"):
        yield (EXAMPLES / name).read_text()


def main():
    succeeded = True
    for text in receive():
        transformer, why_not_flux = choose()
        if why_not_flux:
            print(f"running on this host: {why_not_flux}", file=sys.stderr)
        try:
            plan = runner.plan(document.load(text), transformer)
            result = runner.run(plan, report=lambda step: print(step.text(), flush=True))
        except JobspecError as error:  # one bad jobspec does not end the service
            print(f"refused: {error}", file=sys.stderr)
            succeeded = False
            continue
        if not result:
            print(f"failed: {result.reason}", file=sys.stderr)
            succeeded = False
    return 0 if succeeded else 1


if __name__ == "__main__":
    sys.exit(main())
