"""Check a whole file: its keys and values, what they name, and what the rules can lead to."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from resources.errors import PluginError
from resources.units import shown

from ensemble.document import Document, JobGroup, Rule
from ensemble.errors import Problem, SpecError
from ensemble.faults import Fields, Path, faults_of
from ensemble.metrics import MetricName, did_you_mean
from ensemble.places import Places
from ensemble.reach import Reach, cycle

if TYPE_CHECKING:
    from resources.plugins import Registry

    from ensemble.plugins import Plugin

KEYS = ("logging", "member", "seed", "variables", "jobs", "rules", "custom", "on_custom_error")
MORE = tuple(key for key in KEYS if key not in ("jobs", "rules"))
LOGGING_KEYS = ("debug", "heartbeat")
ON_ERROR = ("continue", "stop")
SERIES = ("duration", "pending", "age")  # of every group
START = ("start", "every", "heartbeat", "idle", "end")  # what can fire before there is any job


class Placed(NamedTuple):
    """A rule, and where it stands. of: the rule set that it comes from, empty for the file's own."""

    rule: Rule
    path: Path
    of: str = ""


class Checker:
    """Reads the data of one file. `problems` has everything that is wrong with it."""

    def __init__(self, data: Any, places: Places, plugins: Registry[Plugin] | None) -> None:
        self.places = places
        self.problems: list[Problem] = list(places.duplicates)
        self._plugins = plugins
        self.complete = True  # whether every group and rule could be read
        given = data if isinstance(data, Mapping) else {}
        # Keys that start with x- are left alone: a place for what anchors name.
        given = {key: value for key, value in given.items() if not key.startswith("x-")}
        # What is no ensemble file at all is told in one line, not key by key.
        self.is_one = any(get_close_matches(str(key), ("jobs", "rules"), 1) for key in given)
        self.fields = Fields(given if self.is_one else {}, "the file", KEYS)
        if not self.is_one:
            empty = "the file is empty; " if data is None else ""
            self.wrong((), f"{empty}an ensemble file is a mapping with `jobs` and `rules` (also {', '.join(MORE)})")

    @cached_property
    def plugins(self) -> Registry[Plugin]:
        from ensemble.plugins import registry

        return registry() if self._plugins is None else self._plugins

    def wrong(self, path: Path, message: str, *, at_key: bool = False) -> None:
        self.problems.append(self.places.problem(path, " ".join(message.split()), at_key=at_key))

    def document(self) -> Document:
        """The document, as far as it could be read; all checks are done."""
        member, settings = self._member()
        logging = Fields(self.fields.mapping("logging"), "logging", LOGGING_KEYS)
        debug = logging.given.get("debug", False)
        if not isinstance(debug, bool):
            logging.wrong(("debug",), f"debug is true or false, not {shown(debug)}")
        beat = logging.attempt(("heartbeat",), lambda: heartbeat(logging.given.get("heartbeat", False)), 0.0)
        for fault in logging.faults:
            self.fields.wrong(("logging", *fault.path), fault.message, at_key=fault.at_key)
        seed = self.fields.count("seed", 0)
        custom = self.fields.given.get("custom")
        if custom is not None and not isinstance(custom, str):
            self.fields.wrong(("custom",), f"custom is a text, not {shown(custom)}")
        groups = self._groups(seed)
        rules = self._rules()
        document = Document(
            file=self.places.file,
            jobs={group.name: group for _, group in groups},
            rules=tuple(placed.rule for placed in rules),
            member=member,
            settings=settings,
            custom=custom if isinstance(custom, str) else "",
            custom_line=self.places.block_line(("custom",)),
            debug=debug is True,
            heartbeat=beat,
            seed=seed,
            variables=self._variables(),
            stop_on_custom_error=self.fields.choice("on_custom_error", ON_ERROR, ON_ERROR[0]) == "stop",
        )
        for fault in self.fields.faults:
            self.wrong(fault.path, fault.message, at_key=fault.at_key)
        _References(self, document, groups, rules).check()
        _consequences(self, document, groups, rules)
        return document

    def take(self, path: Path, error: SpecError, of: str = "") -> None:
        """The faults of what stands at `path`, told at `path` itself where it comes from a rule set."""
        for fault in faults_of(error):
            if of:
                where = ".".join(map(str, fault.path))
                self.wrong(path, f"{of}: {where + ': ' if where else ''}{fault.message}")
            else:
                self.wrong((*path, *fault.path), fault.message, at_key=fault.at_key)

    def _list(self, key: str) -> list[Any]:
        entries = self.fields.given.get(key)
        if entries is None or isinstance(entries, list):
            return entries or []
        self.fields.wrong((key,), f"{key} is a list, not {shown(entries)}")
        self.complete = False
        return []

    def _groups(self, seed: int) -> list[tuple[Path, JobGroup]]:
        groups: dict[str, tuple[Path, JobGroup]] = {}
        for index, entry in enumerate(self._list("jobs")):
            path: Path = ("jobs", index)
            try:
                group = JobGroup({} if entry is None else entry, default_seed=seed)
            except SpecError as error:
                self.take(path, error)
                self.complete = False
                continue
            if group.name in groups:
                self.wrong((*path, "name"), f"there is a group {group.name!r} already")
            groups[group.name] = (path, group)
        return list(groups.values())

    def _rules(self) -> list[Placed]:
        entries = self._list("rules")
        misspelt = any(fault.at_key and "did you mean 'rules'?" in fault.message for fault in self.fields.faults)
        if self.is_one and not misspelt and not self.fields.given.get("rules"):
            self.wrong(("rules",), "there are no rules, so nothing would ever run")
        placed: list[Placed] = []
        for index, entry in enumerate(entries):
            path: Path = ("rules", index)
            if isinstance(entry, Mapping) and "use" in entry:
                placed += self._packaged(path, entry)
                continue
            try:
                placed.append(Placed(Rule({} if entry is None else entry), path))
            except SpecError as error:
                self.take(path, error)
                self.complete = False
        return placed

    def _packaged(self, path: Path, entry: Mapping[str, Any]) -> list[Placed]:
        """The rules of a set that a plugin packages."""
        import inspect

        from ensemble.plugins import find_rules

        fields = Fields(entry, "a set of rules", ("use", "with"))
        label, arguments = fields.text("use", None), fields.mapping("with")
        if label and not all(label.partition(".")):
            fields.wrong(("use",), f"a set of rules is PLUGIN.NAME, not {shown(label)}")
        made: Any = None
        if not fields.faults:
            try:
                function = find_rules(label, self.plugins)
                inspect.signature(function).bind(**arguments)
                made = function(**arguments)
                if not isinstance(made, (list, tuple)):
                    raise TypeError(f"it gives no list of rules but {shown(made)}")
            except PluginError as error:
                fields.wrong(("use",), str(error))
            except TypeError as error:
                fields.wrong(("with",) if "with" in fields else ("use",), f"{label}: {error}")
            except Exception as error:  # noqa: BLE001 - a stranger's code, and a file that is checked
                fields.wrong(("use",), f"{label}: {type(error).__name__}: {error}")
        for fault in fields.faults:
            self.wrong((*path, *fault.path), fault.message, at_key=fault.at_key)
        self.complete = self.complete and not fields.faults
        placed = []
        for number, rule in enumerate(made if not fields.faults else (), 1):
            of = f"rule {number} of {label}"
            try:
                placed.append(
                    Placed(rule if isinstance(rule, Rule) else Rule({} if rule is None else rule), (*path, "use"), of)
                )
            except SpecError as error:
                self.take((*path, "use"), error, of)
                self.complete = False
        return placed

    def _member(self) -> tuple[str, Mapping[str, Any]]:
        given = self.fields.given.get("member")
        settings: dict[str, Any] = {}
        path: Path = ("member",)
        if isinstance(given, Mapping):
            settings = {key: value for key, value in given.items() if key != "name"}
            path = ("member", "name")
            if "name" not in given:
                self.fields.wrong(("member",), "name: it is missing (which member)")
                return "", settings
            given = given["name"]
        if given is None:
            return "", settings
        if not isinstance(given, str):
            self.fields.wrong(path, f"member is a text, or a mapping with name, not {shown(given)}")
            return "", settings
        if given not in self.plugins.names():
            self.fields.wrong(path, f"no member is named {given!r}{did_you_mean(given, self.plugins.names())}")
        return given, settings

    def _variables(self) -> dict[str, float]:
        found = {}
        for name, value in self.fields.mapping("variables").items():
            if not (isinstance(name, str) and name.isascii() and name.isidentifier()):
                self.fields.wrong(("variables", name), "a variable's name has letters, digits and _", at_key=True)
            number = as_number(value)
            if number is None:
                self.fields.wrong(("variables", name), f"a variable is a number, not {shown(value)}")
            else:
                found[name] = number
        return found


