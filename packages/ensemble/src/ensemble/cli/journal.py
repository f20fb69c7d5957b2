"""`python -m ensemble.members.flux`."""

from __future__ import annotations

import json
import signal
import sys

import click

from ensemble.errors import MemberError


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Print every event of every job of the Flux instance around, as JSON Lines.

    First come those that have been, then what happens, until Ctrl-C. A line is {"id": JOB, "events": [{"timestamp":
    SECONDS, "name": EVENT, "context": {...}}]}, with the jobspec and R of the job where Flux tells them. It needs
    Flux's Python bindings.

    Exit code: 1 where there is no instance or no bindings (one line on stderr), or the instance ends; 2 usage.
    """
    for number in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)  # poll() waits in C, where Python's handlers don't run
    try:
        watch()
    except (MemberError, OSError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)


def watch() -> None:
    """Print every event of every job on the instance, from its start, until interrupted. Raises MemberError."""
    from ensemble.fluxqueue import bindings

    journal = bindings.load().job.JournalConsumer(bindings.connect(), full=True, include_sentinel=True).start()
    while (entry := journal.poll()) is not None:
        if entry.is_empty():
            sys.stderr.write("The history ends here; what follows happens now.\n")
            continue
        event = {"timestamp": entry.timestamp, "name": entry.name, "context": entry.context}
        more = {key: value for key, value in (("jobspec", entry.jobspec), ("R", entry.R)) if value}
        sys.stdout.write(json.dumps({"id": int(entry.jobid), "events": [event], **more}) + "\n")
        sys.stdout.flush()
