"""The script of a Job: what its first container starts."""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass
from typing import Any

from jobspec.kubernetes.environment import INDEX
from jobspec.kubernetes.names import expand

_SHELLS = {"sh", "bash", "dash", "ksh", "zsh"}
_BEFORE, _AFTER = f"{INDEX}=$((", f')); export {INDEX}; exec "$0" "$@"'


@dataclass(frozen=True, slots=True)
class Started:
    """text: the script; shell: what runs it, where that is not its own first line; config: the ConfigMap that it is in.

    expression: the arithmetic that the index of a completion goes through. known: whether the manifest says what runs.
    """

    text: str
    shell: str | None = None
    config: str = ""
    expression: str = ""
    known: bool = True


def started(pod: dict[str, Any], values: dict[str, str], configs: dict[str, dict[str, Any]]) -> Started:
    """What the pod runs. values: the variables of its container; configs: the ConfigMaps of the same file, by name."""
    container = pod["containers"][0]
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    if not container.get("command"):
        shown = " ".join([container["image"], *words])
        text = "#!/bin/sh\n" + "".join(f"# {line}\n" for line in ["The program of the image:", *shown.split("\n")])
        return Started(text, known=False)
    words = [expand(word, values) for word in words]
    expression = ""
    if words[:2] == ["/bin/sh", "-c"] and len(words) > 3 and words[2].startswith(_BEFORE) and words[2].endswith(_AFTER):
        expression = words[2][len(_BEFORE) : -len(_AFTER)]
        words = words[3:]
    if (found := _mounted(words[-1], pod, configs)) and (len(words) == 1 or (len(words) == 2 and _is_shell(words[0]))):
        config, text = found
        shell = words[0] if len(words) == 2 and (words[0] != "/bin/sh" or text.startswith("#!")) else None
        if len(words) == 2 or text.startswith("#!"):
            return Started(text, shell, config, expression)
    return Started(_inline(words), expression=expression)


def _inline(words: list[str]) -> str:
    if len(words) == 3 and _is_shell(words[0]) and words[1].startswith("-") and words[1].endswith("c"):
        flags = words[1][1:-1]
        if not flags or (flags.isalpha() and flags.isascii()):
            shell = words[0] if words[0].startswith("/") else f"/bin/{words[0]}"
            options = f" -{flags}" if flags else ""
            return f"#!{shell}{options}\n{words[2]}" + ("" if words[2].endswith("\n") else "\n")
    return f"#!/bin/sh\nexec {shlex.join(words)}\n"


def _is_shell(word: str) -> bool:
    return word.rpartition("/")[2] in _SHELLS


def _mounted(path: str, pod: dict[str, Any], configs: dict[str, dict[str, Any]]) -> tuple[str, str] | None:
    """The ConfigMap and the text behind a path in the container, where the file has it."""
    volumes = {}
    for volume in pod.get("volumes") or ():
        source = volume.get("configMap")
        if isinstance(source, dict) and not source.get("items"):
            volumes[volume["name"]] = source.get("name")
    for mount in pod["containers"][0].get("volumeMounts") or ():
        if mount.get("subPath") or not isinstance(mount.get("mountPath"), str):
            continue
        folder, _, key = path.rpartition("/")
        name = volumes.get(mount["name"])
        if folder != mount["mountPath"].rstrip("/") or not isinstance(name, str) or name not in configs:
            continue
        text = _content(configs[name], key)
        if text is not None:
            return name, text
    return None


def _content(config: dict[str, Any], key: str) -> str | None:
    for field in ("data", "binaryData"):
        content = config.get(field)
        text = content.get(key) if isinstance(content, dict) else None
        if isinstance(text, str):
            try:
                return text if field == "data" else base64.b64decode(text).decode(errors="surrogateescape")
            except ValueError:
                return None
    return None
