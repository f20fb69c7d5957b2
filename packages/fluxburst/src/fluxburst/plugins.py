"""What a burstable plugin is, and the registry that finds them: `fluxburst_<name>`, and the built-in ones."""

from __future__ import annotations

import importlib.util
import re
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import is_dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_type_hints

from resources.errors import ResourcesError
from resources.plugins import Registry

from fluxburst.errors import (
    ConfigurationError,
    FluxBurstError,
    LoadError,
    PluginFailed,
    ProviderError,
    UncertainError,
)
from fluxburst.model import Burst, NodeShape, Offer, Sighting
from fluxburst.parameters import Parameter, build, parameters

if TYPE_CHECKING:
    from types import ModuleType

    from fluxburst.lead import Lead

T = TypeVar("T")

_NEED = re.compile(r"(?:module|command) [A-Za-z0-9_.-]+", re.ASCII)

CALL_LASTS = 180.0  # seconds; each method of a plugin is to return within some
DEFAULT_MAX_NODES = 8  # of a plugin whose parameters say nothing: nothing grows without a limit


class BurstPlugin(ABC):
    """Makes nodes of some shapes that join the lead. `params` is the dataclass it was loaded with, or None.

    A subclass says what it can make (`shapes`), makes it (`create`), says what there is (`status`) and ends it
    (`destroy`). It holds no policy: when, how many and for how long is decided before it is asked. Each method
    returns within seconds; what takes longer shows in `status`. What goes wrong is raised as one of
    `fluxburst.errors`: CapacityError, QuotaError, AuthenticationError, ConfigurationError, or UncertainError where
    the request may have been carried out all the same.

    lead: how brokers find and join the lead, set before any method but `shapes` is called; None where nothing is
    to join (plans, tests). clock: the time, seconds since the epoch.
    """

    settle: float = 30.0  # seconds after a call until which the provider's listing may not show yet what it did
    lead: Lead | None = None
    clock: Callable[[], float] = staticmethod(time.time)
    _last_call: Thread | None = None

    def __init__(self, params: Any = None) -> None:
        self.params = params

    @abstractmethod
    def shapes(self) -> Sequence[NodeShape]:
        """The node shapes on offer, the preferred one first; names are unique."""

    def shape_of(self, burst: Burst) -> NodeShape:
        """The shape of a burst's nodes. Raises ConfigurationError where it is not on offer any more."""
        for shape in self.shapes():
            if shape.name == burst.shape:
                return shape
        raise ConfigurationError(f"there is no shape {burst.shape!r} any more")

    def need_lead(self) -> Lead:
        """The lead. Raises ConfigurationError where there is none."""
        if self.lead is None:
            raise ConfigurationError("there is no lead for brokers to join: 'flux-burst init' writes its folder")
        return self.lead

    @property
    def max_nodes(self) -> int:
        """The most nodes that may exist at once; by default the `max_nodes` of the parameters, or 8."""
        limit = getattr(self.params, "max_nodes", None)
        return DEFAULT_MAX_NODES if limit is None else int(limit)

    @abstractmethod
    def create(self, burst: Burst) -> None:
        """Start making a burst, and return without waiting for it.

        What is made bears the burst's name and the lead's owner (a tag, a label, a job's name), and ends by itself
        at the burst's deadline, whoever is left to end it. A burst whose name exists changes nothing.
        """

    @abstractmethod
    def status(self, known: Sequence[Burst] = ()) -> Sequence[Sighting]:
        """Every burst that exists and bears the owner's mark; and which of `known` have ended for certain (`gone`).

        One call serves all bursts. One that is in `known` and not in the answer is unknown: it goes on to count.
        """

    @abstractmethod
    def destroy(self, burst: Burst) -> None:
        """Have a burst end, and return without waiting for it. One that does not exist changes nothing.

        Of one that was found by its mark alone only the name and the id are known.
        """


class Burstable(NamedTuple):
    """A plugin's module as the registry reads it. parameters: its dataclass, None where it takes none.

    needs: what must be there to use it, and how to get it: `module NAME` or `command NAME` -> what to install.
    """

    init: Callable[[Any], object]
    parameters: type | None
    about: str
    needs: Mapping[str, str] = {}

    def options(self) -> tuple[Parameter, ...]:
        """Its parameters as command-line options say them."""
        return parameters(self.parameters) if self.parameters else ()

    def missing(self) -> list[str]:
        """What of its needs is not there, each with what to do; nothing is imported to see that."""
        return [f"{need} is missing: {cure}" for need, cure in self.needs.items() if not _is_there(need)]

    def start(self, name: str, params: object, values: Mapping[str, object]) -> BurstPlugin:
        """The plugin, from its dataclass or from values for one. Raises LoadError or ParameterError."""
        if params is None:
            if self.parameters:
                params = build(self.parameters, values)
            elif values:
                raise LoadError(name, f"it takes no parameters, not {', '.join(values)}")
        elif values:
            raise LoadError(name, "give the dataclass or keyword arguments, not both")
        elif self.parameters and not isinstance(params, self.parameters):
            raise LoadError(name, f"its parameters are a {self.parameters.__name__}, not a {type(params).__name__}")
        made = guarded(name, "init", lambda: self.init(params))
        if not isinstance(made, BurstPlugin):
            raise LoadError(name, f"init gave a {type(made).__name__}, not a BurstPlugin")
        return made


