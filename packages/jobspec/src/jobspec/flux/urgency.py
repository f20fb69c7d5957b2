"""Priority and hold: what Flux calls urgency (flux-batch(1), --urgency)."""

from __future__ import annotations

from jobspec.writing import Saying

# The range of numbers that a user may give elsewhere, around 0: qsub(1B) -p of PBS, qsub(1) -p of Grid Engine.
_AROUND_ZERO = {"pbspro": 1024, "torque": 1024, "moab": 1024, "gridengine": 1024, "cobalt": 1024}
_DEFAULT, _LARGEST = 16, 31


def urgency(say: Saying, found: list[tuple[str, str | None]]) -> None:
    """Say the hold, or else the priority."""
    job = say.job
    if job.hold:
        found.append(("urgency", "0"))
        say.exact("hold")
        if job.priority is not None:
            say.drop("priority", "a held job has no urgency but 0 in Flux")
        return
    if job.priority is None:
        return
    text = job.priority.strip()
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 12):
        say.drop("priority", f"no urgency (0 to 31) is known to stand for {text[:40]!r}")
        return
    value = int(text)
    if job.system in {"flux", "flux-jobspec"}:
        found.append(("urgency", str(value)))
        say.exact("priority")
        return
    largest = _AROUND_ZERO.get(job.system)
    if largest is None:
        say.drop("priority", f"no urgency (0 to 31) is known to stand for {value} in {say.job.system}")
        return
    share = max(-1.0, min(1.0, value / largest))
    scaled = _DEFAULT + round(share * (_DEFAULT - 1))
    found.append(("urgency", str(scaled)))
    above = ": more than 16 is for the owner of the Flux instance" if scaled > _DEFAULT else ""
    say.approximate("priority", f"an urgency of {scaled} on Flux's scale of 1 to {_LARGEST}{above}")
