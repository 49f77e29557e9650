"""What is known of an SMTP account and of one attempt to use it; nothing here opens a connection.

Addresses in an envelope are checked here, because three places must agree on them: the settings form, the
mail that is built and the transport. An address that could end the command it stands in is refused before
SMTP (attack H6): smtplib up to Python 3.12 cuts ``a@b>\\r\\nRCPT TO:<e@x>`` in silence.
"""

from __future__ import annotations

import unicodedata
from enum import StrEnum
from typing import Protocol

from servelo.errors import InvalidInput
from servelo.patterns import pattern
from servelo.records import dataclass, field

MAX_LOCAL_PART_OCTETS = 64  # RFC 5321 4.5.3.1.1
MAX_DOMAIN_OCTETS = 255  # RFC 5321 4.5.3.1.2
MAX_ADDR_SPEC_OCTETS = 254  # RFC 5321 4.5.3.1.3 less the angle brackets


class SmtpStage(StrEnum):
    """How far an SMTP session came, in this order."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    EHLO = "ehlo"
    AUTH = "auth"
    MAIL_FROM = "mail_from"
    RCPT = "rcpt"
    DATA = "data"
    DONE = "done"


class SmtpOutcome(StrEnum):
    """Whose matter a failure is, and whether trying again can help.

    ``account``: the tenant's account or its server (breaker). ``deferred``: later. ``failed``: this mail or
    recipient, for good. ``unknown``: handed over, no answer.
    """

    ACCEPTED = "accepted"
    ACCOUNT = "account"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SmtpLogin:
    """An SMTP account with its password in the clear, held in memory for as long as a connection needs it."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    from_email: str = ""
    from_name: str = ""
    provider: str = "custom"


@dataclass(frozen=True, slots=True)
class SmtpAttempt:
    """One mail handed to an SMTP server, seen from outside.

    Attributes:
        stage: the stage that failed; ``done`` when the server accepted the mail.
        code: stable word for what happened (``docs/sending.md`` lists them), ``accepted`` when it went.
        reply_code: the server's three digits, 0 when it gave none.
        words: the server's last answer, one line, without the password.
        transcript: the session's lines, ``C: `` ours, ``S: `` the server's, without the password, in
            whatever form it was sent.
        copied: the server also took the mail for the second recipient that was asked for.
    """

    outcome: SmtpOutcome
    stage: SmtpStage
    code: str
    reply_code: int = 0
    words: str = ""
    transcript: tuple[str, ...] = ()
    copied: bool = False


class SmtpProbe(Protocol):
    """Sends one mail over a fresh connection and never raises: the result says what happened.

    *copy_to* is a second envelope recipient, which may fail without a word: the test is about the first.
    """

    def __call__(
        self,
        login: SmtpLogin,
        message: bytes,
        *,
        envelope_sender: str,
        recipient: str,
        budget_seconds: float,
        copy_to: str = "",
    ) -> SmtpAttempt: ...


_ATOM = '[^\\s\\x00-\\x20\\x7f()<>@,;:\\\\"\\[\\].\u0080-\u009f\u2028\u2029\ud800-\udfff]+'
_QUOTED = r"\"(?:[^\s\x00-\x1f\x7f\"\\<>\u0080-\u009f\ud800-\udfff])+\""
_LOCAL_PART = pattern(rf"{_ATOM}(?:\.{_ATOM})*|{_QUOTED}")
_LABEL = pattern(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")


MAX_DOMAIN_CHARS = 255  # RFC 5321 4.5.3.1.2
MAX_LABEL_CHARS = 63  # RFC 1035 2.3.4; an A-label has at least one octet for each letter
_DOTS = pattern("[.\u3002\uff0e\uff61]")  # RFC 3490 3.1

# Letters that RFC 3490 wrote as others and RFC 5891 keeps: ß, final sigma, the two joiners (UTS 46, table 1).
# strasse.de and straße.de are two domains of two owners; Python's codec makes one of them.
_KEPT = frozenset("\u00df\u03c2\u200c\u200d")


def to_a_labels(domain: str) -> str:
    """Return *domain* as DNS holds it: each label outside ASCII as its A-label (RFC 5890 2.3.2.1).

    Raises:
        UnicodeError: a label is empty, too long, or holds what no domain may.
    """
    # Python's punycode takes the square of a label's letters and more, and looks at their number last.
    if len(domain) > MAX_DOMAIN_CHARS or any(
        len(unicodedata.normalize("NFKC", label)) > MAX_LABEL_CHARS for label in _DOTS.split(domain)
    ):
        raise UnicodeError("domain or label too long")
    lower = "".join(each.lower() for each in domain)
    if _KEPT.isdisjoint(lower):
        return lower.encode("idna").decode("ascii")
    labels = []
    for label in _DOTS.split(lower):
        if _KEPT.isdisjoint(label):
            labels.append(label.encode("idna").decode("ascii"))
            continue
        # The codec checks and maps everything else.
        "".join(each for each in f"a{label}" if each not in _KEPT).encode("idna")
        a_label = "xn--" + unicodedata.normalize("NFKC", label).encode("punycode").decode("ascii")
        if len(a_label) > 63:
            raise UnicodeError("label too long")
        labels.append(a_label)
    return ".".join(labels)


def domain_to_ascii(domain: str) -> str:
    """Return *domain* in A-labels (RFC 5890), without a final dot.

    Raises:
        InvalidInput: not a domain name.
    """
    name = domain[:-1] if domain.endswith(".") else domain
    if not name.isascii():
        try:
            name = to_a_labels(name)
        except UnicodeError:
            raise InvalidInput("the domain name is not one that DNS can hold") from None
    if not name or len(name) > MAX_DOMAIN_OCTETS or not all(map(_LABEL.fullmatch, name.split("."))):
        raise InvalidInput("the domain name holds a character or a length that DNS does not allow")
    return name


def envelope_address(addr_spec: str) -> str:
    """Return *addr_spec* as it may stand in MAIL FROM and RCPT TO, its domain in A-labels.

    One address, no display name, no brackets, comments, white space or controls. A local part outside ASCII
    is kept; sending to it needs SMTPUTF8 (RFC 6531).

    Raises:
        InvalidInput: anything else.
    """
    local_part, at, domain = addr_spec.rpartition("@")
    # Printable: no zero-width or direction signs, which only serve to deceive.
    if not at or not local_part.isprintable() or not _LOCAL_PART.fullmatch(local_part):
        raise InvalidInput("not one plain e-mail address")
    if len(local_part.encode("utf-8")) > MAX_LOCAL_PART_OCTETS:
        raise InvalidInput("the part before the @ is longer than 64 octets")
    address = f"{local_part}@{domain_to_ascii(domain)}"
    if len(address.encode("utf-8")) > MAX_ADDR_SPEC_OCTETS:
        raise InvalidInput("the address is longer than 254 octets")
    return address
