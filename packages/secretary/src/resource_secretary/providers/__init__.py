"""The providers, one module each, in folders by category: folders are scanned, modules imported when asked for."""

from resource_secretary.providers.provider import BaseProvider, Offering
from resource_secretary.result import Absent, Active, Unreachable
from resource_secretary.tools import dispatch_tool, secretary_tool

__all__ = ["Absent", "Active", "BaseProvider", "Offering", "Unreachable", "dispatch_tool", "secretary_tool"]