def read(module: ModuleType) -> Burstable:
    """What a plugin's module holds: `init`, and a dataclass named BurstParameters or that `init` is annotated with.

    Raises TypeError or ParameterError where it lacks what it must have.
    """
    init = getattr(module, "init", None)
    if not callable(init):
        raise TypeError("it has no init function")
    found = getattr(module, "BurstParameters", None) or _annotated(init)
    if found is not None and not (isinstance(found, type) and is_dataclass(found)):
        raise TypeError("BurstParameters is no dataclass")
    needs = getattr(module, "NEEDS", {})
    if not isinstance(needs, dict) or not all(_NEED.fullmatch(need) for need in needs):
        raise TypeError("NEEDS is a table of 'module NAME' or 'command NAME' -> what to install")
    made = Burstable(init, found, (module.__doc__ or "").strip().partition("\n")[0], needs)
    made.options()  # a field that can't be an option makes the plugin a broken one
    return made


def _is_there(need: str) -> bool:
    kind, _, name = need.partition(" ")
    if kind == "command":
        return shutil.which(name) is not None
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _annotated(init: Callable[..., object]) -> type | None:
    hints = [hint for name, hint in get_type_hints(init).items() if name != "return"]
    return next((hint for hint in hints if isinstance(hint, type) and is_dataclass(hint)), None)


REGISTRY: Registry[Burstable] = Registry("fluxburst_", read, builtins=["fluxburst.burstables"])


def offer(name: str, plugin: BurstPlugin) -> Offer:
    """What a loaded plugin offers. Raises PluginFailed where it fails or its answer makes no sense."""
    shapes = bounded(name, plugin, "shapes", lambda: _all(NodeShape, plugin.shapes()))
    limit = guarded(name, "max_nodes", lambda: plugin.max_nodes)
    if len({shape.name for shape in shapes}) < len(shapes):
        raise PluginFailed(name, "two of its node shapes have one name")
    if limit < 0:
        raise PluginFailed(name, f"max_nodes is {limit}; it is 0 or more")
    return Offer(name, shapes, limit)


def sightings(name: str, plugin: BurstPlugin, known: Sequence[Burst]) -> dict[str, Sighting]:
    """What a loaded plugin says of its bursts, by name. Raises PluginFailed or ProviderError."""
    found = bounded(name, plugin, "status", lambda: _all(Sighting, plugin.status(known)))
    by_name = {one.name: one for one in found}
    if len(by_name) < len(found):
        raise PluginFailed(name, "two of the bursts that it shows have one name")
    return by_name


def _all(kind: type[T], answer: Sequence[T]) -> tuple[T, ...]:
    made = tuple(answer)
    for wrong in (one for one in made if not isinstance(one, kind)):
        raise TypeError(f"a {type(wrong).__name__} where a {kind.__name__} belongs")
    return made


def bounded(name: str, plugin: BurstPlugin, what: str, call: Callable[[], T]) -> T:
    """What a plugin's method returns, if it does in time: one that hangs must not keep the bursts of others.

    It is called no more until that call has come to an end. Raises what `guarded` does, and UncertainError.
    """
    if plugin._last_call is not None and plugin._last_call.is_alive():
        raise UncertainError(f"plugin {name} hangs since it was asked before; it is asked no more until that ends")
    done: Future[T] = Future()

    def work() -> None:
        try:
            done.set_result(guarded(name, what, call))
        except BaseException as error:  # noqa: BLE001 - it is raised where the call was made
            done.set_exception(error)

    plugin._last_call = Thread(target=work, daemon=True)
    plugin._last_call.start()
    plugin._last_call.join(CALL_LASTS)
    if not done.done():
        raise UncertainError(f"plugin {name} has not come back from {what} in {CALL_LASTS:g} s")
    return done.result()


def guarded(name: str, what: str, call: Callable[[], T]) -> T:
    """What a plugin's method returns; what it raises, but for a ProviderError, becomes a PluginFailed that names it."""
    try:
        return call()
    except (PluginFailed, ProviderError):
        raise
    except (FluxBurstError, ResourcesError) as error:
        raise PluginFailed(name, str(error)) from error
    except Exception as error:
        raise PluginFailed(name, f"{what} failed: {type(error).__name__}: {error}") from error
