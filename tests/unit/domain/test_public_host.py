import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelo.domain import public_host
from servelo.errors import InvalidInput

PRIVATE_ADDRESSES = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.88.99.1",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::127.0.0.1",
    "::8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::808:808",
    "2002:7f00:1::",
    "2002:808:808::1",
    "2001::1",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC_ADDRESSES = [
    "8.8.8.8",
    "142.250.27.108",
    "2a00:1450:4025:c03::6c",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", PRIVATE_ADDRESSES)
def test_no_address_of_a_private_network_is_public_in_any_wrapping(address):
    assert not public_host.is_public(address)


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_addresses_of_the_internet_are_public(address):
    assert public_host.is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        *PRIVATE_ADDRESSES,
        "[::1]",
        "[fd00:ec2::254]",
        "127.1",
        "127.0.1",
        "0x7f.1",
        "0x7f000001",
        "0x7f.0.0.0x1",
        "017700000001",
        "0177.0.0.1",
        "2130706433",
        "0",
        "8.8.2056",
        "0x08080808",
        "010.8.8.8",
        "127.0.0.1.",
        "１２７.0.0.1",
        "127。0。0。1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "x.localhost",
        "metadata",
        "metadata.google.internal",
        "printer.local",
        "nas.home.arpa",
        "hidden.onion",
    ],
)
def test_a_host_that_is_not_plainly_public_is_refused(host):
    with pytest.raises(InvalidInput) as caught:
        public_host.check_host(host)
    assert "host" == caught.value.field
    assert caught.value.code in ("address_not_public", "host_invalid")


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "a b.example",
        "a@b.example",
        "a/b.example",
        "http://a.example",
        "a.example:587",
        "a..example",
        "-a.example",
        "a.example\r\nx",
        "a\0.example",
        "x" * 64 + ".example",
        ".".join(["x" * 50] * 6),
        "[::1",
        "a.exa%6dple",
        "\ud800.example",
    ],
)
def test_what_is_no_host_name_is_refused(host):
    with pytest.raises(InvalidInput) as caught:
        public_host.check_host(host)
    assert "host" == caught.value.field


def test_names_are_returned_as_they_are_looked_up():
    assert "smtp.gmail.com" == public_host.check_host(" SMTP.Gmail.com. ")
    assert "xn--bcher-kva.example" == public_host.check_host("bücher.example")
    assert "8.8.8.8" == public_host.check_host("8.8.8.8")
    assert "2a00:1450:4025:c03::6c" == public_host.check_host("[2a00:1450:4025:c03::6c]")


def test_the_local_stack_alone_may_name_itself():
    for host in ("localhost", "127.0.0.1", "::1", "[::1]"):
        assert host.strip("[]") == public_host.check_host(host, allow_loopback=True)
    for host in ("10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "0.1.2.3", "127.1", "metadata"):
        with pytest.raises(InvalidInput):
            public_host.check_host(host, allow_loopback=True)


@given(st.text(max_size=60))
def test_any_text_is_a_host_or_invalid(text):
    try:
        host = public_host.check_host(text)
    except InvalidInput:
        return
    assert host.isascii()
    assert host == host.lower()
    assert host == public_host.check_host(host)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_every_wrapping_that_is_taken(address):
    plain = public_host.is_public(str(address))
    assert plain == public_host.is_public(f"::ffff:{address}")
    assert plain == public_host.is_public(f"64:ff9b::{address}")
    assert not public_host.is_public(f"::{address}")


def test_the_ports_of_submission_are_taken_and_no_other():
    for port in (465, 587, 2525):
        assert port == public_host.check_port(port)
    for port in (25, 0, 80, 22, 6379, 65536, -1):
        with pytest.raises(InvalidInput) as caught:
            public_host.check_port(port)
        assert ("port_not_allowed", "port") == (caught.value.code, caught.value.field)
    assert 4025 == public_host.check_port(4025, any_port=True)
    with pytest.raises(InvalidInput):
        public_host.check_port(65536, any_port=True)
