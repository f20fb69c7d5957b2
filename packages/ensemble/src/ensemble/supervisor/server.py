"""The supervisor's loop: clients on one side, processes on the other, events.jsonl in between."""

# System calls once a job: a Path costs more than the call that it is for.
# ruff: noqa: PTH116, PTH118
from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Any

from resources import InfeasibleRequest, Pool, Resource, WTime
from resources.errors import ResourcesError

from ensemble.job import Spec
from ensemble.supervisor import meeting
from ensemble.supervisor.keeping import Keeper
from ensemble.supervisor.lines import FILE, VERSION, Log, begun, line, processes
from ensemble.supervisor.order import Queue
from ensemble.supervisor.recover import recover
from ensemble.supervisor.spawn import Spawner, signal_task
from ensemble.supervisor.task import ENDED, RUNNING, WAITING, Home, Task, ended_with

GRACE = 2.0  # seconds between SIGTERM and SIGKILL
LINGER = 60.0  # seconds that it stays without work and without clients
LOOK = 30.0  # seconds between two looks at whether the folder is still there
GATHER = 0.01  # seconds for which news are gathered while jobs wait: clients wake less often
PARTING = 2.0  # seconds for a client to take the last news
AGAIN = 1.0  # seconds until what could not be written is tried again
MOST_INPUT = 1 << 26  # bytes of one message
MOST_OUTPUT = 1 << 26  # bytes that wait for one client
RECEIVE = 1 << 18
NOWHERE = Home({}, "/")
SPECS = 1000  # texts of specs that are remembered, to be referred to