class _References:
    """What is named must be there: groups, metrics, variables, functions, readers."""

    def __init__(
        self, checker: Checker, document: Document, groups: list[tuple[Path, JobGroup]], rules: list[Placed]
    ) -> None:
        self.checker, self.document, self.groups, self.rules = checker, document, groups, rules
        written = checker.fields.given.get("jobs")
        entries = [group for group in written if isinstance(group, Mapping)] if isinstance(written, list) else []
        self.named = [name for group in entries if isinstance(name := group.get("name"), str)]
        self.functions = _functions(checker, document)
        setters = [placed.rule.action for placed in rules if placed.rule.action.name == "set"]
        self.variables = [*document.variables, *(action.label for action in setters)]
        self.custom = any(placed.rule.action.name == "custom" for placed in rules)

    def check(self) -> None:
        for path, group in self.groups:
            self._group(path, group)
        for placed in self.rules:
            self._rule(placed)
        needs = {group.name: list(group.depends_on) for _, group in self.groups}
        if ring := cycle(needs):
            path = next(path for path, group in self.groups if group.name == ring[0])
            self.checker.wrong((*path, "depends_on"), f"these wait for each other for ever: {' -> '.join(ring)}")

    def _group(self, path: Path, group: JobGroup) -> None:
        for index, name in enumerate(group.depends_on):
            written = group.written["depends_on"]
            key: Path = (name,) if isinstance(written, Mapping) else (index,) if isinstance(written, list) else ()
            self._is_group(name, (*path, "depends_on", *key), at_key=isinstance(written, Mapping))
        for name, reader in group.metrics.items():
            if reader.kind == "reader":
                from ensemble.plugins import why_no_reader

                if why := why_no_reader(reader.source, self.checker.plugins):
                    self.checker.wrong((*path, "metrics", name, "reader"), why)

    def _rule(self, placed: Placed) -> None:
        rule, action = placed.rule, placed.rule.action
        if rule.metric:
            self._metric(placed, rule.metric, ("name",))
        elif rule.name:
            self._group_of(placed, rule.name, ("name",))
        if rule.when:
            self._read(placed, rule.when.metrics, rule.when.variables, ("when",))
        label: Path = ("action", "label")
        if action.name in ("submit", "grow", "shrink") and action.label:
            self._group_of(placed, action.label, label)
        elif action.name == "cancel" and action.label:
            group, _, number = action.label.partition(".")
            if number and not number.isdecimal():
                self._wrong(
                    placed, label, f"no job {action.label!r}: the jobs of a group are named {group}.0, {group}.1"
                )
            self._group_of(placed, group, label)
        elif action.name == "custom":
            self._function(placed, action.label)
        if action.overrides and (changed := self.document.jobs.get(action.label)):
            try:
                changed.overridden(action.overrides)
            except SpecError as error:
                for fault in faults_of(error):
                    self._wrong(placed, ("action", "value", *fault.path), fault.message)
        place: Path = ("action", "value")
        if action.name == "message" and (*placed.path, "action", "value") not in self.checker.places.values:
            place = label
        for expression in action.expressions:
            if expression.own and not rule.metric:
                self._wrong(placed, place, f"the value of which metric? The rule has no name ({expression})")
            self._read(placed, expression.metrics, expression.variables, place)

    def _wrong(self, placed: Placed, path: Path, message: str) -> None:
        if placed.of:
            self.checker.wrong(placed.path, f"{placed.of}: {message}")
        else:
            self.checker.wrong((*placed.path, *path), message)

    def _read(self, placed: Placed, metrics: tuple[MetricName, ...], variables: tuple[str, ...], path: Path) -> None:
        for metric in metrics:
            self._metric(placed, metric, path)
        for name in variables:
            if name not in self.variables and not self.custom:
                hint = did_you_mean(name, sorted(set(self.variables))) if self.variables else ""
                self._wrong(placed, path, f"no variable {name!r} is in variables or set by a rule{hint}")

    def _metric(self, placed: Placed, metric: MetricName, path: Path) -> None:
        self._group_of(placed, metric.group, path)
        group = self.document.jobs.get(metric.group)
        if not metric.series or group is None or metric.series in SERIES or metric.series in group.metrics:
            return
        hint = did_you_mean(metric.series, [*SERIES, *group.metrics])
        self._wrong(placed, path, f"the group {group.name!r} has no metric {metric.series!r}{hint}")

    def _group_of(self, placed: Placed, name: str, path: Path) -> None:
        if why := self._why_no_group(name):
            self._wrong(placed, path, why)

    def _is_group(self, name: str, path: Path, *, at_key: bool) -> None:
        if why := self._why_no_group(name):
            self.checker.wrong(path, why, at_key=at_key)

    def _why_no_group(self, name: str) -> str:
        if name in self.document.jobs or name in self.named:
            return ""
        hint = did_you_mean(name, list(self.document.jobs)) or "; there are no jobs"
        return f"no group of jobs is named {name!r}{hint}"

    def _function(self, placed: Placed, label: str) -> None:
        why = ""
        if "." in label:
            from ensemble.plugins import why_no_action

            why = why_no_action(label, self.checker.plugins)
        elif self.functions is not None and label not in self.functions:
            hint = did_you_mean(label, sorted(self.functions))
            why = f"custom defines no function {label!r}{hint}"
        if why:
            self._wrong(placed, ("action", "label"), why)


