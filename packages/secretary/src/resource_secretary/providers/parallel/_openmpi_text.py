"""Read what `ompi_info --parsable` prints: `key:subkey:...:value` lines, a value with `:` in it in quotes.

ompi_info(1); the same keys since Open MPI 1.x. IBM Spectrum MPI, made from Open MPI, has the same command and says
`package:IBM Spectrum MPI`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.errors import OutputError
from resource_secretary.run import printable

_SOURCE = "ompi_info --parsable"
_COMPONENT = re.compile(r'^mca:([a-z0-9_]+):([A-Za-z0-9_]+):version:"?component:', re.MULTILINE)
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)+[A-Za-z0-9._-]*", re.ASCII)
_CUDA = re.compile(
    r"^mca:(?:opal|mpi):base:param:(?:opal|mpi)_built_with_cuda_support:value:(true|false)$", re.MULTILINE
)
_LANGUAGES = {"c": "c", "cxx": "c++", "fortran": "fortran"}

# Frameworks and components of Open MPI by what they send messages over. pml is the layer that chooses, mtl and btl
# what lies below it (Open MPI's documentation, "The Modular Component Architecture").
NETWORKS = {
    ("pml", "ucx"): "ucx",
    ("btl", "uct"): "ucx",
    ("mtl", "ofi"): "ofi",
    ("btl", "ofi"): "ofi",
    ("mtl", "psm2"): "psm2",
    ("mtl", "psm"): "psm",
    ("mtl", "portals4"): "portals4",
    ("mtl", "mxm"): "mxm",
    ("pml", "yalla"): "mxm",
    ("pml", "pami"): "pami",
    ("btl", "openib"): "verbs",
    ("btl", "usnic"): "usnic",
    ("btl", "ugni"): "ugni",
    ("btl", "tcp"): "tcp",
    ("btl", "sm"): "shared-memory",
    ("btl", "vader"): "shared-memory",
}
# Components of plm and ras (how processes are started, and on what) by the manager that they start within.
MANAGERS = {
    "slurm": "slurm",
    "tm": "pbs",
    "lsf": "lsf",
    "gridengine": "gridengine",
    "alps": "alps",
    "loadleveler": "loadleveler",
    "rsh": "ssh",
}


@dataclass(frozen=True, slots=True)
class OmpiInfo:
    """components: framework and name of each that was built. standard: of MPI. package: who built it."""

    package: str
    version: str
    released: str
    standard: str
    prefix: str
    configure: str
    compilers: dict[str, str]
    threads: str
    components: frozenset[tuple[str, str]]

    @property
    def networks(self) -> tuple[str, ...]:
        found = {name for component, name in NETWORKS.items() if component in self.components}
        return tuple(sorted(found))

    @property
    def managers(self) -> tuple[str, ...] | None:
        """None since 5.0, where another program (PRRTE) starts processes."""
        own = {name for framework, name in self.components if framework in ("plm", "ras")}
        return tuple(sorted({MANAGERS[name] for name in own if name in MANAGERS})) if own else None

    @property
    def pmi(self) -> tuple[str, ...]:
        """Components of 2 to 4: pmix3x, ext3x (an external one), s1 and s2 (Slurm's PMI-1, PMI-2), flux, cray."""
        own = {name for framework, name in self.components if framework == "pmix"}
        if not own:
            return ("pmix",)
        kinds = {"s1": "pmi1", "s2": "pmi2", "flux": "flux", "cray": "cray"}
        found = {kinds[name] for name in own if name in kinds}
        if any(re.fullmatch(r"(pmix|ext)[0-9]+x?", name) for name in own):
            found.add("pmix")
        return tuple(sorted(found))


def read_version(text: str) -> str:
    """The version of `ompi_info --version`. Raises OutputError."""
    found = re.match(r"\s*Open MPI v?([0-9][\w.+-]*)\s*$", text.partition("\n")[0])
    if not found:
        raise OutputError("ompi_info --version", "", f"Open MPI vVERSION expected, it says: {printable(text[:2000])}")
    return found[1]


def read_ompi_info(text: str) -> OmpiInfo:
    """What an Open MPI says of itself. Raises OutputError, with what it said, where the version is missing."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        for key in _KEYS:
            if line.startswith(f"{key}:"):
                fields.setdefault(key, line[len(key) + 1 :].strip().strip('"'))
    version = fields.get("ident") or fields.get("ompi:version:full") or ""
    if not _VERSION.fullmatch(version) or "package" not in fields:
        raise OutputError(_SOURCE, "ompi:version:full", f"a version expected; it said: {printable(text[:2000])}")
    compilers = {}
    for key, language in _LANGUAGES.items():
        name = fields.get(f"compiler:{key}:absolute") or fields.get(f"compiler:{key}:command") or ""
        if name and name != "none":
            family = fields.get(f"compiler:{key}:familyname", "")
            release = fields.get(f"compiler:{key}:version", "")
            compilers[language] = f"{name} ({family} {release})" if family and release else name
    return OmpiInfo(
        package=fields["package"],
        version=version,
        released=fields.get("ompi:version:release_date", ""),
        standard=fields.get("mpi-api:version:full", ""),
        prefix=fields.get("path:prefix", ""),
        configure=fields.get("config:cli", ""),
        compilers=compilers,
        threads=fields.get("option:threads", ""),
        components=frozenset(_COMPONENT.findall(text)),
    )


def read_cuda(text: str) -> bool | None:
    """Whether it was built with CUDA, of `ompi_info --parsable --all`; None where it does not say."""
    found = set(_CUDA.findall(text))
    return found == {"true"} if len(found) == 1 else None


_KEYS = (
    *("package", "ident", "ompi:version:full", "ompi:version:release_date", "mpi-api:version:full", "path:prefix"),
    *("config:cli", "option:threads", "compiler:c:familyname", "compiler:c:version"),
    *(f"compiler:{language}:{what}" for language in _LANGUAGES for what in ("command", "absolute")),
)
