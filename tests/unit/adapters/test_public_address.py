import socket
import threading

import pytest

from servelo.adapters import public_address
from servelo.errors import AccountRefused


def _code(host="smtp.acme.example", port=587, addresses=("8.8.8.8",), **given):
    with pytest.raises(AccountRefused) as caught:
        public_address.resolve(host, port, lookup=lambda name: list(addresses), **given)
    assert "dns" == caught.value.stage
    return caught.value.code


def test_public_addresses_are_returned_in_their_order():
    found = public_address.resolve("smtp.acme.example", 587, lookup=lambda name: ["8.8.8.8", "2a00:1450::6c"])
    assert ("8.8.8.8", "2a00:1450::6c") == found


def test_the_name_is_looked_up_once_and_as_an_a_label():
    asked = []

    def lookup(name):
        asked.append(name)
        return ["8.8.8.8"]

    public_address.resolve("SMTP.Bücher.example.", 465, lookup=lookup)
    assert ["smtp.xn--bcher-kva.example"] == asked


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["8.8.8.8", "10.0.0.1"],
        ["2a00:1450::6c", "::1"],
        ["::ffff:169.254.169.254"],
        ["64:ff9b::a9fe:a9fe"],
        ["fe80::1%2"],
        ["not an address"],
        ["8.8.8.8"] * 10 + ["192.168.0.1"],
    ],
)
def test_one_private_answer_refuses_the_whole_name(addresses):
    assert "address_not_public" == _code(addresses=addresses)


def test_loopback_is_for_the_local_stack_and_there_on_any_port():
    assert ("127.0.0.1",) == public_address.resolve(
        "localhost", 4025, allow_loopback=True, lookup=lambda name: ["127.0.0.1"]
    )
    assert "address_not_public" == _code("localhost", addresses=["127.0.0.1"])
    assert "address_not_public" == _code(addresses=["127.0.0.1", "10.0.0.1"], allow_loopback=True)
    assert "port_not_allowed" == _code(port=25, allow_loopback=True)
    # A public name that turns to loopback among public addresses is a trap in the local stack too.
    assert "address_not_public" == _code(addresses=["127.0.0.1", "8.8.8.8"], allow_loopback=True)


@pytest.mark.parametrize("port", [25, 22, 80, 443, 3306, 0, 99999])
def test_other_ports_are_refused(port):
    assert "port_not_allowed" == _code(port=port)


@pytest.mark.parametrize(
    "host", ["127.1", "0x7f.1", "017700000001", "2130706433", "169.254.169.254", "[::1]", "a b"]
)
def test_a_bad_host_is_refused_without_a_look_up(host):
    with pytest.raises(AccountRefused) as caught:
        public_address.resolve(host, 587, lookup=lambda name: pytest.fail("was looked up"))
    assert caught.value.at_once


@pytest.mark.parametrize(
    ("problem", "code", "at_once"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "dns_not_found", True),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "dns_failed", False),
        (OSError("x"), "dns_failed", False),
        (UnicodeError("x"), "dns_failed", False),
    ],
)
def test_a_failed_look_up_says_whether_it_may_work_later(problem, code, at_once):
    def lookup(name):
        raise problem

    with pytest.raises(AccountRefused) as caught:
        public_address.resolve("smtp.acme.example", 587, lookup=lookup)
    assert (code, at_once) == (caught.value.code, caught.value.at_once)


def test_a_name_without_addresses_does_not_exist():
    assert "dns_not_found" == _code(addresses=[])


def test_a_look_up_that_never_ends_is_left_behind():
    ended = threading.Event()

    def lookup(name):
        ended.wait(10)
        return ["8.8.8.8"]

    with pytest.raises(AccountRefused) as caught:
        public_address.resolve("smtp.acme.example", 587, timeout_seconds=0.05, lookup=lookup)
    ended.set()
    assert "dns_failed" == caught.value.code


def test_the_systems_look_up_gives_plain_addresses():
    assert "127.0.0.1" == public_address.system_lookup("127.0.0.1")[0]
