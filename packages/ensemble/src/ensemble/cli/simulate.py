"""`ensemble simulate`."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from resources import units
from resources.clikit import echo_json, json_option, read_argument
from resources.errors import InputError

from ensemble.custom import Functions
from ensemble.document import Document
from ensemble.engine import Engine
from ensemble.errors import CustomError, EnsembleError, FileError, SpecError
from ensemble.load import load
from ensemble.places import read_yaml
from ensemble.plugins import registry
from ensemble.sim.models import parse_models, parse_option
from ensemble.sim.queue import SimQueue
from ensemble.sim.report import SimJson, SimText, as_dict, print_text
from ensemble.sim.settings import MOST_NODES, Settings, read_settings, why_no_group
from ensemble.sim.simulate import MOST_EVENTS, MOST_FIRINGS, Simulation, caller, machine_for, specs_of


@click.command()
@click.argument("file")
@click.option("--nodes", type=click.IntRange(1, MOST_NODES), help="How many nodes there are.")
@click.option("--cores", type=click.IntRange(min=1), help="Cores of each node.")
@click.option("--gpus", type=click.IntRange(min=0), help="GPUs of each node.")
@click.option("--memory", metavar="SIZE", help="Memory of each node, such as 64GB; not counted if it is not said.")
@click.option("--speed", default="", metavar="max|X", help="Virtual seconds that pass in a second (default: max).")
@click.option("--model", "texts", multiple=True, metavar="GROUP=KEY:VALUE,...", help="How the jobs of a group behave.")
@click.option("--models", type=click.Path(path_type=Path), help="A YAML file of models by group.")
@click.option("--like", default="", metavar="DIR", help="Draw from the durations of the run in this directory.")
@click.option("--seed", type=click.IntRange(min=0), help="Another seed gives other durations and failures.")
@click.option("--limit", default="365d", show_default=True, metavar="TIME", help="Stop after this much virtual time.")
@click.option("--events", type=click.IntRange(min=1), default=MOST_EVENTS, help="Stop after this many events.")
@click.option("--firings", type=click.IntRange(min=1), default=MOST_FIRINGS, help="Stop after rules fired this often.")
@json_option
@click.pass_context
def simulate(
    ctx: click.Context,
    file: str,
    nodes: int | None,
    cores: int | None,
    gpus: int | None,
    memory: str | None,
    speed: str,
    texts: tuple[str, ...],
    models: Path | None,
    like: str,
    seed: int | None,
    limit: str,
    events: int,
    firings: int,
    as_json: bool,
) -> None:
    """Run the ensemble in FILE (- is stdin) in virtual time on a simulated cluster: what its rules do, and the cost.

    No job is run. Keys of a model: duration, spread, distribution, fail, status, node_failure, preemption, startup;
    in a file also metrics. Exits with 1 where a run that went so would: jobs fail, a rule is never met, or no end.
    """
    plugins = registry()
    try:
        document = load(file, plugins)
    except FileError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        ctx.exit(1)
    given = {"nodes": nodes, "cores": cores, "gpus": gpus, "seed": seed, "memory": memory, "like": like, "speed": speed}
    settings = _settings(document, {key: value for key, value in given.items() if value not in (None, "")})
    horizon = _seconds(limit)
    asked = _models(models, texts)
    chosen = settings.build(asked)
    chosen.seed = settings.seed
    for group in (*settings.models, *asked):  # the run that this one is like may have had others
        if why := why_no_group(group, document.jobs):
            raise EnsembleError(why)
    queue, assumed = _machine(document, settings)
    engine = Engine(document)
    report = SimJson() if as_json else SimText(document, engine)

    def failed(error: CustomError) -> None:
        click.echo(str(error), err=True)

    simulation = Simulation(
        engine,
        queue,
        chosen,
        specs_of(document, engine),
        caller(engine, Functions(document, plugins), failed, lambda: simulation.now),
        avoided=lambda: engine.suspects.avoided,
        listener=report.at,
        pause=None if math.isinf(settings.speed) else lambda virtual: time.sleep(virtual / settings.speed),
    )
    gc.set_threshold(100_000, 50, 100)  # a million jobs are no garbage; looking for some costs up to a tenth
    summary = simulation.run(horizon, events, firings)
    result = engine.result()
    assumed += chosen.assumed.values()
    for name in engine.submitted:
        if silent := chosen.silent(name, document.jobs[name].metrics):
            what = " and ".join(silent)
            assumed.append(f"{name}: it never prints {what}; a file of models has metrics: {{NAME: {{start, end}}}}")
    if isinstance(report, SimJson):
        echo_json(as_dict(queue, engine, result, summary, report, assumed, settings.seed))
    else:
        print_text(queue, engine, result, summary, report.fired, assumed)
    if not result.met or summary.ended != "done":
        ctx.exit(1)


def _settings(document: Document, given: Mapping[str, Any]) -> Settings:
    """What the file says of the simulated queue, and over it what the command line does."""
    own: Mapping[str, Any] = document.settings if document.member == "sim" else {}
    try:
        return read_settings({**own, **given})
    except SpecError as error:
        raise EnsembleError(f"--{error}" if error.key in given else f"member: {error}") from None


def _seconds(limit: str) -> float:
    try:
        return float(units.seconds(limit, "--limit"))
    except InputError as error:
        raise EnsembleError(error.message) from None


def _models(file: Path | None, texts: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """The models of the command line: those of the file, and over them the single ones, key by key."""
    found: dict[str, dict[str, Any]] = {}
    if file is not None:
        data, places = read_yaml(read_argument(str(file), "file of models"), str(file))
        if places.duplicates:
            raise EnsembleError(str(places.duplicates[0]))
        try:
            found = parse_models(data)
        except SpecError as error:
            raise EnsembleError(f"{file}: {error}") from None
    for text in texts:
        group, model = parse_option(text)
        found[group] = found.get(group, {}) | model
    return found


def _machine(document: Document, settings: Settings) -> tuple[SimQueue, list[str]]:
    """The cluster, and what of it had to be assumed."""
    least = machine_for([group.spec("", 0) for group in document.jobs.values()])
    nodes, cores, gpus = (
        assumed if said is None else said
        for said, assumed in zip((settings.nodes, settings.cores, settings.gpus), least, strict=True)
    )
    unsaid = [name for name in ("nodes", "cores", "gpus") if getattr(settings, name) is None]
    if not gpus and "gpus" in unsaid:
        unsaid.remove("gpus")
    queue = SimQueue(nodes, cores, gpus, settings.memory or 0, most=settings.max_nodes)
    options = " and ".join(f"--{name}" for name in unsaid)
    each = " and ".join(_counted(number, what) for number, what in ((cores, "core"), (gpus, "GPU")) if number)
    what = f"{_counted(nodes, 'node')} with {each} each"
    return queue, [f"{what}, which is what the largest job needs; say otherwise with {options}"] if unsaid else []


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
