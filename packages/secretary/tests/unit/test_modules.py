"""Lmod and Environment Modules 3 to 5, from what they printed for one tree of modules."""

from __future__ import annotations

import pytest
from recorded import software as recorded

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers.software._modules_text import (
    grouped,
    read_json_avail,
    read_show,
    read_spider,
    read_terse_avail,
)
from resource_secretary.result import Absent, Active, Unreachable
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem


def probe(system):
    return Secretary(system=system).detect("software", "modules")["modules"].result


def items(system, tool, **arguments):
    return Secretary(system=system).call(f"modules.{tool}", arguments).result["items"]


def versions(system):
    return {one["name"]: (set(one["versions"]), one["default"]) for one in items(system, "available")}


TREE = {
    "cmake": (set(), None),
    "gcc": ({"12.2.0", "13.1.0"}, "12.2.0"),
    "openmpi": ({"4.1.5"}, None),
    "python": ({"3.9", "3.11.2"}, "3.11.2"),
    "tools/vtune": ({"2024"}, None),
}


@pytest.mark.parametrize("version", ["5.5.0", "5.2.0", "4.6.1", "4.1.1"])
def test_environment_modules_list_the_tree(version):
    system = recorded.environment_modules(version)
    result = probe(system)
    assert isinstance(result, Active) and result.metadata.version == version
    assert (result.metadata.flavor, result.metadata.paths) == ("environment-modules", (recorded.CORE,))
    assert versions(system) == TREE


def test_environment_modules_3():
    system = recorded.environment_modules("3.2.10")
    assert probe(system).metadata.version == "3.2.10"
    assert versions(system)["gcc"] == ({"12.2.0", "13.1.0"}, "12.2.0") and "dot" in versions(system)
    effects = Secretary(system=system).call("modules.show", {"name": "gcc"}).result["effects"]
    assert {"action": "setenv", "name": "CC", "value": "gcc"} in effects


@pytest.mark.parametrize("version", ["8.7.60", "8.6.19"])
def test_lmod_lists_also_what_is_behind_a_compiler(version):
    system = recorded.lmod(version)
    assert probe(system).metadata.flavor == "lmod" and probe(system).metadata.version == version
    assert versions(system) == {**TREE, "hdf5": ({"1.14.0"}, None)}
    assert [one["name"] for one in items(system, "available") if one["hidden"]] == ["hdf5"]
    found = Secretary(system=system).call("modules.find", {"name": "HDF5"}).result
    assert found["there"] and found["versions"][0]["after"] == [["gcc/12.2.0"]]
    assert [one["name"] for one in items(system, "compilers")] == ["gcc"]


def test_lmod_without_its_spider_lists_what_is_visible():
    found = {name: one[0] for name, one in versions(recorded.lmod(spider=False)).items()}
    assert found == {name: one[0] for name, one in TREE.items()}
    old = {name: one[0] for name, one in versions(recorded.lmod("6.6")).items()}
    assert old == {**found, "broken": {"1"}}  # Lmod 6 does not look into the files


def test_what_is_loaded_and_where_is_looked():
    system = recorded.lmod()
    assert items(system, "loaded") == [{"name": "gcc/12.2.0", "path": f"{recorded.CORE}/gcc/12.2.0"}]
    found = Secretary(system=system).call("modules.find", {"name": "gcc/12.2.0"}).result
    assert found["loaded"] == ["gcc/12.2.0"] and [one["default"] for one in found["versions"]] == [True]
    system.environ["MODULEPATH"] += ":/gone"
    assert [one["exists"] for one in items(system, "paths")] == [True, False]


def test_a_module_that_is_not_there():
    found = Secretary(system=recorded.lmod()).call("modules.find", {"name": "openmp"}).result
    assert not found["there"] and found["similar"] == ["openmpi/4.1.5"]


@pytest.mark.parametrize(
    ("system", "version"),
    [
        *((recorded.lmod, version) for version in ("8.7.60", "8.6.19", "6.6")),
        *((recorded.environment_modules, version) for version in ("5.5.0", "5.2.0", "4.6.1")),
    ],
)
def test_what_a_module_sets(system, version):
    found = Secretary(system=system(version)).call("modules.show", {"name": "openmpi/4.1.5"}).result
    effects = {(one["action"], one["name"]): one["value"] for one in found["effects"]}
    assert effects["setenv", "MPI_HOME"] == "/opt/my mpi" and effects["set-alias", "mm"] == "mpirun -n 4"
    assert found["path"] == "/opt/modules/core/openmpi/4.1.5" and found["text"] == ""
    with pytest.raises(OutputError, match=r"in your MODULEPATH|Unable to locate a modulefile"):
        Secretary(system=system(version)).call("modules.show", {"name": "nonesuch"})
    shown = Secretary(system=system(version)).call("modules.show", {"name": "gcc"}).result
    paths = [(one["name"], one["value"]) for one in shown["effects"] if one["action"] == "prepend-path"]
    assert paths == [("PATH", "/opt/gcc-12/bin"), ("MODULEPATH", "/opt/modules/gcc12")] and shown["text"] == ""


