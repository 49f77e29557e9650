"""Every call that our SMTP client makes of its socket fails once, in every way; a real server has the mails.

Whatever happens, the server has the mail once at most. Where the client says that it may be tried again, the
server has nothing: the second try is then the only one. Where the server has it, the client says accepted or
unknown, and nothing else.
"""

import itertools
import os
import socket
import ssl
import types
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from servelo.adapters import smtp_transport
from servelo.adapters.smtp_transport import SmtpConnections
from servelo.domain.smtp import SmtpLogin
from servelo.errors import AccountRefused, DeliveryDeferred, DeliveryUnknown
from tests import smtp_servers
from tests.faults import Killed
from tests.smtp_servers import HOST, PASSWORD, USERNAME, Authority, Running, aiosmtpd_server

ALL_WAYS = bool(os.environ.get("SERVELO_PROOF"))


class Way(StrEnum):
    RESET = "the line broke before it"
    RESET_AFTER = "the line broke after it"
    SILENT = "nothing came in time, and it had no effect"
    SILENT_AFTER = "nothing came in time, and it had its effect"
    CLOSED = "the other side ended the line"
    KILLED = "the process ended before it"
    KILLED_AFTER = "the process ended after it"


class Calls:
    """Counts the calls of one mail, and fails the one with number ``at``."""

    def __init__(self, at: int = -1, way: Way = Way.RESET) -> None:
        self.at, self.way = at, way
        self.names: list[str] = []
        self.sockets: list[socket.socket] = []

    def call(self, line: socket.socket, name: str, make: Callable[[], Any]) -> Any:
        self.sockets.append(line)
        index = len(self.names)
        self.names.append(name)
        if index != self.at:
            return make()
        if self.way is Way.KILLED:
            raise Killed(name)
        if self.way is Way.RESET:
            raise ConnectionResetError(name)
        if self.way is Way.SILENT:
            raise TimeoutError(name)
        if self.way is Way.CLOSED:
            if name == "recv":
                return b""
            raise BrokenPipeError(name)
        make()
        if self.way is Way.KILLED_AFTER:
            raise Killed(name)
        raise TimeoutError(name) if self.way is Way.SILENT_AFTER else ConnectionResetError(name)


def watched(kind: type, calls: Calls) -> type:
    """Return a socket class of which the client's own calls are counted."""

    class Watched(kind):  # type: ignore[misc, valid-type]
        def connect(self, address: Any) -> None:
            return calls.call(self, "connect", lambda: kind.connect(self, address))

        def sendall(self, data: Any, *more: Any) -> None:
            return calls.call(self, "sendall", lambda: kind.sendall(self, data, *more))

        def recv(self, *size: Any) -> bytes:
            return calls.call(self, "recv", lambda: kind.recv(self, *size))

    return Watched


def send(
    authority: Authority, running: Running, calls: Calls, monkeypatch: pytest.MonkeyPatch, subject: str
) -> str:
    """Send a mail while *calls* watches; return what the client says of it."""
    context = authority.client()
    context.sslsocket_class = watched(ssl.SSLSocket, calls)
    names = types.SimpleNamespace(**vars(socket))
    names.socket = watched(socket.socket, calls)
    monkeypatch.setattr(smtp_transport, "socket", names)
    connections = SmtpConnections(
        ehlo_name="serveloapp.com",
        ssl_context=context,
        allow_loopback=True,
        lookup=lambda host: ["127.0.0.1"],
    )
    login = SmtpLogin(
        host=HOST,
        port=running.port,
        username=USERNAME,
        password=PASSWORD,
        from_email=USERNAME,
        from_name="Acme",
    )
    try:
        connections.transport("acme", login).send(
            f"Subject: {subject}\r\n\r\nwords\r\n".encode(),
            envelope_sender=USERNAME,
            recipient="ada@example.org",
            tags={},
        )
    except (DeliveryDeferred, AccountRefused):
        return "again"
    except (DeliveryUnknown, Killed):
        return "unknown"  # a killed sender's claim runs out, and its mail is unknown
    finally:
        monkeypatch.setattr(smtp_transport, "socket", socket)
        with suppress(Killed):
            connections.close()
        for line in calls.sockets:
            line.close()  # as the system does for a process that ended
    return "accepted"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(Path(tmp_path_factory.mktemp("authority")))


@pytest.fixture(params=["one by one", "together"])
def running(
    authority: Authority, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Running]:
    monkeypatch.setattr(smtp_servers, "PIPELINING", request.param == "together")
    with aiosmtpd_server(authority.good) as made:
        yield made


def test_whatever_call_of_the_socket_fails_the_mail_is_there_once_or_known_as_unknown(
    authority: Authority, running: Running, monkeypatch: pytest.MonkeyPatch
):
    plain = Calls()
    assert "accepted" == send(authority, running, plain, monkeypatch, "plain")
    assert {"connect", "sendall", "recv"} == set(plain.names)
    assert len(plain.names) > 14
    said = {}
    for at, (turn, way) in itertools.product(range(len(plain.names)), enumerate(Way)):
        if not ALL_WAYS and way is not Way.RESET_AFTER and (at + turn) % 3:
            continue
        calls = Calls(at, way)
        subject = f"call {at}, {way}"
        said[subject] = send(authority, running, calls, monkeypatch, subject)
        if said[subject] == "again":
            assert "accepted" == send(authority, running, Calls(), monkeypatch, f"{subject}, again")
            said[f"{subject}, again"] = "accepted"
    assert "accepted" == send(authority, running, Calls(), monkeypatch, "the last")  # the server caught up
    there = Counter(
        content.split(b"\r\n")[0].decode()[len("Subject: ") :] for *_, content in running.delivered
    )
    expected = {"again": {0}, "accepted": {1}, "unknown": {0, 1}}
    wrong = {each: outcome for each, outcome in said.items() if there[each] not in expected[outcome]}
    assert {} == wrong
    assert {"again", "unknown", "accepted"} == set(said.values())