def _consequences(
    checker: Checker, document: Document, groups: list[tuple[Path, JobGroup]], rules: list[Placed]
) -> None:
    """Rules that can never fire, groups that wait for what never comes, an ensemble that can never end."""
    if not rules:
        return
    known = all(placed.rule.action.label in document.jobs for placed in rules if placed.rule.action.name == "submit")
    reach = Reach(
        document.jobs,
        document.rules,
        document.heartbeat > 0 or any(problem.message.startswith("heartbeat is") for problem in checker.problems),
        open=not (checker.complete and known) or bool(document.settings.get("foreign")),
    )
    if not reach.open and not any(placed.rule.trigger in START for placed in rules):
        checker.wrong(("rules",), "no rule has the trigger start, so nothing would ever run")
        return
    reach.explore()
    for index, placed in enumerate(rules):
        if index in reach.fires:
            continue
        path, why = reach.why_never(placed.rule)
        if placed.of:
            checker.wrong(placed.path, f"{placed.of}: {why}")
        elif all(name in document.jobs for _, name in placed.rule.groups()):  # else that was told
            checker.wrong((*placed.path, *path), why)
    for index, why in reach.endless():
        placed = rules[index]
        if placed.of:
            checker.wrong(placed.path, f"{placed.of}: {why}")
        else:
            checker.wrong((*placed.path, "action"), why)
    for path, group in groups:
        for name in group.depends_on:
            if reach.submitted(group.name) and name in document.jobs and not reach.submitted(name):
                checker.wrong((*path, "depends_on"), f"it would wait for ever: no rule that can fire submits {name!r}")


