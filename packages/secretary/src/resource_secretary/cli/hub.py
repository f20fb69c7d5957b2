"""`resource-secretary hub`: one request, many secretaries."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING

import click
from resources.clikit import echo_json, json_option, read_argument
from resources.clikit import table as plain_table

from resource_secretary.cli.ask import MEANING, duration
from resource_secretary.cli.options import timeout_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resources.resource import Resource

    from resource_secretary.fleet import Fleet
    from resource_secretary.hub.hub import Result
    from resource_secretary.hub.policy import Candidate
    from resource_secretary.hub.worker import Rejected, Worker

WAITING = 15.0  # seconds for a worker: its own managers take up to ten
_MOST = 20  # lines of a kind that people are shown
_MOST_NAMES = 5  # workers that are named with a reason that many of them share


@click.group("hub")
def group() -> None:
    """Put one request to many secretaries at once, and choose one of them by a policy."""


@group.command("policies")
@json_option
def policies(as_json: bool) -> None:
    """List the policies: the built-in ones and those of plugins."""
    from resource_secretary.hub.registry import listing

    found = listing()
    if as_json:
        echo_json({"policies": [one.as_dict() for one in found]})
        return
    rows = [(one.name, one.description or f"can't be used: {one.reason}", one.origin) for one in found]
    click.echo(plain_table(rows, ("Policy", "Description", "Origin")))


@group.command("ask")
@click.argument("request")
@click.option(
    "--worker",
    "urls",
    multiple=True,
    metavar="URL",
    help="A secretary: https://HOST/mcp, or stdio:COMMAND. May be repeated.",
)
@click.option("--workers-file", metavar="FILE", help="Workers, one a line: URL [name=NAME] [token-file=FILE].")
@click.option("--simulate", "kind", metavar="KIND", help="Workers that are not there: hpc, cloud or standalone.")
@click.option("--workers", "count", type=int, help="With --simulate: how many.  [default: 100]")
@click.option(
    "--faults", metavar="F=SHARE,...", help="With --simulate: such as slow=0.1,dead=0.1,lying=0.1,malformed=0.1."
)
@click.option("--truth", metavar="FILE", help="With --simulate: where to write what the workers really have.")
@click.option("--policy", "policy_name", default="first-ready", show_default=True, metavar="P", help="See `policies`.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    help="Of the policy's chance (by default a new one) and of --simulate (0).",
)
@click.option("--token-file", metavar="FILE", help="The workers' bearer token. Else RESOURCE_SECRETARY_TOKEN.")
@click.option("--allow-http", is_flag=True, help="Plain http also to other hosts, token included.")
@timeout_option(WAITING)
@json_option
@click.pass_context
def ask(
    ctx: click.Context,
    request: str,
    urls: tuple[str, ...],
    workers_file: str | None,
    kind: str | None,
    count: int | None,
    faults: str | None,
    truth: str | None,
    policy_name: str,
    seed: int | None,
    token_file: str | None,
    allow_http: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Ask every worker whether REQUEST fits, and choose one. Exits 0 where that one is READY, else 1.

    REQUEST is as of the command `ask`. A worker that is slow, dead, or sends what is no answer costs one deadline, and
    the result says so. The same answers and the same --seed give the same choice.

    With --simulate the workers are made by the --seed, the same in every process, and take no time.
    """
    from resources.arguments import read_request
    from resources.clikit import one_stdin

    from resource_secretary.hub.registry import policy_named

    one_stdin(request, workers_file)
    if kind is None and not (count is None and faults is None and truth is None):
        raise click.UsageError("--workers, --faults and --truth need --simulate")
    fleet = None
    if kind is None:
        workers = _workers(urls, workers_file, token_file, allow_http)
    elif urls or workers_file is not None:
        raise click.UsageError("--simulate has its own workers: no --worker, no --workers-file")
    else:
        seed = seed or 0
        fleet = _fleet(kind, seed, 100 if count is None else count, faults)
        workers = list(fleet.workers)
    need = read_request(request)
    policy = policy_named(policy_name)
    if seed is None:
        import secrets

        seed = secrets.randbelow(2**32)
    from resource_secretary.hub.hub import choose

    replies = _simulated(workers, need, timeout) if fleet else _replies(workers, need, timeout)
    result = choose(need, replies, policy, policy_name, seed)
    if fleet is not None and truth is not None:
        _write_truth(fleet, truth, result)
    if as_json:
        echo_json(result.as_dict())
    else:
        click.echo("\n".join(lines(result)))
    ctx.exit(0 if result.verdict == "READY" else 1)


def _workers(urls: Sequence[str], workers_file: str | None, token_file: str | None, allow_http: bool) -> list[Worker]:
    """The workers that were given. Raises a usage error where there is none."""
    from resource_secretary.hub.workers import read_workers, token_from, unique, worker
    from resource_secretary.serving.token import from_file

    token = from_file(token_file) if token_file else token_from(os.environ)
    found = [worker(url, token=token, allow_http=allow_http) for url in urls]
    if workers_file is not None:
        source = "stdin" if workers_file == "-" else workers_file
        text = read_argument(workers_file, "workers file")
        found += read_workers(text, source, token=token, allow_http=allow_http)
    if not found:
        raise click.UsageError("nobody to ask: give --worker URL or --workers-file FILE")
    return unique(found)


