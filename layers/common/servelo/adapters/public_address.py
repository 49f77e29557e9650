"""Address guard: a host name to addresses that may be connected to, looked up once.

The caller connects to one of the returned addresses and never gives the name to the system again, so a
name that changes its answer between check and connection (rebinding) gains nothing. If any of the answers
is private the whole name is refused: a mixed answer is either a trap or a broken zone.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence

from servelo.domain.public_host import check_host, check_port, is_loopback, is_public
from servelo.domain.smtp import SmtpStage
from servelo.errors import AccountRefused, InvalidInput

MAX_ADDRESSES = 6

Lookup = Callable[[str], Sequence[str]]
"""Host name to IP addresses in text. Raises socket.gaierror."""


def system_lookup(host: str) -> list[str]:
    """Return every address of *host*, IPv4 first: Lambda reaches IPv6 only in a VPC made for it."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    ordered = sorted(found, key=lambda each: each[0] != socket.AF_INET)
    return list(dict.fromkeys(str(each[4][0]) for each in ordered))


def resolve(
    host: str,
    port: int,
    *,
    allow_loopback: bool = False,
    timeout_seconds: float = 5.0,
    lookup: Lookup = system_lookup,
) -> tuple[str, ...]:
    """Return the addresses of *host*, all of them public, at most ``MAX_ADDRESSES``.

    *allow_loopback* is for the local stack: a host whose every address is loopback is taken, on any port.

    Raises:
        AccountRefused: stage ``dns``: ``host_invalid``, ``address_not_public``, ``port_not_allowed``,
            ``dns_not_found``, ``dns_failed`` (the look-up may work later).
    """
    try:
        name = check_host(host, allow_loopback=allow_loopback)
        addresses = list(_looked_up(name, timeout_seconds, lookup))
        here = allow_loopback and all(map(is_loopback, addresses))
        check_port(port, any_port=here)
    except InvalidInput as error:
        raise _refused(error.code, error.detail) from None
    if not here and not all(map(is_public, addresses)):
        raise _refused("address_not_public", "the host is not, or not only, at a public address")
    return tuple(addresses[:MAX_ADDRESSES])


def _looked_up(name: str, timeout_seconds: float, lookup: Lookup) -> Sequence[str]:
    """Look *name* up in a thread: the system's resolver takes no time limit."""
    answer: list[Sequence[str]] = []
    problem: list[OSError | UnicodeError] = []

    def ask() -> None:
        try:
            answer.append(lookup(name))
        except (OSError, UnicodeError) as error:
            problem.append(error)

    thread = threading.Thread(target=ask, daemon=True, name="smtp-dns")
    thread.start()
    thread.join(timeout_seconds)
    if answer and answer[0]:
        return answer[0]
    codes = (socket.EAI_NONAME, socket.EAI_NODATA) if hasattr(socket, "EAI_NODATA") else (socket.EAI_NONAME,)
    if answer or (problem and getattr(problem[0], "errno", None) in codes):
        raise _refused("dns_not_found", "the host name does not exist")
    raise AccountRefused(
        "the host name could not be looked up", code="dns_failed", stage=SmtpStage.DNS, at_once=False
    )


def _refused(code: str, detail: str) -> AccountRefused:
    return AccountRefused(detail, code=code, stage=SmtpStage.DNS, at_once=True)
