"""Plain text bodies: format=flowed (RFC 3676), files uuencoded within text, the text of calendars."""

from __future__ import annotations

import re

from servelo.mail.mime import decode_uu
from servelo.patterns import pattern

MAX_UUENCODED_FILES = 50

_UU_BEGIN = pattern(rb"^begin(?:-base64)? [0-7]{3,4}(?:[ \t]([^\r\n]{0,400}+))?\r?\n", re.M)
_UU_END = pattern(rb"^(?:end|====)[ \t]*\r?$", re.M)


def unflow(text: str, *, delete_space: bool = False) -> str:
    """Return format=flowed *text* with its soft line breaks joined (RFC 3676 4).

    *delete_space* is the parameter DelSp=yes: the space that marks a soft break is not part of the text.
    """
    out: list[str] = []
    start = -1  # of the pieces in *out* of a paragraph that goes on
    depth_before = 0
    for line in text.split("\n"):
        first = line[:1]
        if start < 0 and line[-1:] != " ":  # a line by itself
            second = line[1:2]
            if first != ">" or second == " ":
                out.append(line[1:] if first == " " else line)
            elif second != ">":
                out.append(f"> {line[1:]}")
            else:
                content = line.lstrip(">")
                gap = "" if content[:1] == " " else " "
                out.append(f"{line[: len(line) - len(content)]}{gap}{content}")
            continue
        if first == ">":
            content = line.lstrip(">")
            depth = len(line) - len(content)
        else:
            content = line
            depth = 0
        if content[:1] == " ":
            content = content[1:]  # space-stuffing
        flowed = content[-1:] == " "
        signature = flowed and content == "-- "
        if start >= 0 and (depth != depth_before or signature):
            if len(out) - start > 1:
                out[start:] = ["".join(out[start:])]
            out[-1] = out[-1].rstrip(" ")
            start = -1
        if depth and start < 0:
            content = f"{line[:depth]} {content}"
        if flowed and not signature:
            if start < 0:
                start = len(out)
                depth_before = depth
            out.append(content[:-1] if delete_space else content)
        else:
            out.append(content)
            if start >= 0:
                out[start:] = ["".join(out[start:])]
                start = -1
    if start >= 0:
        out[start:] = ["".join(out[start:]).rstrip(" ")]
    return "\n".join(out)


def take_uuencoded(data: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return (*data* without the files uuencoded in it, [(file name as bytes in Latin-1, content)])."""
    if b"begin " not in data:
        return data, []
    files: list[tuple[str, bytes]] = []
    kept: list[bytes] = []
    position = 0
    while len(files) < MAX_UUENCODED_FILES:
        begin = _UU_BEGIN.search(data, position)
        if begin is None:
            break
        if not _looks_uuencoded(data, begin.end()):
            kept.append(data[position : begin.end()])
            position = begin.end()
            continue
        end = _UU_END.search(data, begin.end())
        if end is None:
            break
        kept += (data[position : begin.start()], b"[", begin[0].strip(), b"]")  # shows where the file stood
        files.append(
            ((begin[1] or b"").strip().decode("utf-8", "replace"), decode_uu(data[begin.end() : end.start()]))
        )
        position = end.end()
    kept.append(data[position:])
    return b"".join(kept), files


def _looks_uuencoded(data: bytes, position: int) -> bool:
    """Whether the line at *position* is as long as its first character says; a person's words are not."""
    line_end = data.find(b"\n", position)
    line = data[position : line_end if line_end >= 0 else len(data)].rstrip(b"\r")
    if not line or not 32 <= line[0] <= 96:
        return False
    size = (line[0] - 32) & 63
    expected = (size + 2) // 3 * 4 + 1
    return abs(len(line.rstrip()) - expected) <= 3 or abs(len(line) - expected) <= 2


_FOLDED = pattern(r"\n[ \t]")
_CALENDAR_LINE = pattern(
    r"^(SUMMARY|DTSTART|DTEND|LOCATION|ORGANIZER|DESCRIPTION|STATUS)((?:;[^:\n]*)?):(.*)$", re.M | re.I
)
_CALENDAR_LABELS = {
    "SUMMARY": "",
    "DTSTART": "From: ",
    "DTEND": "To: ",
    "LOCATION": "Where: ",
    "ORGANIZER": "Organizer: ",
    "STATUS": "Status: ",
    "DESCRIPTION": "\n",
}


def calendar_text(calendar: str) -> str:
    """Return what a person wants to know of an invitation (RFC 5545): what, when, where, from whom."""
    text = _FOLDED.sub("", calendar.replace("\r\n", "\n"))
    begin = text.upper().find("BEGIN:VEVENT")
    if begin < 0:
        return ""
    end = text.upper().find("END:VEVENT", begin)
    found: dict[str, str] = {}
    for match in _CALENDAR_LINE.finditer(text, begin, end if end >= 0 else len(text)):
        value = re.sub(r"\\([,;\\])", r"\1", re.sub(r"\\[nN]", "\n", match[3])).strip()
        name = match[1].upper()
        if name in ("DTSTART", "DTEND"):
            value = _calendar_time(value, match[2])
        elif name == "ORGANIZER":
            value = re.sub(r"^mailto:", "", value, flags=re.I)
        if value:
            found.setdefault(name, value)
    return "\n".join(label + found[name] for name, label in _CALENDAR_LABELS.items() if name in found)


def _calendar_time(value: str, parameters: str) -> str:
    parts = re.match(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z?))?$", value)
    if not parts:
        return value
    day = f"{parts[1]}-{parts[2]}-{parts[3]}"
    if not parts[4]:
        return day
    zone = re.search(r"TZID=\"?([^\";:]+)", parameters, re.I)
    return f"{day} {parts[4]}:{parts[5]}" + (" UTC" if parts[6] else f" ({zone[1]})" if zone else "")
