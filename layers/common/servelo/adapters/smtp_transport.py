"""SMTP out: one mail to one recipient through a tenant's own account (RFC 5321, 3207, 4954, 6152, 6531).

A client of our own rather than smtplib, which reads a reply of any length, starts its time limit anew with
every packet, keeps the login inside the exceptions it raises (``SMTPAuthenticationError`` echoes the
server, and servers echo the login), and cannot say whether the data had been handed over when it failed.
Here:

* 465 is TLS from the first octet; every other port must offer STARTTLS. No login, address or word of a mail
  is sent before TLS with a certificate that fits the host name.
* Every wait is bounded by its stage and by one budget for the whole mail. A reply has at most 100 lines of
  2,000 octets.
* The final dot is the hand-over. Before it nothing can have been accepted, so every failure is one that may
  be tried again; after it, silence means ``unknown``. It is not sent when too little time is left to hear
  the answer, or when the server has already said no.
* Failures are ``SmtpFailure`` inside and the four errors of ``MailTransport`` outside, raised ``from None``.

The codes of all failures, and what Send Test makes of each, stand in ``docs/sending.md``.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import lru_cache

from servelo.adapters import public_address
from servelo.domain.smtp import SmtpAttempt, SmtpLogin, SmtpOutcome, SmtpStage, envelope_address
from servelo.errors import (
    AccountRefused,
    DeliveryDeferred,
    DeliveryFailed,
    DeliveryUnknown,
    InvalidInput,
    ServeloError,
)
from servelo.patterns import pattern
from servelo.records import dataclass
from servelo.services.ports import Accepted

__all__ = ["AccountRefused", "SmtpConnections", "SmtpTransport", "TimeLimits"]

IMPLICIT_TLS_PORTS = frozenset({465})
MAX_LINE_OCTETS = 2000  # RFC 5321 4.5.3.1.5 says 512; real servers write more
MAX_REPLY_LINES = 100
MAX_WORDS_SEARCHED = 1000  # of a reply, for addresses: the search takes the square of a word; 400 are kept
MAX_TRANSCRIPT_LINES = 120
MAX_INITIAL_RESPONSE = 500  # RFC 4954 4: a command line has 512 octets
MAX_MAILS_PER_CONNECTION = 50  # Gmail ends a session after 100, others earlier
MAX_IDLE_SECONDS = 60.0
REST_SECONDS = 2.0  # for the answers behind a refusal

_REPLY = pattern(rb"([2-5][0-9]{2})([ -]?)(.*)", re.DOTALL)
_ENHANCED = pattern(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})\b")
_CONTROLS = pattern(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_ADDRESS = pattern(r"<?[^\s<>@]+@[^\s<>@]+\.[^\s<>@]*[A-Za-z0-9]>?")

_APP_PASSWORD = ("application-specific password", "app password", "invalidsecondfactor", "5.7.9")
_BASIC_AUTH_OFF = ("5.7.139", "basic authentication is disabled", "smtpclientauthentication is disabled")
_SENDER_WORDS = (
    "sender address rejected",
    "not owned by",
    "sendasdenied",
    "to send as",
    "sender verify failed",
    "sender not allowed",
    "sender is not allowed",
    "not allowed to send from",
    "unauthorized sender",
    "5.7.60",
    "5.2.252",
)
_RELAY_WORDS = ("relay access", "relaying", "relay denied", "relay not", "to relay", "not relay", "no relay")
_LOGIN_FIRST_WORDS = ("authentication required", "must authenticate", "auth required", "5.5.1 authentication")
_QUOTA_WORDS = (
    "5.4.5",
    "4.7.28",
    "sending limit",
    "sending quota",
    "daily user sending",
    "rate limit",
    "too many mes",
)
_SIZE_WORDS = ("5.3.4", "exceeds size", "too large", "message size", "size limit", "maximum size")


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds. ``total`` bounds one mail, from the look-up to the final answer.

    Attributes:
        reply: for one answer of the server before the data.
        answer: for the answer after the final dot; RFC 5321 4.5.3.2.6 would give it ten minutes.
        answer_reserve: with less than this left of ``total``, the dot is not sent.
    """

    connect: float = 6.0
    tls: float = 6.0
    reply: float = 10.0
    answer: float = 20.0
    answer_reserve: float = 5.0
    total: float = 25.0

    @classmethod
    def within(cls, budget_seconds: float) -> TimeLimits:
        """Return limits for one mail that a person waits for."""
        part = budget_seconds / 3
        return cls(part, part, part, budget_seconds / 2, budget_seconds / 10, budget_seconds)


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer: its code and its lines, decoded, scrubbed."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(line for line in self.lines if line)

    @property
    def enhanced(self) -> str:
        """The enhanced status code (RFC 3463) that begins the text, ``""`` for none."""
        found = _ENHANCED.match(self.text)
        return found[1] if found else ""


