"""Plays a tenant's own SMTP server: STARTTLS on one port, implicit TLS on another, AUTH before any mail.

Any user name goes with the one password of the local stack. For trying out what goes wrong:
``refuse@...`` is refused (550), ``defer@...`` is put off (451). The rest lands in the mailbox, marked with
the user who sent it; mail to the help desk's own domain also goes on to the listener for inbound mail.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import smtplib
import ssl

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from local.certificates import Certificates
from local.mailbox import Mailbox
from local.ses_inbound import MAX_MAIL_BYTES, Listener, tls_context
from local.settings import HOST, PASSWORD, LocalSettings

log = logging.getLogger("local.submission")


class Submission:
    """Both listeners."""

    def __init__(self, settings: LocalSettings, certificates: Certificates, mailbox: Mailbox) -> None:
        self._settings = settings
        self._mailbox = mailbox
        context = tls_context(str(certificates.server), str(certificates.server_key))
        self._starttls = self._listener(settings.submission_port, tls_context=context, require_starttls=True)
        # aiosmtpd knows of TLS only when its own STARTTLS made it: hence not auth_require_tls.
        self._implicit = self._listener(settings.smtps_port, ssl_context=context, auth_require_tls=False)

    def _listener(self, port: int, **kwargs: ssl.SSLContext | bool) -> Listener:
        return Listener(
            self,
            HOST,
            port,
            data_size_limit=MAX_MAIL_BYTES,
            ident="Local stack mail server",
            enable_SMTPUTF8=True,
            authenticator=self.authenticate,
            **kwargs,  # type: ignore[arg-type]
        )

    def start(self) -> None:
        self._starttls.start()
        self._implicit.start()

    def stop(self) -> None:
        self._starttls.stop()
        self._implicit.stop()

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, credentials: object
    ) -> AuthResult:
        """Accept the local stack's password with any user name."""
        good = isinstance(credentials, LoginPassword) and hmac.compare_digest(
            credentials.password, PASSWORD.encode()
        )
        # handled=False lets aiosmtpd answer 535 by itself.
        return AuthResult(success=good, handled=False, auth_data=credentials)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        local_part = address.partition("@")[0].lower()
        if local_part == "refuse":
            return "550 5.1.1 no such user here"
        if local_part == "defer":
            return "451 4.2.1 mailbox busy, try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    def _relay(self, raw: bytes, sender: str, recipients: list[str]) -> None:
        """Hand mail for our own domain to the listener that plays SES, as the world's servers would."""
        with smtplib.SMTP(HOST, self._settings.smtp_port, timeout=10) as mx:
            mx.sendmail(sender, recipients, raw)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        login = session.auth_data
        user = login.login.decode("utf-8", "replace") if isinstance(login, LoginPassword) else "unknown"
        ours = [each for each in envelope.rcpt_tos if each.lower().endswith(f"@{self._settings.mail_domain}")]
        if ours:
            try:
                await asyncio.to_thread(self._relay, raw, envelope.mail_from or "", ours)
            except (OSError, smtplib.SMTPException):
                log.exception("a mail to our own domain was not taken")
        path = self._mailbox.deliver(
            raw,
            envelope_sender=envelope.mail_from or "",
            recipients=[each for each in envelope.rcpt_tos if each not in ours] or ours,
            door=f"smtp {user}",
        )
        return f"250 2.0.0 OK queued as {path.stem}"
