"""Arrays, which `flux batch` does not have: the indexes are kept, and how to submit a script for each of them."""

from __future__ import annotations

from jobspec.flux.lists import indexes
from jobspec.job import Array
from jobspec.patterns import TOKENS


def array_text(array: Array) -> str:
    """The indexes as A-B:STEP, comma separated, and %N for a throttle."""
    read = indexes(array.text)
    if read and read.throttle == array.throttle:
        return array.text
    listed = ",".join(
        f"{first}-{last}:{step}" if step > 1 and last > first else f"{first}-{last}" if last > first else str(first)
        for first, last, step in array.ranges
    )
    return listed + (f"%{array.throttle}" if array.throttle else "")


def submissions(array: Array) -> str:
    """A shell command that submits a script for each index of the array."""
    words = []
    for first, last, step in array.ranges:
        words.append(str(first) if first == last else f"$(seq {first} {step} {last})")
    return f"for i in {' '.join(words)}; do flux batch --env=FLUX_JOB_CC=$i SCRIPT; done"


def each_its_own(text: str, system: str) -> str:
    """A pattern with the id of the job where it had nothing but its index: Flux has ids only."""
    tokens = TOKENS.get(system, {})
    of = {meaning: token for token, meaning in reversed(tokens.items())}
    if "id" not in of or any(token in text for token, meaning in tokens.items() if meaning in {"id", "array"}):
        return text
    for token, meaning in tokens.items():
        if meaning == "index":
            text = text.replace(token, of["id"])
    return text
