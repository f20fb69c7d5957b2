from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import List, Optional  # noqa: UP035 - plugins still write these

import click
import pytest
from click.testing import CliRunner

from fluxburst.errors import ParameterError
from fluxburst.parameters import build, click_options, destination, parameters


@dataclass
class Everything:
    cluster: str = field(metadata={"help": "Where."})
    nodes: int = 4
    price: float = 1.5
    spot: bool = False
    key: Optional[Path] = None  # noqa: UP045
    zones: List[str] = field(default_factory=lambda: ["a"])  # noqa: UP006
    sizes: list[int] | None = None
    secret: str = field(default="", init=False)


def test_what_is_known_of_each_field():
    found = {one.name: one for one in parameters(Everything)}
    assert list(found) == ["cluster", "nodes", "price", "spot", "key", "zones", "sizes"]
    assert (found["cluster"].required, found["cluster"].help) == (True, "Where.")
    assert (found["key"].kind, found["key"].optional, found["key"].default) == (Path, True, None)
    assert (found["zones"].many, found["zones"].kind, found["zones"].default) == (True, str, ["a"])
    assert (found["sizes"].many, found["sizes"].kind, found["sizes"].optional) == (True, int, True)
    assert found["nodes"].flag("my-cloud") == "--my-cloud-nodes"


def test_a_command_line_becomes_the_dataclass():
    made: list[Everything] = []

    def callback(**values: object) -> None:
        given = {one.name: values[destination("my-cloud", one.name)] for one in parameters(Everything)}
        made.append(build(Everything, {name: value for name, value in given.items() if value not in (None, ())}))

    command = click.Command("x", params=list(click_options("my-cloud", parameters(Everything))), callback=callback)
    run = CliRunner().invoke
    line = (
        "--my-cloud-cluster c --my-cloud-nodes 2 --my-cloud-spot --my-cloud-zones b --my-cloud-zones c --my-cloud-key k"
    )
    assert run(command, line.split()).exit_code == 0
    assert run(command, ["--my-cloud-cluster", "c", "--no-my-cloud-spot"]).exit_code == 0
    assert made == [Everything("c", 2, 1.5, True, Path("k"), ["b", "c"]), Everything("c")]
    assert run(command, ["--my-cloud-nodes", "many"]).exit_code == 2
    text = " ".join(run(command, ["--help"]).output.split())
    assert "Where. [required]" in text
    assert "[default: 4]" in text


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({}, "cluster"),
        ({"cluster": 3}, "cluster"),
        ({"cluster": None}, "cluster"),
        ({"cluster": "c", "node": 3}, "node"),
        ({"cluster": "c", "nodes": True}, "nodes"),
        ({"cluster": "c", "nodes": 1.0}, "nodes"),
        ({"cluster": "c", "price": float("nan")}, "price"),
        ({"cluster": "c", "spot": 1}, "spot"),
        ({"cluster": "c", "zones": "a"}, "zones"),
        ({"cluster": "c", "zones": [1]}, "zones"),
        ({"cluster": "c", "secret": "x"}, "secret"),
    ],
)
def test_wrong_values_name_the_field(values, place):
    with pytest.raises(ParameterError) as caught:
        build(Everything, values)
    assert caught.value.field == place


def test_a_whole_number_is_a_float_and_a_text_is_a_path():
    made = build(Everything, {"cluster": "c", "price": 2, "key": "k", "sizes": None})
    assert (made.price, type(made.price), made.key) == (2.0, float, Path("k"))


def test_a_field_that_is_no_option():
    @dataclass
    class Strange:
        table: dict[str, int] = field(default_factory=dict)

    with pytest.raises(ParameterError, match=r"table.*can't be an option"):
        parameters(Strange)


def test_the_home_of_a_path_in_a_file_is_that_of_who_reads_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert build(Everything, {"cluster": "c", "key": "~/k"}).key == tmp_path / "k"
    with pytest.raises(ParameterError, match=r"key: ~nobody-of-that-name/k: "):
        build(Everything, {"cluster": "c", "key": "~nobody-of-that-name/k"})
