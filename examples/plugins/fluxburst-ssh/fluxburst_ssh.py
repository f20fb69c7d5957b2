"""Brokers over ssh on listed hosts."""

import base64
import re
import shlex
import subprocess
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from fluxburst.errors import AuthenticationError, ConfigurationError, ParameterError, ProviderError, UncertainError
from fluxburst.model import Burst, NodeShape, Sighting
from fluxburst.plugins import BurstPlugin

NEEDS = {"command ssh": "install OpenSSH's client"}
HOST = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9_.:-]*", re.ASCII)  # never an option

# What runs on a host. A slot is a folder OWNER/HOST/BURST/SLOT with its files (the secret until it is seen gone), `pid`
# and `log`. Its process is ours as long as its environment (proc(5)) bears the burst's name: numbers are given anew.
SCRIPT = r"""do=$1 place=$2 burst=$3 slot=$4; umask 077
ours() { cat "/proc/$1/environ" 2>/dev/null | tr '\0' '\n' | grep -qxF "FLUX_BURST_NAME=$2"; }
old() { [ -n "$(find "$1" -maxdepth 0 -mmin +"$2" 2>/dev/null)" ]; }
case $do in
start)
    mkdir -p -- "$place/$burst" && cd -- "$place/$burst" || exit 3
    mkdir -- "$slot" 2>/dev/null && cd -- "$slot" || exit 0  # it was started already
    printf %s "$5" >system.toml && cat >curve.cert || exit 3
    lease=$6; shift 6
    setsid nohup timeout --kill-after=30 "$lease" "$@" </dev/null >log 2>&1 & echo $! >pid ;;
look)
    cd -- "$place" 2>/dev/null || exit 0  # nothing was ever started here
    for slot in */*; do
        seen=gone pid=$(cat "$slot/pid" 2>/dev/null)
        [ -n "$pid" ] || [ ! -d "$slot" ] || old "$slot" 1 || seen=pending
        if ours "$pid" "${slot%/*}"; then [ -e "$slot/ending" ] && seen=ending || seen=running; fi
        [ ! -d "$slot" ] || echo $seen "$slot" $(stat -c %Y "$slot") "$(tail -c 2000 "$slot/log" | base64 -w 0)"
        [ $seen != gone ] || if old "$slot" 10; then rm -rf -- "$slot"; else rm -f -- "$slot/curve.cert"; fi
    done 2>/dev/null ;;
end)
    cd -- "$place/$burst" 2>/dev/null || exit 0
    for slot in *; do
        pid=$(cat "$slot/pid" 2>/dev/null)
        if [ -z "$pid" ] && ! old "$slot" 1; then continue  # it is just being started
        elif ! ours "$pid" "$burst"; then rm -rf -- "$slot"
        elif [ ! -e "$slot/ending" ]; then : >"$slot/ending" && kill -TERM "$pid"
        elif old "$slot/ending" 1; then kill -KILL -- "-$pid"; fi
    done
    rmdir -- "../$burst" 2>/dev/null ;;
esac; exit 0
"""


@dataclass
class BurstParameters:
    machines: list[str] = field(metadata={"help": "A host, or USER@HOST, as ssh knows it; can be repeated."})
    shape: str = field(default="ssh: cores=1", metadata={"help": "What each host has for jobs."})
    folder: str = field(default=".flux-burst", metadata={"help": "A folder on the hosts, of the user only."})
    config: Path | None = field(default=None, metadata={"help": "A configuration of ssh, instead of the user's."})
    flux: str = field(default="flux", metadata={"help": "The command flux on the hosts."})
    max_nodes: int = field(init=False)

    def __post_init__(self) -> None:
        self.max_nodes = len(self.machines)
        if (
            not self.machines
            or len(set(self.machines)) < len(self.machines)
            or not all(map(HOST.fullmatch, self.machines))
        ):
            raise ParameterError("it is a list of HOST or USER@HOST, each once", "machines")


