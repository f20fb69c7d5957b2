"""Finding plugins: what is one, what is none, and what a broken one does to the others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from resources.errors import BrokenPlugin, PluginConflict, UnknownPlugin
from resources.plugins import Registry, plugin_name
from resources.testing import check_registry


class Site:
    """A site-packages of our own: distributions installed as pip leaves them behind."""

    def __init__(self, folder):
        self.folder = folder / "site-packages"
        self.folder.mkdir()

    def install(self, dist, module, text, *, package=False):
        path = self.folder / module / "__init__.py" if package else self.folder / f"{module}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        self.record(dist, [str(path.relative_to(self.folder))])

    def record(self, dist, files, **more):
        info = self.folder / f"{dist.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.0\n")
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
        for name, text in more.items():
            (info / name.replace("__", ".")).write_text(text)


@pytest.fixture
def site(tmp_path, monkeypatch):
    made = Site(tmp_path)
    monkeypatch.syspath_prepend(str(made.folder))
    yield made
    for name in [name for name in sys.modules if name.startswith("demoplug_")]:
        del sys.modules[name]


def registry(**options):
    return Registry("demoplug_", "PLUGIN", **options)


def test_an_installed_module_and_an_installed_package(site):
    site.install("demo-one", "demoplug_one", "PLUGIN = 1")
    site.install("demo-two", "demoplug_Two_b", "PLUGIN = 2", package=True)
    plugins = registry()
    assert plugins.names() == ["one", "two-b"]
    assert plugins.load("two-b") == 2
    assert plugins.found("one").origin == "demo-one 1.0"
    check_registry(plugins)


def test_what_merely_bears_the_name_is_none(site, tmp_path, monkeypatch):
    (site.folder / "demoplug_data").mkdir()  # a folder
    (site.folder / "demoplug_stray.py").write_text("PLUGIN = 1")  # of no distribution
    here = tmp_path / "here"
    here.mkdir()
    (here / "demoplug_here.py").write_text("PLUGIN = 1")  # in the working directory, which nobody named
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(here))
    assert registry().names() == []
    monkeypatch.setenv("PYTHONPATH", str(here))
    assert registry().names() == ["here"]


def test_an_explicit_path_entry(tmp_path, monkeypatch):
    (tmp_path / "demoplug_near").mkdir()
    (tmp_path / "demoplug_near" / "__init__.py").write_text("PLUGIN = 3")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins = registry()
    assert plugins.found("near").origin == str(tmp_path)
    assert plugins.load("near") == 3
    sys.modules.pop("demoplug_near")


def test_an_editable_install_by_path(site, tmp_path, monkeypatch):
    source = tmp_path / "project" / "src"
    source.mkdir(parents=True)
    (source / "demoplug_edit.py").write_text("PLUGIN = 4")
    url = f'{{"url": "file://{tmp_path}/project", "dir_info": {{"editable": true}}}}'
    site.record("demo-edit", ["_demo_edit.pth"], direct_url__json=url)
    monkeypatch.syspath_prepend(str(source))
    assert registry().found("edit").origin == "demo-edit 1.0"


def test_an_editable_install_is_found_from_the_folder_that_it_is_in(site, tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "demoplug_flat.py").write_text("PLUGIN = 6")
    (site.folder / "_demo_flat.pth").write_text(f"import nothing\n{tmp_path / 'project'}\n")
    url = f'{{"url": "file://{tmp_path}/project", "dir_info": {{"editable": true}}}}'
    site.record("demo-flat", ["_demo_flat.pth"], direct_url__json=url)
    monkeypatch.syspath_prepend(str(tmp_path / "project"))  # as site does for the .pth file
    monkeypatch.chdir(tmp_path / "project")
    assert registry().found("flat").origin == "demo-flat 1.0"


def test_an_editable_install_by_hook(site, tmp_path):
    source = tmp_path / "elsewhere"
    source.mkdir()
    (source / "demoplug_hook.py").write_text("PLUGIN = 5")
    (site.folder / "__editable___demo_hook_1_0_finder.py").write_text("")

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            from importlib.util import spec_from_file_location

            return spec_from_file_location(name, source / f"{name}.py") if name == "demoplug_hook" else None

    url = f'{{"url": "file://{source}", "dir_info": {{"editable": true}}}}'
    site.record(
        "demo-hook", ["__editable___demo_hook_1_0_finder.py"], direct_url__json=url, top_level__txt="demoplug_hook\n"
    )
    sys.meta_path.append(Finder)
    try:
        assert registry().found("hook").origin == "demo-hook 1.0"
        assert registry().load("hook") == 5
    finally:
        sys.meta_path.remove(Finder)


def test_one_broken_plugin_changes_only_its_own_line(site):
    site.install("demo-good", "demoplug_good", "PLUGIN = 1")
    site.install("demo-bad", "demoplug_bad", "raise RuntimeError('no libfoo here')")
    site.install("demo-quits", "demoplug_quits", "import sys; sys.exit(3)")
    site.install("demo-empty", "demoplug_empty", "")
    site.install("demo-panics", "demoplug_panics", "class Panic(BaseException): pass\nraise Panic")
    plugins = registry()
    lines = {line.name: (line.plugin, line.reason) for line in plugins.listing()}
    assert lines["good"] == (1, "")
    assert "no libfoo here" in lines["bad"][1]
    assert "it has no PLUGIN" in lines["empty"][1]
    assert "SystemExit" in lines["quits"][1]
    assert lines["panics"][1].endswith("can't be used: Panic")
    with pytest.raises(BrokenPlugin, match="no libfoo here"):
        plugins.load("bad")


def test_two_installed_with_one_name_are_an_error_that_names_both(site):
    site.install("demo-a", "demoplug_same", "PLUGIN = 1")
    site.install("demo-b", "demoplug_Same", "PLUGIN = 2")
    plugins = registry()
    with pytest.raises(PluginConflict, match=r"(?s)demo-b.*demo-a|demo-a.*demo-b"):
        plugins.load("same")
    assert [line.plugin for line in plugins.listing()] == [None]


def test_an_installed_one_wins_over_a_built_in_and_says_so(site, tmp_path, monkeypatch):
    builtins = tmp_path / "demobase"
    builtins.mkdir()
    (builtins / "__init__.py").write_text("")
    (builtins / "local.py").write_text("PLUGIN = 'ours'")
    (builtins / "_private.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert registry(builtins=["demobase"]).load("local") == "ours"
    site.install("demo-local", "demoplug_local", "PLUGIN = 'theirs'")
    plugins = registry(builtins=["demobase"])
    assert plugins.names() == ["local"]
    assert plugins.load("local") == "theirs"
    assert plugins.listing()[0].as_dict()["replaces"] == "built-in"
    sys.modules.pop("demobase.local")


def test_what_a_plugin_prints_is_not_on_stdout(site, capsys):
    site.install("demo-loud", "demoplug_loud", "print('hello')\nPLUGIN = 1")
    assert registry().load("loud") == 1
    assert capsys.readouterr() == ("", "hello\n")


def test_finding_imports_nothing(site):
    site.install("demo-bomb", "demoplug_bomb", "raise SystemExit('imported')")
    assert registry().names() == ["bomb"]
    assert "demoplug_bomb" not in sys.modules


def test_an_unknown_name_lists_what_there_is(site):
    site.install("demo-one", "demoplug_one", "PLUGIN = 1")
    with pytest.raises(UnknownPlugin, match="there are: one"):
        registry().load("two")


def test_names():
    assert plugin_name("jobspec_My_Site", "jobspec_") == "my-site"


def test_an_installed_kind_appears_everywhere(tmp_path):
    """Installed for real, by pip, into a virtual environment of its own; then used from the command line."""
    root = Path(__file__).parents[4]
    example = root / "examples" / "plugins" / "hpc-resources-example"
    if not example.is_dir():
        pytest.skip("no examples/ beside packages/: the example plugin is missing")
    pytest.importorskip("hatchling", reason="building the example offline needs hatchling in this environment")
    target = tmp_path / "site-packages"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*install, "--target", str(target), str(example)], check=True, stdin=subprocess.DEVNULL)
    environment = {**os.environ, "PYTHONPATH": str(target)}

    def cli(*words):
        made = subprocess.run(
            [sys.executable, "-m", "resources", *words], env=environment, capture_output=True, text=True, check=False
        )
        return made.returncode, made.stdout

    assert "bandwidth  hpc-resources-example 1.0.0" in cli("kinds")[1]
    assert cli("parse", "bandwidth=25 cores=1") == (0, "cores=1 bandwidth=25\n")
    inventory = tmp_path / "inventory"
    inventory.write_text("inventory version=1\nhosts=a ranks=0 | cores=4 bandwidth=100 | cores=4 bandwidth=10\n")
    assert cli("fit", "bandwidth=10", "--in", str(inventory))[0] == 0
    code, out = cli("fit", "bandwidth=25", "--in", str(inventory), "--json")
    assert (code, '"verdict": "BUSY"' in out) == (1, True)


def test_plugins_are_found_from_a_working_directory_that_is_gone(site, tmp_path, monkeypatch):
    site.install("demo-one", "demoplug_one", "PLUGIN = 1")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert registry().names() == ["one"]