class Client:
    """A member that is connected."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket, self.fd = connection, connection.fileno()
        self.received, self.unsent = bytearray(), bytearray()
        self.home: Home | None = None
        self.blocked = False


class Supervisor:
    """Takes jobs, runs them, and writes down what becomes of them. `run` returns when nothing is left to do."""

    def __init__(self, folder: Path, listener: socket.socket, key: str, say: Callable[[str], None]) -> None:
        self.folder, self.say = folder, say
        self.listener = listener
        self.grace, self.linger = GRACE, LINGER
        self.log = Log(folder / FILE)
        self.pool: Pool | None = None
        self._cores: int | None = None
        self.queue = Queue()
        self.tasks: dict[str, Task] = {}  # that have not ended
        self.by_pid: dict[int, Task] = {}
        self.by_watch: dict[int, Task] = {}
        self.unheld: list[Task] = []  # that run, and for which the pool has no room any more
        self.home: Home | None = None  # for jobs whose own nobody knows any more
        self.clients: dict[int, Client] = {}
        self.timers: list[tuple[float, int, Task | None, str]] = []
        self._count = self._specs = self._reminders = 0
        self._spec_numbers: dict[str, tuple[int, Spec]] = {}
        self._needs: dict[tuple[int, ...], Resource | str] = {}
        self._news: list[bytes] = []
        self._starting: list[tuple[Task, bytes]] = []
        self._finished: list[Task] = []  # whose end is still to be written down
        self._sent = self._stuck = 0.0
        self._free = 0  # cores
        self._stopping = self._over = self._terminated = False
        self.poll = select.epoll()
        self._alone_since = time.monotonic()
        found = recover(self.log, key)
        self.ended = found.ended
        self._count, self._specs = found.number, found.specs
        self._epoch = max(time.time(), found.time) - time.monotonic()
        self.keeper = Keeper(folder, found.started)
        self.spawner = Spawner(self.keeper, key)
        self.log.add(line("H", VERSION, socket.gethostname(), meeting.boot(), self._now()))
        for task in found.tasks:
            self.tasks[task.name] = task
            if task.state == RUNNING:
                for fd in task.watched:
                    self.by_watch[fd] = task
        self._recovered = found.tasks

    def run(self) -> None:
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_terminated)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self.poll.register(reading, select.EPOLLIN)
        self.poll.register(self.listener, select.EPOLLIN)
        for fd in self.by_watch:
            self.poll.register(fd, select.EPOLLIN)
        self._start_over()
        self._remind(LOOK, None, "look")
        while True:
            if self._terminated and not self._stopping:
                self._end_for_now()
            self._settle()
            if self._over:
                break
            if not self.tasks:
                os.chdir("/")  # keep no folder busy
            for fd, mask in self.poll.poll(self._patience()):
                if fd == reading:
                    with suppress(BlockingIOError):
                        os.read(reading, 4096)
                elif fd == self.listener.fileno():
                    self._accept()
                elif fd in self.clients:
                    self._serve(self.clients[fd], mask)
                elif fd in self.by_watch:
                    self._gone(fd)
            self._reap()
            self._ring()

    # Time

    def _now(self) -> float:
        """Seconds since the epoch, by a clock that does not jump: no duration is negative."""
        return round(self._epoch + time.monotonic(), 6)

    def _patience(self) -> float:
        """Seconds until something is due, -1 for never."""
        now, due = time.monotonic(), []
        if self.timers:
            due.append(self.timers[0][0])
        if self._news or any(client.unsent and not client.blocked for client in self.clients.values()):
            due.append(self._sent + GATHER)
        if self._stuck:
            due.append(self._stuck + AGAIN)
        if not self.clients and not self.tasks:
            due.append(self._alone_since + self.linger)
        return max(0.0, min(due) - now) if due else -1

    def _ring(self) -> None:
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            _, _, task, what = heappop(self.timers)
            if task is None:
                self._look()
            elif task.state != RUNNING:
                continue
            elif what == "kill":
                signal_task(task, signal.SIGKILL)
            else:
                self._end(task, "timeout", f"it ran longer than {task.spec.duration} s")
        if not self.clients and not self.tasks and now - self._alone_since > self.linger:
            self._over = True

    def _remind(self, seconds: float, task: Task | None, what: str) -> None:
        self._reminders += 1
        heappush(self.timers, (time.monotonic() + seconds, self._reminders, task, what))
        if len(self.timers) > 2 * len(self.tasks) + 1000:  # of jobs that ended long before their limit
            self.timers = [timer for timer in self.timers if timer[2] is None or timer[2].state == RUNNING]
            heapify(self.timers)

    def _look(self) -> None:
        """Without its folder nobody can learn what it does."""
        self._remind(LOOK, None, "look")
        try:
            there = os.stat(self.folder / FILE).st_ino == os.fstat(self.log.fd).st_ino
        except FileNotFoundError:
            there = False
        except OSError:
            return  # a file system that does not answer now
        if not there:
            for task in self.tasks.values():
                signal_task(task, signal.SIGKILL)
            self._over = True

    # Writing down, then telling and starting

    def _settle(self) -> None:
        """Write what happened; only then start jobs and tell clients."""
        earlier = len(self._news)
        while True:
            if not self._stopping:
                self._schedule()
            if not self._starting:
                break
            if not self._commit():
                return
            starting, self._starting = self._starting, []
            for task, text in starting:
                self._start(task, text)
            if all(task.state == RUNNING for task, _ in starting):
                break
        started = self._news[earlier:]  # told after the ends that made room for them
        del self._news[earlier:]
        for task in self._finished:
            self._put_away(task)
        self._finished.clear()
        self._news += started
        if self._stopping and not any(task.state == RUNNING for task in self.tasks.values()):
            self._over = True
        now = time.monotonic()
        if self.queue and now - self._sent < GATHER and not self._over:
            return
        if not self._commit():
            return
        if self._news:
            self._publish()
            self._sent = now
        for client in list(self.clients.values()):
            if self._over:
                self._send_last(client)
            elif client.unsent and not client.blocked:
                self._send(client)

    def _commit(self) -> bool:
        try:
            self.log.commit()
        except OSError as error:
            if not self._stuck:
                self.say(f"can't write {FILE}, trying again: {error}")
            self._stuck = time.monotonic()
            return False
        self._stuck = 0.0
        self.keeper.sweep()
        return True

    def _publish(self) -> None:
        if self._news:
            news = b"".join(self._news)
            self._news.clear()
            for client in self.clients.values():
                client.unsent += news

    def _write(self, text: bytes) -> int:
        """Write a line down, and tell it to all clients then."""
        self._news.append(text)
        return self.log.add(text)

    # Jobs

    def _need(self, spec: Spec) -> Resource | str:
        """What a job needs, or why it can never run here."""
        key = (spec.nodes, spec.tasks, spec.cores, spec.gpus, spec.memory, spec.duration)
        found = self._needs.get(key)
        if found is None:
            try:
                found = spec.request()
                if spec.duration:
                    found = found & WTime(spec.duration)
                answer = self.pool.explain(found)  # type: ignore[union-attr]
                if answer.verdict == "INCOMPATIBLE":
                    found = f"it can never run on this machine: {answer.reason}"
            except ResourcesError as error:
                found = f"it can never run: {error}"
            if len(self._needs) > SPECS:
                self._needs.clear()
            self._needs[key] = found
        return found

    def _queue(self, task: Task) -> None:
        need = self._need(task.spec)
        if isinstance(need, str):
            self._drop(task, "alloc", need)
        else:
            self.queue.put(task, need)

    def _schedule(self) -> None:
        if not self.queue or self.pool is None or self.unheld or self._stuck or self._free <= 0:
            return
        for task, granted in self.queue.fitting(self.pool):
            if isinstance(granted, InfeasibleRequest):
                self._drop(task, "alloc", f"it can never run on this machine: {granted}")
                continue
            task.state, task.granted = RUNNING, granted
            self._free -= task.cores
            task.allocated = self._now()
            if task.spec.output:
                folder = os.path.join((task.home or self.home or NOWHERE).workdir, task.spec.workdir)
                task.place = [os.path.join(folder, task.spec.output), os.path.join(folder, f"{task.spec.output}.err")]
            else:
                task.place = self.keeper.place(task.name)
            text = begun(task.name, task.allocated, task.place)
            self.log.add(text)
            self._starting.append((task, text))
            if self._free <= 0:  # asking the pool once more would cost as much as what it granted
                break

    def _start(self, task: Task, text: bytes) -> None:
        """Start a job whose line "I" is in the file."""
        if task.ending:  # cancelled in this very moment
            self._finish(task)
            return
        home = task.home or self.home or NOWHERE
        try:
            self.spawner.start(task, home)
        except (OSError, ValueError, OverflowError) as error:
            self._news.append(text)
            task.started = None
            self._except(task, "exec", f"it can't be started: {error}")
            task.ending = True
            if task.pids:
                signal_task(task, signal.SIGKILL)
                self._enlist(task)
            else:
                self._finish(task)
            return
        task.started = task.allocated
        self._news.append(text)
        self._enlist(task)
        if task.spec.duration:
            self._remind(task.spec.duration, task, "limit")

    def _enlist(self, task: Task) -> None:
        for pid in task.pids:
            self.by_pid[pid] = task
        pids = [task.leader, *(pid for pid in task.pids if pid != task.leader)]
        self.log.add(processes(task.name, self._now(), pids))

    def _reap(self) -> None:
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            task = self.by_pid.pop(ended.si_pid, None)
            if task is not None and len(task.pids) == 1:
                # What the job left running in its group goes with it, while the group's number is still its own.
                signal_task(task, signal.SIGKILL)
            _, status = os.waitpid(ended.si_pid, 0)
            if task is not None:
                task.pids.discard(ended.si_pid)
                task.status = ended_with(task.status, status)
                if not task.pids:
                    self._finish(task)

    def _gone(self, fd: int) -> None:
        """A process that an earlier supervisor started has ended; how, only its parent could have learnt."""
        self.poll.unregister(fd)
        os.close(fd)
        task = self.by_watch.pop(fd)
        del task.watched[fd]
        if not task.watched:
            if not task.ending:
                self._except(task, "lost", "its supervisor was killed while it ran: how it ended is not known")
            self._finish(task)

    def _finish(self, task: Task) -> None:
        """A job that was given its resources has ended: they are for the next one now, before all else."""
        task.state, task.finished = ENDED, self._now()
        if task.granted is not None and self.pool is not None:
            self.pool.dealloc(task.granted, counts=False)
            task.granted = None
            self._free += task.cores
        if self.unheld:
            self._hold([waiting for waiting in self.unheld if waiting is not task])
        self._finished.append(task)

    def _put_away(self, task: Task) -> None:
        """Put its output where it stays, and write down its end."""
        place: list[Any] | None = task.place
        if task.started is None and task.spec.output:
            place = None
        elif task.place is not None and not task.spec.output:
            try:
                place = self.keeper.put_away(task.name, task.place)
            except OSError as error:
                self.say(f"the output of {task.name} stays in {task.place}: {error}")
        self._written_off(task, place)

    def _written_off(self, task: Task, place: list[Any] | None) -> None:
        self.ended[task.name] = self._write(task.end(task.finished, place))
        del self.tasks[task.name]
        if not self.tasks:
            self._alone_since = time.monotonic()

    def _except(self, task: Task, kind: str, note: str) -> None:
        note = note[:1000]
        task.exceptions.append([self._now(), kind, note])
        self._write(line("X", task.name, task.exceptions[-1][0], kind, note))

    def _drop(self, task: Task, kind: str, note: str) -> None:
        """A job that waits does so no more."""
        self._except(task, kind, note)
        task.state, task.finished = ENDED, self._now()
        self._written_off(task, None)

    def _end(self, task: Task, kind: str, note: str) -> None:
        """End a job before its time: SIGTERM, and SIGKILL for what is left later."""
        if task.state == WAITING:
            self._drop(task, kind, note)
        elif not task.ending:
            task.ending = True
            self._except(task, kind, note)
            signal_task(task, signal.SIGTERM)
            signal_task(task, signal.SIGCONT)  # a stopped process would not hear of it
            self._remind(self.grace, task, "kill")

    # The pool

    def _set_pool(self, cores: int | None) -> None:
        """The machine's cores, or so many. What runs keeps its share."""
        if self.pool is not None and cores == self._cores:
            return
        self.pool, self._cores = Pool.this_machine(cores), cores
        self._free = self.pool.stat()["cores"][1]
        self._needs.clear()
        running = [task for task in self.tasks.values() if task.state == RUNNING]
        for task in running:
            task.granted = None
        self._hold(running)

    def _hold(self, tasks: list[Task]) -> None:
        """Take the share of jobs that run already; where there is no room for them, nothing new starts."""
        self.unheld = []
        for task in tasks:
            need = self._need(task.spec)
            try:
                if not isinstance(need, str):
                    task.granted = self.pool.alloc(need)  # type: ignore[union-attr]
                    self._free -= task.cores
            except ResourcesError:
                self.unheld.append(task)

    def _start_over(self) -> None:
        """Of jobs that an earlier supervisor had: those whose processes are gone have ended."""
        for task in self._recovered:
            if task.state != RUNNING:
                continue
            if not task.watched:
                if not task.exceptions:
                    note = "its supervisor was killed while it ran: how it ended is not known"
                    self._except(task, "lost", note)
                self._finish(task)
            elif task.exceptions:
                task.ending = True
                signal_task(task, signal.SIGTERM)
                self._remind(self.grace, task, "kill")
            elif task.spec.duration and task.started is not None:
                self._remind(max(0.0, task.started + task.spec.duration - self._now()), task, "limit")

    # Clients

    def _accept(self) -> None:
        with suppress(BlockingIOError, ConnectionError):
            connection, _ = self.listener.accept()
            if meeting.peer(connection)[1] != os.getuid():
                connection.close()
                return
            connection.setblocking(False)
            client = Client(connection)
            self.clients[client.fd] = client
            self.poll.register(client.fd, select.EPOLLIN)

    def _leave(self, client: Client) -> None:
        self.poll.unregister(client.fd)
        client.socket.close()
        del self.clients[client.fd]
        self._alone_since = time.monotonic()

    def _send(self, client: Client) -> None:
        try:
            del client.unsent[: client.socket.send(client.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._leave(client)
            return
        if len(client.unsent) > MOST_OUTPUT:
            self.say("a client does not listen; it is left")
            self._leave(client)
            return
        if client.blocked != bool(client.unsent):
            client.blocked = bool(client.unsent)
            self.poll.modify(client.fd, select.EPOLLIN | (select.EPOLLOUT if client.blocked else 0))

    def _send_last(self, client: Client) -> None:
        client.unsent += line("bye")
        with suppress(OSError):
            client.socket.settimeout(PARTING)
            client.socket.sendall(client.unsent)

    def _serve(self, client: Client, mask: int) -> None:
        if mask & select.EPOLLOUT:
            self._send(client)
        if client.fd not in self.clients or not mask & ~select.EPOLLOUT:
            return
        try:
            piece = client.socket.recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self._leave(client)
            return
        client.received += piece
        if b"\n" not in piece:
            if len(client.received) > MOST_INPUT:
                self.say("a client's message is too long; it is left")
                self._leave(client)
            return
        *messages, rest = bytes(client.received).split(b"\n")
        client.received = bytearray(rest)
        for message in messages:
            try:
                what, *arguments = json.loads(message)
                MESSAGES[what](self, client, *arguments)
            except (ValueError, TypeError, AttributeError, LookupError, OSError) as error:
                self.say(f"a client is left: {error!r}")
                if client.fd in self.clients:
                    self._leave(client)
                return

    def _do_hello(self, client: Client, asked: dict[str, Any]) -> None:
        if asked["version"] != VERSION:
            client.unsent += line("no", f"it is of version {VERSION}, not {asked['version']}")
            return
        client.home = self.home = Home(asked["environment"], asked["workdir"])
        self.spawner.bind, self.grace, self.linger = asked["bind"], asked["grace"], asked["linger"]
        try:
            self._set_pool(asked["cores"])
        except ResourcesError as error:
            client.unsent += line("no", str(error))
            return
        client.unsent += line("hello", {"version": VERSION, "pid": os.getpid()})
        recovered, self._recovered = self._recovered, []
        for task in recovered:
            if task.state == WAITING:
                self._queue(task)

    def _do_submit(self, client: Client, specs: list[dict[str, Any]], jobs: list[list[Any]]) -> None:
        known = [self._spec(spec) for spec in specs]
        now = self._now()
        for name, token, which in jobs:
            if name in self.tasks or name in self.ended:
                continue  # it was submitted before, and is run once
            number, spec = known[which]
            self._count += 1
            task = Task(self._count, name, token, spec, now, home=client.home)
            self.tasks[name] = task
            self._write(line("A", name, token, str(task.number), now, number))
            self._queue(task)

    def _spec(self, fields: dict[str, Any]) -> tuple[int, Spec]:
        text = json.dumps(fields, sort_keys=True)
        found = self._spec_numbers.get(text)
        if found is None:
            self._specs += 1
            found = (self._specs, Spec(**{**fields, "argv": tuple(fields["argv"])}))
            self.log.add(line("S", self._specs, fields))
            if len(self._spec_numbers) >= SPECS:
                self._spec_numbers.clear()
            self._spec_numbers[text] = found
        return found

    def _do_adopt(self, client: Client, question: int, jobs: list[list[str]]) -> None:
        self.log.commit()
        self._publish()
        absent = []
        for name, token in jobs:
            task = self.tasks.get(name)
            if task is not None and task.token == token:
                client.unsent += task.course()
            elif name in self.ended and (row := self.log.at(self.ended[name]))[2] == token:
                client.unsent += line("C", *row[1:])
            else:
                absent.append(name)
        client.unsent += line("adopted", question, absent)

    def _do_cancel(self, client: Client, names: list[str]) -> None:
        for name in names:
            if name in self.tasks:
                self._end(self.tasks[name], "cancel", "cancelled")

    def _do_stop(self, client: Client) -> None:
        self._stopping = True
        for task in list(self.tasks.values()):
            self._end(task, "cancel", "cancelled: the run was stopped")

    def _on_terminated(self, *_: object) -> None:
        self._terminated = True

    def _end_for_now(self) -> None:
        """SIGTERM: the machine goes down, most likely. What waits goes on with the next supervisor."""
        self._stopping = True
        for task in list(self.tasks.values()):
            if task.state == RUNNING:
                self._end(task, "allocation-end", "its supervisor was told to end (SIGTERM)")


MESSAGES: dict[str, Callable[..., None]] = {
    "hello": Supervisor._do_hello,
    "submit": Supervisor._do_submit,
    "adopt": Supervisor._do_adopt,
    "cancel": Supervisor._do_cancel,
    "stop": Supervisor._do_stop,
}


def bounded(path: Path, most: int) -> Callable[[str], None]:
    """What writes lines to stderr, which goes to a file, until that has so many bytes."""

    def say(text: str) -> None:
        with suppress(OSError):
            if path.stat().st_size < most:
                sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {text}\n")
                sys.stderr.flush()

    return say
