"""What both halves of the played SES share: ids, times, and the ``mail`` object of its notifications."""

from __future__ import annotations

import email
import email.policy
import secrets
import string
from datetime import UTC, datetime
from email.headerregistry import AddressHeader
from email.utils import getaddresses
from typing import Any

MAX_HEADERS_BYTES = 10_000  # SES leaves the rest out and says headersTruncated
_ID_LETTERS = string.ascii_lowercase + string.digits


def inbound_id() -> str:
    """Return an id like those of mails that SES took: 40 lower-case letters and digits."""
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(40))


def outbound_id() -> str:
    """Return an id like those of mails that SES sent from eu-west-1."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    digits = secrets.token_hex(16)
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return f"0102{now:012x}-{'-'.join(parts)}-000000"


def timestamp() -> str:
    """Return now as SES writes times: ISO 8601 with milliseconds and Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def headers_of(raw: bytes) -> list[tuple[str, str]]:
    """Return name and unfolded value of every header, in order; what is no header is left out."""
    head = raw.replace(b"\r\n", b"\n").split(b"\n\n", 1)[0]
    found: list[tuple[str, str]] = []
    for line in head.split(b"\n"):
        text = line.decode("utf-8", "replace")
        if text[:1] in (" ", "\t") and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {text.strip()}")
        elif ":" in text:
            name, _, value = text.partition(":")
            if name and not name.strip(string.ascii_letters + string.digits + "-_."):
                found.append((name, value.strip()))
    return found


def mail_object(raw: bytes, *, message_id: str, source: str, destination: list[str]) -> dict[str, Any]:
    """Return the ``mail`` object. *destination* is what the headers say, not the envelope."""
    headers: list[dict[str, str]] = []
    size = 0
    truncated = False
    for name, value in headers_of(raw):
        size += len(name) + len(value.encode())
        if size > MAX_HEADERS_BYTES:
            truncated = True
            break
        headers.append({"name": name, "value": value})
    return {
        "timestamp": timestamp(),
        "source": source,
        "messageId": message_id,
        "destination": destination,
        "headersTruncated": truncated,
        "headers": headers,
        "commonHeaders": _common_headers(raw, source),
    }


def header_recipients(raw: bytes) -> list[str]:
    """Return the addresses in To and Cc."""
    values = [value for name, value in headers_of(raw) if name.lower() in ("to", "cc")]
    return [address for _, address in getaddresses(values) if "@" in address]


def _common_headers(raw: bytes, source: str) -> dict[str, Any]:
    values: dict[str, str] = {}
    for name, value in headers_of(raw):
        values.setdefault(name.lower(), value)
    common: dict[str, Any] = {"returnPath": source}
    for name, key in (("from", "from"), ("to", "to"), ("cc", "cc"), ("reply-to", "replyTo")):
        if name in values:
            common[key] = _shown_addresses(values[name])
    for name, key in (
        ("date", "date"),
        ("message-id", "messageId"),
        ("subject", "subject"),
        ("sender", "sender"),
    ):
        if name in values:
            common[key] = values[name]
    return common


def _shown_addresses(value: str) -> list[str]:
    try:
        header = email.policy.default.header_factory("to", value)
        if isinstance(header, AddressHeader):
            return [str(each) for each in header.addresses]
    except Exception:  # a header nobody can read is shown as it is
        return [value]
    return [value]