def _fleet(kind: str, seed: int, count: int, faults: str | None) -> Fleet:
    """The fleet of these options. Raises FleetError, a usage error."""
    from typing import cast

    from resource_secretary.fleet import make_fleet
    from resource_secretary.fleet.shapes import Kind

    shares = {}
    for part in faults.split(",") if faults else ():
        name, _, share = part.partition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError:
            raise click.BadParameter(f"FAULT=SHARE is wanted, not {part!r}", param_hint="--faults") from None
    return make_fleet(cast("Kind", kind), seed, count, faults=shares)


def _write_truth(fleet: Fleet, path: str, result: Result) -> None:
    """Write the truth, and say on stderr how many answers differ from it."""
    from pathlib import Path

    from resource_secretary.errors import SecretaryError
    from resource_secretary.fleet import differences

    truth = fleet.truth()
    try:
        with Path(path).open("w", encoding="utf-8") as file:
            echo_json(truth, lines=True, file=file)
    except OSError as error:
        raise SecretaryError(f"can't write the truth to {path!r}: {error.strerror}") from None
    wrong = {one.worker for one in differences(truth, result.request, [(a.worker, a.answer) for a in result.answers])}
    click.echo(f"{len(wrong)} of {len(result.answers)} answers that count differ from the truth in {path}", err=True)


def _simulated(workers: Sequence[Worker], need: Resource, timeout: float) -> list[Candidate | Rejected]:
    import asyncio

    from resource_secretary.hub.hub import ask_all

    return asyncio.run(ask_all(workers, need, timeout))


def _replies(workers: Sequence[Worker], need: Resource, timeout: float) -> list[Candidate | Rejected]:
    import asyncio
    import logging

    from resource_secretary.hub.hub import ask_all
    from resource_secretary.hub.remote import ready

    ready()
    quiet = logging.getLogger("mcp")  # what it has to say of a worker is in the result
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False
    return asyncio.run(ask_all(workers, need, timeout, at_once=_at_once()))


def _at_once() -> int:
    """How many workers may be asked at the same time: each takes a connection or two."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 500 if soft == resource.RLIM_INFINITY else max(1, min(500, soft // 4))


def lines(result: Result) -> list[str]:
    """A result as people read it."""
    chosen = result.chosen
    shown = [
        f"request   {result.request or 'nothing'}",
        f"verdict   {result.verdict}: {MEANING[result.verdict]}",
        f"chosen    {chosen.worker if chosen else 'none'}",
        f"policy    {result.policy}, seed {result.seed}",
        f"answers   {_counts(result)}",
    ]
    by_name = {one.worker: one for one in result.answers}
    first = [by_name[name] for name in result.ranked]
    rest = [one for one in result.answers if one.worker not in set(result.ranked)]
    if rows := [_row(str(rank), one) for rank, one in enumerate(first[:_MOST], 1)]:
        shown += ["", plain_table(rows, ("Rank", "Worker", "Verdict", "Free cores", "Start", "Reason"))]
    if len(first) > _MOST:
        shown.append(f"and {len(first) - _MOST} more that could take it (--json has all)")
    why = [(one.worker, f"{one.answer.verdict}: {'; '.join(one.answer.reasons)}") for one in rest]
    shown += _reasons("Not chosen", why)
    shown += _reasons("Rejected", [(one.worker, f"{one.kind}: {one.reason}") for one in result.rejected])
    return [_line(line) for text in shown for line in text.split("\n")]


def _row(rank: str, one: Candidate) -> tuple[str, ...]:
    answer = one.answer
    free = "?" if answer.free_cores is None else f"{answer.free_cores} of {answer.cores}"
    start = "now" if one.ready else "?"
    if answer.wait:
        start = f"in {duration(answer.wait)}"
    cells = (rank, one.worker, answer.verdict, free, start, "; ".join(answer.reasons))
    return tuple(_line(cell) for cell in cells)


def _counts(result: Result) -> str:
    counts: dict[str, int] = defaultdict(int)
    for one in result.answers:
        counts[one.answer.verdict] += 1
    for other in result.rejected:
        counts[f"rejected ({other.kind})"] += 1
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "none"


def _reasons(title: str, why: Sequence[tuple[str, str]]) -> list[str]:
    """Each worker with its reason; where there are many, each reason with the workers that share it."""
    if not why:
        return []
    shown = ["", title]
    if len(why) <= _MOST:
        return shown + [f" • {_line(name)}: {_line(reason)}" for name, reason in why]
    shared: dict[str, list[str]] = defaultdict(list)
    for name, reason in why:
        shared[reason].append(name)
    for reason, names in sorted(shared.items(), key=lambda row: (-len(row[1]), row[0]))[:_MOST]:
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        shown.append(f" • {_line(', '.join(names[:_MOST_NAMES]))}{more}: {_line(reason)}")
    if len(shared) > _MOST:
        shown.append(f"and {len(shared) - _MOST} reasons more (--json has all)")
    return shown


def _line(text: str) -> str:
    """What a worker says must not steer the terminal that shows it."""
    from resource_secretary.run import printable

    return printable(text)
