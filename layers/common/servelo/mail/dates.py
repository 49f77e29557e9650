"""Dates of header fields (RFC 5322 3.3 with its obsolete forms), as an aware datetime or None."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from servelo.patterns import pattern

_MONTHS = {
    name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)
}
_ZONE_HOURS = (
    "EDT -4 EST -5 CDT -5 CST -6 MDT -6 MST -7 PDT -7 PST -8 GMT 0 UTC 0 WET 0 WEST 1 BST 1 CET 1 MET 1 "
    "MEZ 1 CEST 2 MESZ 2 EET 2 EEST 3 MSK 3 IST 5.5 HKT 8 SGT 8 JST 9 KST 9 AEST 10 AEDT 11 NZST 12 NZDT 13"
).split()
# Hours east of UTC by the names that programs write.
ZONES = {name: float(hours) for name, hours in zip(_ZONE_HOURS[::2], _ZONE_HOURS[1::2], strict=True)}
_DAY_FIRST = pattern(
    r"(\d{1,2})[\s\-./]+([A-Za-z]{3})[a-z]*[\s\-.,/]+(\d{2,4})[\s,T]+(\d{1,2})[:.](\d{1,2})(?:[:.](\d{1,2}))?"
    r"[.\d]*\s*(?:UTC|GMT)?\s*([+\-]\d{1,2}:?\d{2}|[A-Za-z]{1,5})?"
)
_MONTH_FIRST = pattern(  # asctime
    r"([A-Za-z]{3})[a-z]*\s+(\d{1,2}),?\s+(?:(\d{4}),?\s+)?(\d{1,2}):(\d{2})(?::(\d{2}))?\s*"
    r"([+\-]\d{4}|[A-Z]{2,5})?\s*(\d{4})?"
)
_ISO = pattern(
    r"(\d{4})-(\d{1,2})-(\d{1,2})[T\s]+(\d{1,2}):(\d{2})(?::(\d{2}))?"
    r"[.\d]*\s*([+\-]\d{2}:?\d{2}|[A-Za-z]{1,4})?"
)


def parse_date(text: str) -> datetime | None:
    """Return the time that *text* names, None when it names none. A missing zone is UTC."""
    text = text[:200]
    match = _DAY_FIRST.search(text)
    if match and match[2].lower() in _MONTHS:
        day, month, year, hour, minute, second, zone = match.groups()
        return _build(year, _MONTHS[month.lower()], day, hour, minute, second, zone)
    match = _MONTH_FIRST.search(text)
    if match and match[1].lower() in _MONTHS and (match[3] or match[8]):
        month, day, year, hour, minute, second, zone, late_year = match.groups()
        return _build(year or late_year, _MONTHS[month.lower()], day, hour, minute, second, zone)
    match = _ISO.search(text)
    if match:
        year, month, day, hour, minute, second, zone = match.groups()
        return _build(year, int(month), day, hour, minute, second, zone)
    return None


def _build(
    year: str, month: int, day: str, hour: str, minute: str, second: str | None, zone: str | None
) -> datetime | None:
    whole_year = int(year)
    if len(year) < 4:  # RFC 5322 4.3
        whole_year += 2000 if whole_year < 50 else 1900
    try:
        return datetime(
            whole_year,
            month,
            int(day),
            int(hour) % 24,
            int(minute),
            min(int(second or 0), 59),  # a leap second is the second before it
            tzinfo=timezone(_offset(zone)),
        )
    except (ValueError, OverflowError):
        return None


def _offset(zone: str | None) -> timedelta:
    if not zone:
        return timedelta()
    if zone[0] in "+-":
        digits = zone[1:].replace(":", "").rjust(4, "0")
        minutes = int(digits[:2]) * 60 + int(digits[2:])
        minutes = minutes if minutes < 24 * 60 else 0
        return timedelta(minutes=-minutes if zone[0] == "-" else minutes)
    return timedelta(hours=ZONES.get(zone.upper(), 0))
