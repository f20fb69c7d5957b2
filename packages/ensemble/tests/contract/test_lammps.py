"""The example plugin for LAMMPS: its readers on the forms of the log, and a sweep with the real program."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ensemble.document import JobGroup
from ensemble.plugins import registry
from ensemble.readers import line_reader

Read = Callable[[str, str], list[float]]
needs_lammps = pytest.mark.skipif(not shutil.which("lmp"), reason="LAMMPS is not there (no lmp on PATH)")


@pytest.fixture
def folder(examples: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The plugin, on the path on purpose."""
    source = examples / "plugins/ensemble-lammps/src"
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    )
    monkeypatch.syspath_prepend(str(source))
    return source.parent


@pytest.fixture
def read(folder: Path) -> Read:
    """`read(reader, log)`: the values that a reader of the plugin finds."""

    def all_of(name: str, log: str) -> list[float]:
        group = JobGroup(name="g", command="lmp", metrics={"m": {"reader": f"lammps.{name}"}})
        feed = line_reader(group.metrics["m"], registry())
        return [value for line in log.splitlines() if (value := feed(line)) is not None]

    return all_of


TABLES = """LAMMPS (29 Sep 2021 - Update 2)
thermo_style custom step temp press
variable Temp equal 3
Setting up Verlet run ...
Per MPI rank memory allocation (min/avg/max) = 3.119 | 3.119 | 3.119 Mbytes
WARNING: Temp is for somebody else (src/x.cpp:1)
Step Temp E_pair TotEng Press{space}
       0            3   -6.77    -2.29   -3.7
WARNING: Step Temp E_pair TotEng Press
     100     1.419721    -5.11    -2.99 3.91e+00
     200         -nan    -5.24    -3.54      inf
Loop time of 0.0902702 on 1 procs for 200 steps with 256 atoms
Total # of neighbors = 9666
5 numbers 1 2 3
1 2 3 4 5
Per MPI rank memory allocation (min/avg/max) = 3.119 | 3.119 | 3.119 Mbytes
   Press          Step          Temp
 3.3              200           1.25
 2.7              300           1.5
Loop time of 1.5e-2 on 4 procs for 100 steps with 256 atoms
Per MPI rank memory allocation (min/avg/max) = 3.119 | 3.119 | 3.119 Mbytes
   Step          Press
   300           2.7
ERROR: Lost atoms: original 256 current 255 (src/thermo.cpp:481)
""".format(space=" ")


def test_tables_in_any_order_of_columns_several_in_one_log(read: Read) -> None:
    assert read("step", TABLES) == [0, 100, 200, 200, 300, 300]
    temperatures = read("temperature", TABLES)
    assert math.isnan(temperatures.pop(2))
    assert temperatures == [3, 1.419721, 1.25, 1.5]
    assert read("pressure", TABLES) == [-3.7, 3.91, math.inf, 3.3, 2.7, 2.7]
    assert read("energy", TABLES) == [-2.29, -2.99, -3.54]
    assert read("loop_time", TABLES) == [0.0902702, 0.015]


MULTI = """Per MPI rank memory allocation (min/avg/max) = 3.119 | 3.119 | 3.119 Mbytes
---------------- Step      300 ----- CPU =      0.0000 (sec) ----------------
TotEng   =        -3.8568 KinEng   =         1.4791 Temp     =         0.9899{space}
PotEng   =        -5.3359 E_bond   =         0.0000 E_angle  =         0.0000
E_coul   =         0.0000 E_long   =         0.0000 Press    =         2.7157
------------ Step            400 ----- CPU =       0.0558 (sec) -------------
Step     =            400 Temp     =         0.9064 Press    =         2.3642
Loop time of 0.0558061 on 1 procs for 100 steps with 256 atoms
""".format(space=" ")


