"""Times of day and dates, as --begin and --deadline take them. sbatch(1), --begin, says the forms."""

from __future__ import annotations

import re
from datetime import date, timedelta

from resources.units import shown

from jobspec.job import Begin

_UNITS = {"": 1, "second": 1, "seconds": 1, "minute": 60, "minutes": 60, "hour": 3600, "hours": 3600,
          "day": 86400, "days": 86400, "week": 604800, "weeks": 604800}  # fmt: skip
_TIMES = {"midnight": "00:00:00", "noon": "12:00:00", "fika": "15:00:00", "teatime": "16:00:00"}
_PART = re.compile(
    r"(?P<now>now)(?:[ \t]{0,99}(?P<sign>[+-])[ \t]{0,99}(?P<count>[0-9]{1,18})[ \t]{0,99}"
    r"(?P<unit>(?:second|minute|hour|day|week)s?(?![a-z])|(?![a-z])))?"
    r"|(?P<word>(?-i:today|tomorrow|teatime)|midnight|noon|fika)(?![a-z0-9])"
    r"|uts(?P<epoch>[0-9]{9,18})"
    r"|(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})(?-i:T)?"
    r"|(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))?[ \t]{0,9}(?P<half>[ap]m)?"
    r"|(?P<us_month>[0-9]{1,2})[/.](?P<us_day>[0-9]{1,2})(?:[/.](?P<us_year>[0-9]{2}))?(?![0-9])"
    r"|(?P<month2>[0-9]{2})(?P<day2>[0-9]{2})(?P<year2>[0-9]{2})?(?![0-9])",
    re.IGNORECASE | re.ASCII,
)
_BETWEEN = re.compile(r"[ \t\n-]{0,99}")


def begin(text: str) -> Begin:
    """When a job may start. Raises ValueError."""
    parts = _parts(text)
    offset, day, clock = None, "", ""
    for part in parts:
        found = part.groupdict()
        if part["now"]:
            amount = int(part["count"] or 0) * _UNITS[(part["unit"] or "").lower()]
            offset = -amount if part["sign"] == "-" else amount
        elif part["word"]:
            clock = _TIMES.get(part["word"].lower(), clock)
            if part["word"].lower() in {"today", "tomorrow"}:
                offset = None
                day = ""
                clock = clock or ""
        elif part["hour"]:
            clock = _clock(part)
        elif part["year"]:
            day = f"{part['year']}-{part['month']}-{part['day']}"
        elif year := found["us_year"] or found["year2"]:
            day = f"20{year}-{int(part['us_month'] or part['month2']):02}-{int(part['us_day'] or part['day2']):02}"
    if offset is not None and len(parts) == 1:
        return Begin(text, offset_s=offset)
    return Begin(text, at=_at(day, clock)) if day else Begin(text)


def _at(day: str, clock: str) -> str | None:
    year, month, number = map(int, day.split("-"))
    try:
        # 30 February is 2 March.
        real = date(year, month, 1) + timedelta(days=number - 1)
    except (ValueError, OverflowError):
        return None
    return f"{real.isoformat()}T{clock or '00:00:00'}"


def _clock(part: re.Match[str]) -> str:
    hour = int(part["hour"])
    if part["half"]:
        hour = hour % 12 + (12 if part["half"].lower() == "pm" else 0)
    return f"{hour:02}:{part['minute']}:{part['second'] or '00'}"


def deadline(text: str) -> str:
    """The time by which a job must end; one that is past is refused. Raises ValueError."""
    found = begin(text)
    past = found.offset_s is not None and found.offset_s < 0
    if past or (found.at is not None and found.at[:10] < date.today().isoformat()):
        raise ValueError(f"{shown(text)} is past")
    return text


def _parts(text: str) -> list[re.Match[str]]:
    found, at = [], 0
    while at < len(text):
        between = _BETWEEN.match(text, at)
        at = between.end() if between else at
        if at == len(text):
            break
        match = _PART.match(text, at)
        if not match or not _in_range(match):
            raise ValueError(
                f"{shown(text)} is no time; they are HH:MM[:SS], YYYY-MM-DD[THH:MM[:SS]], MM/DD/YY, now+N[unit]"
            )
        found.append(match)
        at = match.end()
    if not found:
        raise ValueError(f"{shown(text)} is no time")
    return found


def _in_range(match: re.Match[str]) -> bool:
    if match["hour"]:
        latest = 12 if match["half"] else 23
        return int(match["hour"]) <= latest and int(match["minute"]) < 60 and int(match["second"] or 0) < 60
    month, day = (
        match["month"] or match["us_month"] or match["month2"],
        match["day"] or match["us_day"] or match["day2"],
    )
    return not month or (1 <= int(month) <= 12 and 1 <= int(day) <= 31)
