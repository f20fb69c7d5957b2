"""What belongs to a handle of Flux is destroyed in the thread of its reactor, whoever runs the garbage collector."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

OURS = ("Flux", "Future", "RPC", "TimerWatcher", "FDWatcher")

ROUNDS = """
import asyncio, gc, os, sys, threading, time

from ensemble.fluxqueue import bindings
from ensemble.job import Job, Known, Spec
from ensemble.member import Options
from ensemble.members.flux import FluxMember

bindings.load()
from flux.core.watchers import Watcher
from flux.wrapper import Wrapper

destroyed = {}
collecting = True


def note(thing):
    what = type(thing).__qualname__.partition(".")[0]
    destroyed.setdefault(what, set()).add(threading.current_thread().name)


def clear(wrapper, clear=Wrapper._clear):
    if wrapper._handle is not None and wrapper.destructor is not None:
        note(wrapper)
    clear(wrapper)


def destroy(watcher, destroy=Watcher.destroy):
    if watcher.handle is not None:
        note(watcher)
    destroy(watcher)


def collect():
    while collecting:
        gc.collect()
        time.sleep(0.0001)


async def connect(number):
    member = FluxMember(Options(run=f"threads{number}"))
    await member.open(lambda event: None, print)
    specs = [Spec("t", ("true",), tasks=tasks) for tasks in (1, 9999, 1, 9999)]  # two are refused
    await member.submit([Job(f"t.{n}", f"{number}-t.{n}", spec) for n, spec in enumerate(specs)])
    known = [Known(Job("t", "t", Spec("t", ("true",))), "f1")]
    for _ in range(5):  # each takes the journal anew, and looks up what is not there
        assert await member.adopt(known) == {"t"}
    await member.close(leave=True)


Wrapper._clear, Watcher.destroy = clear, destroy
asyncio.run(connect(0))  # also opens what stays open
opened = len(os.listdir("/proc/self/fd"))
gc.collect()
gc.freeze()
gc.disable()  # but for the thread that does nothing else
sys.setswitchinterval(1e-6)
collector = threading.Thread(target=collect, name="collector")
collector.start()
try:
    for number in range(1, 16):
        asyncio.run(connect(number))
finally:
    collecting = False
    collector.join()
assert len(os.listdir("/proc/self/fd")) <= opened, "handles stay open"
for what in sorted(destroyed):
    print(what, *sorted(destroyed[what]))
"""


def test_futures_watchers_and_handles_end_where_they_were_made(tmp_path: Path) -> None:
    program = shutil.which("flux")
    if not program:
        pytest.skip("no flux on this machine")
    if subprocess.run([sys.executable, "-c", "import flux.job"], capture_output=True).returncode:
        pytest.skip("flux is here, but its Python bindings are not")
    script = tmp_path / "rounds.py"
    script.write_text(ROUNDS)
    environ = {key: value for key, value in os.environ.items() if not key.startswith("FLUX_")}
    done = subprocess.run(
        [program, "start", "--test-size=1", sys.executable, "-X", "faulthandler", script],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert not done.returncode, done.stderr[-4000:]
    found = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert {what: found.get(what) for what in OURS} == dict.fromkeys(OURS, "flux")
    assert "Traceback" not in done.stderr
