"""Addresses: one mailbox of a header or an envelope, and when two are the same (RFC 5321 4.1.2, RFC 5322 3.4).

Comparison is for identity only: domains as lower-case A-labels (RFC 5890), local parts without regard to
case. What is sent to is always the address as it was written.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_LOCAL_PART_OCTETS = 64  # RFC 5321 4.5.3.1.1
MAX_ADDR_SPEC_OCTETS = 254  # RFC 5321 4.5.3.1.3 less the angle brackets


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name (decoded, may be empty) and an addr-spec as written (``Jo@Example.org``)."""

    display_name: str
    addr_spec: str

    @property
    def identity(self) -> str:
        """The key that people are told apart by."""
        return identity(self.addr_spec)


def split_addr_spec(addr_spec: str) -> tuple[str, str]:
    """Return (local part, domain) as written; the domain is ``""`` when there is no ``@``."""
    local_part, at, domain = addr_spec.rpartition("@")
    return (local_part, domain) if at else (addr_spec, "")


def identity(addr_spec: str) -> str:
    """Return the comparison form of *addr_spec*: lower-case local part, lower-case A-label domain.

    Never raises: a domain that IDNA refuses is compared as it is, in lower case.
    """
    local_part, domain = split_addr_spec(addr_spec.strip())
    domain = domain.rstrip(".").lower()
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:
            pass
    return f"{local_part.casefold()}@{domain}" if domain else local_part.casefold()