class SmtpFailure(Exception):
    """Where and why a session ended. Holds only scrubbed words."""

    def __init__(
        self,
        outcome: SmtpOutcome,
        stage: SmtpStage,
        code: str,
        words: str = "",
        *,
        reply_code: int = 0,
        at_once: bool = False,
    ) -> None:
        super().__init__(code)
        self.outcome = outcome
        self.stage = stage
        self.code = code
        self.words = words
        self.reply_code = reply_code
        self.at_once = at_once

    def detail(self) -> str:
        """Return stage, reply code and the server's words without addresses, for state and logs."""
        words = _ADDRESS.sub("<address>", self.words[:MAX_WORDS_SEARCHED])
        said = " ".join(part for part in (str(self.reply_code) if self.reply_code else "", words) if part)
        return f"{self.stage.value}: {said or self.code}"[:400]


class _Scrubber:
    """Removes a login from what a server says, in the forms in which servers echo it."""

    def __init__(self, login: SmtpLogin) -> None:
        secret = login.password
        user = login.username
        forms = {secret, repr(secret)[1:-1], _encoded(secret), _encoded(f"\0{user}\0{secret}")}
        forms |= {_encoded(secret).rstrip("="), secret.encode("utf-8").hex()}
        # The longest first, or a shorter one would leave the rest of a longer one behind.
        ordered = sorted((re.escape(form) for form in forms if form), key=len, reverse=True)
        self._secret = re.compile("|".join(ordered), re.IGNORECASE) if ordered else None
        self._user = re.compile(re.escape(_encoded(user)), re.IGNORECASE) if user else None

    def __call__(self, text: str) -> str:
        if self._secret is not None:
            text = self._secret.sub("***", text)
        if self._user is not None:
            text = self._user.sub("***", text)
        return text


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode("ascii")


