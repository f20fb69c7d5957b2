"""Spack, conda, Python packages, EasyBuild, Nix and Guix on recorded machines."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded import software as recorded

from resource_secretary import Secretary
from resource_secretary.errors import ArgumentError, CommandFailed, OutputError, UnknownProvider
from resource_secretary.providers.software._common import is_compiler, presence
from resource_secretary.providers.software._nix_text import read_profile, split_name
from resource_secretary.providers.software._spack_text import read_compilers, read_find
from resource_secretary.providers.software.easybuild import split_folder
from resource_secretary.result import Absent, Active, Unreachable
from resource_secretary.run import Ran
from resource_secretary.system import System
from resource_secretary.testing import RecordedSystem


def probe(system, name):
    return Secretary(system=system).detect("software", name)[name].result


def call(system, tool, **arguments):
    return Secretary(system=system).call(tool, arguments).result


def items(system, tool, **arguments):
    return call(system, tool, **arguments)["items"]


# --- Spack


def test_spack_until_0_23():
    system = recorded.spack()
    assert probe(system, "spack").metadata.version == "0.23.1"
    found = {one["name"]: one for one in items(system, "spack.packages")}
    assert list(found) == ["hdf5", "openmpi", "zlib-ng", "cuda"]
    assert found["hdf5"]["compiler"] == "gcc@12.3.0" and found["hdf5"]["target"] == "zen3"
    assert found["hdf5"]["variants"][:3] == ["+fortran", "+mpi", "~cxx"]
    assert "fabrics=ofi,ucx" in found["openmpi"]["variants"]
    assert found["cuda"]["external"] == "/usr/local/cuda-12.4" and found["cuda"]["target"] == "zen3"
    assert items(system, "spack.environments") == ["climate", "gpu-tools"]
    assert call(system, "spack.architecture")["result"] == "linux-rhel8-zen3"


def test_spack_1_has_compilers_as_dependencies():
    system = recorded.spack("1.3")
    metadata = probe(system, "spack").metadata
    assert (metadata.version, metadata.commit) == ("1.3.0.dev0", "c7c444853d3c1f4e9f7b")
    found = {one["name"]: one["compiler"] for one in items(system, "spack.packages")}
    assert found == {"gcc": None, "zlib-ng": "gcc@14.2.0", "hdf5": "gcc@12.3.0", "py-numpy": None}
    assert items(system, "spack.environments") == []


def test_spack_0_16(data):
    [one] = read_find((data / "spack-0.16/find.json").read_text())
    assert (one.name, one.version, one.compiler, one.variants) == ("autoconf", "2.69", "gcc@7.5.0", ())


def test_spack_0_13(data):
    [one] = read_find((data / "spack-0.13/find.json").read_text())
    assert (one.name, one.compiler, one.target) == ("zlib", "clang@6.0.0", "x86_64")
    assert one.variants == ("+optimize", "+pic", "+shared")


def test_the_compilers_of_older_spacks(data):
    old = read_compilers((data / "spack-0.13/compilers-of-0.8.txt").read_text())
    assert [one.version for one in old if one.name == "gcc"] == ["4.9.0", "4.8.0", "4.7.0", "4.8.2", "4.7.1"]
    cray = read_compilers((data / "spack-0.13/compilers-of-cray.txt").read_text())
    assert {(one.name, one.os, one.target) for one in cray} == {("cce", "CNL", "any"), ("gcc", "CNL", "any")}


def test_the_compilers_of_spack(data):
    found = {(one["name"], one["version"]): one for one in items(recorded.spack(), "spack.compilers")}
    assert found["gcc", "12.3.0"]["os"] == "rhel8" and found["gcc", "8.5.0"]["target"] == "x86_64"
    assert found["intel-oneapi-compilers", "2024.1.0"]["os"] is None
    new = [(one.version, one.origin) for one in read_compilers((data / "spack-1.3/compilers-remote.txt").read_text())]
    assert new == [("10.5.0", "external"), ("15.1.0", "installed"), ("14.3.0", "installed"), ("12.4.0", "remote")]
    with pytest.raises(OutputError, match="line 2"):
        read_compilers("-- gcc x-y ---\nsome words\n")


def test_is_a_package_there_with_its_variants():
    answer = call(recorded.spack(), "spack.find", name="hdf5@1.14")
    assert answer["there"] and answer["packages"][0]["version"] == "1.14.3"
    assert not call(recorded.spack(), "spack.find", name="hdf5@1.1")["there"]
    assert call(recorded.spack(), "spack.find", name="zlib")["similar"] == ["zlib-ng"]


def test_a_spec_that_can_not_be_read_loses_only_itself():
    found = read_find('[{"name": "a", "version": "1", "hash": "h"}, {"name": "b"}, 3]')
    assert [(one.name, bool(one.problem)) for one in found] == [("a", False), ("b", True), ("package 3", True)]
    with pytest.raises(OutputError, match=r"it said: \{\}"):
        read_find("{}")


def test_a_spack_that_is_slow_or_broken():
    system = recorded.spack()
    system.commands["spack", "--version"] = Ran((), None, problem="no answer in 2 s")
    assert probe(system, "spack") == Unreachable("spack --version", "no answer in 2 s")
    system = recorded.spack()
    system.commands["spack", "--color=never", "find", "--json"] = Ran((), 1, "", "==> Error: database is locked")
    with pytest.raises(CommandFailed, match="database is locked"):
        items(system, "spack.packages")


def test_spack_by_its_root():
    commands = {("/opt/spack/bin/spack", "--version"): "0.22.0\n"}
    assert probe(RecordedSystem(commands=commands, environ={"SPACK_ROOT": "/opt/spack"}), "spack").metadata.root
    assert isinstance(probe(RecordedSystem(commands=commands, environ={"SPACK_ROOT": "opt/spack"}), "spack"), Absent)


# --- conda


def test_conda_is_read_from_disk_without_starting_it():
    system = recorded.conda()
    metadata = probe(system, "conda").metadata
    assert (metadata.version, metadata.active, metadata.environments) == ("24.7.1", "/opt/conda/envs/sim", 2)
    assert not system.asked
    found = {one["name"]: one for one in items(system, "conda.environments")}
    assert found["base"]["python"] == "3.12.5" and found["sim"]["active"] and found["sim"]["packages"] == 4
    names = {one["name"]: one["version"] for one in items(system, "conda.packages")}
    assert names["openmpi-mpicc"] == "4.1.6" and names["gcc_linux-64"] == "13.3.0"
    assert [one["name"] for one in items(system, "conda.compilers", environment="sim")] == ["gcc_linux-64"]
    assert items(system, "conda.packages", environment="base")[0]["name"] == "_libgcc_mutex"
    assert call(system, "conda.find", name="numpy=1.26.4")["versions"] == ["1.26.4"]
    assert not call(system, "conda.find", name="numpy", environment="/opt/conda")["there"]
    assert not system.asked


def test_only_environments_that_are_known_are_read():
    for asked in ("/etc", "nonesuch", "/opt/conda/envs/../envs/sim"):
        with pytest.raises(ArgumentError, match="there are: "):
            call(recorded.conda(), "conda.packages", environment=asked)


def test_what_conda_knows_of_the_machine():
    info = call(recorded.conda(), "conda.info")
    assert (info["platform"], info["root"], info["virtual_packages"][1]) == ("linux-64", "/opt/conda", "__cuda=12.2=0")
    info = call(recorded.micromamba(), "conda.info")
    assert (info["version"], info["virtual_packages"][4]) == ("0.17.0", "__cuda=11.4=0")


def test_a_micromamba_without_environments():
    system = recorded.micromamba()
    assert probe(system, "conda").metadata.version == "0.17.0"
    with pytest.raises(ArgumentError, match="there are: none"):
        items(system, "conda.packages")
    system.commands["micromamba", "info", "--json"] = Ran((), 1, "", "critical: no prefix")
    assert isinstance(probe(system, "conda"), Unreachable)


def test_environments_without_a_command():
    system = RecordedSystem(files=recorded.CONDA_FILES, environ={"CONDA_PREFIX": "/opt/conda/envs/sim"})
    result = probe(system, "conda")
    assert isinstance(result, Active) and result.metadata.command is None and result.metadata.version is None
    listed = {"/home/user/.conda/environments.txt": "/opt/conda\n\nrelative\n/gone\n", **recorded.CONDA_FILES}
    system = RecordedSystem(files=listed, environ={"HOME": "/home/user"})
    assert [one["name"] for one in items(system, "conda.environments")] == ["base", "sim"]


# --- pip


def test_pip_is_of_the_running_interpreter():
    system = recorded.pip()
    metadata = probe(system, "pip").metadata
    assert (metadata.python, metadata.virtual_environment) == ("3.12.4", "/opt/venv") and not system.asked
    assert len(items(system, "pip.packages")) == 3
    assert call(system, "pip.find", name="flask_sqlalchemy")["versions"] == ["3.1.1"]
    assert call(system, "pip.find", name="NumPy==2.1.2")["there"]
    assert not call(system, "pip.find", name="numpy==1.0")["there"]
    assert call(system, "pip.find", name="sqlalchemy")["similar"] == ["flask-sqlalchemy"]


def test_this_interpreter_has_what_its_metadata_says():
    from importlib.metadata import version

    found = call(System(), "pip.find", name="msgspec")
    assert found["versions"] == [version("msgspec")]
    python = System().python()
    assert python is not None and python.version.startswith("3.") and Path(python.executable).exists()


# --- EasyBuild


def test_easybuild():
    system = recorded.easybuild()
    metadata = probe(system, "easybuild").metadata
    assert (metadata.version, metadata.software) == ("5.4.1", "/opt/apps/software")
    found = {(one["name"], one["version"]): one for one in items(system, "easybuild.installed")}
    assert found["HDF5", "1.14.0"]["toolchain"] == "gompi-2023a"
    assert found["GROMACS", "2023.3"]["suffix"] == "-CUDA-12.1.1"
    assert found["GCC", "12.3.0"]["module"] == "GCC/12.3.0" and found["Java", "11.0.20"]["toolchain"] is None
    assert not any(name == "Broken" for name, _ in found)
    assert {one["name"] for one in items(system, "easybuild.compilers")} == {"GCC", "GCCcore", "intel-compilers"}
    assert call(system, "easybuild.find", name="hdf5/1.14.0")["there"]
    assert items(system, "easybuild.loaded")[0]["version"] == "12.3.0"
    settings = {one["name"]: (one["value"], one["origin"]) for one in items(system, "easybuild.configuration")}
    assert settings["installpath"] == ("/opt/apps", "environment")


def test_easybuild_is_told_by_its_own_configuration_where_it_installs():
    system = recorded.easybuild()
    system.environ.clear()
    assert probe(system, "easybuild").metadata.software is None
    assert len(items(system, "easybuild.installed")) == 7
    system.commands["eb", "--show-config"] = "installpath (D) = /gone\n"
    with pytest.raises(CommandFailed, match="/gone/software"):
        items(system, "easybuild.installed")


def test_easybuild_without_its_command():
    system = RecordedSystem(files=recorded.EASYBUILD_FILES, environ={"EASYBUILD_PREFIX": "/opt/apps"})
    metadata = probe(system, "easybuild").metadata
    assert (metadata.version, metadata.software) == (None, "/opt/apps/software")


def test_easybuild_s_own_module_tells_its_version_without_starting_it():
    system = recorded.easybuild()
    system.environ["EBVERSIONEASYBUILD"] = "4.9.4"
    assert probe(system, "easybuild").metadata.version == "4.9.4" and not system.asked


@pytest.mark.parametrize(
    ("folder", "parts"),
    [
        ("12.3.0", ("12.3.0", None, "")),
        ("1.26-gfbf-2023b", ("1.26", "gfbf-2023b", "")),
        ("4.1.5-GCC-12.3.0", ("4.1.5", "GCC-12.3.0", "")),
        ("2.3.7-GCC-4.9.3-2.25", ("2.3.7", "GCC-4.9.3-2.25", "")),
        ("5.1-foss-2023a-CUDA-12.1.1", ("5.1", "foss-2023a", "-CUDA-12.1.1")),
        ("2024a-rc1", ("2024a-rc1", None, "")),
    ],
)
def test_the_names_of_installations(folder, parts):
    assert split_folder(folder) == parts


# --- Nix


@pytest.mark.parametrize("version", ["2.8.0", "2.24", "2.26.3"])
def test_nix(version):
    system = recorded.nix(version)
    assert probe(system, "nix").metadata.version == version
    found = {one["name"]: one["version"] for one in items(system, "nix.packages") if not one["problem"]}
    assert found == {"hello": "2.12.1", "gcc-wrapper": "13.2.0"}
    assert [one["name"] for one in items(system, "nix.compilers")] == ["gcc-wrapper"]
    assert items(system, "nix.channels") == [{"name": "nixpkgs", "url": "https://nixos.org/channels/nixos-24.05"}]
    assert call(system, "nix.find", name="hello@2.12.1")["there"]


def test_the_three_ways_to_ask_nix():
    system = recorded.nix("2.8.0")
    query = next(words for words in system.commands if words[0] == "nix-env")
    system.commands[query] = Ran((), 1, "", "error: profile is incompatible with 'nix-env'; use 'nix profile' instead")
    assert {one["name"] for one in items(system, "nix.packages")} == {"hello", "gcc-wrapper"}
    lines = next(words for words in system.commands if words[-1] == "/home/user/.nix-profile")
    system.commands[lines] = Ran((), 1, "", "error: cannot open connection to remote store 'daemon'")
    with pytest.raises(CommandFailed, match=r"incompatible.*remote store"):
        items(system, "nix.packages")


def test_without_a_profile_nix_is_not_asked():
    system = RecordedSystem(commands={("nix", "--version"): "nix (Lix, like Nix) 2.91.1\n"}, environ={"HOME": "/h"})
    assert probe(system, "nix").metadata.implementation == "Lix, like Nix"
    system.asked.clear()
    assert items(system, "nix.packages") == [] and system.asked == [("nix", "--version")]


def test_manifests_of_nix(data):
    for name in ("nix-2.8.0/manifest.json", "nix-2.24/profile-list-2.17.json"):
        [one] = read_profile((data / name).read_text())
        assert (one.name, one.version) == ("hello", "2.12.1")
    odd = read_profile((data / "nix-2.24/profile-list.json").read_text())[2]
    assert odd.name == "odd" and "store path" in odd.problem
    with pytest.raises(OutputError, match=r"not 4.*it said: .*elements"):
        read_profile('{"elements":{},"version":4}')


@pytest.mark.parametrize(
    ("text", "parts"),
    [("hello-2.12.1", ("hello", "2.12.1")), ("gcc-wrapper", ("gcc-wrapper", "")), ("a-b-1-rc2", ("a-b", "1-rc2"))],
)
def test_names_of_derivations(text, parts):
    assert split_name(text) == parts


# --- Guix


@pytest.mark.parametrize(("version", "hello"), [("1.2.0", "2.10"), ("1.4", "2.12.1")])
def test_guix(version, hello, data):
    system = recorded.guix(version)
    assert probe(system, "guix").metadata.version.startswith(version)
    assert sorted(one["output"] for one in items(system, "guix.packages")) == ["out", "out", "send-email"]
    assert [one["name"] for one in items(system, "guix.compilers")] == ["gcc-toolchain"]
    assert call(system, "guix.find", name="hello")["versions"] == [hello]
    assert [one["branch"] for one in items(system, "guix.channels")] == ["master", None]
    assert [one["current"] for one in items(system, "guix.generations")] == [False, True]
    system.commands["guix", "--version"] = (data / "guix-1.4/version-pulled.txt").read_text()
    assert probe(system, "guix").metadata.version.startswith("e0fa68c")


def test_a_guix_that_was_not_pulled_has_no_channels():
    system = recorded.guix()
    failed = Ran((), 1, "", recorded.text("guix-1.2.0/describe.stderr.txt"))
    system.commands["guix", "describe", "--format=json"] = failed
    with pytest.raises(CommandFailed, match="failed to determine origin"):
        items(system, "guix.channels")
    system.commands["guix", "package", "--list-installed"] = "hello 2.12\n"
    with pytest.raises(OutputError, match="line 1"):
        items(system, "guix.packages")


# --- stub executables of the same recordings, run as real commands


def stubs(system, folder):
    """An executable for each recorded command, which prints what was recorded for its words."""
    cases = {}
    for number, (words, answer) in enumerate(system.commands.items()):
        ran = Ran(words, 0, answer) if isinstance(answer, str) else answer
        for stream, text in (("out", ran.stdout), ("err", ran.stderr)):
            (folder / f"{number}.{stream}").write_text(text)
        printing = f"cat {folder}/{number}.out; cat {folder}/{number}.err >&2; exit {ran.code}"
        cases.setdefault(words[0], []).append(f"'{' '.join(words[1:])}') {printing};;")
    for name, lines in cases.items():
        body = "\n".join(lines)
        (folder / name).write_text(f'#!/bin/sh\ncase "$*" in\n{body}\nesac\necho "unknown: $*" >&2\nexit 2\n')
        (folder / name).chmod(0o755)


@pytest.mark.parametrize("name", ["spack", "guix", "easybuild", "openmpi", "mpich", "mvapich", "modules"])
def test_stub_executables_say_what_their_recordings_say(name, tmp_path):
    made = {"modules": recorded.environment_modules, "mvapich": recorded.mvapich_gdr}
    machine = made.get(name, recorded.MACHINES[name])()
    machine.commands = {words: one for words, one in machine.commands.items() if "/" not in words[0]}
    stubs(machine, tmp_path)
    environ = {**machine.environ, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    if "MODULEPATH" in environ:
        environ["MODULEPATH"] = str(tmp_path)
    real = System(environ=environ)
    for tool in ("installed", "packages", "available", "build", "compilers"):
        try:
            told = call(machine, f"{name}.{tool}")
        except UnknownProvider:
            continue
        if name != "easybuild" or tool not in ("installed", "compilers"):
            assert call(real, f"{name}.{tool}") == told
    metadata = Secretary(system=real).detect(name=name)[name].metadata
    assert metadata["version"] == Secretary(system=machine).detect(name=name)[name].metadata["version"]


# --- what they share


def test_is_it_there():
    pairs = [("GCC", "12"), ("gcc", "13"), ("gcc", "11"), ("HDF5", "1.14")]
    assert presence("gcc", pairs).versions == ("13", "11") and presence("hdf5", pairs).versions == ("1.14",)
    assert presence("gcc@11", pairs).versions == ("11",) and not presence("gcc@9", pairs).there
    assert presence("hdf", pairs).similar == ("HDF5",)


@pytest.mark.parametrize(
    "name", ["gcc", "GCCcore", "intel-oneapi-compilers", "PrgEnv-gnu", "nvhpc", "compiler/gcc", "cce"]
)
def test_names_of_compilers(name):
    assert is_compiler(name)


@pytest.mark.parametrize("name", ["gccmakedep", "numpy", "libgcc", "intel-mkl", "arm-forge", "cuda-samples", ""])
def test_names_of_other_packages(name):
    assert not is_compiler(name)
