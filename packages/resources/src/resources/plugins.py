"""Find plugins by the prefix of their module name, and load one when it is asked for.

A plugin is a top-level package or module of an installed distribution (a regular or an editable
install), or of a directory that was put on the import path on purpose (PYTHONPATH, a .pth file).
A directory that merely bears the name (no `__init__.py`) or that merely lies in the working
directory is none. Finding imports nothing; only `load` and `listing` import.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from resources.errors import BrokenPlugin, PluginConflict, UnknownPlugin

if TYPE_CHECKING:
    from importlib.metadata import Distribution
    from types import ModuleType

T = TypeVar("T")

BUILT_IN = "built-in"


class Found:
    """One plugin that was found, not imported.

    `name` is what users type, `module` what is imported, `origin` is "built-in", "NAME VERSION" of
    the distribution, or the path entry; `replaces` is "built-in" where it wins over a built-in one.
    """

    __slots__ = ("module", "name", "origin", "path", "replaces")

    def __init__(self, name: str, module: str, origin: str, path: Path) -> None:
        self.name, self.module, self.origin, self.path = name, module, origin, path
        self.replaces = ""

    def __repr__(self) -> str:
        return f"Found({self.name!r}, {self.module!r}, {self.origin!r})"


class Listed(Generic[T]):
    """A line of a listing: what was found, and what it loaded as or the reason why it did not."""

    __slots__ = ("found", "plugin", "reason")

    def __init__(self, found: Found, plugin: T | None, reason: str) -> None:
        self.found, self.plugin, self.reason = found, plugin, reason

    @property
    def name(self) -> str:
        return self.found.name

    def as_dict(self) -> dict[str, Any]:
        """What `--json` shows of it in any listing."""
        found = self.found
        return {
            "name": found.name,
            "module": found.module,
            "origin": found.origin,
            "replaces": found.replaces or None,
            "usable": self.plugin is not None,
            "reason": self.reason or None,
        }


class Registry(Generic[T]):
    """The plugins of one kind.

    prefix: start of the top-level module name of third-party plugins, e.g. `jobspec_`.
    builtins: packages whose modules are the built-in ones, e.g. `jobspec.transformer`.
    read: takes the imported module and gives the plugin; it raises where the module lacks what its
        kind must have. A string is the name of the attribute that the module must have.
    """

    def __init__(self, prefix: str, read: str | Callable[[ModuleType], T], *, builtins: Iterable[str] = ()) -> None:
        self.prefix = prefix
        self.builtins = tuple(builtins)
        self._read = read
        self._found: dict[str, list[Found]] | None = None
        self._loaded: dict[str, T] = {}

    def names(self) -> list[str]:
        """The names of all plugins, sorted; nothing is imported."""
        return sorted(self._find())

    def found(self, name: str) -> Found:
        """The one plugin of that name. Raises UnknownPlugin or PluginConflict."""
        records = self._find().get(name)
        if not records:
            known = ", ".join(self.names()) or "none"
            raise UnknownPlugin(name, f"no plugin named {name!r}; there are: {known}")
        if len(records) > 1:
            both = " and ".join(f"{r.module} ({r.origin}, {r.path})" for r in records)
            raise PluginConflict(name, f"two plugins are named {name!r}: {both}; remove one of them")
        return records[0]

    def load(self, name: str) -> T:
        """Import and return the plugin. Raises UnknownPlugin, PluginConflict or BrokenPlugin."""
        if name in self._loaded:
            return self._loaded[name]
        found = self.found(name)
        try:
            with redirect_stdout(sys.stderr):  # what a plugin prints is none of a command's data
                module = importlib.import_module(found.module)
                plugin = self._take(module)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # SystemExit, and the panic of an extension written in Rust, are no Exception
            why = f"{type(error).__name__}: {error}".splitlines()[0].removesuffix(": ")
            raise BrokenPlugin(name, f"plugin {name!r} ({found.module}) can't be used: {why}") from error
        self._loaded[name] = plugin
        return plugin

    def listing(self) -> list[Listed[T]]:
        """Every plugin with what it loaded as, or why it did not: a broken one changes only its own line."""
        lines: list[Listed[T]] = []
        for name, records in sorted(self._find().items()):
            try:
                lines.append(Listed(records[0], self.load(name), ""))
            except (PluginConflict, BrokenPlugin) as error:
                lines.append(Listed(records[0], None, str(error)))
        return lines

    def refresh(self) -> None:
        """Forget what was found: something was installed or the import path has changed."""
        self._found = None
        self._loaded.clear()

    def _take(self, module: ModuleType) -> T:
        if not isinstance(self._read, str):
            return self._read(module)
        plugin: T | None = getattr(module, self._read, None)
        if plugin is None:
            raise AttributeError(f"it has no {self._read}")
        return plugin

    def _find(self) -> dict[str, list[Found]]:
        if self._found is None:
            found: dict[str, list[Found]] = {}
            for record in _third_party(self.prefix):
                found.setdefault(record.name, []).append(record)
            for record in _built_in(self.builtins):
                installed = found.setdefault(record.name, [])
                if not installed or installed[0].origin == BUILT_IN:
                    installed.append(record)
                else:
                    installed[0].replaces = BUILT_IN
            self._found = found
        return self._found


def plugin_name(module: str, prefix: str = "") -> str:
    """What users type for a module: prefix off, lower case, `_` becomes `-`."""
    return module.removeprefix(prefix).lower().replace("_", "-")


def _built_in(packages: Iterable[str]) -> Iterator[Found]:
    for package in packages:
        spec = importlib.util.find_spec(package)  # imports the package's parents, not the package
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for module, path in _modules(Path(folder)):
                if not module.startswith("_"):
                    yield Found(plugin_name(module), f"{package}.{module}", BUILT_IN, path)


def _third_party(prefix: str) -> Iterator[Found]:
    seen: set[Path] = set()
    folders = _path_entries()
    for folder in folders:
        for module, path in _modules(folder, prefix):
            real = path.resolve()
            if real in seen:
                continue
            seen.add(real)
            origin = _origin(folder, module)
            if origin:
                yield Found(plugin_name(module, prefix), module, origin, path)
    yield from _hooked(prefix, seen, folders)


def _modules(folder: Path, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """The modules and packages right below a folder whose name starts with the prefix, in order."""
    for entry in sorted(name for name in _entries(folder) if name.startswith(prefix)):
        path = folder / entry
        if path.suffix == ".py" and path.stem.isidentifier() and path.stem != prefix:
            yield path.stem, path
        elif entry.isidentifier() and entry != prefix and (path / "__init__.py").is_file():
            yield entry, path / "__init__.py"


def _entries(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names of hundreds of files are wanted, not their paths
    except OSError:  # a path entry need not exist, nor be a folder
        return []


def _path_entries() -> list[Path]:
    """Where plugins may lie: the import path without what Python puts there unasked.

    That is the working directory and the folder of the script that runs (documentation of
    `sys.path`, "initialization of the module search path"); PYTHONPATH and .pth files name them on
    purpose, as an editable install of the project does in whose folder a developer stands.
    """
    asked = {_real(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry}
    unasked = {_real(folder) for folder in (os.curdir, str(Path(sys.argv[0]).parent) if sys.argv else ".")}
    folders: dict[str, Path] = {}
    for entry in sys.path:
        real = _real(entry or os.curdir)
        if real in asked or real not in unasked or _in_a_pth(real):
            folders.setdefault(real, Path(entry))
    return list(folders.values())


def _real(folder: str) -> str:
    try:
        return os.path.realpath(folder)
    except OSError:  # relative to a working directory that has been removed
        return folder


def _in_a_pth(real: str) -> bool:
    """Whether a .pth file puts this folder on the import path (documentation of `site`)."""
    for folder in {entry for entry in sys.path if entry}:
        for name in _entries(Path(folder)):
            if not name.endswith(".pth"):
                continue
            try:
                lines = (Path(folder) / name).read_text(encoding="utf-8", errors="replace").splitlines()
            except OSError:
                continue
            if any(line and os.path.realpath(Path(folder) / line) == real for line in map(str.strip, lines)):
                return True
    return False


def _origin(folder: Path, module: str) -> str:
    """Who put a module there: "NAME VERSION", the path entry itself, or "" for a stray in site-packages."""
    from importlib.metadata import distributions

    if folder.name in {"site-packages", "dist-packages"}:
        owners = (dist for dist in distributions(path=[str(folder)]) if module in _top_level(dist))
    else:
        owners = (dist for dist in distributions() if _is_editable_of(dist, folder))
        if not (owner := next(owners, None)):
            return str(folder)
        return _label(owner)
    owner = next(owners, None)
    return _label(owner) if owner else ""


def _label(dist: Distribution) -> str:
    return f"{dist.name} {dist.version}"


def _top_level(dist: Distribution) -> set[str]:
    names = set((dist.read_text("top_level.txt") or "").split())
    for file in dist.files or ():
        first = file.parts[0]
        names.add(first.removesuffix(".py") if len(file.parts) == 1 else first)
    return names


def _is_editable_of(dist: Distribution, folder: Path) -> bool:
    """Whether a distribution was installed in editable mode from at or above this folder (PEP 610)."""
    root = _editable_root(dist)
    return root is not None and folder.resolve().is_relative_to(root)


def _editable_root(dist: Distribution) -> Path | None:
    import json
    from urllib.parse import unquote, urlsplit

    record = dist.read_text("direct_url.json")
    if not record or '"editable"' not in record:
        return None
    try:
        url = json.loads(record)["url"]
    except (ValueError, KeyError, TypeError):
        return None
    return Path(unquote(urlsplit(url).path)).resolve()


def _hooked(prefix: str, seen: set[Path], folders: Iterable[Path]) -> Iterator[Found]:
    """Editable installs that are found by an import hook instead of a path entry (setuptools)."""
    from importlib.metadata import distributions

    if not any(_has_hook(folder) for folder in folders):
        return  # the usual case, and reading every distribution's record is slow
    for dist in distributions():
        if _editable_root(dist) is None:
            continue
        for module in sorted(_top_level(dist)):
            if not module.startswith(prefix) or module == prefix or not module.isidentifier():
                continue
            spec = importlib.util.find_spec(module)  # a top-level name: nothing is imported
            if spec and spec.origin and Path(spec.origin).resolve() not in seen:
                seen.add(Path(spec.origin).resolve())
                yield Found(plugin_name(module, prefix), module, _label(dist), Path(spec.origin))


def _has_hook(folder: Path) -> bool:
    return any(name.startswith("__editable___") and name.endswith("_finder.py") for name in _entries(folder))


def check_names(names: Sequence[str]) -> None:
    """Raise ValueError unless every name is lower case without `_` and occurs once."""
    for name in names:
        if name != plugin_name(name):
            raise ValueError(f"{name!r} is not lower case with '-'")
    if len(set(names)) != len(names):
        raise ValueError("a name occurs twice")
