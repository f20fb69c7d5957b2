"""The script that a job, or each element of an array, is: POSIX sh, with no need of Python where it runs.

What users wrote is in it only as quoted words; nothing of it is read a second time by a shell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from ensemble.errors import SpecError
from ensemble.job import Job

MOST = 3_000_000  # bytes of one script; Slurm's own limit (max_script_size) is 4 MiB where nobody changed it
PACKED = 262_144  # bytes of output from which on a file is left as it is
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
DEVNULL = "/dev/null"

HEAD = """#!/bin/sh
# Jobs of an ensemble run. Each writes down where and when it started, and how it ended.
"""

# Variables of the script begin with _E: the command must not find them changed under names of its own.
# A record is one line; a dot at its end says that it is whole. flock keeps those of several nodes apart.
BODY = r"""
_Enow() { date +%s.%N 2>/dev/null || date +%s; }
_Elocked() { command -v flock >/dev/null 2>&1; }
_Erecord() {
  {
    if _Elocked; then flock -w 30 9; fi
    printf '\n%s %s %s %s .\n' "$_Ebatch" "$_Eindex" "$_Erestart" "$*" >&9
  } 9>>"$_Epack.rec"
} 2>/dev/null
# A short output file goes to the end of the pack; _Eat says where it is: OFFSET:LENGTH, - (empty) or file.
_Ekeep() {
  _Eat=file
  [ -f "$1" ] || return 0
  _Elength=$(wc -c <"$1") || return 0
  _Elength=$((_Elength))
  if [ "$_Elength" -eq 0 ]; then _Eat=-; return 0; fi
  [ "$_Elength" -le @PACKED@ ] || return 0
  _Elocked || return 0
  {
    if flock -w 30 8; then
      _Eoffset=$(wc -c <"$_Epack.data") && cat "$1" >&8 && _Eat=$((_Eoffset)):$_Elength
    fi
  } 8>>"$_Epack.data"
  return 0
} 2>/dev/null
_Eend() {
  _Etime=$(_Enow)
  _Eatout=own _Eaterr=own
  if [ -z "$_Eown" ]; then
    _Ekeep "$_Eout"; _Eatout=$_Eat
    _Ekeep "$_Eerr"; _Eaterr=$_Eat
  fi
  if _Erecord end "$_Etime" "$1" "$2" "$_Eatout" "$_Eaterr"; then
    case $_Eatout in own|file) ;; *) rm -f "$_Eout" ;; esac
    case $_Eaterr in own|file) ;; *) rm -f "$_Eerr" ;; esac
  fi
  # Once more: a shell that has just been forked forgets a signal while it sets its traps back (dash).
  [ -z "$_Ewatch" ] || kill "$_Ewatch" 2>/dev/null
  trap - TERM ALRM
  exit "$2"
}
_Eindex=${SLURM_ARRAY_TASK_ID:-0}
_Erestart=${SLURM_RESTART_COUNT:-0}
_Eid=${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}
_Ewhere=${SLURM_JOB_NODELIST:-$(hostname)}
_Eflag= _Epid= _Ewatch= _Estarted=
# A slurmctld that was killed may start jobs again that have ended since it last saved its state, or put them back
# into the queue where their node does not have them any more. The word of such a one stands, and a success for good.
_Edone=$(
  { grep -F "$_Ebatch $_Eindex $_Erestart end " "$_Epack.rec" ||
    grep -F "$_Ebatch $_Eindex " "$_Epack.rec" | grep ' end [^ ]* exit 0 '; } 2>/dev/null | tail -n 1
)
case $_Edone in
  "$_Ebatch $_Eindex "*" .") set -- $_Edone; exit "$7" ;;
esac
trap '_Eflag=term; [ -z "$_Epid" ] || kill -TERM "$_Epid" 2>/dev/null' TERM
trap '_Eflag=timeout; [ -z "$_Epid" ] || kill -TERM "$_Epid" 2>/dev/null' ALRM
_Ejob
if [ -z "$_Eown" ]; then
  _Eout=$_Elive/$_Ename.out _Eerr=$_Elive/$_Ename.err
  (: >"$_Eout") 2>/dev/null || _Eout=/dev/null _Eerr=/dev/null