class Budget:
    """What is left of the time for one mail, over every connection that it takes."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        return self._end - time.monotonic()


class SmtpSession:
    """One connection, from the look-up of the host to QUIT. Not thread-safe."""

    def __init__(
        self,
        login: SmtpLogin,
        *,
        ehlo_name: str,
        ssl_context: ssl.SSLContext,
        allow_loopback: bool,
        limits: TimeLimits,
        lookup: public_address.Lookup,
        implicit_tls_ports: Collection[int] = IMPLICIT_TLS_PORTS,
    ) -> None:
        self._login = login
        self._tls_at_once = login.port in implicit_tls_ports
        self._ehlo_name = ehlo_name
        self._ssl_context = ssl_context
        self._allow_loopback = allow_loopback
        self._limits = limits
        self._lookup = lookup
        self._scrub = _Scrubber(login)
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self._budget = Budget(limits.total)
        self._stage = SmtpStage.DNS
        self._extensions: dict[str, str] = {}
        self._transcript: list[str] = []
        self.mails = 0
        self.used_at = 0.0
        self.asked_for_copy = False
        self.copied: bool | None = None
        self._reset_due = False  # what a mail that was not taken left behind
        self._kept = False

    @property
    def transcript(self) -> tuple[str, ...]:
        return tuple(self._transcript)

    # -- the session's stages ---------------------------------------------------------------------------

    def open(self, budget: Budget) -> None:
        """Connect, encrypt and sign in. *budget* is the mail's, here and in what follows.

        Raises:
            SmtpFailure: every failure.
        """
        self._budget = budget
        try:
            addresses = public_address.resolve(
                self._login.host,
                self._login.port,
                allow_loopback=self._allow_loopback,
                timeout_seconds=max(0.05, min(self._limits.connect, self._budget.left())),
                lookup=self._lookup,
            )
        except AccountRefused as error:
            raise SmtpFailure(
                SmtpOutcome.ACCOUNT, SmtpStage.DNS, error.code, error.detail, at_once=error.at_once
            ) from None
        self._connect(addresses)
        if self._tls_at_once:
            self._encrypt()
        self._greeting()
        self._ehlo()
        if not self._tls_at_once:
            self._start_tls()
            self._ehlo()
        if self._login.username or self._login.password:
            self._authenticate()

    def _connect(self, addresses: tuple[str, ...]) -> None:
        self._stage = SmtpStage.CONNECT
        failure = self._account("connect_failed")
        for position, address in enumerate(addresses):
            # Each address gets its share, so that one that swallows packets leaves time for the next.
            share = self._budget.left() / (len(addresses) - position)
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.settimeout(max(0.05, min(self._limits.connect, share)))
                connection.connect((address, self._login.port))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except TimeoutError:
                connection.close()
                failure = self._account("connect_timeout")
            except ConnectionRefusedError:
                connection.close()
                failure = self._account("connect_refused")
            except OSError:
                connection.close()
                failure = self._account("connect_failed")
            else:
                self._socket = connection
                return
        raise failure

    def _encrypt(self) -> None:
        self._stage = SmtpStage.TLS
        connection = self._socket
        if connection is None:
            raise self._account("connection_lost")
        host = self._login.host.strip().rstrip(".").strip("[]")
        try:
            connection.settimeout(self._wait(self._limits.tls))
            self._socket = self._ssl_context.wrap_socket(connection, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            # 62 and 64: X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH; 10: expired.
            codes = {62: "tls_host_name", 64: "tls_host_name", 10: "tls_expired"}
            raise self._account(codes.get(error.verify_code, "tls_certificate"), at_once=True) from None
        except TimeoutError:
            raise self._account("tls_timeout") from None
        except (OSError, ValueError):
            # ValueError: a host name that cannot stand in a certificate.
            raise self._account("tls_failed") from None

    def _greeting(self) -> None:
        self._stage = SmtpStage.CONNECT
        try:
            reply = self._read(self._limits.reply)
        except SmtpFailure as failure:
            if failure.code == "server_silent":
                raise self._account("no_greeting") from None
            raise
        if reply.code != 220:
            raise self._refusal(reply)

    def _ehlo(self) -> None:
        self._stage = SmtpStage.EHLO
        reply = self._command(f"EHLO {self._ehlo_name}")
        if reply.code != 250:
            raise self._refusal(reply)
        self._extensions = {}
        for line in reply.lines[1:]:
            # "AUTH=PLAIN LOGIN" was how it stood before RFC 2554.
            keyword, _, rest = line.replace("=", " ", 1).partition(" ")
            known = self._extensions.get(keyword.upper(), "")
            self._extensions[keyword.upper()] = f"{known} {rest}".strip()

    def _start_tls(self) -> None:
        self._stage = SmtpStage.TLS
        if "STARTTLS" not in self._extensions:
            raise self._account("tls_not_offered", at_once=True)
        reply = self._command("STARTTLS")
        if reply.code != 220:
            raise self._refusal(reply)
        if self._buffer:
            # Words that came with the 220 were not encrypted and would be read as if they had been.
            raise self._account("tls_failed")
        self._encrypt()

    def _authenticate(self) -> None:
        self._stage = SmtpStage.AUTH
        offered = self._extensions.get("AUTH", "").upper().split()
        user, password = self._login.username, self._login.password
        if "PLAIN" in offered:
            blob = _encoded(f"\0{user}\0{password}")
            if len(blob) <= MAX_INITIAL_RESPONSE:
                reply = self._command(f"AUTH PLAIN {blob}", shown="AUTH PLAIN ***")
            else:
                reply = self._command("AUTH PLAIN")
            if reply.code == 334:
                reply = self._command(blob, shown="***")
            # 504 and the like: advertised, yet not known. A refused login is not tried in another way,
            # because every failed try counts towards locking the account.
            if reply.code not in (500, 501, 502, 504) or "LOGIN" not in offered:
                return self._signed_in(reply)
        if "LOGIN" not in offered:
            raise self._account("auth_not_offered", " ".join(offered)[:100], at_once=True)
        reply = self._command("AUTH LOGIN")
        if reply.code == 334:
            reply = self._command(_encoded(user), shown="***")
        if reply.code == 334:
            reply = self._command(_encoded(password), shown="***")
        return self._signed_in(reply)

    def _signed_in(self, reply: Reply) -> None:
        if reply.code != 235:
            raise self._refusal(reply)

    def send(self, message: bytes, *, envelope_sender: str, recipient: str, copy_to: str = "") -> Reply:
        """Hand over one mail and return the server's acceptance. *copy_to*: see ``SmtpProbe``.

        Raises:
            SmtpFailure: ``unknown`` only when the final dot had been given to the network.
        """
        self._stage = SmtpStage.MAIL_FROM
        data = _normalised(message)
        mail = f"MAIL FROM:<{envelope_sender}>{self._mail_parameters(data, envelope_sender, recipient)}"
        rcpt = f"RCPT TO:<{recipient}>"
        if "PIPELINING" in self._extensions:
            self._pipeline(mail, rcpt, f"RCPT TO:<{copy_to}>" if copy_to else "")
            return self._hand_over(data)
        if self._reset_due and self._command("RSET").code != 250:
            raise self._lost()
        self._reset_due = True
        self._command_expecting(mail, (250,))
        self._stage = SmtpStage.RCPT
        self._command_expecting(rcpt, (250, 251))
        if copy_to:
            self.asked_for_copy = True
            self._note_copy(self._command(f"RCPT TO:<{copy_to}>"))
        self._stage = SmtpStage.DATA
        self._command_expecting("DATA", (354,))
        return self._hand_over(data)

    def _note_copy(self, answer: Reply) -> None:
        if answer.code == 421:
            raise self._refusal(answer)
        self.copied = answer.code in (250, 251)

    def _pipeline(self, mail: str, rcpt: str, rcpt_of_copy: str) -> None:
        """Send all commands of a mail at once, then read their answers: one round trip, not three (RFC 2920).

        Raises:
            SmtpFailure: the first refusal. When the server goes on to wait for the mail, the line is closed.
                RFC 2920 3.1 has a single dot there, and trusts that no server takes it for a mail.
        """
        commands = [
            (SmtpStage.MAIL_FROM, mail, (250,)),
            (SmtpStage.RCPT, rcpt, (250, 251)),
            (SmtpStage.DATA, "DATA", (354,)),
        ]
        if rcpt_of_copy:
            self.asked_for_copy = True
            commands.insert(2, (SmtpStage.RCPT, rcpt_of_copy, ()))
        resets = ["RSET"] if self._reset_due else []
        self._send_commands([*resets, *(command for _, command, _ in commands)])
        refusal: SmtpFailure | None = None
        try:
            if resets and self._answer().code != 250:
                raise self._lost()
            self._reset_due = True
            for stage, _, codes in commands:
                if refusal is not None:
                    # Read, so that the next mail's answers are not taken for this one's.
                    if self._read(min(self._limits.reply, REST_SECONDS)).code == 354:
                        raise refusal
                    continue
                self._stage = stage
                reply = self._answer()
                if not codes:
                    self._note_copy(reply)
                elif reply.code not in codes:
                    refusal = self._refusal(reply)
                    if reply.code == 421:
                        raise refusal
        except SmtpFailure as failure:
            self.close(politely=False)
            raise (refusal or failure) from None
        if refusal is not None:
            raise refusal

    def _mail_parameters(self, data: bytes, envelope_sender: str, recipient: str) -> str:
        parameters = ""
        if "SIZE" in self._extensions:
            limit = self._extensions["SIZE"].split(" ")[0]
            if limit.isdecimal() and 0 < int(limit) < len(data):
                raise SmtpFailure(
                    SmtpOutcome.FAILED, self._stage, "too_large", f"the server takes {limit} octets"
                )
            parameters += f" SIZE={len(data)}"
        plain_header = data.partition(b"\r\n\r\n")[0].isascii()
        if not ((envelope_sender + recipient).isascii() and plain_header):
            if "SMTPUTF8" not in self._extensions:
                raise SmtpFailure(SmtpOutcome.FAILED, self._stage, "smtputf8_not_offered")
            parameters += " SMTPUTF8"
        if not data.isascii():
            if "8BITMIME" not in self._extensions:
                raise SmtpFailure(SmtpOutcome.FAILED, self._stage, "8bitmime_not_offered")
            parameters += " BODY=8BITMIME"
        return parameters

    def _hand_over(self, data: bytes) -> Reply:
        stuffed = re.sub(rb"(?m)^\.", b"..", data)
        try:
            for start in range(0, len(stuffed), 65536):
                self._send(stuffed[start : start + 65536])
        except SmtpFailure as failure:
            # A server that closes in the middle has often said why.
            early = self._early_reply()
            self.close(politely=False)  # it waits for the rest of a mail
            raise (self._refusal(early) if early is not None else failure) from None
        early = self._early_reply()
        if early is not None:
            self.close(politely=False)
            raise self._refusal(early)
        if self._budget.left() < self._limits.answer_reserve:
            raise SmtpFailure(SmtpOutcome.DEFERRED, self._stage, "no_time_left")
        self._note(f"C: ({len(data):,} octets of mail)")
        try:
            self._send(b".\r\n")
            self._note("C: .")
            reply = self._read(self._limits.answer)
        except SmtpFailure as failure:
            raise SmtpFailure(
                SmtpOutcome.UNKNOWN, self._stage, "answer_lost", failure.words or failure.code
            ) from None
        self.mails += 1
        self._reset_due = reply.code != 250
        if self._reset_due:
            raise self._refusal(reply)
        return reply

    def _early_reply(self) -> Reply | None:
        """Return what the server says before it has all of the data; None when it says nothing."""
        connection = self._socket
        if connection is None:
            return None
        pending = isinstance(connection, ssl.SSLSocket) and connection.pending() > 0
        try:
            poll = select.poll()
            poll.register(connection, select.POLLIN)
            if not (self._buffer or pending or poll.poll(0)):
                return None
            # TLS 1.3 session tickets also make the socket readable: no words within a moment is no reply.
            connection.settimeout(0.05)
            return self._read_reply()
        except (TimeoutError, ssl.SSLWantReadError):
            return None
        except (OSError, ValueError):
            raise self._lost() from None

    def reuse(self, budget: Budget) -> bool:
        """Begin another mail with its own *budget*; False when the line is closed, or has news of its own.

        After a mail that was not taken RSET goes ahead of it.
        """
        if self.is_closed or self._has_news():
            return False
        self._budget = budget
        self._stage = SmtpStage.MAIL_FROM
        self._transcript.clear()
        self._kept = True
        return True

    @property
    def is_closed(self) -> bool:
        return self._socket is None

    def _has_news(self) -> bool:
        """Whether the server has said something unasked, or has hung up."""
        connection = self._socket
        if self._buffer or (isinstance(connection, ssl.SSLSocket) and connection.pending()):
            return True
        poll = select.poll()
        poll.register(connection, select.POLLIN)  # type: ignore[arg-type] # not closed
        return bool(poll.poll(0))

    def close(self, *, politely: bool = True) -> None:
        """Say QUIT if the connection still stands, and close it. Never raises, never waits for the answer."""
        connection, self._socket = self._socket, None
        if connection is None:
            return
        with suppress(OSError, ValueError):
            if politely:
                connection.settimeout(0.5)
                connection.sendall(b"QUIT\r\n")
        with suppress(OSError):
            connection.close()

    # -- lines ------------------------------------------------------------------------------------------

    def _command_expecting(self, command: str, codes: tuple[int, ...]) -> None:
        reply = self._command(command)
        if reply.code not in codes:
            raise self._refusal(reply)

    def _command(self, command: str, *, shown: str | None = None) -> Reply:
        """Send one line and return the answer. *shown* stands in the transcript for a line with secrets."""
        self._send_commands([command], shown=shown)
        return self._answer()

    def _answer(self) -> Reply:
        """Read the answer to a command.

        The first on a kept connection may be the server's good-bye, in whatever words: where it is not 250,
        the mail is tried on a new connection. So is one that is refused, which is then refused again.
        """
        kept, self._kept = self._kept, False
        if not kept:
            return self._read(self._limits.reply)
        try:
            reply = self._read(self._limits.reply)
        except SmtpFailure:
            raise self._lost() from None
        if reply.code != 250:
            raise self._lost()
        return reply

    def _send_commands(self, commands: list[str], *, shown: str | None = None) -> None:
        if any(sign in command for command in commands for sign in "\r\n\0"):
            raise SmtpFailure(SmtpOutcome.FAILED, self._stage, "address_invalid")
        for command in commands:
            self._note(f"C: {command if shown is None else shown}")
        self._send("".join(f"{command}\r\n" for command in commands).encode("utf-8"))

    def _send(self, data: bytes) -> None:
        connection = self._socket
        if connection is None:
            raise self._lost()
        try:
            connection.settimeout(self._wait(self._limits.reply))
            connection.sendall(data)
        except TimeoutError:
            raise self._silent() from None
        except (OSError, ValueError):
            raise self._lost() from None

    def _read(self, limit: float) -> Reply:
        connection = self._socket
        if connection is None:
            raise self._lost()
        end = time.monotonic() + self._wait(limit)
        try:
            return self._read_reply(end)
        except TimeoutError:
            raise self._silent() from None
        except (OSError, ValueError):
            raise self._lost() from None

    def _read_reply(self, end: float | None = None) -> Reply:
        lines: list[str] = []
        code = b""
        while True:
            found = _REPLY.fullmatch(self._line(end))
            if found is None or (code and found[1] != code) or len(lines) >= MAX_REPLY_LINES:
                raise self._account("not_smtp")
            code = found[1]
            text = self._scrub(_CONTROLS.sub(" ", found[3].decode("utf-8", "replace")).strip())[:300]
            lines.append(text)
            self._note(f"S: {code.decode('ascii')}{found[2].decode('ascii') or ' '}{text}")
            if found[2] != b"-":
                return Reply(int(code), tuple(lines))

    def _line(self, end: float | None) -> bytes:
        connection = self._socket
        if connection is None:
            raise self._lost()
        while (position := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MAX_LINE_OCTETS:
                raise self._account("not_smtp")
            if end is not None:
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                connection.settimeout(left)
            received = connection.recv(4096)
            if not received:
                raise ConnectionResetError
            self._buffer += received
        line = bytes(self._buffer[:position]).rstrip(b"\r")
        del self._buffer[: position + 1]
        if len(line) > MAX_LINE_OCTETS:
            raise self._account("not_smtp")
        return line

    def _wait(self, limit: float) -> float:
        left = min(limit, self._budget.left())
        if left <= 0:
            raise self._silent()
        return left

    def _note(self, line: str) -> None:
        if len(self._transcript) < MAX_TRANSCRIPT_LINES:
            self._transcript.append(line)

    # -- failures ---------------------------------------------------------------------------------------

    def _account(self, code: str, words: str = "", *, at_once: bool = False) -> SmtpFailure:
        return SmtpFailure(SmtpOutcome.ACCOUNT, self._stage, code, words, at_once=at_once)

    def _lost(self) -> SmtpFailure:
        return self._broken("connection_lost")

    def _silent(self) -> SmtpFailure:
        return self._broken("server_silent")

    def _broken(self, code: str) -> SmtpFailure:
        # Before the login a server that does not talk is a broken account; after it, a bad minute.
        early = self._stage not in (SmtpStage.MAIL_FROM, SmtpStage.RCPT, SmtpStage.DATA)
        return SmtpFailure(SmtpOutcome.ACCOUNT if early else SmtpOutcome.DEFERRED, self._stage, code)

    def _refusal(self, reply: Reply) -> SmtpFailure:
        """Return what a reply other than the hoped-for one means at this stage."""
        outcome, code, at_once = _classify(self._stage, reply)
        return SmtpFailure(outcome, self._stage, code, reply.text, reply_code=reply.code, at_once=at_once)


def _classify(stage: SmtpStage, reply: Reply) -> tuple[SmtpOutcome, str, bool]:
    """Return (outcome, code, whether the breaker opens at once) of a refusing *reply*."""
    words = reply.text.lower()
    temporary = reply.code < 500
    if reply.code == 421:
        return SmtpOutcome.DEFERRED, "server_closing", False
    if stage is SmtpStage.AUTH:
        if temporary:
            return SmtpOutcome.DEFERRED, "auth_temporary", False
        if reply.code == 534 or _says(words, _APP_PASSWORD):
            return SmtpOutcome.ACCOUNT, "app_password_needed", True
        if _says(words, _BASIC_AUTH_OFF):
            return SmtpOutcome.ACCOUNT, "basic_auth_off", True
        return SmtpOutcome.ACCOUNT, "auth_refused", True
    if stage in (SmtpStage.CONNECT, SmtpStage.EHLO):
        if temporary:
            return SmtpOutcome.DEFERRED, "greeting_temporary", False
        return SmtpOutcome.ACCOUNT, "greeting_refused", False
    if stage is SmtpStage.TLS:
        return (
            (SmtpOutcome.DEFERRED, "tls_temporary", False)
            if temporary
            else (SmtpOutcome.ACCOUNT, "tls_not_offered", True)
        )
    # RFC 4954 6: 530 is "authentication required" at any command; some say it with another code.
    if reply.code == 530 or (not temporary and _says(words, _LOGIN_FIRST_WORDS)):
        return SmtpOutcome.ACCOUNT, "auth_required", True
    if reply.code == 535:
        return SmtpOutcome.ACCOUNT, "auth_refused", True
    if _says(words, _QUOTA_WORDS):
        return SmtpOutcome.DEFERRED, "sending_quota", False
    if temporary:
        return SmtpOutcome.DEFERRED, f"{stage.value}_temporary", False
    if _says(words, _SENDER_WORDS):
        # Postfix refuses the sender at RCPT, Microsoft after DATA.
        return SmtpOutcome.ACCOUNT, "sender_refused", True
    if (reply.code == 552 and stage is not SmtpStage.RCPT) or _says(words, _SIZE_WORDS):
        return SmtpOutcome.FAILED, "too_large", False
    if stage is SmtpStage.MAIL_FROM:
        return SmtpOutcome.ACCOUNT, "sender_refused", True
    if stage is SmtpStage.RCPT:
        if _says(words, _RELAY_WORDS):
            return SmtpOutcome.ACCOUNT, "relay_refused", True
        return SmtpOutcome.FAILED, "recipient_refused", False
    return SmtpOutcome.FAILED, "content_refused", False


def _says(words: str, signs: tuple[str, ...]) -> bool:
    return any(sign in words for sign in signs)


def _normalised(message: bytes) -> bytes:
    """Return *message* with CR LF line ends only, one at its end (H5: no bare CR or LF goes out)."""
    if not message.count(b"\r\n") == message.count(b"\r") == message.count(b"\n"):
        message = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
    return message if message.endswith(b"\r\n") else message + b"\r\n"


@lru_cache(maxsize=1)
def default_ssl_context() -> ssl.SSLContext:
    """Return the context for tenants' servers: the system's authorities, host names checked, TLS 1.2 up.

    Made once a process: reading the authorities takes some 20 ms.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class SmtpConnections:
    """Connections of one batch, reused per tenant and account, closed at its end.

    A context manager. At most *max_per_tenant* stand at once for one tenant; who finds none free waits
    within the budget of its mail. A kept connection that has died costs no mail its try, and changed settings
    never meet an old connection, because the account's fingerprint is part of the key.

    *time_left* tells the seconds that the whole batch may still take: a sender whose function ends in the
    middle of a mail leaves an unknown outcome behind, so a mail that has no time left is deferred instead.

    *ehlo_name* is a host name of ours (RFC 5321 4.1.4). *ssl_context*, *allow_loopback*, *lookup* and
    *implicit_tls_ports* differ from their defaults in the local stack and in tests only.
    """

    def __init__(
        self,
        *,
        ehlo_name: str,
        ssl_context: ssl.SSLContext | None = None,
        allow_loopback: bool = False,
        limits: TimeLimits | None = None,
        max_per_tenant: int = 2,
        time_left: Callable[[], float] | None = None,
        lookup: public_address.Lookup = public_address.system_lookup,
        implicit_tls_ports: Collection[int] = IMPLICIT_TLS_PORTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ehlo_name = ehlo_name
        self._ssl_context = ssl_context
        self._allow_loopback = allow_loopback
        self._limits = limits or TimeLimits()
        self._max_per_tenant = max_per_tenant
        self._time_left = time_left
        self._lookup = lookup
        self._implicit_tls_ports = implicit_tls_ports
        self._clock = clock
        self._salt = secrets.token_bytes(16)
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, bytes], list[SmtpSession]] = {}
        self._places: dict[str, threading.BoundedSemaphore] = {}
        self.opened = 0

    def __enter__(self) -> SmtpConnections:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def transport(self, slug: str, login: SmtpLogin) -> SmtpTransport:
        """Return the way out of tenant *slug* by *login*; connections are opened when a mail is sent."""
        return SmtpTransport(self, slug, login)

    def close(self) -> None:
        """Close every idle connection. Sending again afterwards opens new ones."""
        with self._lock:
            sessions = [session for idle in self._idle.values() for session in idle]
            self._idle.clear()
        for session in sessions:
            session.close()

    def probe(
        self,
        login: SmtpLogin,
        message: bytes,
        *,
        envelope_sender: str,
        recipient: str,
        budget_seconds: float,
        copy_to: str = "",
    ) -> SmtpAttempt:
        """Send one mail over a fresh connection and return what happened (``domain.smtp.SmtpProbe``)."""
        session = self._session(login, TimeLimits.within(budget_seconds))
        budget = Budget(budget_seconds)
        try:
            sender, to = _envelope(envelope_sender, recipient)
            session.open(budget)
            reply = session.send(message, envelope_sender=sender, recipient=to, copy_to=copy_to)
        except SmtpFailure as failure:
            if copy_to and session.asked_for_copy and session.copied is None:
                # The server broke off over the second recipient: the test is about the first.
                session.close()
                return self.probe(
                    login,
                    message,
                    envelope_sender=envelope_sender,
                    recipient=recipient,
                    budget_seconds=max(0.05, budget.left()),
                )
            # Only lines that are SMTP are kept, and none before the address guard passed.
            transcript = () if failure.stage is SmtpStage.DNS else session.transcript
            return SmtpAttempt(
                failure.outcome, failure.stage, failure.code, failure.reply_code, failure.words, transcript
            )
        finally:
            session.close()
        return SmtpAttempt(
            SmtpOutcome.ACCEPTED,
            SmtpStage.DONE,
            "accepted",
            reply.code,
            reply.text,
            session.transcript,
            copied=session.copied is True,
        )

    def send(
        self, slug: str, login: SmtpLogin, message: bytes, envelope_sender: str, recipient: str
    ) -> Reply:
        """Send one mail by a standing connection where there is one, else by a new one.

        Raises:
            SmtpFailure: see SmtpSession.
        """
        sender, to = _envelope(envelope_sender, recipient)
        seconds = self._limits.total
        if self._time_left is not None:
            seconds = min(seconds, self._time_left())
        if seconds <= self._limits.answer_reserve:
            raise SmtpFailure(SmtpOutcome.DEFERRED, SmtpStage.CONNECT, "no_time_left")
        budget = Budget(seconds)
        place = self._place(slug)
        if not place.acquire(timeout=seconds):
            raise SmtpFailure(SmtpOutcome.DEFERRED, SmtpStage.CONNECT, "tenant_busy")
        try:
            key = (slug, self._fingerprint(login))
            return self._send(key, login, message, sender, to, budget)
        finally:
            place.release()

    def _send(
        self,
        key: tuple[str, bytes],
        login: SmtpLogin,
        message: bytes,
        sender: str,
        recipient: str,
        budget: Budget,
    ) -> Reply:
        session = self._standing(key, budget)
        if session is not None:
            try:
                return self._sent(key, session, message, sender, recipient)
            except SmtpFailure as failure:
                # The server ended a connection that we kept, before it took anything: that is our matter.
                if (
                    failure.code not in ("server_closing", "connection_lost")
                    or failure.stage is SmtpStage.DATA
                ):
                    raise
            if budget.left() <= self._limits.answer_reserve:
                raise SmtpFailure(SmtpOutcome.DEFERRED, SmtpStage.CONNECT, "no_time_left")
        session = self._session(login, self._limits)
        try:
            session.open(budget)
        except SmtpFailure:
            session.close()
            raise
        self.opened += 1
        return self._sent(key, session, message, sender, recipient)

    def _sent(
        self, key: tuple[str, bytes], session: SmtpSession, message: bytes, sender: str, recipient: str
    ) -> Reply:
        try:
            reply = session.send(message, envelope_sender=sender, recipient=recipient)
        except SmtpFailure as failure:
            # After a clear answer the session is still sound; after silence or a lost line it is not.
            if (
                failure.reply_code
                and failure.reply_code != 421
                and failure.outcome is not SmtpOutcome.ACCOUNT
            ):
                session.mails += 1
                self._keep(key, session)
            else:
                session.close(politely=failure.outcome is not SmtpOutcome.UNKNOWN)
            raise
        self._keep(key, session)
        return reply

    def _keep(self, key: tuple[str, bytes], session: SmtpSession) -> None:
        session.used_at = self._clock()
        if session.is_closed:
            return
        if session.mails >= MAX_MAILS_PER_CONNECTION:
            session.close()
            return
        with self._lock:
            others = [each for each in self._idle if each[0] == key[0] and each != key]
            outdated = [session for each in others for session in self._idle.pop(each)]
            self._idle.setdefault(key, []).append(session)
        for old in outdated:
            old.close()

    def _standing(self, key: tuple[str, bytes], budget: Budget) -> SmtpSession | None:
        while True:
            with self._lock:
                idle = self._idle.get(key)
                session = idle.pop() if idle else None
            if session is None:
                return None
            if self._clock() - session.used_at < MAX_IDLE_SECONDS and session.reuse(budget):
                return session
            session.close()

    def _place(self, slug: str) -> threading.BoundedSemaphore:
        with self._lock:
            return self._places.setdefault(slug, threading.BoundedSemaphore(self._max_per_tenant))

    def _session(self, login: SmtpLogin, limits: TimeLimits) -> SmtpSession:
        return SmtpSession(
            login,
            ehlo_name=self._ehlo_name,
            ssl_context=self._ssl_context or default_ssl_context(),
            allow_loopback=self._allow_loopback,
            limits=limits,
            lookup=self._lookup,
            implicit_tls_ports=self._implicit_tls_ports,
        )

    def _fingerprint(self, login: SmtpLogin) -> bytes:
        """A salted hash: a key in a dict is shown by debuggers, and the password is part of it."""
        digest = hashlib.blake2b(key=self._salt, digest_size=16)
        for part in (login.host, str(login.port), login.username, login.password):
            encoded = part.encode("utf-8", "surrogateescape")
            digest.update(len(encoded).to_bytes(4, "big") + encoded)
        return digest.digest()


