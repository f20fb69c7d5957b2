"""Read what MPICH and those made from it say of themselves: `mpichversion`, `mpiname -a`, `mpiexec --version`.

`mpichversion` prints `NAME Version:`, `NAME Device:`, `NAME configure:` and so on; the name is MPICH, MPICH2 (until
1.5), MVAPICH2 or MVAPICH, and MVAPICH2 puts a blank before the colon. `mpiname -a` is MVAPICH's own.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from resource_secretary.errors import OutputError
from resource_secretary.run import printable

_LINE = re.compile(r"^\s*(MPICH2?|MVAPICH2?(?:-[A-Z]+)?)[ \t]+([A-Za-z0-9][A-Za-z0-9 ]{0,60}?)[ \t]{0,60}:[ \t]*(.*)$")
_CRAY = re.compile(r"CRAY MPICH version ([0-9][A-Za-z0-9._-]*)")
_MPINAME = re.compile(r"^(MVAPICH2?(?:-[A-Z]+)?)[ \t]+(\S+)[ \t]+(.*?)[ \t]+(ch[0-9]:\S+)$")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*[A-Za-z0-9._-]*", re.ASCII)
_INTEL = re.compile(
    r"Intel\(R\) MPI Library for Linux\* OS, Version ([0-9]{4}(?:\.[0-9]+)*)(?: Update ([0-9]+))?(?: Build (\S+))?"
)
_LANGUAGES = {"CC": "c", "CXX": "c++", "F77": "fortran 77", "F90": "fortran", "FC": "fortran"}
_HYDRA = re.compile(r"^[ \t]+([A-Z][A-Za-z ]*?):[ \t]*(.*?)[ \t]*$", re.MULTILINE)

# Layers below MPICH's devices by what they send over; ch3's own are sockets and shared memory.
NETWORKS = {
    "ofi": "ofi",
    "ucx": "ucx",
    "mrail": "verbs",
    "psm": "psm2",
    "mxm": "mxm",
    "gen2": "verbs",
    "nemesis": "tcp",
    "sock": "tcp",
    "tcp": "tcp",
    "ib": "verbs",
    "llc": "llc",
    "portals4": "portals4",
}


@dataclass(frozen=True, slots=True)
class MpichVersion:
    """name: MPICH, MVAPICH2 and so on. device: such as `ch4:ofi ucx` or `ch3:mrail`."""

    name: str
    version: str
    released: str
    device: str
    configure: str
    compilers: dict[str, str]

    @property
    def networks(self) -> tuple[str, ...]:
        """What its device can send over; ch4 and nemesis share memory inside a host besides."""
        words = re.split(r"[:,\s]+", self.device)
        found = {NETWORKS[word] for word in words if word in NETWORKS}
        if words[0] in ("ch4", "ch3") and self.device != "ch3:sock":
            found.add("shared-memory")
        return tuple(sorted(found))

    @property
    def pmi(self) -> tuple[str, ...]:
        """By how it was configured (MPICH Installer's Guide: --with-pmi, --with-pmix); PMI-1 without either."""
        chosen = self.option("pmi")
        found = {part for part in re.split(r"[,/]", chosen) if part in ("pmi1", "pmi2", "pmix", "cray", "slurm")}
        if self.option("pmix") not in ("", "no"):
            found.add("pmix")
        return tuple(sorted(found)) or ("pmi1",)

    def option(self, name: str) -> str:
        """The value of `--with-NAME=`, `--enable-NAME=`: "yes" without a value, "no" of the negative, "" if neither."""
        value = ""
        for word in self._words():
            option, _, given = word.partition("=")
            if option in (f"--with-{name}", f"--enable-{name}"):
                value = given or "yes"
            elif option in (f"--without-{name}", f"--disable-{name}"):
                value = "no"
        return value

    @property
    def prefix(self) -> str:
        """Where it was to be installed; "" where the options do not say."""
        return next((word[9:] for word in reversed(self._words()) if word.startswith("--prefix=")), "")

    def _words(self) -> list[str]:
        try:
            return shlex.split(self.configure)
        except ValueError:
            return self.configure.split()

    def gpu(self, *names: str) -> bool | None:
        """Whether it was configured with one of these; None where the options say neither yes nor no."""
        values = {self.option(name) for name in names} - {""}
        return None if not values else values != {"no"}


@dataclass(frozen=True, slots=True)
class Hydra:
    """What MPICH's launcher was built with. launchers: ssh, slurm and so on; managers: whose host lists it reads."""

    version: str
    launchers: tuple[str, ...]
    managers: tuple[str, ...]


def read_mpichversion(text: str) -> MpichVersion:
    """Of `mpichversion` or `mpiname -a`. Raises OutputError, with what it said, where there is no version."""
    if found := _CRAY.search(text):
        return MpichVersion("CRAY MPICH", found[1], "", "", "", {})
    name = ""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        if match := _LINE.match(line.rstrip()):
            name = name or match[1]
            fields.setdefault(match[2].strip().lower(), match[3])
    if not fields:
        name, fields = _of_mpiname(text)
    version = fields.get("version", "")
    if not _VERSION.fullmatch(version):
        raise OutputError("mpichversion", "Version", f"a version expected; it said: {printable(text[:2000])}")
    compilers = {
        language: " ".join(fields[key.lower()].split())
        for key, language in _LANGUAGES.items()
        if fields.get(key.lower())
    }
    device, configure = fields.get("device", ""), fields.get("configure", "")
    return MpichVersion(name, version, fields.get("release date", ""), device, configure, compilers)


def _of_mpiname(text: str) -> tuple[str, dict[str, str]]:
    """`NAME VERSION DATE DEVICE`, then lines `CC: ...` under `Compilation`, and the options under `Configuration`."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    match = _MPINAME.match(lines[0]) if lines else None
    if match is None:
        return "", {}
    fields = {"version": match[2], "release date": match[3], "device": match[4]}
    for number, line in enumerate(lines):
        key, colon, value = line.partition(":")
        if colon and key in _LANGUAGES:
            fields[key.lower()] = value.strip()
        elif line == "Configuration":
            fields["configure"] = " ".join(lines[number + 1 :])
            break
    return match[1], fields


def read_hydra(text: str) -> Hydra:
    """Of `mpiexec --version` of MPICH. Raises OutputError where it is another's."""
    if "HYDRA build details" not in text:
        raise OutputError("mpiexec --version", "", f"HYDRA build details expected; it said: {printable(text[:2000])}")
    fields = dict(reversed(_HYDRA.findall(text)))
    # MPICH 1.x and some of 3.x say "Bootstrap servers available" and "Launchers available".
    launchers = fields.get("Launchers available") or fields.get("Bootstrap servers available", "")
    managers = fields.get("Resource management kernels available", "")
    return Hydra(fields.get("Version", ""), tuple(launchers.split()), tuple(managers.split()))


def read_intel(text: str) -> tuple[str, str]:
    """Version and build of Intel MPI's `mpiexec.hydra --version`: 2019 to 2020 say `2019 Update 8`, told as 2019.8.

    Raises OutputError where it is another's.
    """
    found = _INTEL.search(text)
    if not found:
        said = printable(text[:2000])
        raise OutputError("mpiexec.hydra --version", "", f"Intel(R) MPI Library expected; it said: {said}")
    return found[1] + (f".{int(found[2])}" if found[2] else ""), found[3] or ""
