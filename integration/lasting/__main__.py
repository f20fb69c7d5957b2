"""`python -m lasting --minutes 60 --seed N`: see the package."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType

from lasting import plan
from lasting.audit import Tally
from lasting.engines import SITES, start_all
from lasting.house import House, marked
from lasting.site import Site


def main() -> int:
    names = [kind.name for kind in SITES]
    parser = argparse.ArgumentParser(prog="nox -s lasting --", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="how long new ensembles begin (default: 60)")
    parser.add_argument("--seed", type=int, default=None, help="of what is killed when; default: a new one")
    parser.add_argument("--pause", type=float, default=plan.PAUSE, help="mean seconds between two kills (default: 4)")
    parser.add_argument("--only", action="append", choices=names, help="of these engines only; can be repeated")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    signal.signal(signal.SIGTERM, _interrupted)
    folder = Path(tempfile.mkdtemp(prefix="last-", dir="/tmp"))
    house = House.make(folder, seed)
    house.say(f"seed {seed}, {given.minutes:g} minutes, directory {folder}")
    sites: list[Site] = []
    whole = False
    try:
        with ExitStack() as stack:
            try:
                sites = start_all(house, given.only or names, stack)
                load(house, sites, given.minutes * 60, given.pause)
                for site in (*(one for one in sites if one.name == "service"), *sites):
                    if site.name != "service" or not site.loads:
                        site.rest()
                for each in (each for site in sites for each in site.loads):
                    each.look_back()
                whole = True
            except KeyboardInterrupt:
                house.say("interrupted: ending everything")
            finally:
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, signal.SIG_IGN)  # who is impatient would leave something running
                for site in reversed(sites):
                    site.close()
                for one in house.kept:
                    one.wanted = False
                    if one.name not in plan.NODES and one.name != "slurmctld":
                        one.end()
    finally:
        leave_nothing(house, tell=whole)
    if not whole:
        shutil.rmtree(folder, ignore_errors=True)
        return 130
    show(house, sites)
    if house.found:
        print(f"\n{len(house.found)} problems, seed {seed}; to look at: {folder}")
        for text in house.found:
            print(f"  {text}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    print(f"\nnothing was lost, nothing is left (seed {seed})")
    return 0


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def load(house: House, sites: list[Site], seconds: float, pause: float) -> None:
    """Keep ensembles going and the chaos with them; then let the last ones come to their end."""
    acts = [act for site in sites for act in site.acts()]
    begin = time.monotonic()
    end, next_act, next_look = begin + seconds, begin + 5, begin + plan.LOOK
    while True:
        now = time.monotonic()
        if now >= end and house.open:
            house.open = False
            house.say("no new ensembles, and no more kills: the last ones come to their end")
        for site in sites:
            site.tick()
            for one in site.loads:
                one.tick()
        while house.open and now >= next_act:  # one that came late does not hold up the next
            next_act += house.dice.expovariate(1 / pause)
            act = house.dice.choices(acts, [one.weight for one in acts])[0]
            if act.do():
                house.did(act.site, act.kind)
        if now >= next_look:
            next_look = now + plan.LOOK
            for site in sites:
                for one in site.loads:
                    one.look()
            done = sum((Counter({site.name: one.tally.asked}) for site in sites for one in site.loads), Counter())
            kills = sum(sum(counter.values()) for counter in house.kills.values())
            house.say(f"jobs ended so far: {dict(done)}; kills: {kills}; problems: {len(house.found)}")
            if not house.open:
                house.say(f"still going: {[str(one.folder) for site in sites for one in site.loads if one.going]}")
        if not house.open:
            going = [one for site in sites for one in site.loads if one.going]
            if not going:
                return
            if now > end + plan.DRAIN:
                for one in going:
                    house.find(f"{one.folder}: has not ended {plan.DRAIN:g} s after the last kill ({one.name})")
                return
        time.sleep(0.1)


def leave_nothing(house: House, *, tell: bool) -> None:
    """Wait until nothing runs any more; what stays is told, and ended."""
    if tell:
        house.until(lambda: not marked(house.folder), plan.GO)
    for pid, words in marked(house.folder).items():
        if tell:
            house.find(f"left running: {pid} {words[:200]}")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if tell:
        # A broker that is killed leaves its run directory: Flux's own, below TMPDIR.
        left = [path for name in ("home", "tmp", "cwd") for path in (house.folder / name).iterdir()]
        strange = sorted(str(path) for path in left if not path.name.startswith("flux-"))
        if strange:
            house.find(f"files are left: {strange[:10]}")


def show(house: House, sites: list[Site]) -> None:
    """The table: by engine what was asked for and what became of it, and what was killed how often."""
    print(f"\n{'ENGINE':12}{'ENSEMBLES':>10}{'JOBS':>8}{'BEGAN':>8}{'SUCCESS':>9}{'FAILED':>8}{'TIMEOUT':>9}"
          f"{'OTHER':>7}{'RETRIED':>9}{'AGAIN':>7}{'KILLS':>7}")  # fmt: skip
    whole, taken = Tally(), Counter[str]()
    for site in sites:
        tally = Tally()
        for one in site.loads:
            tally.add(one.tally)
        whole.add(tally)
        taken.update({f"{site.name}: {why}": number for why, number in tally.taken.items()})
        _row(site.name, tally, sum(house.kills.get(site.name, Counter()).values()))
    _row("all", whole, sum(sum(counter.values()) for counter in house.kills.values()))
    if whole.again:
        print("\nAGAIN: started once more by an engine that was killed (SIGKILL) and had not yet saved that they ran")
    for title, counter in (
        ("killed", Counter({f"{site}: {kind}": n for site, kinds in house.kills.items() for kind, n in kinds.items()})),
        ("attempts that engines took away, by the reason in the journal", taken),
        ("noted", house.notes),
    ):
        print(f"\n{title}:")
        for text, number in sorted(counter.items()):
            print(f"  {number:5}  {text}")


def _row(name: str, tally: Tally, kills: int) -> None:
    ends = tally.ends
    other = sum(number for end, number in ends.items() if end not in ("success", "failed", "timeout"))
    print(f"{name:12}{tally.ensembles:10}{tally.asked:8}{tally.began:8}{ends['success']:9}{ends['failed']:8}"
          f"{ends['timeout']:9}{other:7}{tally.retried:9}{tally.again:7}{kills:7}")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
