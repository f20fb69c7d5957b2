"""Flux: jobs of one instance, told by the job manager's journal.

Settings below `member`: `uri`, the instance (local://, ssh://, or a job's id; empty: the one around us), and
`foreign: true`, which tells of the jobs that others submit, too, as jobs of the group that they name in
attributes.user.group, or else of their own name. The journal is for the owner of the instance: for others, or with
`journal: false`, `job-list` is asked for all of the user's jobs at each interval (no `foreign` then, of Flux's events
only those that all members have, and `flux jobs` shows the jobs by their tokens). No module of the instance is loaded,
removed or set. `instances: N` has the jobs run in sub-instances, each as `instance: {nodes, cores, duration, wait}`
says: nodes, cores of each node, its limit, and how long all may take to come up (see `fluxqueue.instances`).

How a submission is found again: each jobspec has {run, job, token} in attributes.user.ensemble (RFC 25). After an
interruption `adopt` waits until job-ingest has nothing left in its queue, then takes the journal anew, which starts
with the past of all active jobs: one stream, in which the past and what follows meet without a gap. Jobs that are not
in it have ended: they are looked up by id; the whole history is read only where an id is not known, or for many.
Where two jobs bear one name all the same, the second to show is cancelled.

`python -m ensemble.members.flux` prints the events of all jobs, as JSON Lines.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from ensemble.errors import MemberError
from ensemble.fluxqueue import bindings
from ensemble.fluxqueue.answers import text_of
from ensemble.fluxqueue.connection import Connection
from ensemble.fluxqueue.intake import Intake
from ensemble.fluxqueue.jobspec import Writer, output_paths
from ensemble.fluxqueue.journal import Course, Journal, hosts_of, of_eventlog, ours
from ensemble.fluxqueue.listing import Listing
from ensemble.fluxqueue.output import Output, cut, decode
from ensemble.fluxqueue.reactor import Reactor
from ensemble.job import Job, Known
from ensemble.member import READ_LIMIT, Emit, Lost, Member, Options, Unreachable

QUIET = 0.5  # seconds for which job-ingest must have had nothing to do, before a job counts as absent
PATIENCE = 30.0  # seconds that are waited for that
LOOKED_UP = 500  # jobs that are looked up one by one; for more the whole history is less work
CACHED = 64  # jobs whose output is kept in memory
SETTINGS = {"uri": str, "foreign": bool, "journal": bool}
SUBS = ("instances", "instance")  # settings of `fluxqueue.instances`
CANCELLED = "cancelled by its ensemble"  # the note of the exceptions that are raised here


class FluxMember(Member):
    """Submits to a Flux instance, by default the one around it. Output stays in Flux where no file is named."""

    name = "flux"
    no_resize = (
        "the size of a Flux instance is not its jobs' business; mark jobs with `attributes: {burstable: true}` and let"
        " flux-burst add brokers"
    )

    writer = Writer

    def __new__(cls, options: Options) -> Member:  # type: ignore[misc]
        if any(key in options.settings for key in SUBS):
            from ensemble.fluxqueue.instances import Instances

            return Instances(options)
        return super().__new__(cls)

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        for key, value in options.settings.items():
            if key not in SETTINGS:
                raise MemberError("flux", f"unknown setting {key!r}; there are: {', '.join((*SETTINGS, *SUBS))}")
            if not isinstance(value, SETTINGS[key]):
                raise MemberError("flux", f"{key} is {SETTINGS[key].__name__}, not {value!r}")
        self._uri = ""
        self._cwd = str(Path.cwd())
        self._paths: dict[str, tuple[str, str]] = {}  # of jobs whose output goes to files
        self._outputs: OrderedDict[str, Output] = OrderedDict()  # of jobs that have ended
        self._ids: dict[str, int] = {}
        self._before: dict[int, Course] = {}
        self._over: set[str] = set()  # what has ended, as far as this process was told
        self._arriving: set[str] = set()  # being submitted
        self._unbound: set[str] = set()  # to be cancelled once their id is known
        self._reactor: Reactor | None = None
        self._journal: Journal | None = None
        self._stream: _Stream | None = None  # the reactor's thread alone has to do with it
        self._listing: Listing | None = None  # where there is no journal
        self._poll: asyncio.Task[None] | None = None
        self._handle: Any = None
        self._size: int | None = None

    @classmethod
    def unavailable(cls) -> str:
        try:
            bindings.connect()
        except Unreachable as error:
            return str(error).removeprefix("member flux: ") + "; `flux start` starts one"
        except MemberError as error:
            return str(error).removeprefix("member flux: ")
        return ""

    @property
    def handle(self) -> Any:
        if self._handle is None:
            self._handle = bindings.connect(self._uri)  # not the reactor's: a handle serves one thread
        return self._handle

    @property
    def size(self) -> int | None:
        return self._size

    def where(self, name: str) -> str:
        if name in self._paths:
            return self._paths[name][1]
        if name not in self._ids:
            return ""
        jobid = bindings.load().job.JobID(self._ids[name]).f58
        return f"flux proxy {self._uri} flux job attach {jobid}" if self._uri else f"flux job attach {jobid}"

    async def open(self, emit: Emit, lost: Lost) -> None:
        await self._drop()
        self._handle = None
        self._uri = await asyncio.to_thread(bindings.resolve, str(self.options.settings.get("uri", "")))
        self._reactor = reactor = Reactor(self._uri, emit, lost)
        await reactor.start()
        foreign = bool(self.options.settings.get("foreign", False))
        self._journal = journal = Journal(self.options.run, reactor.tell, partial(self._revoke, reactor), foreign)
        journal.ids, journal.before, journal.over = self._ids, self._before, self._over
        try:
            attributes = await reactor.ask(_attributes)
        except OSError as error:  # it is just starting: not all of them are there yet
            await self._drop()
            raise self._failed("its attributes", error) from None
        self._size = int(attributes["size"])
        listed = not self.options.settings.get("journal", True)
        try:
            if not listed:
                await reactor.ask(partial(self._listen, {}))
        except OSError as error:
            listed = error.errno == errno.EPERM
            if not listed:
                await self._drop()
                raise self._failed("the job manager's journal", error) from None
        if listed and foreign:
            await self._drop()
            raise MemberError("flux", "foreign jobs can be told of by the owner of the instance alone, by its journal")
        self._listing = Listing(journal, time.time()) if listed else None
        self._poll = asyncio.create_task(self._watch(reactor, self._listing)) if self._listing else None
        hosts = hosts_of(attributes["hostlist"])
        self._writer = self.writer(self.options.run, self._cwd, os.environ, hosts, by_token=listed)

    def _failed(self, what: str, error: OSError) -> MemberError:
        if error.errno == errno.EPERM:
            return MemberError("flux", f"{what} is for the owner of the instance: {error.strerror or error}")
        return Unreachable("flux", f"{what} can't be had: {error.strerror or error}")

    @property
    def _open(self) -> tuple[Reactor, Journal]:
        if self._reactor is None or self._journal is None:
            raise Unreachable("flux", "it is not open")
        return self._reactor, self._journal

    async def submit(self, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        reactor, journal = self._open
        for job in jobs:
            if job.spec.output:
                self._paths[job.name] = output_paths(job.spec, self._cwd)

        def taken(name: str, jobid: int) -> None:
            self._arriving.discard(name)
            if not journal.bind(name, jobid):
                return
            if self._listing:
                self._listing.track(name, jobid)
            if name in self._unbound:
                self._unbound.discard(name)
                self._revoke(reactor, jobid)

        def begin(connection: Connection, answer: Callable[[Any], None]) -> None:
            Intake(connection, jobs, self._writer, taken, reactor.tell, answer).go()

        self._arriving.update(job.name for job in jobs)
        await reactor.ask(begin)
        self._arriving.clear()  # also of those that were refused; the others are in doubt until `adopt`

    async def adopt(self, known: Sequence[Known]) -> Collection[str]:
        if not known:
            return ()
        reactor, journal = self._open
        by_name = {each.job.name: each for each in known}
        for each in known:
            if each.job.spec.output:
                self._paths[each.job.name] = output_paths(each.job.spec, self._cwd)
            if each.id:
                self._ids[each.job.name] = int(bindings.load().job.JobID(each.id))
        if any(not each.id for each in known):
            await self._settle(reactor)
        if self._listing:
            found = await self._find(reactor, journal, self._listing, by_name)
        else:
            found = await self._hear(reactor, journal, by_name)
        for name in self._unbound & found:  # its cancelling was cut off
            self._unbound.discard(name)
            self._revoke(reactor, self._ids[name])
        absent = by_name.keys() - found
        # What the job manager has forgotten is gone for certain if the KVS has it no more, either.
        look = [self._ended(reactor, journal, by_name[name]) for name in absent if name in self._ids]
        absent -= set(await asyncio.gather(*look))
        for name in absent:
            self._ids.pop(name, None)
        return absent

    async def _find(self, reactor: Reactor, journal: Journal, listing: Listing, known: Mapping[str, Known]) -> set[str]:
        """Those of `known` that job-list shows to run or to have ended lately; others' ids are known then, too."""
        try:
            tokens = {each.job.token: name for name, each in known.items() if name not in self._ids}
            now: list[tuple[str, int]] | None = None
            before: list[tuple[str, int]] | None = None
            while tokens and (now is None or now != before):  # job-list is a moment behind the job manager
                await asyncio.sleep(QUIET)
                self.calls["job-list.list"] += 1
                before, now = now, await reactor.ask(partial(listing.find, tokens))
            for name, jobid in now or ():
                journal.bind(name, jobid)
            for name in known.keys() & self._ids.keys():
                listing.track(name, self._ids[name])
            self.calls["job-list.list"] += 1
            return set(await reactor.ask(partial(listing.look, known)))
        except OSError as error:
            raise self._failed("the list of jobs", error) from None

    async def _watch(self, reactor: Reactor, listing: Listing) -> None:
        """Have the events told from the list of jobs, at each interval; what can't be seen is not known."""
        while True:
            await asyncio.sleep(self.options.interval)
            if not listing.idle:
                self.calls["job-list.list"] += 1
                with suppress(OSError, MemberError):  # a lost connection tells of itself
                    await reactor.ask(partial(listing.look, {}))

    async def _hear(self, reactor: Reactor, journal: Journal, by_name: Mapping[str, Known]) -> set[str]:
        """Those of `by_name` that the journal tells of; it goes on to tell what happens."""
        self.calls["job-manager.events-journal"] += 1
        try:
            found = set(await reactor.ask(partial(self._listen, by_name)))
            gone = {name: each for name, each in by_name.items() if name not in found}
            if len(gone) > LOOKED_UP or any(not each.id for each in gone.values()):
                self.calls["job-manager.events-journal"] += 1
                found |= set(await reactor.ask(partial(self._read_history, gone)))
        except OSError as error:
            raise self._failed("the job manager's journal", error) from None
        return found

    async def _ended(self, reactor: Reactor, journal: Journal, known: Known) -> str:
        """Tell of a job that is not active what the KVS has of it. Its name, or none if that is nothing."""
        name = known.job.name
        jobid = self._ids[name]
        for _ in range(int(PATIENCE / QUIET)):
            kept = await self._lookup(reactor, jobid, "eventlog", "jobspec")
            if kept is None or ours(json.loads(kept["jobspec"])).get("token") != known.job.token:
                return ""
            message: dict[str, Any] = {"events": of_eventlog(kept["eventlog"])}
            if message["events"][-1]["name"] == "clean":
                break
            await asyncio.sleep(QUIET)  # the KVS is a moment behind the job manager
        else:
            raise Unreachable("flux", f"the end of {name} has not reached the KVS within {PATIENCE:g} s")
        if known.seen in ("", "submit") and any(event["name"] == "alloc" for event in message["events"]):
            found = await self._lookup(reactor, jobid, "R")
            message["R"] = json.loads(found["R"]) if found else None
        await reactor.ask(partial(_tell_past, journal, known, jobid, message))
        return name

    async def cancel(self, names: Sequence[str]) -> None:
        reactor, journal = self._open

        def revoke(connection: Connection, answer: Callable[[Any], None]) -> None:
            for name in names:
                jobid = self._ids.get(name)
                if jobid is not None and name not in journal.ended:
                    _raise(jobid, connection)
                elif name in self._arriving:
                    self._unbound.add(name)
            _ping(connection, answer)

        with suppress(PermissionError):  # a guest gets no answer; what was sent was sent
            await reactor.ask(revoke)

    async def close(self, *, leave: bool = False) -> None:
        if self._reactor is None or self._journal is None:
            return
        if not leave:
            with suppress(MemberError, OSError, TimeoutError):
                async with asyncio.timeout(4):
                    await self.cancel([course.name for course in list(self._journal.active.values())])
        await self._drop()

    async def _drop(self) -> None:
        reactor, journal, self._reactor, self._journal = self._reactor, self._journal, None, None
        if self._poll:
            self._poll.cancel()
            self._poll = None
        if reactor is None:
            return
        with suppress(MemberError, OSError, TimeoutError):
            async with asyncio.timeout(1):
                await reactor.ask(self._deafen)
        await reactor.stop()
        self._stream = None  # where nobody answered it went with the connection
        if journal is not None:
            self._before |= journal.active
            self._over |= journal.ended

    async def read(self, name: str, stream: str, offset: int, limit: int = READ_LIMIT) -> bytes:
        if name in self._paths:
            return await asyncio.to_thread(_of_file, self._paths[name][stream == "err"], offset, limit)
        if name not in self._ids:
            return b""
        reactor, journal = self._open
        if (output := self._outputs.get(name)) is None:
            ended = name in journal.ended
            kept = await self._lookup(reactor, self._ids[name], "guest.output")
            output = decode(kept["guest.output"]) if kept else Output()
            if ended:
                self._outputs[name] = output
                while len(self._outputs) > CACHED:
                    self._outputs.popitem(last=False)
        return cut(output.err if stream == "err" else output.out, offset, limit)

    async def _lookup(self, reactor: Reactor, jobid: int, *keys: str) -> Mapping[str, str] | None:
        """What the KVS has of a job by these keys, None if for certain nothing. Raises Unreachable."""

        self.calls["job-info.lookup"] += 1

        def look(connection: Connection, answer: Callable[[Any], None]) -> None:
            payload = {"id": jobid, "keys": list(keys), "flags": 0}
            connection.rpc("job-info.lookup", payload, partial(_answer, answer))

        try:
            found: Mapping[str, str] = await reactor.ask(look)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(f"the {keys[0]} of a job", error) from None
        return found

    async def _settle(self, reactor: Reactor) -> None:
        """Wait until nothing that was sent before is still on its way to the job manager. Raises Unreachable.

        A submission answers after the job manager has the job; one whose sender died may still be in the sender's
        socket, with job-ingest's validator, or in its batch. Two looks, apart by far more than a batch takes, with
        the same number of requests and none in the queue, have seen the end of it.
        """
        before = None
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    self.calls["job-ingest.stats-get"] += 1
                    now = await reactor.ask(_ingest)
                    if now == before and now[1] == 0:
                        return
                    before = now
                    await asyncio.sleep(QUIET)
        except PermissionError:
            await asyncio.sleep(4 * QUIET)  # a guest may not look
        except TimeoutError:
            raise Unreachable("flux", f"job-ingest has not come to rest within {PATIENCE:g} s") from None
        except OSError as error:
            raise self._failed("the state of job-ingest", error) from None

    # What follows runs in the reactor's thread.

    @staticmethod
    def _revoke(reactor: Reactor, jobid: int) -> None:
        reactor.order(partial(_raise, jobid))

    def _deafen(self, connection: Connection, answer: Callable[[Any], None]) -> None:
        """Have the job manager send no more: it would keep for us what nobody fetches."""
        if self._stream is not None:
            self._stream.end()
            self._stream = None
        _ping(connection, answer)

    def _listen(self, known: Mapping[str, Known], connection: Connection, answer: Callable[[Any], None]) -> None:
        _, journal = self._open
        before = self._stream
        self._stream = _Stream(journal, known, connection, answer, before)

    def _read_history(self, known: Mapping[str, Known], connection: Connection, answer: Callable[[Any], None]) -> None:
        _, journal = self._open
        _History(journal, known, connection, answer)


