"""A zoo of SMTP servers on loopback: a sound one, and one for every way in which a server fails.

Sound and refusing servers are aiosmtpd, an SMTP server that we did not write. Broken ones, which no library
offers, are a scripted server: an answer, silence or a dropped line for each command. All have real TLS with
certificates of an authority made for the test run.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import logging
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST: Final = "localhost"
USERNAME: Final = "desk@acme.example"
PASSWORD: Final = "canary-Pa55 wörd"

# aiosmtpd logs every line it gets, logins too; what the tests look through is our own log.
logging.getLogger("mail.log").setLevel(logging.CRITICAL)


class Authority:
    """A certificate authority for one test run, and the contexts of servers and clients under it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Servelo test authority")])
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        certificate = (
            self._builder(self._name, self._name, self._key, now - day, now + day)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / "authority.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.good = self._server_context("good", [HOST, "127.0.0.1"])
        self.other_name = self._server_context("other", ["mail.globex.example"])
        self.expired = self._server_context("expired", [HOST], expired=True)
        self.stranger = self._server_context("stranger", [HOST], self_signed=True)

    def client(self) -> ssl.SSLContext:
        """Return a client's context that trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.file))

    def _builder(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        start: datetime.datetime,
        end: datetime.datetime,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    def _server_context(
        self, name: str, hosts: Sequence[str], *, expired: bool = False, self_signed: bool = False
    ) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=-1 if expired else 24)
        names: list[x509.GeneralName] = []
        for host in hosts:
            try:
                names.append(x509.IPAddress(ipaddress.ip_address(host)))
            except ValueError:
                names.append(x509.DNSName(host))
        issuer = subject if self_signed else self._name
        certificate = (
            self._builder(subject, issuer, key, end - datetime.timedelta(days=2), end)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    (key if self_signed else self._key).public_key()
                ),
                critical=False,
            )
            .sign(key if self_signed else self._key, hashes.SHA256())
        )
        file = self._folder / f"{name}.pem"
        # The key first: Postfix wants it so.
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _usage(*, authority: bool) -> x509.KeyUsage:
    """Key usage, which Python 3.13 asks every authority for (VERIFY_X509_STRICT)."""
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


@dataclass
class Running:
    """A server that stands.

    Attributes:
        delivered: what it accepted, (envelope sender, recipient, octets).
        sessions: connections taken so far.
        plain: every octet that came before TLS, to see that nothing secret was among them.
    """

    port: int
    implicit_tls: bool = False
    delivered: list[tuple[str, str, bytes]] = field(default_factory=list)
    sessions: int = 0
    plain: bytearray = field(default_factory=bytearray)


Server = contextlib.AbstractContextManager[Running]

# Whether servers that start now take commands together (RFC 2920), and say so.
PIPELINING = False


# -- aiosmtpd ------------------------------------------------------------------------------------------------


class _Handler:
    """Answers as told, ``None`` for the usual answer."""

    async def handle_EHLO(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]] if PIPELINING else responses

    def __init__(self, running: Running, answers: Mapping[str, str], *, must_sign_in: bool) -> None:
        self._running = running
        self._answers = answers
        self._must_sign_in = must_sign_in

    async def handle_MAIL(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if "MAIL" in self._answers:
            return self._answers["MAIL"]
        if self._must_sign_in and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if "RCPT" in self._answers:
            return self._answers["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if "DATA" in self._answers:
            return self._answers["DATA"]
        self._running.delivered.append((envelope.mail_from, envelope.rcpt_tos[0], envelope.original_content))
        return "250 2.0.0 OK queued as 4QUEUE"


class _Loopback(Controller):
    """A controller on a free port; aiosmtpd wants to know the port before it listens."""

    def __init__(self, running: Running, handler: _Handler, **given: Any) -> None:
        super().__init__(handler, hostname="127.0.0.1", port=running.port, **given)
        self._running = running
        self._protocols: list[Any] = []

    def factory(self) -> Any:
        self._running.sessions += 1
        protocol = super().factory()
        self._protocols.append(protocol)
        return protocol

    def stop(self, no_assert: bool = False) -> None:
        # aiosmtpd stops its loop with connections open, which Python then complains of.
        asyncio.run_coroutine_threadsafe(self._hang_up(), self.loop).result(5)
        super().stop(no_assert)

    async def _hang_up(self) -> None:
        for protocol in self._protocols:
            for transport in (protocol.transport, protocol._original_transport):
                if transport is not None:
                    transport.abort()
        # The loop needs a few rounds to call connection_lost and to end the cancelled sessions.
        for _ in range(10):
            await asyncio.sleep(0)


def free_port() -> int:
    """Return a port of loopback on which nothing listens just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def aiosmtpd_server(
    context: ssl.SSLContext | None,
    *,
    answers: Mapping[str, str] | None = None,
    login_refusal: str = "",
    implicit_tls: bool = False,
    auth: bool = True,
    exclude: Sequence[str] = (),
    size_limit: int = 33_554_432,
) -> Iterator[Running]:
    """Run aiosmtpd. *login_refusal* answers every login; without it USERNAME and PASSWORD are right."""

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        if login_refusal:
            return AuthResult(success=False, handled=False, message=login_refusal)
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (
            USERNAME.encode(),
            PASSWORD.encode(),
        )
        return AuthResult(success=right, handled=False)

    running = Running(free_port(), implicit_tls=implicit_tls)
    handler = _Handler(running, answers or {}, must_sign_in=auth)
    controller = _Loopback(
        running,
        handler,
        ssl_context=context if implicit_tls else None,
        tls_context=None if implicit_tls else context,
        require_starttls=context is not None and not implicit_tls,
        auth_require_tls=not implicit_tls,  # aiosmtpd does not see TLS that was there from the start
        authenticator=check if auth else None,
        auth_exclude_mechanism=exclude or None,
        enable_SMTPUTF8=True,
        data_size_limit=size_limit,
    )
    controller.start()
    # The controller connects once to see whether it stands.
    running.sessions = 0
    try:
        yield running
    finally:
        controller.stop()


# -- scripted ------------------------------------------------------------------------------------------------

DROP: Final = b"\0drop"
SILENCE: Final = b"\0silence"
ABORT: Final = b"\0abort"

_USUAL: Mapping[str, bytes] = {
    "connect": b"220 zoo.example ESMTP\r\n",
    "EHLO": b"250-zoo.example\r\n250-STARTTLS\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n",
    "STARTTLS": b"220 2.0.0 go ahead\r\n",
    "AUTH": b"235 2.7.0 welcome\r\n",
    "MAIL": b"250 2.1.0 sender OK\r\n",
    "RCPT": b"250 2.1.5 recipient OK\r\n",
    "DATA": b"354 go on\r\n",
    ".": b"250 2.0.0 queued\r\n",
    "RSET": b"250 2.0.0 flushed\r\n",
    "QUIT": b"221 2.0.0 bye\r\n",
    "*": b"500 5.5.1 what?\r\n",
}

Answer = bytes | list[bytes] | tuple[bytes, ...] | Callable[[bytes], bytes]


class _Script(threading.Thread):
    """One listening socket; each of its connections is a ``_Conversation`` in a thread of its own."""

    def __init__(
        self,
        running: Running,
        listener: socket.socket,
        answers: Mapping[str, Answer],
        context: ssl.SSLContext | None,
    ) -> None:
        super().__init__(daemon=True, name="scripted-smtp")
        self.running = running
        usual = dict(_USUAL)
        if PIPELINING:
            usual["EHLO"] = usual["EHLO"].replace(b"250-8BITMIME", b"250-PIPELINING\r\n250-8BITMIME")
        self.answers = {
            key: list(value) if isinstance(value, list) else value
            for key, value in {**usual, **answers}.items()
        }
        self.context = context
        self.stopped = threading.Event()
        self._listener = listener
        self._conversations: list[_Conversation] = []

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.running.sessions += 1
            conversation = _Conversation(self, connection)
            self._conversations.append(conversation)
            conversation.start()

    def stop(self) -> None:
        self.stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.join(5)
        for conversation in self._conversations:
            conversation.end()


class _Conversation(threading.Thread):
    def __init__(self, script: _Script, connection: socket.socket) -> None:
        super().__init__(daemon=True, name="scripted-smtp-session")
        self._script = script
        self._socket = connection
        self._lines = connection.makefile("rb")
        self._encrypted = False
        # A tuple is answered in order within each conversation, a list over all of them.
        self._answers: dict[str, Any] = {
            key: list(value) if isinstance(value, tuple) else value for key, value in script.answers.items()
        }

    def run(self) -> None:
        with contextlib.suppress(OSError):
            if self._script.running.implicit_tls:
                self._encrypt()
            if self._say(self._words("connect", b"")):
                self._converse()

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self.join(5)
        self._lines.close()
        self._socket.close()

    def _converse(self) -> None:
        sender = recipient = ""
        while line := self._lines.readline():
            if not self._encrypted:
                self._script.running.plain += line
            verb = line.split(b" ")[0].strip().decode("latin-1").upper()
            if verb == "MAIL":
                sender = line.split(b"<")[1].split(b">")[0].decode()
            if verb == "RCPT":
                recipient = line.split(b"<")[1].split(b">")[0].decode()
            words = self._words(verb, line)
            if not self._say(words) or verb == "QUIT":
                return
            if verb == "STARTTLS":
                self._encrypt()
            if verb == "DATA" and words.startswith(b"354") and not self._take(sender, recipient):
                return

    def _take(self, sender: str, recipient: str) -> bool:
        data = b""
        while (row := self._lines.readline()) != b".\r\n":
            if not row:
                return False
            data += row[1:] if row.startswith(b".") else row
        words = self._words(".", data)
        if words.startswith(b"250"):
            self._script.running.delivered.append((sender, recipient, data))
        return self._say(words)

    def _encrypt(self) -> None:
        if self._script.context is not None and not self._encrypted:
            self._lines.close()
            self._socket = self._script.context.wrap_socket(self._socket, server_side=True)
            self._lines = self._socket.makefile("rb")
            self._encrypted = True

    def _words(self, key: str, line: bytes) -> bytes:
        scripted = self._answers.get(key, self._answers["*"])
        if isinstance(scripted, list):
            return bytes(scripted.pop(0) if len(scripted) > 1 else scripted[0])
        return bytes(scripted(line) if callable(scripted) else scripted)

    def _say(self, words: bytes) -> bool:
        """Send *words*, or do what DROP, ABORT and SILENCE say; False ends the conversation."""
        if words == SILENCE:
            self._script.stopped.wait()
            return False
        if words == ABORT:
            # Linger of zero seconds: close() sends RST.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._lines.close()
            self._socket.close()
            return False
        if words == DROP:
            self._socket.shutdown(socket.SHUT_RDWR)
            return False
        self._socket.sendall(words)
        return True


@contextlib.contextmanager
def scripted_server(
    context: ssl.SSLContext | None, answers: Mapping[str, Answer] | None = None, *, implicit_tls: bool = False
) -> Iterator[Running]:
    """Run a server that answers each command by *answers*, and the rest like a sound server.

    A list is answered in order over all connections, a tuple in order within each; the last one stays.
    DROP ends the connection, ABORT resets it, SILENCE says nothing for as long as the client waits.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    running = Running(int(listener.getsockname()[1]), implicit_tls=implicit_tls)
    script = _Script(running, listener, answers or {}, context)
    script.start()
    try:
        yield running
    finally:
        script.stop()


@contextlib.contextmanager
def nobody() -> Iterator[Running]:
    """A port on which nothing listens."""
    yield Running(free_port())


@contextlib.contextmanager
def swallower() -> Iterator[Running]:
    """A port that never completes a connection: its queue is full and nobody takes from it."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        yield Running(int(listener.getsockname()[1]))


# -- the table -----------------------------------------------------------------------------------------------

BIG_BANNER: Final = b"220-" + b"x" * 2_000_000 + b"\r\n220 at last\r\n"
ENDLESS_BANNER: Final = b"220-another line\r\n" * 110_000


def zoo(authority: Authority) -> dict[str, Callable[[], Server]]:
    """Return every server of the table in ``docs/sending.md``, by its name there."""
    good = authority.good

    def real(**given: Any) -> Callable[[], Server]:
        return lambda: aiosmtpd_server(good, **given)

    def script(
        answers: Mapping[str, Answer] | None = None, context: ssl.SSLContext | None = good, **given: Any
    ) -> Callable[[], Server]:
        return lambda: scripted_server(context, answers, **given)

    return {
        "sound, STARTTLS": real(),
        "sound, TLS from the start": real(implicit_tls=True),
        "sound, AUTH LOGIN only": real(exclude=["PLAIN"]),
        "nobody listens": nobody,
        "takes no connection": swallower,
        "connects, says nothing": script({"connect": SILENCE}),
        "drops before the greeting": script({"connect": DROP}),
        "greets with 554": script({"connect": b"554 5.7.1 your network is blocked\r\n"}),
        "greets with 421": script({"connect": b"421 4.3.2 too busy\r\n"}),
        "garbage": script({"connect": b"\x16\x03\x01\x00SSH-2.0-nonsense\r\n"}),
        "2 MB banner in one line": script({"connect": BIG_BANNER}),
        "2 MB banner in many lines": script({"connect": ENDLESS_BANNER}),
        "plain text on the TLS port": script({}, implicit_tls=True, context=None),
        "no STARTTLS": script({"EHLO": b"250-zoo.example\r\n250 AUTH PLAIN LOGIN\r\n"}),
        "STARTTLS answers 454": script(
            {"STARTTLS": b"454 4.7.0 TLS not available due to temporary reason\r\n"}
        ),
        "words slipped in before TLS": script({"STARTTLS": b"220 go ahead\r\n250 AUTH PLAIN\r\n"}),
        "certificate of a stranger": script(context=authority.stranger),
        "certificate for another host": script(context=authority.other_name),
        "certificate expired": script(context=authority.expired),
        "silent after STARTTLS": script({"*": SILENCE}, context=None),
        "no AUTH offered": script({"EHLO": (_USUAL["EHLO"], b"250-zoo.example\r\n250 8BITMIME\r\n")}),
        "AUTH by token only": script({"EHLO": (_USUAL["EHLO"], b"250-zoo.example\r\n250 AUTH XOAUTH2\r\n")}),
        "AUTH answers 454": real(login_refusal="454 4.7.0 Temporary authentication failure"),
        "AUTH answers 534": real(
            login_refusal="534-5.7.9 Application-specific password required. For more information, go to\r\n"
            "534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor"
        ),
        "AUTH answers 535": real(login_refusal="535 5.7.8 Username and Password not accepted"),
        "AUTH answers 535 5.7.139": real(
            login_refusal="535 5.7.139 Authentication unsuccessful, basic authentication is disabled"
        ),
        "AUTH echoes the password": script(
            {
                "AUTH": lambda line: (
                    b"535 5.7.8 bad login " + line.strip() + b" (" + PASSWORD.encode() + b")\r\n"
                )
            }
        ),
        "drops at AUTH": script({"AUTH": DROP}),
        "530 at MAIL FROM": real(answers={"MAIL": "530 5.7.0 Authentication required"}),
        "550 at MAIL FROM": real(answers={"MAIL": "550 5.7.60 not allowed to send as this sender"}),
        "451 at MAIL FROM": real(answers={"MAIL": "451 4.3.0 try again later"}),
        "553 sender, told at RCPT": real(
            answers={"RCPT": "553 5.7.1 <desk@acme.example>: Sender address rejected: not owned by user x"}
        ),
        "554 no relaying": real(answers={"RCPT": "554 5.7.1 <ada@example.org>: Relay access denied"}),
        "550 at RCPT": real(answers={"RCPT": "550 5.1.1 <ada@example.org>: Recipient address rejected"}),
        "450 at RCPT": real(answers={"RCPT": "450 4.2.0 greylisted, come back in 5 minutes"}),
        "550 sending quota": real(answers={"RCPT": "550 5.4.5 Daily user sending limit exceeded"}),
        "size limit": real(size_limit=1000),
        "552 at DATA": real(answers={"DATA": "552 5.3.4 Message size exceeds fixed limit"}),
        "554 after DATA": real(answers={"DATA": "554 5.7.1 rejected as spam"}),
        "451 after DATA": real(answers={"DATA": "451 4.7.1 try again later"}),
        "554 SendAsDenied after DATA": real(
            answers={"DATA": "554 5.2.252 SendAsDenied; not allowed to send as"}
        ),
        "drops before DATA": script({"DATA": DROP}),
        "drops after DATA": script({".": DROP}),
        "resets after DATA": script({".": ABORT}),
        "silent after DATA": script({".": SILENCE}),
        "garbage after DATA": script({".": b"\x00\x01\x02 what is this\r\n"}),
        "421 in mid-session": script({"RCPT": b"421 4.3.0 going down\r\n"}),
        "451 to the data": script({".": b"451 4.3.0 disk full\r\n"}),
    }