fi
_Ebad=
if ! cd "$_Edir" 2>/dev/null; then _Ebad=workdir
elif ! (: <"$_Ein") 2>/dev/null; then _Ebad=stdin
elif ! (: >"$_Eout" && : >"$_Eerr") 2>/dev/null; then _Ebad=output
elif ! (
  _Eexport
  case $1 in
    */*) [ -f "$1" ] && [ -x "$1" ] ;;
    *) command -v "$1" ;;
  esac
) >/dev/null 2>&1; then _Ebad=command
fi
if [ -n "$_Ebad" ]; then
  _Erecord place "$(_Enow)" "$_Eid" "$_Ewhere"
  _Eend "$_Ebad" 127
fi
_Erecord start "$(_Enow)" "$_Eid" "$_Ewhere"
if [ -n "$_Esrun" ]; then
  set -- $_Esrun "$@"
fi
(trap - TERM ALRM; _Eexport; exec "$@") <"$_Ein" >"$_Eout" 2>"$_Eerr" &
_Epid=$!
[ -z "$_Eflag" ] || kill -TERM "$_Epid" 2>/dev/null
if [ "$_Elimit" -gt 0 ]; then
  (
    # KILL: a shell that was forked for sleep may still have this trap, and lose any other signal.
    trap '[ "$!" = "$_Epid" ] || kill -KILL "$!" 2>/dev/null; exit 0' TERM
    sleep "$_Elimit" &
    wait "$!" || exit 0
    kill -ALRM $$ 2>/dev/null
    sleep 5 &
    wait "$!"
    kill -KILL "$_Epid" 2>/dev/null
  ) </dev/null >/dev/null 2>&1 &
  _Ewatch=$!
fi
# A signal ends the wait, not the command: wait until it is gone.
while :; do
  wait "$_Epid"
  _Estatus=$?
  kill -0 "$_Epid" 2>/dev/null || break
done
if [ -n "$_Eflag" ]; then
  wait "$_Epid" 2>/dev/null
  _Eagain=$?
  [ "$_Eagain" -eq 127 ] || _Estatus=$_Eagain
fi
[ -z "$_Ewatch" ] || kill "$_Ewatch" 2>/dev/null
_Eend "${_Eflag:-exit}" "$_Estatus"
""".replace("@PACKED@", str(PACKED))


def check(job: Job) -> None:
    """Raises SpecError where no script can say this job."""
    spec = job.spec
    if not spec.argv:
        raise SpecError("there is no command", job.name)
    for word in (*spec.argv, *spec.environment.values(), spec.workdir, spec.stdin, spec.output):
        if "\0" in word:
            raise SpecError(f"a null character can't be given to a command: {word!r}", job.name)
    for name in spec.environment:
        if not _NAME.fullmatch(name):
            raise SpecError(f"{name!r} is no name of an environment variable", "environment")


def element(job: Job, cwd: str) -> str:
    """What is special about one job, as lines of sh."""
    spec = job.spec
    workdir = str(Path(cwd) / spec.workdir)
    stdin = str(Path(workdir) / spec.stdin) if spec.stdin else DEVNULL
    output = own_output(job, cwd)
    srun = ""
    if spec.tasks > 1:
        srun = f"srun --quiet --ntasks={spec.tasks} --cpus-per-task={spec.cores}"
        srun += "" if spec.stdin else " --input=none"
    names = {"_Ename": job.name, "_Edir": workdir, "_Ein": stdin, "_Elimit": str(spec.duration), "_Esrun": srun}
    names |= {"_Eown": "yes" if output else ""}
    if output:
        names |= {"_Eout": str(output), "_Eerr": str(beside(output))}
    lines = [f"{name}={shlex.quote(value)}" for name, value in names.items()]
    return "\n".join(lines)


def command(job: Job) -> str:
    return "set -- " + shlex.join(job.spec.argv)


def exports(job: Job) -> str:
    """What the environment of a job has beside what it inherits."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in job.spec.environment.items()]
    return "\n".join(lines or [":"])


def own_output(job: Job, cwd: str) -> Path | None:
    """The file that a job's spec names for its output."""
    return Path(cwd) / job.spec.workdir / job.spec.output if job.spec.output else None


def beside(output: Path) -> Path:
    """Where stderr goes when a job names a file for its stdout."""
    return output.with_suffix(".err") if output.suffix != ".err" else Path(f"{output}.err")


def script(jobs: Sequence[Job], folder: Path, batch: str, pack: int, cwd: str) -> str:
    """The script of a batch: of a job, or of an array whose elements are `jobs` in this order."""
    fixed = {"_Ebatch": batch, "_Epack": str(folder / f"pack-{pack}"), "_Elive": str(folder / "live")}
    lines = [HEAD, *(f"{name}={shlex.quote(value)}" for name, value in fixed.items())]
    each = [exports(job) for job in jobs]
    alike = len(set(each)) == 1
    if alike:
        lines.append(f"_Eexport() {{\n{each[0]}\n}}")
    first, _, rest = BODY.partition("\n_Ejob\n")
    lines += [first, "case $_Eindex in"]
    for number, job in enumerate(jobs):
        own = "" if alike else f"_Eexport() {{\n{each[number]}\n}}\n"
        lines.append(f"{number})\n{element(job, cwd)}\n{own}{command(job)}\n;;")
    lines += ["esac", rest]
    return "\n".join(lines)
