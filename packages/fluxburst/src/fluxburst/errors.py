"""The errors of this package: one base class, fields as well as text.

What is wrong with finding or importing a plugin is said by `resources.errors.PluginError`.
"""

from __future__ import annotations


class FluxBurstError(Exception):
    """Base of every error that this package raises on purpose; `exit_code` is what a command exits with."""

    exit_code = 1


class JobError(FluxBurstError, ValueError):
    """A job or its jobspec can't be read; `place` is a dotted path in it (`spec.resources[0].count`)."""

    def __init__(self, message: str, place: str = "") -> None:
        self.message, self.place = message, place
        super().__init__(f"{place}: {message}" if place else message)


class QueueError(FluxBurstError, ValueError):
    """A queue file can't be read; `line` counts from 1, 0 where the whole file is meant."""

    def __init__(self, file: str, line: int, message: str) -> None:
        self.file, self.line, self.message = file, line, message
        super().__init__(f"{file}:{line}: {message}" if line else f"{file}: {message}")


class ParameterError(FluxBurstError, ValueError):
    """A parameter of a plugin is missing, unknown or of the wrong type; `field` is empty where all are meant."""

    def __init__(self, message: str, field: str = "") -> None:
        self.message, self.field = message, field
        super().__init__(f"{field}: {message}" if field else message)


class LoadError(FluxBurstError):
    """The plugin `name` was found but can't be loaded with what it was given."""

    def __init__(self, name: str, message: str) -> None:
        self.name, self.message = name, message
        super().__init__(f"plugin {name!r}: {message}")


class PluginFailed(LoadError):
    """A loaded plugin raised an error of its own, or answered with what makes no sense."""


class ProviderError(FluxBurstError):
    """What a plugin raises when its provider does not do what it was asked; the class says what is to be done."""

    kind = "provider"


class CapacityError(ProviderError):
    """The provider has no such nodes now: others are tried, and these again after a while."""

    kind = "capacity"


class QuotaError(ProviderError):
    """The account may not have that many: the plugin pauses for a while."""

    kind = "quota"


class AuthenticationError(ProviderError):
    """The credentials are missing, wrong or not enough: the plugin pauses until somebody mends them."""

    kind = "authentication"


class ConfigurationError(ProviderError):
    """The provider will never take it as it is said: the plugin pauses until somebody mends it."""

    kind = "configuration"


class UncertainError(ProviderError):
    """No answer, or none that says: it may have been done or not. The next look tells; nothing is asked twice."""

    kind = "uncertain"


class LedgerError(FluxBurstError):
    """The ledger can't be read or written, or another controller holds it."""


class HeldError(LedgerError):
    """Another controller holds the ledger; `process` is its id, 0 or less where it is not known here."""

    def __init__(self, message: str, process: int = 0) -> None:
        self.process = process
        super().__init__(message)


class HandleError(FluxBurstError):
    """The lead can't be asked: no bindings, no instance, or it refused."""
