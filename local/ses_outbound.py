"""Plays the SES that sends mail: the one call we make of it, SESv2 SendEmail, and the events that follow.

As with SES: only our own domain may send, at most 50 recipients, Message-ID is replaced by SES's own, and
what became of the mail is published on the topic of the template's event destination, with our tags.
The mailbox simulator's addresses work: ``bounce@``, ``complaint@`` and ``success@simulator.amazonses.com``.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import secrets
import threading
from email.message import EmailMessage
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local import ses_mail
from local.mailbox import Mailbox
from local.settings import HOST, REGION, LocalSettings

MAX_RECIPIENTS = 50
MAX_REQUEST_BYTES = 60 * 1024 * 1024  # 40 MB of mail in base64
SIMULATOR = "@simulator.amazonses.com"
_MESSAGE_ID = re.compile(rb"^Message-ID:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)
log = logging.getLogger("local.ses_outbound")


class Refused(Exception):
    """SES's answer to a call it does not take: error code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SesOutbound:
    """The endpoint. *sns* is a boto3 client; *kinds* are the events that the template asks for."""

    def __init__(
        self,
        settings: LocalSettings,
        mailbox: Mailbox,
        sns: Any,
        configuration_set: str,
        topic_arn: str,
        kinds: frozenset[str],
    ) -> None:
        self._settings = settings
        self._mailbox = mailbox
        self._sns = sns
        self._configuration_set = configuration_set
        self._topic_arn = topic_arn
        self._kinds = kinds
        handler = type("Handler", (_Api,), {"ses": self})
        self._server = ThreadingHTTPServer((HOST, settings.ses_port), handler)
        self._server.daemon_threads = True

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, name="ses", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def send(self, request: dict[str, Any]) -> str:
        """Do what SendEmail does; return the MessageId.

        Raises:
            Refused: SES would answer with an error.
        """
        raw = _raw_mail(request)
        sender = request.get("FromEmailAddress") or dict(ses_mail.headers_of(raw)).get("From", "")
        address = sender.rpartition("<")[2].rstrip("> ")
        if address.rpartition("@")[2].lower() != self._settings.mail_domain:
            raise Refused("MessageRejected", f"Email address is not verified: {address}")
        where = request.get("Destination", {})
        recipients = [each for kind in ("To", "Cc", "Bcc") for each in where.get(f"{kind}Addresses", [])]
        recipients = recipients or ses_mail.header_recipients(raw)
        if not 0 < len(recipients) <= MAX_RECIPIENTS:
            raise Refused("BadRequestException", f"1 to {MAX_RECIPIENTS} recipients, not {len(recipients)}")
        wanted = request.get("ConfigurationSetName")
        if wanted and wanted != self._configuration_set:
            raise Refused("NotFoundException", f"Configuration set <{wanted}> does not exist.")
        message_id = ses_mail.outbound_id()
        sent = _with_ses_headers(raw, message_id)
        delivered = [each for each in recipients if not _bounces(each)]
        if delivered:
            self._mailbox.deliver(
                sent, envelope_sender=f"{message_id}@{REGION}.amazonses.com", recipients=delivered, door="ses"
            )
        if wanted:
            tags = {each["Name"]: [each["Value"]] for each in request.get("EmailTags", [])}
            mail = self._event_mail(sent, message_id, address, recipients, tags)
            # SES answers first; its events come when they come.
            threading.Thread(target=self._publish, args=(mail, recipients), daemon=True).start()
        return message_id

    def _event_mail(
        self, sent: bytes, message_id: str, source: str, recipients: list[str], tags: dict[str, list[str]]
    ) -> dict[str, Any]:
        mail = ses_mail.mail_object(sent, message_id=message_id, source=source, destination=recipients)
        mail["sourceArn"] = f"arn:aws:ses:{REGION}:000000000000:identity/{self._settings.mail_domain}"
        mail["sendingAccountId"] = "000000000000"
        mail["tags"] = {
            "ses:operation": ["SendEmail"],
            "ses:configuration-set": [self._configuration_set],
            "ses:source-ip": [HOST],
            "ses:from-domain": [self._settings.mail_domain],
            "ses:caller-identity": ["SenderFunction"],
            **tags,
        }
        return mail

    def _publish(self, mail: dict[str, Any], recipients: list[str]) -> None:
        groups: dict[str, list[str]] = {}
        for each in recipients:
            kind = "Bounce" if _bounces(each) else "Delivery"
            groups.setdefault(kind, []).append(each)
            if each.lower() == f"complaint{SIMULATOR}":
                groups.setdefault("Complaint", []).append(each)
        for kind, concerned in groups.items():
            if kind not in self._kinds:
                continue
            event = {"eventType": kind, "mail": mail, kind.lower(): _DETAILS[kind](concerned)}
            try:
                self._sns.publish(
                    TopicArn=self._topic_arn,
                    Subject="Amazon SES Email Event Notification",
                    Message=json.dumps(event),
                )
            except Exception:
                log.exception("an event could not be published")


