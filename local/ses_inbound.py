"""Plays the SES that takes mail: SMTP in; object in the bucket and receipt notification on the topic out.

Bucket, prefix, topic and domains come from the template's receipt rule. As with SES: one notification names
all envelope recipients, the stored mail gets SES's headers on top, 40 MB is the limit, another domain is
refused. When the notification cannot be published, the sender is asked to try again (451): nothing is lost.

Verdicts are all PASS. A test sets others by a header, which is taken out of the mail:
``X-Test-Verdict: dmarc=FAIL spam=GRAY policy=reject``
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import ssl
from email.utils import formatdate
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from local import ses_mail
from local.settings import HOST, REGION, LocalSettings
from local.template import ReceiptRule

MAX_MAIL_BYTES = 40 * 1024 * 1024
MX_NAME = f"inbound-smtp.{REGION}.amazonaws.com"
CHECKS = ("spam", "virus", "spf", "dkim", "dmarc")
_TEST_HEADER = re.compile(rb"^X-Test-Verdict:(.*)\r?\n", re.IGNORECASE | re.MULTILINE)
log = logging.getLogger("local.ses_inbound")


class LongLineSmtp(SMTP):
    """Takes lines of any length within a mail, as big servers do; aiosmtpd refuses them over 1,000 octets."""

    line_length_limit = 1024 * 1024


class Listener(Controller):
    """An aiosmtpd controller whose sessions are ``LongLineSmtp``."""

    def factory(self) -> SMTP:
        return LongLineSmtp(self.handler, **self.SMTP_kwargs)


class SesInbound:
    """The listener. *s3* and *sns* are boto3 clients."""

    def __init__(self, settings: LocalSettings, rule: ReceiptRule, s3: Any, sns: Any) -> None:
        self._rule = rule
        self._s3 = s3
        self._sns = sns
        self._controller = Listener(
            self,
            HOST,
            settings.smtp_port,
            data_size_limit=MAX_MAIL_BYTES,
            ident=MX_NAME,
            enable_SMTPUTF8=True,
        )

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.rpartition("@")[2].lower().rstrip(".") not in self._rule.recipients:
            return "550 5.1.1 mailbox unavailable"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        try:
            ses_message_id = await asyncio.to_thread(self.take, raw, envelope, session)
        except Exception:
            log.exception("a mail could not be stored or published")
            return "451 4.3.0 try again later"
        return f"250 2.6.0 OK {ses_message_id}"

    def take(self, raw: bytes, envelope: Envelope, session: Session) -> str:
        """Store and publish one mail; return the id that SES would give it."""
        ses_message_id = ses_mail.inbound_id()
        verdicts, policy, raw = self._verdicts(raw)
        source = envelope.mail_from or ""
        stored = self._added_headers(ses_message_id, source, envelope, session, verdicts) + raw
        key = f"{self._rule.prefix}{ses_message_id}"
        self._s3.put_object(Bucket=self._rule.bucket, Key=key, Body=stored)
        receipt: dict[str, Any] = {
            "timestamp": ses_mail.timestamp(),
            "processingTimeMillis": 1,
            "recipients": list(envelope.rcpt_tos),
            **{f"{check}Verdict": {"status": status} for check, status in verdicts.items()},
            "action": {
                "type": "S3",
                "topicArn": self._rule.topic_arn,
                "bucketName": self._rule.bucket,
                "objectKeyPrefix": self._rule.prefix,
                "objectKey": key,
            },
        }
        if verdicts["dmarc"] == "FAIL":
            receipt["dmarcPolicy"] = policy
        mail = ses_mail.mail_object(
            stored, message_id=ses_message_id, source=source, destination=ses_mail.header_recipients(raw)
        )
        self._sns.publish(
            TopicArn=self._rule.topic_arn,
            Subject="Amazon SES Email Receipt Notification",
            Message=json.dumps({"notificationType": "Received", "mail": mail, "receipt": receipt}),
        )
        return ses_message_id

    def _verdicts(self, raw: bytes) -> tuple[dict[str, str], str, bytes]:
        """Return verdicts, DMARC policy, and the mail without the header that set them."""
        verdicts = dict.fromkeys(CHECKS, "PASS" if self._rule.scan_enabled else "DISABLED")
        policy = "none"
        end = raw.find(b"\r\n\r\n")
        head, rest = (raw, b"") if end < 0 else (raw[: end + 2], raw[end + 2 :])
        for match in _TEST_HEADER.finditer(head):
            for name, _, value in (
                word.partition("=") for word in match[1].decode("ascii", "replace").split()
            ):
                if name.lower() in verdicts:
                    verdicts[name.lower()] = value.upper()
                elif name.lower() == "policy":
                    policy = value.lower()
        return verdicts, policy, _TEST_HEADER.sub(b"", head) + rest

    def _added_headers(
        self, ses_message_id: str, source: str, envelope: Envelope, session: Session, verdicts: dict[str, str]
    ) -> bytes:
        peer = session.peer[0] if isinstance(session.peer, tuple) else HOST
        helo = session.host_name or "unknown"
        domain = source.rpartition("@")[2] or helo
        spf, dkim, dmarc = (verdicts[check].lower() for check in ("spf", "dkim", "dmarc"))
        spf_words = (
            f"{spf} (spfCheck: domain of {domain}) client-ip={peer}; envelope-from={source}; helo={helo};"
        )
        lines = [
            f"Return-Path: <{source}>",
            f"Received: from {helo} ({helo} [{peer}])",
            f" by {MX_NAME} with SMTP id {ses_message_id}",
            f" for {envelope.rcpt_tos[0]};",
            f" {formatdate(usegmt=False)}",
            f"X-SES-Spam-Verdict: {verdicts['spam']}",
            f"X-SES-Virus-Verdict: {verdicts['virus']}",
            f"Received-SPF: {spf_words}",
            "Authentication-Results: amazonses.com;",
            f" spf={spf_words}",
            f" dkim={dkim} header.i=@{domain};",
            f" dmarc={dmarc} header.from={domain};",
            f"X-SES-RECEIPT: {base64.b64encode(ses_message_id.encode()).decode()}",
        ]
        return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """Return a server's context for the given PEM files."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context