class _History:
    """One request for the journal's past: tells of the jobs in `known`, answers with the names of those in it."""

    full = True  # with the jobs that have ended, as far as the job manager remembers them

    def __init__(
        self, journal: Journal, known: Mapping[str, Known], connection: Connection, answer: Callable[[Any], None]
    ) -> None:
        self._journal, self._known, self._answer, self._connection = journal, known, answer, connection
        self._past: list[Mapping[str, Any]] = []
        self._begun = self._ended = False
        self._matchtag = connection.stream("job-manager.events-journal", {"full": self.full}, self._heard)

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._connection.send("job-manager.events-journal-cancel", {"matchtag": self._matchtag})

    def _heard(self, future: Any) -> bool:
        try:
            text = text_of(future)
        except OSError as error:
            ended, self._ended = self._ended, True
            if not self._begun:
                self._answer(error)
            elif not ended:
                raise Unreachable("flux", f"the journal ended: {error.strerror or error}") from None
            return False
        if self._begun:
            if not self._ended:  # until the answer that is the last
                self._live(text)
        elif len(text) < 100 and not json.loads(text)["events"]:
            past, self._past = self._past, []
            self._begun = True
            self._over(self._journal.past(past, self._known))
        elif self._known and self._journal.run in text:  # most of a long history is of others
            self._past.append(json.loads(text))
        return True

    def _over(self, found: set[str]) -> None:
        self.end()
        self._answer(found)

    def _live(self, text: str) -> None:
        """What comes after the past."""