class SshBurst(BurstPlugin):
    """The slot ssh0 is a broker on the first host, ssh1 one on the second, and so on."""

    def shapes(self) -> Sequence[NodeShape]:
        return [NodeShape.from_text(self.params.shape)]

    def create(self, burst: Burst) -> None:
        lease = burst.left(self.clock()) if burst.deadline else 0
        config, secret = self.lead.files(".")["system.toml"], self.lead.secrets()["curve.cert"]

        def start(slot: str) -> str:
            broker = self.lead.broker(slot, folder=".", flux=self.params.flux)
            args = (burst.name, slot, config, str(lease), *broker)
            return self._run(self._host(slot), "start", *args, secret=secret)

        errors = sorted(each(start, burst.hosts)[1].values(), key=lambda error: error.kind != "uncertain")
        if errors and (len(errors) == len(burst.hosts) or errors[0].kind == "uncertain"):
            raise errors[0]  # where only some have started, `status` shows which

    def status(self, known: Sequence[Burst] = ()) -> Sequence[Sighting]:
        answers, silent = each(lambda host: self._run(host, "look"), self.params.machines)
        if not answers:
            raise next(iter(silent.values()))
        hosts = {burst.name: {self._host(slot) for slot in burst.hosts} for burst in known}
        found: dict[str, list[list[str]]] = {name: [] for name in hosts}
        for seen, slot, *rest in (line.split(" ") for line in "".join(answers.values()).splitlines()):
            found.setdefault(slot.partition("/")[0], []).append([seen, slot.partition("/")[2], *rest])
        return [sighting(name, slots) for name, slots in found.items() if not hosts.get(name, set()) & silent.keys()]

    def destroy(self, burst: Burst) -> None:
        hosts = {self._host(slot) for slot in burst.hosts} or self.params.machines
        for error in each(lambda host: self._run(host, "end", burst.name), hosts)[1].values():
            raise error

    def _host(self, slot: str) -> str:
        return str(self.params.machines[int("0" + re.sub(r".*\D", "", slot)) % len(self.params.machines)])

    def _run(self, host: str, do: str, *args: str, secret: str = "") -> str:
        """What the script says on a host. ssh always has a shell there: each word is quoted for it."""
        place = f"{self.params.folder}/{self.lead.owner}/{host}"  # hosts may share a home
        mark = f"FLUX_BURST_NAME={''.join(args[:1])}"  # of the shell, so that what it starts has it at once
        far = shlex.join(["env", mark, "sh", "-c", SCRIPT, "flux-burst", do, place, *args])
        config = ["-F", str(self.params.config)] if self.params.config else []
        ssh = ["ssh", *config, "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "--", host, far]
        try:
            done = subprocess.run(ssh, input=secret.encode(), capture_output=True, timeout=60, check=False)
        except subprocess.TimeoutExpired:
            raise UncertainError(f"{host}: no answer within a minute") from None
        out, said = done.stdout.decode(errors="replace"), " ".join(done.stderr.decode(errors="replace").split())[-300:]
        if done.returncode == 255 and ("Permission denied" in said or "verification failed" in said):
            raise AuthenticationError(f"{host}: {said}")
        if done.returncode not in {0, 255} or "resolve hostname" in said:
            raise ConfigurationError(f"{host}: {said or f'exit code {done.returncode}'}")
        if done.returncode:
            raise UncertainError(f"{host}: {said}")
        return out


def each(do: Callable[[str], str], items: Collection[str]) -> tuple[dict[str, str], dict[str, ProviderError]]:
    """What came of each item, all done at the same time: answers, and failures."""
    with ThreadPoolExecutor(16) as pool:
        made = {item: pool.submit(do, item) for item in items}
    failed = {item: error for item, one in made.items() if isinstance(error := one.exception(), ProviderError)}
    return {item: one.result() for item, one in made.items() if item not in failed}, failed


def sighting(name: str, slots: Collection[list[str]]) -> Sighting:
    """slots: (seen, slot, since, output) of each."""
    seen = [one for one in ("running", "pending", "ending", "gone") for slot in slots if slot[0] == one] or ["gone"]
    since = min((float(slot[2]) for slot in slots), default=0.0)
    logs = [f"{slot}: {base64.b64decode(log).decode(errors='replace')}" for _, slot, _, log in slots if log]
    alive = tuple(slot[1] for slot in slots if slot[0] != "gone")
    return Sighting(name, seen[0], since=since, output="\n".join(logs), hosts=alive or None)


def init(params: BurstParameters) -> SshBurst:
    return SshBurst(params)
