"""Environment Modules and Lmod: the secretary says what they print, and what a shell that loads a module gets."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from resource_secretary import Secretary
from resource_secretary.errors import SecretaryError
from resource_secretary.system import System

FILES = {
    "core/gcc/12.2.0": 'setenv CC "gcc -O2"\nconflict gcc\nprepend-path MODULEPATH {folder}/behind\n',
    "core/gcc/13.1.0": "setenv CC gcc-13\n",
    "core/gcc/.version": 'set ModulesVersion "12.2.0"\n',
    "core/tools/vtune/2024": "prepend-path PATH /opt/vtune/bin\nsetenv VTUNE {{a b; c}}\n",
    "core/cmake": "module-whatis cmake\n",
    "behind/hdf5/1.14.0": "setenv HDF5_ROOT /opt/hdf5\n",
}
LMOD = "usr/share/lmod/lmod/libexec/lmod"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modules")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#%Module1.0\n{text.format(folder=folder)}")
    return folder


@pytest.fixture(scope="module")
def lmod_command(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Lmod as it is installed; else Debian's package, unpacked, as it can't be installed beside Environment Modules."""
    if os.environ.get("LMOD_CMD") and Path(os.environ["LMOD_CMD"]).is_file():
        return os.environ["LMOD_CMD"]
    folder = Path("/")
    if not (folder / LMOD).is_file():
        folder = tmp_path_factory.mktemp("lmod")
        if not all(shutil.which(name) for name in ("apt-get", "dpkg-deb", "lua5.3")):
            pytest.skip(
                "needs Lmod, or lua5.3, lua-posix, lua-filesystem and lua-term to run Debian's unpacked package"
            )
        got = subprocess.run(["apt-get", "download", "lmod"], cwd=folder, capture_output=True, text=True, timeout=60)
        packages = list(folder.glob("lmod*.deb"))
        if not packages:
            pytest.skip(f"needs Lmod, and its package can't be had: {got.stderr.strip()[-200:]}")
        subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(folder / "root")], check=True, timeout=60)
        folder = folder / "root"
    # Debian's /usr/share/lmod/lmod is an absolute link.
    [command] = (folder / LMOD).parents[2].glob("[0-9]*/libexec/lmod")
    works = subprocess.run([str(command), "bash", "--version"], capture_output=True, text=True, timeout=60)
    if works.returncode:
        pytest.skip(f"needs an Lmod that starts: {works.stderr.strip()[-200:]}")
    return str(command)


@pytest.fixture(params=[pytest.param("environment-modules", marks=pytest.mark.needs("modules")), "lmod"])
def modules(request: pytest.FixtureRequest, tree: Path) -> tuple[str, System, str]:
    """Its name, a machine with the tree of modules, and its command."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LMOD", "MODULE", "LOADED"))}
    environ = {**kept, "MODULEPATH": f"{tree}/core"}
    if request.param == "lmod":
        command = str(request.getfixturevalue("lmod_command"))
        environ["LMOD_CMD"] = command
    else:
        command = str(shutil.which("modulecmd"))
    return request.param, System(environ=environ), command


def printed(system: System, command: str, *words: str) -> str:
    done = subprocess.run(
        [command, "bash", *words], env=system.environ, capture_output=True, text=True, timeout=60, cwd="/"
    )
    return done.stderr


def loaded(system: System, command: str, module: str, variable: str) -> str:
    """What a variable is in a shell that has loaded a module."""
    script = f'eval "$({command} bash load {module} 2>/dev/null)"; printf %s "${variable}"'
    done = subprocess.run(["bash", "-c", script], env=system.environ, capture_output=True, text=True, timeout=60)
    return done.stdout


def test_it_is_found_with_the_version_that_it_prints(modules: tuple[str, System, str]) -> None:
    flavor, system, command = modules
    metadata = Secretary(system=system).detect("software", "modules", timeout=10)["modules"].metadata
    assert metadata is not None and metadata["flavor"] == flavor
    assert f" {metadata['version']} " in printed(system, command, "--version")


def test_the_modules_are_those_that_it_lists(modules: tuple[str, System, str]) -> None:
    flavor, system, command = modules
    items = Secretary(system=system).call("modules.available").result["items"]
    found = {f"{one['name']}/{version}" for one in items for version in one["versions"]}
    found |= {one["name"] for one in items if not one["versions"]}
    lines = [line.split("(")[0] for line in printed(system, command, "-t", "avail").splitlines()]
    listed = {line for line in lines if line and not line.endswith((":", "/"))}
    behind = {"hdf5/1.14.0"} if flavor == "lmod" else set()
    assert found == listed | behind and "tools/vtune/2024" in found
    default = next(one["default"] for one in items if one["name"] == "gcc")
    assert loaded(system, command, "gcc", "CC") == {"12.2.0": "gcc -O2", "13.1.0": "gcc-13"}[default] == "gcc -O2"


def test_what_it_shows_is_what_a_shell_gets(modules: tuple[str, System, str]) -> None:
    _, system, command = modules
    for module, variable in (("gcc/12.2.0", "CC"), ("gcc/13.1.0", "CC"), ("tools/vtune/2024", "VTUNE")):
        shown = Secretary(system=system).call("modules.show", {"name": module}).result
        effects = {one["name"]: one["value"] for one in shown["effects"] if one["action"] == "setenv"}
        assert effects[variable] == loaded(system, command, module, variable) != ""


def test_what_lmod_says_has_to_be_loaded_before(modules: tuple[str, System, str]) -> None:
    flavor, system, command = modules
    answer = Secretary(system=system).call("modules.find", {"name": "hdf5"}).result
    assert answer["there"] == (flavor == "lmod")
    if answer["there"]:
        [first] = answer["versions"][0]["after"]
        assert loaded(system, command, "hdf5", "HDF5_ROOT") == ""
        assert loaded(system, command, f"{' '.join(first)} hdf5", "HDF5_ROOT") == "/opt/hdf5"


def test_a_module_that_is_not_there_and_hostile_names(modules: tuple[str, System, str], tmp_path: Path) -> None:
    _, system, _ = modules
    secretary = Secretary(system=system)
    for name in ("nonesuch", "etc/passwd", "a;touch", "$(touch x)", "--version", "a\nb", "gcc/../../x"):
        with pytest.raises(SecretaryError):
            secretary.call("modules.show", {"name": name})
    assert not list(tmp_path.iterdir())
