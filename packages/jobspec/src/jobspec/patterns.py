"""Patterns in the names of output files: what each system replaces in them, and the same pattern for another one.

Sources: sbatch(1) "filename pattern"; flux-submit(1) "MUSTACHE TEMPLATES"; bsub(1) -o; qsub(1) of Grid Engine and
of Torque; qsub(1B) of PBS Pro; oarsub(1) -O; llsubmit(1) variables; condor_submit(1) macros; HyperQueue "Placeholders".
"""

from __future__ import annotations

import re

# What a token stands for: job id, job name, id of the whole array, index in it, user, first host, node number in
# the job, task number in the job. The first spelling of a meaning is the one that is written.
_ID, _NAME, _ARRAY, _INDEX = "id", "name", "array", "index"
_USER, _HOST, _NODE, _TASK = "user", "host", "node", "task"
TOKENS: dict[str, dict[str, str]] = {
    "slurm": {
        "%j": _ID, "%A": _ARRAY, "%a": _INDEX, "%x": _NAME, "%u": _USER, "%N": _HOST, "%n": _NODE, "%t": _TASK,
        "%J": _ID,
    },
    "flux": {
        "{{id}}": _ID, "{{jobid}}": _ID, "{{name}}": _NAME, "{{node.name}}": _HOST, "{{node.id}}": _NODE,
        "{{task.id}}": _TASK, "{{taskid}}": _TASK,
    },
    "pbspro": {"^array_index^": _INDEX},
    "torque": {
        "${PBS_JOBID}": _ID, "$PBS_JOBID": _ID, "${PBS_JOBNAME}": _NAME, "$PBS_JOBNAME": _NAME,
        "${PBS_ARRAYID}": _INDEX, "$PBS_ARRAYID": _INDEX,
    },
    "lsf": {"%J": _ID, "%I": _INDEX},
    "cobalt": {"$jobid": _ID, "$COBALT_JOBID": _ID},
    "oar": {"%jobid%": _ID, "%jobname%": _NAME},
    "gridengine": {
        "$JOB_ID": _ID, "$JOB_NAME": _NAME, "$TASK_ID": _INDEX, "$USER": _USER, "$HOSTNAME": _HOST,
    },
    "loadleveler": {"$(jobid)": _ID, "$(cluster)": _ID, "$(job_name)": _NAME, "$(stepid)": _INDEX, "$(user)": _USER,
                    "$(host)": _HOST},
    "htcondor": {"$(Cluster)": _ID, "$(Process)": _INDEX},
    "hyperqueue": {"%{JOB_ID}": _ID, "%{TASK_ID}": _INDEX},
}  # fmt: skip
TOKENS = {**TOKENS, "moab": TOKENS["torque"], "flux-jobspec": TOKENS["flux"]}
# Flux's words, and more in their manner.
TOKENS["jobspec"] = TOKENS["flux"] | {"{{array}}": _ARRAY, "{{index}}": _INDEX, "{{user}}": _USER}
_KNOWN = {
    name: re.compile("|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True)))
    for name, tokens in TOKENS.items()
}
_KNOWN["slurm"] = re.compile("%%|%[0-9]{0,2}[jAaxuNntJsb]|%.")
_WRITTEN = {name: {tokens[token]: token for token in reversed(tokens)} for name, tokens in TOKENS.items()}

# Systems where all elements of an array have one id; elsewhere each has its own.
ONE_ID = frozenset({"lsf", "gridengine", "htcondor", "hyperqueue"})


def translate(text: str, source: str, target: str, name: str = "", array: bool = False) -> tuple[str, list[str]]:
    """The path in the target's patterns, and the tokens that it has nothing for (left out of the path).

    name: the job's, which stands for itself where the target has no pattern for it. array: it is one of an array,
    whose elements keep files of their own, and one id where they had one.
    """
    if source == target or source not in _KNOWN:
        return text, []
    known, lost = TOKENS[source], list[str]()
    written = _WRITTEN.get(target, {})
    indexed = any(token in text for token, meaning in known.items() if meaning == _INDEX)
    if array and indexed and source in ONE_ID and _ARRAY in written:
        written = written | {_ID: written[_ARRAY]}
    elif array and not indexed and source not in ONE_ID and target in ONE_ID:
        written = written | {_ID: f"{written[_ID]}_{written[_INDEX]}", _ARRAY: written[_ID]}

    def replace(match: re.Match[str]) -> str:
        found = str(match[0])
        if found == "%%":
            return "%"
        plain = found[0] + found[-1] if source == "slurm" else found  # "%4j" without its width
        meaning = known.get(plain, "")
        if meaning == _ARRAY and _ARRAY not in written:
            meaning = _ID
        if meaning == _NAME not in written and name and "/" not in name:
            return name
        if meaning not in written or plain != found:
            lost.append(found)
        return written.get(meaning, "")

    return str(_KNOWN[source].sub(replace, text)), lost


def meaning(text: str, system: str) -> list[str]:
    """The path in pieces: its text, and for each token what it stands for; equal for equal paths of two systems."""
    if system not in _KNOWN:
        return [text]
    pieces, at = [], 0
    for match in _KNOWN[system].finditer(text):
        pieces += [text[at : match.start()], f"<{TOKENS[system].get(match[0], match[0])}>"]
        at = match.end()
    return [piece for piece in (*pieces, text[at:]) if piece]
