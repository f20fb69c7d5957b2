"""The nested form of a jobspec: named resources, groups that hold tasks and groups, and what depends on what.

Everything that is wrong in names, references and cycles is found here, before anything runs. What comes out is
the same as of the other form: tasks in an order in which they can start, and groups as tasks with members.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from resources.units import shown

from jobspec.document import read_attributes, read_scripts, read_steps
from jobspec.errors import DocumentError
from jobspec.facts import Fact, read_facts
from jobspec.named import NamedResources, name_of, read_named, read_vertex
from jobspec.spec import Attributes, Jobspec, StepSpec, Task, Vertex
from jobspec.values import command_of, flag_of, list_of, mapping_of, text_of, whole_of

_TOP = ("version", "name", "requires", "resources", "groups", "tasks", "attributes")
_GROUP = ("name", "resources", "depends_on", "attributes", "requires", "tasks", "groups")
_TASK = (
    *("name", "resources", "group", "local", "requires", "depends_on", "replicas"),
    *("command", "attributes", "steps", "scripts"),
)
_START = ("name", "group", "depends_on", "requires")  # of a task without a command, which says where a group starts
_ATTRIBUTES = ("duration", "cwd", "environment", "watch")
DEEPEST = 10  # groups in groups
MOST_TASKS = 10_000  # of a file, every replica counted


@dataclass(slots=True, eq=False)
class _Item:
    """A task, a group, or the whole file, as it is written; `items` is what it holds."""

    entry: dict[str, Any]
    place: str
    name: str = ""
    after: tuple[str, ...] = ()
    group: bool = False
    parent: _Item | None = None
    items: list[_Item] = field(default_factory=list)
    started: str = ""  # the place of the task that says where this group starts


def read(top: dict[str, Any]) -> Jobspec:
    """Read the nested form. Raises DocumentError with the dotted path of what is wrong."""
    mapping_of(top, "", _TOP)
    resources = read_named(top.get("resources"))
    names: dict[str, _Item] = {}
    root = _Item(top, "", group=True)
    _hold(root, names, DEEPEST)
    _move(root, names)
    if not root.items:
        raise DocumentError("there is neither a task nor a group")
    # One level of groups is done after the other: a group holds what was moved into it.
    levels = [root]
    for item in levels:
        item.items = _ordered(item, names)
        levels += [inner for inner in item.items if inner.group]
    make = _Maker(resources)
    attributes = _attributes(top.get("attributes"), "attributes", Attributes())
    return Jobspec(
        make.members(root, attributes, read_facts(top.get("requires"), "requires")),
        name=name_of(top["name"], "name") if "name" in top else "",
    )


def _hold(item: _Item, names: dict[str, _Item], depth: int) -> None:
    """Take up the groups and tasks of a group, or of the file."""
    dot = f"{item.place}." if item.place else ""
    for kind, known in (("groups", _GROUP), ("tasks", _TASK)):
        for index, value in enumerate(list_of(item.entry.get(kind) or [], f"{dot}{kind}")):
            place = f"{dot}{kind}[{index}]"
            entry = mapping_of(value, place, known)
            if kind == "groups" and "name" not in entry:
                raise DocumentError("has no name", place)
            name = name_of(entry["name"], f"{place}.name") if "name" in entry else ""
            after = _references(entry.get("depends_on"), f"{place}.depends_on")
            inner = _Item(entry, place, name, after, kind == "groups", item)
            if name and names.setdefault(name, inner) is not inner:
                raise DocumentError(f"{shown(name)} is the name of {names[name].place} too", f"{place}.name")
            item.items.append(inner)
            if inner.group:
                if not depth:
                    raise DocumentError(f"groups are nested deeper than {DEEPEST} levels", place)
                _hold(inner, names, depth - 1)


def _move(root: _Item, names: dict[str, _Item]) -> None:
    """Put tasks into the groups that they name, and groups where a task without a command starts them."""
    everything = list(_all(root))
    instead: dict[_Item, list[_Item]] = {}  # what stands in its place among those it was written with
    for item in everything:
        if item.group or "group" not in item.entry:
            continue
        place = f"{item.place}.group"
        group = names.get(text_of(item.entry["group"], place))
        if group is None or not group.group:
            raise DocumentError(f"no group is named {shown(item.entry['group'])}", place)
        if "command" in item.entry or "steps" in item.entry:
            instead[item] = []
            item.parent = group
            continue
        mapping_of(item.entry, item.place, _START)
        if group.started:
            raise DocumentError(f"the group {group.name!r} is started at {group.started} already", place)
        group.started = item.place
        instead[group], instead[item] = [], [group]
        group.parent = item.parent
        group.after = tuple(dict.fromkeys((*group.after, *item.after)))
        group.entry = {**group.entry, "_requires": (item.entry.get("requires"), f"{item.place}.requires")}
        if item.name:
            names[item.name] = group
    for holder in (root, *everything):
        holder.items = [found for item in holder.items for found in instead.get(item, [item])]
    for item in everything:
        if item in instead and not item.group and not instead[item] and item.parent:
            item.parent.items.append(item)
    _check_depth(root, everything)


def _check_depth(root: _Item, everything: list[_Item]) -> None:
    """Groups that hold each other are reached from nowhere; long chains of groups are none that anyone means."""
    depth = {root: 0}
    for item in (reached := [root]):
        for inner in item.items:
            if inner.group:
                depth[inner] = depth[item] + 1
                if depth[inner] > DEEPEST:
                    raise DocumentError(f"groups are nested deeper than {DEEPEST} levels", inner.place)
                reached.append(inner)
    lost = next((item for item in everything if item.group and item not in depth), None)
    if lost is None:
        return
    chain = [lost]
    while (above := chain[-1].parent) is not None and above not in chain:
        chain.append(above)
    names = " in ".join(repr(item.name) for item in [*chain, above or lost][:5])
    raise DocumentError(f"the group holds itself: {names}", lost.started or lost.place)


def _all(item: _Item) -> Iterable[_Item]:
    for inner in item.items:
        yield inner
        yield from _all(inner)


def _ordered(item: _Item, names: dict[str, _Item]) -> list[_Item]:
    """What a group holds, in an order in which everything comes after what it depends on; else as in the file."""
    needs: dict[_Item, list[_Item]] = {}
    followers: dict[_Item, list[_Item]] = {inner: [] for inner in item.items}
    for inner in item.items:
        needs[inner] = [_dependency(inner, name, names) for name in inner.after]
        for other in needs[inner]:
            followers[other].append(inner)
        inner.after = tuple(dict.fromkeys(other.name for other in needs[inner]))
    left = {inner: len(found) for inner, found in needs.items()}
    ready = [inner for inner in item.items if not left[inner]]
    for inner in ready:
        for follower in followers[inner]:
            left[follower] -= 1
            if not left[follower]:
                ready.append(follower)
    if len(ready) == len(item.items):
        return ready
    done = set(ready)
    chain = [next(inner for inner in item.items if inner not in done)]
    while (step := next(other for other in needs[chain[-1]] if other not in done)) not in chain:
        chain.append(step)
    chain = [*chain[chain.index(step) :], step]
    names_of = " -> ".join(repr(inner.name or inner.place) for inner in chain[:10])
    raise DocumentError(f"it depends on itself: {names_of}", f"{chain[0].place}.depends_on")


def _dependency(item: _Item, name: str, names: dict[str, _Item]) -> _Item:
    place = f"{item.place}.depends_on"
    found = names.get(name)
    if found is None:
        raise DocumentError(f"no task and no group is named {shown(name)}", place)
    if found.parent is not item.parent:
        where = f"in the group {found.parent.name!r}" if found.parent and found.parent.name else "outside of this group"
        raise DocumentError(f"{shown(name)} runs {where}: only what runs side by side can depend on each other", place)
    return found


@dataclass(slots=True)
class _Maker:
    """From items to tasks."""

    resources: NamedResources
    made: int = 0

    def members(self, item: _Item, attributes: Attributes, facts: tuple[Fact, ...]) -> tuple[Task, ...]:
        return tuple(task for inner in item.items for task in self._tasks(inner, item, attributes, facts))

    def _tasks(self, item: _Item, holder: _Item, above: Attributes, facts: tuple[Fact, ...]) -> list[Task]:
        entry, place = item.entry, item.place
        if holder.place:  # the limit is the group's, not that of each task in it
            above = replace(above, duration_s=None)
        attributes = _attributes(entry.get("attributes"), f"{place}.attributes", above)
        top, own = self._named(entry, place)
        facts = (*facts, *own, *read_facts(entry.get("requires"), f"{place}.requires"))
        if "_requires" in entry:
            facts += read_facts(*entry["_requires"])
        common: dict[str, Any] = {"place": place, "name": item.name, "resources": top, "depends_on": item.after}
        if item.group:
            if not item.items:
                raise DocumentError("the group holds neither a task nor a group", place)
            self._count(1, place)
            members = self.members(item, attributes, facts)
            return [Task(attributes=attributes, requires=facts, members=members, **common)]
        local = flag_of(entry.get("local", False), f"{place}.local")
        if local and top:
            raise DocumentError("a local task runs where it is started, on no resources of its own", place)
        command = command_of(entry.get("command", []), f"{place}.command")
        task = Task(
            command=command,
            transform=_steps(entry, place, command),
            scripts=read_scripts(entry.get("scripts", []), f"{place}.scripts"),
            attributes=attributes,
            requires=facts,
            local=local,
            **common,
        )
        replicas = whole_of(entry.get("replicas", 1), f"{place}.replicas")
        self._count(replicas, f"{place}.replicas" if "replicas" in entry else place)
        return [task] if "replicas" not in entry else [_replica(task, number) for number in range(replicas)]

    def _count(self, more: int, place: str) -> None:
        self.made += more
        if self.made > MOST_TASKS:
            raise DocumentError(f"more than {MOST_TASKS} tasks", place)

    def _named(self, entry: dict[str, Any], place: str) -> tuple[Vertex | None, tuple[Fact, ...]]:
        value, here = entry.get("resources"), f"{place}.resources"
        if value is None:
            return None, ()
        if isinstance(value, dict):
            return read_vertex(value, here)
        if text_of(value, here) not in self.resources:
            known = ", ".join(self.resources) or "none"
            raise DocumentError(f"no resources are named {shown(value)}; there are: {known[:200]}", here)
        return self.resources[value]


def _steps(entry: dict[str, Any], place: str, command: tuple[str, ...]) -> tuple[StepSpec, ...]:
    """The steps, and at the end the one that starts the command where none of them starts anything."""
    steps = read_steps(entry.get("steps") or [], f"{place}.steps")
    if not any(step.name in ("submit", "batch") for step in steps):
        if not command:
            raise DocumentError("has no command, and no step that starts anything", place)
        steps += (StepSpec("submit", {}, place),)
    return steps


def _replica(task: Task, number: int) -> Task:
    environment = {**task.attributes.environment, "JOBSPEC_REPLICA": str(number)}
    return replace(task, replica=number, attributes=replace(task.attributes, environment=environment))


def _attributes(value: object, place: str, above: Attributes) -> Attributes:
    return read_attributes(mapping_of(value or {}, place, _ATTRIBUTES), place, above)


def _references(value: object, place: str) -> tuple[str, ...]:
    """Names: one, or a list of them."""
    if value is None:
        return ()
    entries = value if isinstance(value, list) else [value]
    names = [text_of(name, f"{place}[{index}]") for index, name in enumerate(entries)]
    return tuple(dict.fromkeys(names))