def _envelope(envelope_sender: str, recipient: str) -> tuple[str, str]:
    try:
        sender = envelope_address(envelope_sender)
    except InvalidInput as error:
        raise SmtpFailure(
            SmtpOutcome.ACCOUNT, SmtpStage.MAIL_FROM, "sender_invalid", error.detail, at_once=True
        ) from None
    try:
        return sender, envelope_address(recipient)
    except InvalidInput as error:
        raise SmtpFailure(SmtpOutcome.FAILED, SmtpStage.RCPT, "recipient_invalid", error.detail) from None


class SmtpTransport:
    """``services.ports.MailTransport`` over one tenant's SMTP account."""

    name = "smtp"

    def __init__(self, connections: SmtpConnections, slug: str, login: SmtpLogin) -> None:
        self._connections = connections
        self._slug = slug
        self._login = login

    def send(
        self, message: bytes, *, envelope_sender: str, recipient: str, tags: Mapping[str, str]
    ) -> Accepted:
        """Send *message*. *tags* have no place in SMTP.

        Raises:
            AccountRefused, DeliveryDeferred, DeliveryFailed, DeliveryUnknown: see MailTransport; ``code``
                is one of ``docs/sending.md``, ``detail`` the stage and the server's words without addresses.
        """
        try:
            reply = self._connections.send(self._slug, self._login, message, envelope_sender, recipient)
        except SmtpFailure as failure:
            raise _as_error(failure) from None
        return Accepted(
            server_words=_ADDRESS.sub("<address>", f"{reply.code} {reply.text}"[:MAX_WORDS_SEARCHED])[:400]
        )


def _as_error(failure: SmtpFailure) -> ServeloError:
    if failure.outcome is SmtpOutcome.ACCOUNT:
        return AccountRefused(
            failure.detail(), code=failure.code, stage=failure.stage.value, at_once=failure.at_once
        )
    if failure.outcome is SmtpOutcome.DEFERRED:
        return DeliveryDeferred(failure.detail(), code=failure.code)
    if failure.outcome is SmtpOutcome.UNKNOWN:
        return DeliveryUnknown(failure.detail(), code=failure.code)
    return DeliveryFailed(failure.detail(), code=failure.code)