def test_a_module_that_does_more_than_set_keeps_its_text():
    text = '-----\n   /m/a:\n-----\nhelp([[\nLine one\n]])\nsetenv("A","say \\"hi\\", now")\n'
    shown = read_show("a", text)
    assert [(one.name, one.value) for one in shown.effects] == [("A", 'say "hi", now')] and shown.text == text
    options = read_show("a", "-----\n/m/a:\n\nprepend-path\t--delim ; PATH /x\nappend-path -d {;} LIBS {a b}\n")
    assert [(one.name, one.value) for one in options.effects] == [("PATH", "/x"), ("LIBS", "a b")]


def test_without_a_modulepath_nothing_can_be_listed():
    for path in ("", "relative:", "/gone:/also/gone"):
        system = recorded.environment_modules()
        system.environ["MODULEPATH"] = path
        assert isinstance(probe(system), Active)
        with pytest.raises(CommandFailed, match="MODULEPATH"):
            items(system, "available")


def test_a_tool_that_fails_lists_nothing_instead_of_none():
    system = recorded.environment_modules()
    system.commands["modulecmd", "bash", "--json", "avail"] = Ran((), 1, "", "ERROR: boom\n")
    system.commands["modulecmd", "bash", "-t", "avail"] = Ran((), 0, "test 0 = 1;\n", "ERROR: boom\n")
    with pytest.raises(OutputError, match="ERROR: boom"):
        items(system, "available")
    system.commands["modulecmd", "bash", "--json", "avail"] = Ran((), None, problem="no answer in 2 s")
    with pytest.raises(CommandFailed, match="no answer"):
        items(system, "available")


@pytest.mark.parametrize("path", ["bin/lmod", "./lmod", "lmod", "/nowhere/lmod"])
def test_only_an_absolute_path_that_is_there_is_run(path):
    system = RecordedSystem(commands={("lmod", "bash", "--version"): "x"}, environ={"LMOD_CMD": path})
    assert isinstance(probe(system), Absent) and not system.asked


def test_which_of_two_is_the_one_that_the_shell_would_use():
    system = recorded.lmod()
    system.commands |= recorded.environment_modules().commands
    assert probe(system).metadata.flavor == "lmod"
    del system.environ["LMOD_CMD"]
    assert probe(system).metadata.flavor == "environment-modules"
    system.environ["MODULESHOME"] = "/usr/share/lmod/lmod"
    assert probe(system).metadata.flavor == "lmod"


@pytest.mark.parametrize("answer", [Ran((), 0, "", "what?"), Ran((), 3, "", "broken"), Ran((), 0)])
def test_one_that_does_not_say_its_version(answer):
    system = recorded.environment_modules()
    system.commands["modulecmd", "bash", "--version"] = answer
    assert isinstance(probe(system), Unreachable)


def test_what_modulefiles_print_before_the_json_does_not_hide_it():
    text = (
        'Module ERROR: invalid command\n  In a\n{"/m": {"a/1": {"name": "a/1", "type": "modulefile", "symbols": []}}}'
    )
    assert [one.name for one in read_json_avail(text)] == ["a/1"]


def test_a_record_that_can_not_be_read_loses_only_itself():
    json = '{"/m": {"a/1": {"name": "a/1", "symbols": ["default"]}, "b": 3, "c": {"name": 1}}, "/n": 5}'
    assert {one.name: bool(one.problem) for one in grouped(read_json_avail(json))} == {
        "a": False,
        "b": True,
        "c": True,
        "/n": True,
    }
    spider = '[{"package": "a", "versions": [{"full": "a/1", "parent": "x"}, {"full": "a/2"}]}, 7, {"package": "b"}]'
    made = {one.name: one for one in grouped(read_spider(spider))}
    assert made["a"].versions == ("2",) and "parent" in made["a"].problem
    assert made["b"].problem and made["package 2"].problem
    lines = {one.name: bool(one.problem) for one in read_terse_avail("/m:\na/1\nno module at all\na/2(@a/1)\n")}
    assert lines == {"a/1": False, "no module at all": True}
    assert (
        read_terse_avail('No module(s) or extension(s) found!\nUse "module spider" to find all possible modules\n')
        == []
    )


def test_an_empty_tree_of_lmod_is_empty():
    assert read_spider("{}") == read_spider("[]") == []


def test_an_exit_code_of_avail_is_no_list_of_its_words():
    machine = recorded.environment_modules("4.1.1")
    machine.commands["modulecmd", "bash", "-t", "avail"] = Ran((), 1, "", "boom")
    with pytest.raises(CommandFailed, match="exit code 1: boom"):
        Secretary(system=machine).call("modules.compilers")
