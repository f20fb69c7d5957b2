"""Flux by its Python bindings: the jobs that its command line would submit, without a process for each.

Flux's own classes build the jobspec (flux.job.JobspecV1: `from_command`, `from_batch_command`, `apply_options`), the
way flux-submit(1) and flux-batch(1) use them. What only these do is left to them: `jobspec` says None.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from jobspec.actions import Launch
from jobspec.environ import clean
from jobspec.errors import StepFailed

_LOOK = 0.2  # seconds after which a wait looks whether a signal has come


def connect() -> tuple[Bindings | None, str]:
    """The bindings with a connection to the instance; or why they are not used, "" where there are none."""
    try:
        import flux
        import flux.cli.plugin
        import flux.job
        from flux.core.inner import raw

        handle = flux.Flux()
        broker, own = handle.attr_get("version"), raw.flux_core_version_string().decode()
    except ModuleNotFoundError as error:
        return None, "" if error.name == "flux" else f"can't be imported: {error}"
    except Exception as error:  # noqa: BLE001 - whatever is wrong with them, the command line may still work
        return None, f"can't be used: {type(error).__name__}: {error}"
    if broker != own:
        return None, f"are of Flux {own}, and the instance is of {broker}"
    if not hasattr(flux.job.JobspecV1, "apply_options"):
        return None, f"of Flux {own} can't apply all options of a job"
    folder = Path(flux.cli.plugin.__file__).parent
    for plugin in flux.cli.plugin.CLIPluginRegistry("submit").plugins:
        if folder not in Path(plugin.path).parents:  # it may change what the options say, before they are applied
            return None, f"don't do all that the plug-in {plugin.path} does"
    return Bindings(flux, handle), ""


def jobspec(launch: Launch, argv: tuple[str, ...], environment: Mapping[str, str]) -> Any:
    """The JobspecV1 of a launch, or None where only the command line says it all. Raises ValueError.

    argv: the words of the program, as the command line gets them; environment: all of the job's.
    """
    from flux.job import JobspecV1

    job = launch.job
    gpus = sum(gpus.count for gpus in job.gpus) or None
    common = {
        "num_nodes": job.nodes.least if job.nodes else None,
        "exclusive": job.exclusive,
        "duration": f"{job.walltime_s}s" if isinstance(job.walltime_s, int) else None,
        "environment": dict(environment),
        "cwd": launch.cwd or str(Path.cwd()),
    }
    if not launch.batch:
        made = JobspecV1.from_command(
            list(argv),
            num_tasks=job.tasks,
            cores_per_task=job.cpus_per_task,
            gpus_per_task=gpus,
            name=job.name or None,
            **common,
        )
    elif (script := _script(argv[0])) is not None:
        made = JobspecV1.from_batch_command(
            script=script,
            jobname=job.name or argv[0],
            args=list(argv[1:]),
            num_slots=job.tasks,
            cores_per_slot=job.cpus_per_task,
            gpus_per_slot=gpus,
            output="kvs" if launch.watch else "flux-{{id}}.out",
            **common,
        )
    else:
        return None
    return made.apply_options(
        prog="batch" if launch.batch else "submit",
        rlimit=[],  # the limits of this process, those that are usual
        dependency=[f"afterok:{before}" for before in launch.after] or None,
        requires=list(job.constraint.all_of if job.constraint else ()) or None,
    )


def _script(path: str) -> str | None:
    """A batch script; None where the command line has more to do with it, or to say of it."""
    from flux.job.directives import DirectiveParser

    try:
        script = Path(path).read_text(encoding="utf-8")
        # Options in the script (RFC 36) are read by the parser of flux-batch(1).
        return None if DirectiveParser(io.StringIO(script)).directives else script
    except (OSError, ValueError):
        return None


class Bindings:
    """A connection to an instance. Everything raises StepFailed with what Flux said."""

    def __init__(self, flux: Any, handle: Any) -> None:
        self._flux, self._handle = flux, handle
        self._environment: tuple[dict[str, str], dict[str, str]] | None = None

    def attribute(self, name: str) -> str:
        """An attribute of the broker."""
        with self._asking():
            return str(self._handle.attr_get(name))

    def submit(self, launch: Launch, argv: tuple[str, ...]) -> str:
        """Submit the work; its id, or "" where only the command line can."""
        if any(name.startswith("FLUX_") for name in launch.environment):
            return ""  # flux(1) itself obeys these
        try:
            made = jobspec(launch, argv, self._job_environment(launch.environment))
        except (TypeError, ValueError) as error:
            raise StepFailed(f"flux {'batch' if launch.batch else 'submit'}: {error}") from None
        if made is None:
            return ""
        with self._asking():
            future = self._flux.job.submit_async(self._handle, made.dumps())
            self._until(future)
            return str(future.get_id())

    def wait(self, job: str, output: TextIO | None) -> int:
        """Wait until the job has ended; its exit code, as flux-job(1) has it. Shows its output where that is given."""
        with self._asking():
            number = self._flux.job.JobID(job)
            if output is not None:
                self._show(number, output)
            future = self._flux.job.result_async(self._handle, number)
            self._until(future)
            result = future.get_dict()
            code = os.waitstatus_to_exitcode(result["waitstatus"]) if "waitstatus" in result else 1
            if not code and result["result"] != self._flux.constants.FLUX_JOB_RESULT_COMPLETED:
                return 1
            return code if code >= 0 else 128 - code

    def ended(self, jobs: list[str]) -> bool:
        """Whether all of these have ended for sure."""
        with self._asking():
            asked = [self._flux.job.job_list_id(self._handle, self._flux.job.JobID(job), ["state"]) for job in jobs]
            for future in asked:
                self._until(future)
                try:
                    if future.get_job()["state"] != self._flux.constants.FLUX_JOB_STATE_INACTIVE:
                        return False
                except FileNotFoundError:
                    continue  # purged, since it has ended
        return True

    def _show(self, number: int, output: TextIO) -> None:
        watch = self._flux.job.output_watch_async(self._handle, number)
        decoders: dict[str, codecs.IncrementalDecoder] = {}  # a character may come in two pieces
        while True:
            self._until(watch)
            try:
                stream, text = watch.get_output()
            except OSError as error:
                if error.errno == errno.EIO:
                    return  # it never started: the exception that says why was shown
                raise
            if text is None:
                return
            decoder = decoders.setdefault(stream, codecs.getincrementaldecoder("utf-8")("replace"))
            file = output if stream == "stdout" else sys.stderr
            file.write(decoder.decode(text.encode(errors="surrogateescape")))
            file.flush()

    def _until(self, future: Any) -> None:
        """Wait for an answer. Python handles no signal while it is in libflux, so it comes back now and then."""
        while True:
            try:
                future.wait_for(_LOOK)
                return
            except TimeoutError:
                continue

    @contextmanager
    def _asking(self) -> Iterator[None]:
        # Outside of a reactor the bindings let Ctrl-C end this process at once, and for good after an error: the
        # stage would be left. Inside it is Python's, as everywhere.
        try:
            with self._handle.in_reactor():
                yield
        except (OSError, ValueError) as error:
            raise StepFailed(f"flux: {getattr(error, 'strerror', None) or error}") from None

    def _job_environment(self, changes: Mapping[str, str]) -> dict[str, str]:
        """What a job gets that is submitted with these variables: flux(1) adds its own to them (flux-env(1))."""
        given = clean() | dict(changes)
        if self._environment is None or self._environment[0] != given:
            try:
                done = subprocess.run(
                    ("flux", "env", "env", "-0"), stdin=subprocess.DEVNULL, capture_output=True, env=given, check=True
                )
            except (OSError, ValueError, subprocess.CalledProcessError) as error:
                raise StepFailed(f"flux env: {error}") from None
            found = dict(pair.split("=", 1) for pair in os.fsdecode(done.stdout).split("\0") if "=" in pair)
            # It gives its programs in Python another path for modules, which they take back before they submit.
            found.pop("PYTHONPATH", None)
            if "PYTHONPATH" in given:
                found["PYTHONPATH"] = found["FLUX_PYTHONPATH_ORIG"] = given["PYTHONPATH"]
            self._environment = given, found
        return self._environment[1]
