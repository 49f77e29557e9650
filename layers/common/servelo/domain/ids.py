"""Identifiers: their alphabets, lengths and how they are made.

slug          a tenant's name in addresses and keys: [a-z0-9]([a-z0-9-]*[a-z0-9])?, 3 to 24 characters
ticket number 1 to 2**40 - 1, counted up per tenant; it is the ticket's only id
client id     16 hex digits of SHA-256 over slug and address: the same person is the same id without a look-up
sortable id   26 characters of Crockford base32, lower case: 48 bits of milliseconds, 80 random bits (ULID)
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time

from servelo.errors import InvalidInput

MIN_SLUG_LENGTH = 3
MAX_SLUG_LENGTH = 24
MAX_TICKET_NUMBER = 2**40 - 1
CLIENT_ID_BYTES = 8

SLUG_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")

# Local parts with a meaning of their own (RFC 2142 and common practice): never a tenant.
# Forwarded to the operator: the owner's two, and what RFC 2142 asks of every domain.
OPERATOR_MAILBOXES = frozenset({"support", "legal", "postmaster", "abuse"})
RESERVED_SLUGS = frozenset(
    "abuse admin administrator api app billing bounce bounces contact dev dmarc ftp help hello "
    "hostmaster imap info legal mail mailer-daemon marketing mta-sts no-reply noc noreply notifications "
    "notify operator pop portal postmaster privacy prod reply root sales security servelo smtp spam ssl "
    "staging static status support system team test tls usenet uucp webmaster www".split()
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
        raise InvalidInput("this name is reserved", field="slug")
    return slug


def client_id(slug: str, identity: str) -> str:
    """Return the id of the client of tenant *slug* whose address compares as *identity*."""
    digest = hashlib.sha256(f"client:{len(slug)}:{slug}:{identity}".encode()).hexdigest()
    return digest[: CLIENT_ID_BYTES * 2]


def sortable_id(epoch_seconds: float | None = None, entropy: bytes | None = None) -> str:
    """Return a new id that sorts by time. *entropy* (10 bytes) makes it reproducible, for derived ids."""
    milliseconds = int((time.time() if epoch_seconds is None else epoch_seconds) * 1000)
    value = (milliseconds << 80) | int.from_bytes(entropy or secrets.token_bytes(10), "big")
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))
