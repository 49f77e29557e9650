"""Which hosts a tenant may name as its mail server: public ones, by an unambiguous name or address.

A tenant's SMTP host is a place that our sender connects to (attack W5, request forgery). What can be told
from the text alone is told here, for the settings form; the addresses that a name stands for are checked
again, one by one, at the moment of connecting (``adapters.public_address``).

``ipaddress.is_global`` is True for 64:ff9b::/96, 2002::/16 and ::127.0.0.1 on the Pythons we run on, so
addresses that carry another one are unwrapped or refused first.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from servelo.domain.smtp import domain_to_ascii
from servelo.errors import InvalidInput
from servelo.patterns import pattern

SMTP_PORTS = (465, 587, 2525)

# Public by allocation, yet answered by the network that we run in.
_NOT_HOSTS = tuple(
    map(
        IPv4Network,
        (
            "168.63.129.16/32",  # Azure's metadata and DNS
            "100.64.0.0/10",  # shared address space (RFC 6598); 100.100.100.200 is Alibaba's metadata
            "192.0.0.0/24",  # IETF protocol assignments
            "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        ),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the IPv4 address
_REFUSED_6 = tuple(
    map(
        IPv6Network,
        (
            "::/96",  # IPv4-compatible (RFC 4291 2.5.5.1), deprecated
            "64:ff9b:1::/48",  # NAT64 of a local network (RFC 8215)
            "2001::/23",  # Teredo and other protocol assignments
            "2002::/16",  # 6to4 carries an IPv4 address and has no mail servers
            "fec0::/10",  # site-local (RFC 3879)
        ),
    )
)
_NUMERIC_LABEL = pattern(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE)
# RFC 6761, RFC 6762, RFC 8375 and what clouds call their inside.
_INNER_NAMES = (
    "localhost",
    "local",
    "internal",
    "localdomain",
    "lan",
    "intranet",
    "home.arpa",
    "onion",
    "test",
)
_INNER_NAMES_TOLD_APART = tuple("." + each for each in _INNER_NAMES)


def is_public(address: str) -> bool:
    """Return whether *address* (an IP address in text) may be connected to. Never raises."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        if ip.scope_id is not None:
            return False
        inner = ip.ipv4_mapped
        if inner is None and ip in _NAT64:
            inner = IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is None:
            return _plainly_global(ip) and not any(ip in network for network in _REFUSED_6)
        ip = inner
    return _plainly_global(ip) and not any(ip in network for network in _NOT_HOSTS)


def is_loopback(address: str) -> bool:
    """Return whether *address* is this machine itself, in its plain form. Never raises."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _plainly_global(ip: IPv4Address | IPv6Address) -> bool:
    return ip.is_global and not (
        ip.is_private
        or ip.is_loopback
        or ip.is_link_local
        or ip.is_multicast
        or ip.is_reserved
        or ip.is_unspecified
    )


def check_host(host: str, *, allow_loopback: bool = False) -> str:
    """Return *host* as it is looked up: a lower-case A-label name, or an IP address without brackets.

    Only one way of writing an address is taken: 127.1, 0x7f.1, 017700000001 and 2130706433 are refused
    whatever they stand for, because the resolver would read them.

    Raises:
        InvalidInput: ``host_invalid`` or ``address_not_public``, field ``host``.
    """
    text = host.strip()
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in bare:
        return _checked_address(bare, allow_loopback)
    try:
        name = domain_to_ascii(text).lower()
    except InvalidInput as error:
        raise InvalidInput(error.detail, code="host_invalid", field="host") from None
    if _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]):
        return _checked_address(name, allow_loopback)
    if name == "localhost" and allow_loopback:
        return name
    if "." not in name or name.endswith(_INNER_NAMES_TOLD_APART):
        raise InvalidInput(
            "the host must be the full public name of a mail server", code="address_not_public", field="host"
        )
    return name


def _checked_address(text: str, allow_loopback: bool) -> str:
    try:
        address = str(ip_address(text))
    except ValueError:
        raise InvalidInput(
            "the host is neither a name nor an IP address in its usual form",
            code="host_invalid",
            field="host",
        ) from None
    if not is_public(address) and not (allow_loopback and is_loopback(address)):
        raise InvalidInput("the host is not a public address", code="address_not_public", field="host")
    return address


def check_port(port: int, *, any_port: bool = False) -> int:
    """Return *port* if mail may be submitted to it.

    Port 25 is for servers among themselves, and clouds block it.

    Raises:
        InvalidInput: ``port_not_allowed``, field ``port``.
    """
    if port not in SMTP_PORTS and not (any_port and 0 < port < 65536):
        raise InvalidInput("use port 587, 465 or 2525", code="port_not_allowed", field="port")
    return port