def _bounces(address: str) -> bool:
    return address.lower() == f"bounce{SIMULATOR}"


def _delivery(recipients: list[str]) -> dict[str, Any]:
    return {
        "timestamp": ses_mail.timestamp(),
        "processingTimeMillis": 120,
        "recipients": recipients,
        "smtpResponse": "250 2.6.0 Message received",
        "remoteMtaIp": HOST,
        "reportingMTA": f"a7-1.smtp-out.{REGION}.amazonses.com",
    }


def _bounce(recipients: list[str]) -> dict[str, Any]:
    return {
        "feedbackId": ses_mail.outbound_id(),
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [
            {
                "emailAddress": each,
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 user unknown",
            }
            for each in recipients
        ],
        "timestamp": ses_mail.timestamp(),
        "reportingMTA": f"dns; a7-1.smtp-out.{REGION}.amazonses.com",
    }


def _complaint(recipients: list[str]) -> dict[str, Any]:
    return {
        "feedbackId": ses_mail.outbound_id(),
        "complaintSubType": None,
        "complainedRecipients": [{"emailAddress": each} for each in recipients],
        "timestamp": ses_mail.timestamp(),
        "userAgent": "Amazon SES Mailbox Simulator",
        "complaintFeedbackType": "abuse",
        "arrivalDate": ses_mail.timestamp(),
    }


_DETAILS = {"Delivery": _delivery, "Bounce": _bounce, "Complaint": _complaint}


def _raw_mail(request: dict[str, Any]) -> bytes:
    content = request.get("Content", {})
    if "Raw" in content:
        return base64.b64decode(content["Raw"]["Data"])
    if "Simple" not in content:
        raise Refused("BadRequestException", "Content must be Raw or Simple")
    simple = content["Simple"]
    message = EmailMessage()
    message["From"] = request.get("FromEmailAddress", "")
    message["To"] = ", ".join(request.get("Destination", {}).get("ToAddresses", []))
    message["Subject"] = simple["Subject"]["Data"]
    if request.get("ReplyToAddresses"):
        message["Reply-To"] = ", ".join(request["ReplyToAddresses"])
    message.set_content(simple["Body"].get("Text", {}).get("Data", ""))
    if "Html" in simple["Body"]:
        message.add_alternative(simple["Body"]["Html"]["Data"], subtype="html")
    return message.as_bytes()


def _with_ses_headers(raw: bytes, message_id: str) -> bytes:
    """Replace Message-ID, and add Date where it is missing, as SES does."""
    text = raw.replace(b"\r\n", b"\n")
    head, separator, body = text.partition(b"\n\n")
    head = _MESSAGE_ID.sub(b"", head + b"\n")
    added = [f"Message-ID: <{message_id}@{REGION}.amazonses.com>"]
    if not re.search(rb"^Date:", head, re.IGNORECASE | re.MULTILINE):
        added.append(f"Date: {formatdate(usegmt=False)}")
    added.append(f"Feedback-ID: ::1.{REGION}.{secrets.token_urlsafe(32)}:AmazonSES")
    head += "".join(f"{line}\n" for line in added).encode()
    return (head + (b"\n" + body if separator else b"")).replace(b"\n", b"\r\n")


class _Api(BaseHTTPRequestHandler):
    ses: SesOutbound
    protocol_version = "HTTP/1.1"
    # In one piece and at once, as in http_front.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep quiet; the terminal is for the stack's own lines."""

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        try:
            if self.path != "/v2/email/outbound-emails":
                raise Refused("NotFoundException", f"the local stack plays SendEmail only, not {self.path}")
            if length > MAX_REQUEST_BYTES:
                raise Refused("BadRequestException", "Message length is more than 41943040 bytes long")
            self._answer(200, {"MessageId": self.ses.send(json.loads(body))})
        except Refused as error:
            status = 404 if error.code == "NotFoundException" else 400
            self._answer(status, {"message": str(error)}, {"x-amzn-ErrorType": error.code})

    def _answer(self, status: int, body: dict[str, str], headers: dict[str, str] | None = None) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)
