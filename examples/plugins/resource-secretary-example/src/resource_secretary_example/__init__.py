"""A provider that anybody can install: the git of this system."""

from dataclasses import dataclass

from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool


@dataclass(frozen=True, slots=True)
class Git:
    version: str


class GitProvider(BaseProvider):
    category = "software"
    name = "git"
    description = "Git: its version, and which commands it has."

    def probe(self) -> Active[Git] | Absent | Unreachable:
        if not self.system.which("git"):
            return Absent("the command git on PATH")
        answer = self.system.run("git", "--version")
        if not answer.ok:
            return answer.unreachable()
        return Active(Git(answer.stdout.removeprefix("git version ").strip()))

    @secretary_tool
    def commands(self, contains: str = "") -> list[str]:
        """The commands that git has, those whose name contains a text or all."""
        listing = self.system.run("git", "--list-cmds=main").text()
        return [name for name in listing.split() if contains in name]