class _Stream(_History):
    """The past of active jobs, and what happens from then on, until it is ended or taken over by the next."""

    full = False

    def __init__(
        self,
        journal: Journal,
        known: Mapping[str, Known],
        connection: Connection,
        answer: Callable[[Any], None],
        before: _Stream | None,
    ) -> None:
        self._before = before
        super().__init__(journal, known, connection, answer)

    def _over(self, found: set[str]) -> None:
        if self._before:
            self._before.end()
            self._before = None
        self._answer(found)

    def _live(self, text: str) -> None:
        self._journal.live(json.loads(text))


def _raise(jobid: int, connection: Connection) -> None:
    # A job that has ended meanwhile is no error; many thousands at once need no answer each.
    payload = {"id": jobid, "type": "cancel", "severity": 0, "note": CANCELLED}
    connection.send("job-manager.raise", payload)


def _ping(connection: Connection, answer: Callable[[Any], None]) -> None:
    """Answer when the job manager has served what was sent to it before."""
    connection.rpc("job-manager.ping", {"seq": 0}, partial(_answer, answer))


def _answer(answer: Callable[[Any], None], future: Any) -> None:
    try:
        answer(future.get())
    except OSError as error:
        answer(error)


def _tell_past(
    journal: Journal,
    known: Known,
    jobid: int,
    message: Mapping[str, Any],
    connection: Connection,
    answer: Callable[[Any], None],
) -> None:
    journal.tell_past(known, jobid, message)
    answer(None)


def _attributes(connection: Connection, answer: Callable[[Any], None]) -> None:
    answer({name: connection.attribute(name) for name in ("size", "hostlist")})


def _ingest(connection: Connection, answer: Callable[[Any], None]) -> None:
    """Answer (requests so far, requests in the queue)."""

    def heard(future: Any) -> None:
        try:
            stages = (future.get().get("pipeline") or {}).values()
            answer((sum(stage["requests"] for stage in stages), sum(stage["backlog"] for stage in stages)))
        except (OSError, KeyError) as error:
            answer(error)

    connection.rpc("job-ingest.stats-get", None, heard)


def _of_file(path: str, offset: int, limit: int) -> bytes:
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size + offset) if offset < 0 else offset)
            return file.read(limit)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise MemberError("flux", f"the output can't be read: {error}") from None


MEMBER = FluxMember

if __name__ == "__main__":
    from ensemble.cli.journal import main

    main()
