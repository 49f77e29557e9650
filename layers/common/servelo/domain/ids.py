"""Identifiers: their alphabets, lengths and how they are made.

slug          a tenant's name in addresses and keys: [a-z0-9]([a-z0-9-]*[a-z0-9])?, 3 to 24 characters
ticket number 1 to 2**40 - 1, counted up per tenant; it is the ticket's only id
identity      what people are told apart by: their address in its comparison form
client id     16 hex digits of SHA-256 over slug and address: the same person is the same id without a look-up
sortable id   26 characters of Crockford base32, lower case: 48 bits of milliseconds, 80 random bits (ULID)
"""

from __future__ import annotations

import contextlib
import os
import re
import time

from servelo.errors import InvalidInput
from servelo.patterns import pattern

MIN_SLUG_LENGTH = 3
MAX_SLUG_LENGTH = 24
MAX_TICKET_NUMBER = 2**40 - 1
CLIENT_ID_BYTES = 8

SLUG_PATTERN = pattern(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")

# Local parts with a meaning of their own (RFC 2142 and common practice), and ``uploads``, under which the
# file bucket keeps what no comment has taken over yet: never a tenant.
# Forwarded to the operator: the owner's two, and what RFC 2142 asks of every domain.
OPERATOR_MAILBOXES = frozenset({"support", "legal", "postmaster", "abuse"})
RESERVED_SLUGS = frozenset(
    "abuse admin administrator api app billing bounce bounces contact dev dmarc ftp help hello "
    "hostmaster imap info legal mail mailer-daemon marketing mta-sts no-reply noc noreply notifications "
    "notify operator pop portal postmaster privacy prod reply root sales security servelo smtp spam ssl "
    "staging static status support system team test tls uploads usenet uucp webmaster www".split()
)

# What needs no quotes in a local part (RFC 5321 4.1.2, RFC 6531 3.3).
_ATOM = r"[^\x00-\x20\x7f\"(),.:;<>@\[\\\]]+"
_DOT_STRING = pattern(rf"{_ATOM}(?:\.{_ATOM})*")
_ESCAPE = pattern(r"\\(.)", re.DOTALL)

# No part of a domain at its end; the white space is that of ``str.strip``.
_AFTER_DOMAIN = (
    "@.\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008"
    "\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def check_slug(slug: str) -> str:
    """Return *slug* if it can name a tenant.

    Raises:
        InvalidInput: wrong characters, wrong length, or a reserved name.
    """
    if not MIN_SLUG_LENGTH <= len(slug) <= MAX_SLUG_LENGTH or not SLUG_PATTERN.fullmatch(slug):
        raise InvalidInput(
            f"use {MIN_SLUG_LENGTH} to {MAX_SLUG_LENGTH} lower-case letters, digits and inner hyphens",
            field="slug",
        )
    if slug in RESERVED_SLUGS:
        raise InvalidInput("this name is reserved", field="slug", code="reserved_slug")
    return slug


def identity(addr_spec: str) -> str:
    """Return the comparison form of *addr_spec*: lower-case local part, lower-case A-label domain.

    Never raises: a domain that IDNA refuses is compared as it is, in lower case. The form of a form is
    itself.
    """
    addr_spec = addr_spec.strip()
    if "@" in addr_spec:
        addr_spec = addr_spec.rstrip(_AFTER_DOMAIN)
    local_part, at, domain = addr_spec.rpartition("@")
    if not at:
        return _lower(domain)
    domain = domain.lower()
    if not domain.isascii():
        from servelo.domain.smtp import to_a_labels

        with contextlib.suppress(UnicodeError):
            # The mapping makes letters, dots and at signs of signs that look like them (™, …, ＠).
            mapped = to_a_labels(domain).rstrip(_AFTER_DOMAIN).lower()
            domain = mapped if mapped and "@" not in mapped else domain
    return f"{_lower(local_part)}@{domain}" if domain else _lower(local_part)


def _lower(local_part: str) -> str:
    """Lower case without needless quotes (RFC 5321 4.1.2), but never across the border of ASCII.

    ``str.casefold`` makes ``ss`` of a sharp s, and ``str.lower`` a ``k`` of the Kelvin sign: a mailbox that
    its provider gave to somebody else would then speak for the one with the plain letters (RFC 6532 3.1).
    """
    if local_part[:1] == '"' == local_part[-1:]:
        bare = _ESCAPE.sub(r"\1", local_part[1:-1])
        local_part = bare if _DOT_STRING.fullmatch(bare) else local_part
    if local_part.isascii():
        return local_part.lower()
    return "".join(
        low if len(low := each.lower()) == 1 and low.isascii() == each.isascii() else each
        for each in local_part
    )


def client_id(slug: str, identity: str) -> str:
    """Return the id of the client of tenant *slug* whose address compares as *identity*."""
    import hashlib  # with OpenSSL; the reader of mails does without

    digest = hashlib.sha256(f"client:{len(slug)}:{slug}:{identity}".encode()).hexdigest()
    return digest[: CLIENT_ID_BYTES * 2]


def sortable_id(epoch_seconds: float | None = None, entropy: bytes | None = None) -> str:
    """Return a new id that sorts by time. *entropy* (10 bytes) makes it reproducible, for derived ids."""
    milliseconds = int((time.time() if epoch_seconds is None else epoch_seconds) * 1000)
    value = (milliseconds << 80) | int.from_bytes(entropy or os.urandom(10), "big")
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))