def test_blocks_of_the_style_multi(read: Read) -> None:
    assert read("step", MULTI) == [300, 400]
    assert read("temperature", MULTI) == [0.9899, 0.9064]
    assert read("pressure", MULTI) == [2.7157, 2.3642]
    assert read("energy", MULTI) == [-3.8568]


YAML = """---
keywords: ['Step', 'Temp', 'KinEng', 'Press', ]
data:
  - [100, 0.757, 3.14, 1.5, ]
WARNING: something
  - [200, nan, 3.14, -1.25, ]
...
Loop time of 0.5 on 1 procs for 100 steps with 256 atoms
keywords: ["Temp", "Step"]
data:
  - [0.5, 300]
...
"""


def test_lists_of_the_style_yaml(read: Read) -> None:
    assert read("step", YAML) == [100, 200, 300]
    assert [value for value in read("temperature", YAML) if not math.isnan(value)] == [0.757, 0.5]
    assert read("pressure", YAML) == [1.5, -1.25]
    assert read("energy", YAML) == []


STYLES = """
units lj
lattice fcc 0.8
region cell block 0 3 0 3 0 3
create_box 1 cell
create_atoms 1 box
mass 1 1.0
pair_style lj/cut 2.5
pair_coeff 1 1 1.0 1.0 2.5
velocity all create 1.0 1
fix move all nve
thermo 5
run 10
thermo_style custom press temp step
run 10
thermo_style multi
run 10
thermo_style custom step temp press
thermo_modify line multi
run 10
"""


@needs_lammps
def test_the_real_program_in_each_of_its_styles(read: Read, tmp_path: Path) -> None:
    (tmp_path / "in").write_text(STYLES)
    command = ["lmp", "-in", "in", "-log", "log"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    for log in (done.stdout, (tmp_path / "log").read_text()):
        assert read("step", log) == [0, 5, 10, 10, 15, 20, 20, 25, 30, 30, 35, 40]
        assert len(read("temperature", log)) == 12
        assert read("temperature", log)[0] == 1.0
        assert all(0.3 < value < 1.1 for value in read("temperature", log))
        assert len(read("pressure", log)) == 12
        assert len(read("loop_time", log)) == 4


def test_the_example_is_valid_and_what_is_wrong_is_told_in_place(ensemble: Callable[..., Any], folder: Path) -> None:
    done = ensemble("validate", folder / "settle.yaml")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    text = (folder / "settle.yaml").read_text()
    for old, new, says in (
        ("tolerance: 0.08", "tolerance: 8", "tolerance is a part of the mean, between 0 and 1, not 8"),
        ("lammps.temperature", "lammps.temprature", "did you mean 'temperature'?"),
        ("group: sweep", "group: swep", "no group of jobs is named 'swep'"),
        ("window: 20", "after: 100, metric: temp", "the group 'sweep' has no metric 'temp'"),
    ):
        assert old in text
        done = ensemble("validate", "-", stdin=text.replace(old, new))
        assert done.returncode == 1
        assert says in done.stdout


@needs_lammps
def test_a_sweep_stops_each_point_once_its_temperature_has_settled(
    ensemble: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    for name in ("melt.in", "settle.yaml"):
        shutil.copy(folder / name, tmp_path)
    done = ensemble("run", "settle.yaml", "--member", "local", "--dir", "sweep", "--json", timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    end = lines[-1]
    assert end["counts"]["sweep"] == {"submitted": 4, "finished": 4, "cancelled": 4}
    assert end["counts"]["measure"]["success"] == 4
    assert end["failed"] == 0
    assert "all have settled" in done.stdout
    summary = end["summary"]
    assert 0.7 < summary["sweep-temperature"]["mean"] < 1.6
    assert summary["sweep-step"]["max"] < 100_000  # none came to its end
    assert 0 < summary["measure-loop_time"]["max"] < summary["measure-duration"]["max"]
    done = ensemble("report", "sweep", "-o", "sweep.html")
    assert done.returncode == 0
    assert "sweep-temperature" in (tmp_path / "sweep.html").read_text()
