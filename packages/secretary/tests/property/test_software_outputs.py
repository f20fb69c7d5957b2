"""What tools of software and MPIs said, mutated: a typed answer or a clear error; never another exception."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import software as recorded

from resource_secretary.catalog import Catalog
from resource_secretary.errors import SecretaryError
from resource_secretary.result import Active
from resource_secretary.run import Ran
from resource_secretary.tools import as_json

SNIPPETS = ["", "0", "-1", "9" * 30, "=", " ", "\n", ":", "[", "]", "{", "}", "(", ")", '"', "'", "\\", "\t", "@", "/"]
SNIPPETS += ["null", "true", "NaN", "\0", "é", "²", "\x1b[31m", "-- ", "==>", "ERROR: x"]
PROVIDERS = {known.name: known.provider for known in Catalog().entries if known.provider}
MACHINES = {
    **{name: (name, machine) for name, machine in recorded.MACHINES.items()},
    "lmod without spider": ("modules", lambda: recorded.lmod(spider=False)),
    "lmod 8.7": ("modules", lambda: recorded.lmod("8.7.60")),
    "lmod 6": ("modules", lambda: recorded.lmod("6.6")),
    "modules 5": ("modules", recorded.environment_modules),
    "modules 4.6": ("modules", lambda: recorded.environment_modules("4.6.1")),
    "modules 4": ("modules", lambda: recorded.environment_modules("4.1.1")),
    "modules 3": ("modules", lambda: recorded.environment_modules("3.2.10")),
    "spack 1": ("spack", lambda: recorded.spack("1.3")),
    "micromamba": ("conda", recorded.micromamba),
    "nix 2.24": ("nix", lambda: recorded.nix("2.24")),
    "nix 2.8": ("nix", lambda: recorded.nix("2.8.0")),
    "openmpi 5": ("openmpi", lambda: recorded.openmpi("5.0.11")),
    "mpich 5": ("mpich", lambda: recorded.mpich("5.0.2")),
    "mvapich 4": ("mvapich", lambda: recorded.mvapich("mvapich-4.0/mpichversion.txt")),
    "mvapich gdr": ("mvapich", recorded.mvapich_gdr),
    "intel 2019": ("intel-mpi", lambda: recorded.intel_mpi("2019.8")),
}
ARGUMENTS = {"name": ["gcc", "hdf5", "openmpi/4.1.5"], "environment": ["", "sim"]}


@st.composite
def mutated(draw, text: str) -> str:
    """The text with one to four pieces cut out, put in, doubled, or exchanged."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        piece = draw(st.sampled_from([*SNIPPETS, text[start:end] * 2]))
        text = text[:start] + piece + text[end:]
    return text


def other_answer(draw, answer: Ran | str) -> Ran | str:
    if isinstance(answer, str):
        return draw(mutated(answer))
    return replace(answer, stdout=draw(mutated(answer.stdout)), stderr=draw(mutated(answer.stderr)))


@pytest.mark.parametrize("name", MACHINES)
@settings(max_examples=25, deadline=None)
@given(source=st.data())
def test_recordings(name, source):
    provider, machine = MACHINES[name]
    system = machine()
    told = [words for words, answer in system.commands.items() if answer]
    for words in source.draw(st.lists(st.sampled_from(told), min_size=1, max_size=2)) if told else ():
        system.commands[words] = other_answer(source.draw, system.commands[words])
    made = PROVIDERS[provider](system)
    try:
        result = made.probe()
        if isinstance(result, Active):
            assert json.dumps(as_json(result.metadata), allow_nan=False)
    except SecretaryError as error:
        assert str(error)
    for tool in made.tools():
        given_ = {
            key: source.draw(st.sampled_from(ARGUMENTS[key]))
            for key in tool.input_schema["properties"]
            if key in ARGUMENTS
        }
        arguments = tool.read(given_)
        try:
            value = getattr(made, tool.name)(**tool.method_arguments(arguments))
            shown, _ = tool.result(arguments, value)
        except SecretaryError as error:
            assert str(error)
            continue
        assert json.dumps(shown, allow_nan=False)
        for item in shown.get("items", ()):
            if isinstance(item, dict) and not item.get("problem", ""):
                assert item.get("name", "x") or item.get("url"), item


@pytest.mark.parametrize("name", ["modules", "conda", "easybuild", "cray-mpich", "intel-mpi"])
@settings(max_examples=25, deadline=None)
@given(source=st.data())
def test_names_of_files_and_variables(name, source):
    provider, machine = MACHINES[name]
    system = machine()
    keys = st.sampled_from(sorted(system.files))
    for key in source.draw(st.lists(keys, max_size=3)):
        system.files[source.draw(mutated(key))] = system.files.pop(key, "")
    for key in system.environ:
        if source.draw(st.booleans()):
            system.environ[key] = source.draw(mutated(system.environ[key]))
    made = PROVIDERS[provider](system)
    try:
        made.probe()
        for tool in made.tools():
            if not tool.input_schema.get("required"):
                arguments = tool.read({})
                value = getattr(made, tool.name)(**tool.method_arguments(arguments))
                assert json.dumps(tool.result(arguments, value)[0], allow_nan=False)
    except SecretaryError as error:
        assert str(error)