def heartbeat(value: object) -> float:
    """A number of seconds, or a time; true is one a minute, false none."""
    from ensemble.faults import interval

    if isinstance(value, bool):
        return 60.0 if value else 0.0
    if value is None or value == 0:
        return 0.0
    try:
        return interval(value, "heartbeat")
    except SpecError:
        raise SpecError(f"heartbeat is a number of seconds, or true for 60, not {shown(value)}", "heartbeat") from None


def as_number(value: object) -> float | None:
    """A finite number; also `1e-3`, which YAML 1.1 takes for a text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _functions(checker: Checker, document: Document) -> set[str] | None:
    """The names that the custom source binds at its top level; None where that can't be told."""
    try:
        tree = ast.parse(document.custom)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        message = f"custom is no valid Python: {getattr(error, 'msg', None) or error}"
        place = checker.places.in_block(("custom",), line, getattr(error, "offset", None) or 1, message)
        checker.problems.append(place)
        return None
    names: set[str] = set()
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        match node:
            case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
                names.add(node.name)
            case ast.Import() | ast.ImportFrom():
                if any(alias.name == "*" for alias in node.names):
                    return None
                names.update((alias.asname or alias.name) for alias in node.names)
            case ast.Name(ctx=ast.Store()):
                names.add(node.id)
            case _:
                todo += ast.iter_child_nodes(node)
    return names
