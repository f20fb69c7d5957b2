"""Software and MPIs, as they were recorded, or written in the shape that their documentation shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from resource_secretary.run import Ran
from resource_secretary.system import Python
from resource_secretary.testing import RecordedSystem

DATA = Path(__file__).parents[1] / "data"
Commands = dict[tuple[str, ...], Ran | str]
LMOD = "/usr/share/lmod/lmod/libexec/lmod"
SPIDER = "/usr/share/lmod/lmod/libexec/spider"
CORE = "/opt/modules/core"
JSON = ("profile", "list", "--profile", "/home/user/.nix-profile", "--json")
FEATURES = ("nix", "--extra-experimental-features", "nix-command flakes")


def text(name: str) -> str:
    return (DATA / name).read_text()


def said(name: str, out: str = "", code: int = 0) -> Ran:
    """An answer on the standard error."""
    return Ran((), code, out, text(name))


def lmod(version: str = "8.6.19", *, spider: bool = True) -> RecordedSystem:
    """Lmod 8.6.19, 8.7.60 or 6.6 with a compiler behind which there is another folder of modules."""
    folder = f"lmod-{version}"
    commands: Commands = {
        (LMOD, "bash", "--version"): said(f"{folder}/version.stderr.txt"),
        (LMOD, "bash", "-t", "avail"): said(f"{folder}/avail-terse.stderr.txt"),
        (LMOD, "bash", "show", "gcc"): said(f"{folder}/show-gcc.stderr.txt"),
        (LMOD, "bash", "show", "openmpi/4.1.5"): said(f"{folder}/show-openmpi.stderr.txt"),
        (LMOD, "bash", "show", "nonesuch"): said(f"{folder}/show-nonesuch.stderr.txt", "\nfalse\n", 1),
    }
    if spider and version != "6.6":
        commands[SPIDER, "-o", "jsonSoftwarePage", CORE] = text(f"{folder}/spider.json")
    environ = {"LMOD_CMD": LMOD, "MODULEPATH": CORE, "LOADEDMODULES": "gcc/12.2.0"}
    environ["_LMFILES_"] = f"{CORE}/gcc/12.2.0"
    return RecordedSystem(commands=commands, environ=environ, files={f"{CORE}/cmake": ""})


def environment_modules(version: str = "5.2.0") -> RecordedSystem:
    """Environment Modules 5.5.0, 5.2.0, 4.6.1, 4.1.1 or 3.2.10, found as modulecmd on PATH."""
    folder = f"modules-{version}"
    commands: Commands = {
        ("modulecmd", "bash", "--version"): said(f"{folder}/version.stderr.txt"),
        ("modulecmd", "bash", "-t", "avail"): said(f"{folder}/avail-terse.stderr.txt"),
    }
    if version not in ("4.1.1", "3.2.10"):
        commands["modulecmd", "bash", "--json", "avail"] = said(f"{folder}/avail.json.stderr.txt")
        commands["modulecmd", "bash", "show", "openmpi/4.1.5"] = said(f"{folder}/show-openmpi.stderr.txt")
        failed = said(f"{folder}/show-nonesuch.stderr.txt", text(f"{folder}/show-nonesuch.txt"))
        commands["modulecmd", "bash", "show", "nonesuch"] = failed
    else:
        commands["modulecmd", "bash", "--json", "avail"] = said(f"{folder}/json-refused.stderr.txt", "", 1)
    if version != "4.1.1":
        commands["modulecmd", "bash", "show", "gcc"] = said(f"{folder}/show-gcc.stderr.txt")
    return RecordedSystem(commands=commands, environ={"MODULEPATH": CORE}, files={f"{CORE}/cmake": ""})


def spack(version: str = "0.23") -> RecordedSystem:
    commands: Commands = {
        ("spack", "--version"): text(f"spack-{version}/version.txt"),
        ("spack", "--color=never", "find", "--json"): text(f"spack-{version}/find.json"),
        ("spack", "--color=never", "compilers"): text(f"spack-{version}/compilers.txt"),
        ("spack", "--color=never", "env", "list"): text(f"spack-{version}/env-list.txt"),
        ("spack", "--color=never", "arch"): text(f"spack-{version}/arch.txt"),
    }
    return RecordedSystem(commands=commands, environ={"SPACK_ROOT": "/opt/spack"})


CONDA_FILES = {
    **{
        f"/opt/conda/conda-meta/{name}.json": "{}"
        for name in (
            "conda-24.7.1-py312h7900ff3_0",
            "python-3.12.5-h2ad013b_0_cpython",
            "_libgcc_mutex-0.1-conda_forge",
        )
    },
    **{
        f"/opt/conda/envs/sim/conda-meta/{name}.json": "{}"
        for name in (
            *("numpy-1.26.4-py311h64a7726_0", "python-3.11.9-hb806964_0_cpython", "gcc_linux-64-13.3.0-hc28eda2_1"),
            "openmpi-mpicc-4.1.6-h3d28ad0_101",
        )
    },
    "/opt/conda/conda-meta/history": "",
    "/opt/conda/envs/sim/conda-meta/history": "",
    "/opt/conda/condabin/conda": "",
}


def conda() -> RecordedSystem:
    return RecordedSystem(
        commands={("/opt/conda/bin/conda", "info", "--json"): text("conda-24/info.json")},
        environ={"CONDA_EXE": "/opt/conda/bin/conda", "CONDA_PREFIX": "/opt/conda/envs/sim", "HOME": "/home/user"},
        files=CONDA_FILES,
    )


def micromamba() -> RecordedSystem:
    """A command without a base environment of its own."""
    return RecordedSystem(commands={("micromamba", "info", "--json"): text("micromamba-1/info.json")})


def pip() -> RecordedSystem:
    python = Python("3.12.4", "cpython", "/opt/venv/bin/python", "/opt/venv", "/usr")
    packages = [("Flask-SQLAlchemy", "3.1.1"), ("msgspec", "0.19.0"), ("numpy", "2.1.2")]
    return RecordedSystem(distributions=packages, python=python)


EASYBUILD_FILES = {
    f"/opt/apps/software/{name}/easybuild/log": ""
    for name in (
        *("GCC/12.3.0", "GCCcore/12.3.0", "HDF5/1.14.0-gompi-2023a", "OpenMPI/4.1.5-GCC-12.3.0"),
        *("GROMACS/2023.3-foss-2023a-CUDA-12.1.1", "intel-compilers/2023.1.0", "Java/11.0.20"),
    )
} | {"/opt/apps/modules/all/GCC/12.3.0.lua": "", "/opt/apps/software/Broken/1.0/bin/x": ""}


def easybuild() -> RecordedSystem:
    commands: Commands = {
        ("eb", "--version"): text("easybuild-5.4.1/version.txt"),
        ("eb", "--show-config"): text("easybuild-5.4.1/show-config.txt"),
    }
    environ = {"EBROOTGCC": "/opt/apps/software/GCC/12.3.0", "EBVERSIONGCC": "12.3.0"}
    return RecordedSystem(commands=commands, environ=environ, files=EASYBUILD_FILES)


def nix(version: str = "2.26.3") -> RecordedSystem:
    commands: Commands = {("nix", "--version"): f"nix (Nix) {version}\n"}
    if version == "2.8.0":
        refused = Ran((), 1, "", text("nix-2.8.0/profile-list-json.stderr.txt"))
        commands[*FEATURES, *JSON] = refused
        query = ("nix-env", "--profile", "/home/user/.nix-profile", "--query", "--json", "--out-path")
        commands[query] = text("nix-2.8.0/nix-env-query.json")
        commands[*FEATURES, *JSON[:-1]] = text("nix-2.8.0/profile-list.txt")
    else:
        commands[*FEATURES, *JSON] = text(f"nix-{version}/profile-list.json")
    files = {"/home/user/.nix-profile/manifest.json": ""}
    files["/home/user/.nix-channels"] = "https://nixos.org/channels/nixos-24.05 nixpkgs"
    return RecordedSystem(commands=commands, environ={"HOME": "/home/user"}, files=files)


def guix(version: str = "1.2.0") -> RecordedSystem:
    commands: Commands = {
        ("guix", "--version"): text(f"guix-{version}/version.txt"),
        ("guix", "package", "--list-installed"): text(f"guix-{version}/list-installed.txt"),
        ("guix", "package", "--list-generations"): text(f"guix-{version}/list-generations.txt"),
        ("guix", "describe", "--format=json"): text("guix-1.4/describe.json"),
    }
    return RecordedSystem(commands=commands)


OPENMPI_ALL = "mca:opal:base:param:opal_built_with_cuda_support:value:{}\n"


def openmpi(version: str = "4.1.4", cuda: str = "false") -> RecordedSystem:
    """Open MPI as Debian has it, or alone in a folder of its own."""
    commands: Commands = {
        ("ompi_info", "--version"): f"Open MPI v{version}\n\nhttp://www.open-mpi.org/community/help/\n",
        ("ompi_info", "--parsable"): text(f"openmpi-{version}/ompi_info.txt"),
        ("ompi_info", "--parsable", "--all"): OPENMPI_ALL.format(cuda),
        ("mpirun", "--version"): text(f"openmpi-{version}/mpirun-version.txt"),
        ("/usr/bin/mpirun.openmpi",): "",
    }
    return RecordedSystem(commands=commands, links={**ALTERNATIVES, "/etc/alternatives/mpirun": "mpirun.openmpi"})


# What Debian's alternatives look like with both: mpirun leads to one of them.
ALTERNATIVES = {
    "/usr/bin/mpirun": "/etc/alternatives/mpirun",
    "/etc/alternatives/mpirun.openmpi": "/usr/bin/mpirun.openmpi",
    "/usr/bin/mpirun.openmpi": "orterun",
    "/usr/bin/mpirun.mpich": "mpiexec.hydra",
}


def mpich(version: str = "4.0.2") -> RecordedSystem:
    commands: Commands = {
        ("mpichversion",): text(f"mpich-{version}/mpichversion.txt"),
        ("/usr/bin/mpirun.mpich", "--version"): text(f"mpich-{version}/mpiexec-version.txt"),
        ("mpirun.mpich",): "",
        ("mpirun",): "",
    }
    return RecordedSystem(commands=commands, links={**ALTERNATIVES, "/etc/alternatives/mpirun": "/usr/bin/orterun"})


def mvapich(name: str = "mvapich2-2.3/mpichversion-2.3.7.txt") -> RecordedSystem:
    commands: Commands = {
        ("mpichversion",): text(name),
        ("/usr/bin/mpirun_rsh",): "",
        ("srun",): "",
    }
    return RecordedSystem(commands=commands)


def mvapich_gdr() -> RecordedSystem:
    commands: Commands = {("mpiname", "-a"): text("mvapich2-2.3/mpiname.txt"), ("/usr/bin/mpiexec.hydra",): ""}
    return RecordedSystem(commands=commands)


def intel_mpi(version: str = "2021.19.0") -> RecordedSystem:
    root = "/opt/intel/oneapi/mpi/latest"
    providers = ("libmlx-fi.so", "libtcp-fi.so", "libpsm3-fi.so", "libefa-fi.so", "README")
    return RecordedSystem(
        commands={(f"{root}/bin/mpiexec.hydra", "--version"): text(f"intel-mpi/{version}.txt")},
        environ={"I_MPI_ROOT": root},
        files={f"{root}/opt/mpi/libfabric/lib/prov/{name}": "" for name in providers},
    )


def spectrum_mpi() -> RecordedSystem:
    root = "/opt/ibm/spectrum_mpi"
    commands: Commands = {
        (f"{root}/bin/ompi_info", "--parsable"): text("spectrum-mpi-10.3/ompi_info.txt"),
        (f"{root}/bin/mpirun",): "",
        ("jsrun",): "",
    }
    files = {f"{root}/lib/libmpi_ibm.so": "", f"{root}/lib/libpami_cudahook.so": ""}
    return RecordedSystem(commands=commands, files=files)


def cray_mpich() -> RecordedSystem:
    tree = "/opt/cray/pe/mpich"
    names = [f"8.1.{minor}/ofi/{compiler}/lib/libmpi.so" for minor in (9, 28) for compiler in ("gnu/9.1", "cray/10.0")]
    names += ["8.1.28/ucx/gnu/9.1/lib/libmpi.so", "8.1.28/gtl/lib/libmpi_gtl_hsa.so.0", "default"]
    return RecordedSystem(
        commands={("srun",): ""},
        environ={"CRAY_MPICH_VERSION": "8.1.28", "CRAY_MPICH_DIR": f"{tree}/8.1.28/ofi/gnu/9.1"},
        files={f"{tree}/{name}": "" for name in names},
    )


MACHINES: dict[str, Callable[[], RecordedSystem]] = {
    "modules": lmod,
    "spack": spack,
    "conda": conda,
    "pip": pip,
    "easybuild": easybuild,
    "nix": nix,
    "guix": guix,
    "openmpi": openmpi,
    "mpich": mpich,
    "mvapich": mvapich,
    "intel-mpi": intel_mpi,
    "spectrum-mpi": spectrum_mpi,
    "cray-mpich": cray_mpich,
}
