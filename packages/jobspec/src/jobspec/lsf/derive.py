"""From the parts of a script to the job that LSF holds."""

from __future__ import annotations

import math
from typing import Any

from jobspec.job import Constraint, Gpus, Job, Mail, Memory, Native, Nodes, Signal, Where
from jobspec.lsf import resreq, values
from jobspec.lsf.options import PLAIN
from jobspec.lsf.parts import Part, Parts
from jobspec.profile import Profile
from jobspec.reading import Problem
from jobspec.templates import is_template

_GPU_COUNTS = ("ngpus", "ngpus_physical", "ngpus_excl_p", "ngpus_excl_t", "ngpus_shared")
_PLACED = ("order", "same", "cu")


class Deriving:
    """The fields of the job so far, and where each was asked for."""

    def __init__(self, parts: Parts, profile: Profile) -> None:
        self.parts = parts
        self.profile = profile
        self.fields: dict[str, Any] = {}
        self.where: dict[str, Where] = {}
        self.native: list[Native] = []
        self.warnings: list[Problem] = []
        self.unit = profile.memory_units.get("lsf", "")
        self.taken: set[str] = set()

    def part(self, key: str) -> Part | None:
        """The part of a key, which is then dealt with."""
        self.taken.add(key)
        return self.parts.last.get(key)

    def hold(self, part: Part, *names: str) -> None:
        """The part went into these fields."""
        part.fields = (*part.fields, *(name for name in names if name not in part.fields))
        for name in names:
            if name != "native":
                self.where.setdefault(name, Where(part.line, part.column))

    def keep(self, part: Part, option: str, value: str | None, *, told: bool = True) -> None:
        """The part, or some of it, is a matter of LSF alone; not `told`: other fields say it too."""
        self.native.append(Native(option, value))
        if told:
            self.hold(part, "native")

    def warn(self, part: Part, message: str, meant: str = "") -> None:
        self.warnings.append(Problem(part.line, part.column, message, meant))

    def job(self) -> Job:
        for option, field in PLAIN.items():
            if part := self.part(option):
                self.fields[field] = part.value
                self.hold(part, field)
        self._names()
        self._size()
        self._gpus()
        self._memory()
        self._requirements()
        self._times()
        self._files()
        self._mail()
        self._rest()
        # In an order of their own, since that of the options means nothing but for the files of -f.
        self.native.sort(key=lambda one: (one.option, "" if one.option == "f" else one.value or ""))
        return Job(system="lsf", where=self.where, native=tuple(self.native), **self.fields)

    def _names(self) -> None:
        if part := self.part("J"):
            name, array = part.value
            if name:
                self.fields["name"] = name
                self.hold(part, "name")
            if array:
                self.fields["array"] = array
                self.hold(part, "array")
        for key, field in (("q", "queue"), ("w", "dependency"), ("env", "environment")):
            if part := self.part(key):
                self.fields[field] = part.value
                self.hold(part, field)
        if part := self.part("G"):
            if "account" in self.fields:
                self.keep(part, "G", part.value)
            else:
                # Without a project the group of the fair share is who pays.
                self.fields["account"] = part.value
                self.keep(part, "G", None, told=False)
                self.hold(part, "account")

    def _size(self) -> None:
        least = most = 1
        if part := self.part("n"):
            least, most = part.value
            self.hold(part, "tasks")
            if most != least:
                self.keep(part, "n", f"{least},{most}")
        elif part := self.part("nnodes"):
            least = most = part.value
            self.fields["exclusive"] = True  # CSM gives whole nodes
            self.keep(part, "nnodes", None, told=False)
        if part := self.part("nnodes"):
            self.fields["nodes"] = Nodes(part.value, part.value)
            self.hold(part, "nodes")
        for part in self.parts.lists.get("R", []):
            # `N*{...} + M*{...}`: its numbers are those of the tasks
            if (tasks := resreq.compound_tasks(part.value)) and "n" not in self.parts.last:
                least = most = tasks
                self.hold(part, "tasks")
            self.keep(part, "R", part.value)
        if part := self.part("span"):
            kind, number, text = part.value
            if kind == "hosts":
                self.fields["nodes"] = Nodes(1, 1)
                self.hold(part, "nodes")
            elif kind == "ptile":
                self.fields["tasks_per_node"] = number
                self.hold(part, "tasks_per_node")
                self.fields.setdefault("nodes", Nodes(math.ceil(least / number), math.ceil(most / number)))
            else:
                self.fields["placement"] = text
                self.hold(part, "placement")
        if part := self.part("affinity"):
            cores, text = part.value
            if cores:
                self.fields["cpus_per_task"] = cores
                self.hold(part, "cpus_per_task")
            else:
                self._place(part, text)
        self.fields["tasks"] = least
        if part := self.part("x"):
            self.fields["exclusive"] = True
            self.hold(part, "exclusive")

    def _place(self, part: Part, text: str) -> None:
        before = self.fields.get("placement")
        self.fields["placement"] = f"{before} {text}" if before else text
        self.hold(part, "placement")

    def _gpus(self) -> None:
        count, per, kind = 1, "node", ""
        asked = [key for key in self.parts.last if key.startswith("gpu.")]
        rest: list[str] = []
        for key in asked:
            part = self.part(key)
            if part is None:
                continue
            if key == "gpu.num":
                count, per = part.value
            elif key == "gpu.gmodel":
                kind = part.value
            elif key == "gpu.-":
                rest.append("-")
                self.hold(part, "gpus")
                continue
            else:
                rest.append(f"{key[4:]}={part.value}")
                self.hold(part, "native")
                if "gpu.num" in asked:
                    continue
            self.hold(part, "gpus")
        if rest:
            self.native.append(Native("gpu", ":".join(rest)))
        if asked:
            self.fields["gpus"] = (Gpus(count, per, kind),)  # type: ignore[arg-type]
        for name in _GPU_COUNTS:
            part = self.part(f"rusage.{name}")
            if part is None:
                continue
            use: resreq.Use = part.value
            plain = use.value.isascii() and use.value.isdigit() and int(use.value[:9]) > 0 and len(use.value) < 10
            if "gpus" in self.fields or not plain or use.per == "job":
                self.keep(part, "rusage", use.text)
            else:
                per = "task" if use.per == "task" else "node"
                self.fields["gpus"] = (Gpus(int(use.value), per),)  # type: ignore[arg-type]
                self.keep(part, "ngpus", f"{name}/{use.per}".rstrip("/"), told=False)
                self.hold(part, "gpus")

    def _bytes(self, part: Part, text: str, unit: str, what: str) -> int:
        if not values.has_unit(text):
            assumed = self.unit or unit
            if not self.unit:
                self.warn(part, f"ambiguous: the unit of {what} is the site's; {text} read as {text} {assumed}",
                          "name the unit, or say memory_units in the profile")  # fmt: skip
            unit = assumed
        return values.size(text, unit)

    def _memory(self) -> None:
        site = self.profile.memory_per.get("lsf", "")
        site = "task" if site == "slot" else site  # each task has one slot
        if part := self.part("rusage.mem"):
            use: resreq.Use = part.value
            per = {"host": "node"}.get(use.per, use.per) or site
            if not per:
                per = "node"
                self.warn(part, "ambiguous: what rusage[mem] is reserved for is the site's; read as each host's",
                          "write mem=.../host or mem=.../task, or say memory_per in the profile")  # fmt: skip
            size = self._bytes(part, use.value, "MB", "rusage[mem]")
            self.fields["memory"] = Memory(size, per)  # type: ignore[arg-type]
            self.hold(part, "memory")
        if part := self.part("M"):
            text: str = part.value
            hard = text.endswith("!")
            bare = text.removesuffix("!").rstrip()
            size = self._bytes(part, bare, "KB", "-M")
            if "memory" in self.fields:
                told = size != self.fields["memory"].bytes
                self.keep(part, "M", text, told=told)
                if not told:
                    self.hold(part, "memory")
            else:
                self.fields["memory"] = Memory(size, site or "task")  # type: ignore[arg-type]
                self.keep(part, "M", "!" if hard else None, told=False)
                self.hold(part, "memory")
                if not site:
                    self.warn(part, "ambiguous: -M is the limit of a process or of the job; read as that of each task",
                              "say memory_per in the profile")  # fmt: skip
        if part := self.part("rusage.tmp"):
            use = part.value
            if use.per in {"", "host"}:
                self.fields["disk_per_node"] = values.size(use.value, "MB")
                self.hold(part, "disk_per_node")
            else:
                self.keep(part, "rusage", use.text)

    def _requirements(self) -> None:
        if selects := self.parts.lists.get("select", []):
            texts = list(dict.fromkeys(part.value for part in selects))
            text = texts[0] if len(texts) == 1 else " && ".join(f"({one})" for one in texts)
            self.fields["constraint"] = Constraint(text, resreq.features(" && ".join(texts)))
            for one in selects:
                self.hold(one, "constraint")
        for key in _PLACED:
            if part := self.part(key):
                self._place(part, part.value)
        for one in self.parts.lists.get("rusage", []):
            self.keep(one, "rusage", one.value.text)
        for key in list(self.parts.last):
            if key.startswith("rusage.") and key not in self.taken and (found := self.part(key)):
                self.keep(found, "rusage", found.value.text)

    def _times(self) -> None:
        if part := self.part("W"):
            self.fields["walltime_s"], host = part.value
            self.hold(part, "walltime_s")
            if host:
                self.keep(part, "W host", host)
        if part := self.part("b"):
            self.fields["begin"] = part.value
            self.hold(part, "begin")
        if part := self.part("t"):
            self.fields["deadline"] = part.value.text
            self.hold(part, "deadline")
        warning, before = self.part("wa"), self.part("wt")
        if warning and before and warning.value.isalnum() and warning.value.upper() == warning.value != "CHKPNT":
            self.fields["signal"] = Signal(warning.value.removeprefix("SIG"), before.value[0])
            self.hold(warning, "signal")
            self.hold(before, "signal")
        else:
            for one in (warning, before):
                if one:
                    self.keep(one, one.option, one.text[len(one.option) + 2 :])
        if part := self.part("sp"):
            self.fields["priority"] = str(part.value)
            self.hold(part, "priority")
        if part := self.part("H"):
            self.fields["hold"] = True
            self.hold(part, "hold")
        if part := self.part("r"):
            self.fields["requeue"] = part.option == "r"
            self.hold(part, "requeue")

    def _files(self) -> None:
        mode = ""
        for key, field in (("o", "output"), ("e", "error")):
            part = self.part(key)
            if not part:
                continue
            self.fields[field] = part.value
            self.hold(part, field)
            if is_template(part.value):
                self.warn(part, "bsub expands nothing in it but %J and %I", "a template: fill it in first")
            own = "truncate" if len(part.option) == 2 else "append"
            if not mode:
                mode = self.fields["open_mode"] = own
                self.hold(part, "open_mode")
            elif own != mode:
                self.keep(part, part.option, None)
        if part := self.part("i"):
            self.fields["input"] = part.value
            self.hold(part, "input")
            if part.option == "is":
                self.keep(part, "is", None)

    def _mail(self) -> None:
        types = []
        if part := self.part("B"):
            types.append("BEGIN")
            self.hold(part, "mail")
        if part := self.part("N"):
            types += [] if part.option == "Ne" else ["END"]
            types += [] if part.option == "Nd" else ["FAIL"]
            self.hold(part, "mail")
        user = self.part("u")
        if user:
            self.hold(user, "mail")
        if types or user:
            self.fields["mail"] = Mail(user.value if user else None, tuple(types))

    def _rest(self) -> None:
        for key, part in self.parts.last.items():
            if key not in self.taken:
                value = part.text[len(part.option) + 2 :]
                self.keep(part, part.option, value if part.value is not True else None)
        for part in self.parts.lists.get("f", []):
            self.keep(part, "f", part.value)
