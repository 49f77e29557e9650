"""The whole desk in one process on moto, seen from outside as ``local.demo`` sees the local stack.

The functions run by their handlers, as Lambda's mappings call them: a receipt of SES to the router, jobs to
the sender, requests with the claims of a sign-in to the API. Mail leaves by moto's SES.
"""

from __future__ import annotations

import base64
import email
import email.policy
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from types import SimpleNamespace
from typing import Any
from unittest import mock

import boto3
from local.demo import StepFailed, check, text_of
from local.settings import PASSWORD, LocalSettings

from servelo import bootstrap
from tests.world import MAIL_DOMAIN, REGION, TABLE, World, new_world

CONTEXT = SimpleNamespace(
    function_name="f",
    memory_limit_in_mb=1,
    invoked_function_arn="arn",
    aws_request_id="1",
    get_remaining_time_in_millis=lambda: 60_000,
)


@dataclass
class MotoDesk:
    """Sends, waits and calls, with the methods of ``local.demo.Demo``. Nothing has to be waited for."""

    world: World
    settings: LocalSettings
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:6])
    done: int = 0
    sent: list[tuple[tuple[str, ...], EmailMessage]] = field(default_factory=list)

    @contextmanager
    def step(self, words: str) -> Iterator[None]:
        yield
        self.done += 1

    # ---- mail ----------------------------------------------------------------------------------------------

    def send(self, message: EmailMessage, recipient: str) -> None:
        import functions.inbound_router.app as router

        (delivery,) = self.world.deliveries(message.as_bytes(policy=email.policy.SMTP), recipient)
        checks = ("spam", "virus", "spf", "dkim", "dmarc")
        receipt = {
            "recipients": [recipient],
            "action": {"type": "S3", "objectKey": delivery.object_key},
            **{f"{check}Verdict": {"status": "PASS"} for check in checks},
        }
        told = {
            "messageId": delivery.ses_message_id,
            "source": email.utils.parseaddr(str(message["From"]))[1],
            "timestamp": "2026-11-23T12:00:00.000Z",
        }
        self._handle(router.lambda_handler, json.dumps({"mail": told, "receipt": receipt}))
        self._deliver()

    def _deliver(self) -> None:
        import functions.sender.app as sender

        while messages := self.world.sqs.receive_message(QueueUrl=self.world.queue_url).get("Messages"):
            for each in messages:
                self.world.sqs.delete_message(
                    QueueUrl=self.world.queue_url, ReceiptHandle=each["ReceiptHandle"]
                )
                self._handle(sender.lambda_handler, each["Body"])

    def _handle(self, handler: Callable[[Any, Any], Any], body: str) -> None:
        record = {"messageId": "m", "body": body, "attributes": {}, "eventSource": "aws:sqs"}
        answer = handler({"Records": [record]}, CONTEXT)
        check(answer == {"batchItemFailures": []}, f"the record failed: {body[:200]}")

    def keep(self, recipients: list[str], raw: bytes, message_id: str) -> None:
        """Take what SES was asked to send."""
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        mail.replace_header("Message-ID", f"<{message_id}@{REGION}.amazonses.com>")
        self.sent.append((tuple(recipients), mail))  # type: ignore[arg-type]

    def wait(self, recipient: str, containing: str = "") -> EmailMessage:
        for place, (recipients, mail) in enumerate(self.sent):
            if recipient in recipients and containing in f"{mail['Subject']}\n{text_of(mail)}":
                del self.sent[place]
                return mail
        there = "".join(f"\n      to {to}: {mail['Subject']}" for to, mail in self.sent)
        raise StepFailed(f"no such mail to {recipient}; unclaimed mails:{there or ' none'}")

    def none_for(self, recipient: str) -> None:
        for recipients, mail in self.sent:
            check(recipient not in recipients, f"a mail to {recipient}: {mail['Subject']}")

    # ---- portal --------------------------------------------------------------------------------------------

    def sign_in(self, address: str) -> str:
        answer = self.call("POST", "/api/auth/login", body={"email": address, "password": PASSWORD})
        return str(answer["id_token"])

    def call(self, method: str, path: str, *, token: str = "", body: object = None) -> Any:
        import functions.api.app as api

        context: dict[str, Any] = {
            "http": {"method": method, "path": path, "sourceIp": "192.0.2.1"},
            "requestId": "r",
            "stage": "$default",
            "domainName": "desk.example",
        }
        if token:
            payload = token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            context["authorizer"] = {"jwt": {"claims": {k: str(v) for k, v in claims.items()}}}
        event = {
            "version": "2.0",
            "routeKey": f"{method} /api/{{proxy+}}",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {},
            "requestContext": context,
            "body": None if body is None else json.dumps(body),
            "isBase64Encoded": False,
        }
        answer = api.lambda_handler(event, CONTEXT)
        check(200 <= answer["statusCode"] < 300, f"{method} {path}: {answer['statusCode']}")
        return json.loads(answer["body"])

    def until(self, what: str, probe: Callable[[], Any]) -> Any:
        value = probe()
        check(value, what)
        return value


@contextmanager
def moto_desk(settings: LocalSettings) -> Iterator[MotoDesk]:
    """A desk on moto with the people that ``local.seed`` makes."""
    with new_world() as world:
        cognito = boto3.client("cognito-idp", region_name=REGION)
        pool = cognito.create_user_pool(
            PoolName="team",
            UsernameAttributes=["email"],
            Schema=[{"Name": n, "AttributeDataType": "String", "Mutable": True} for n in ("tenant", "role")],
        )["UserPool"]["Id"]
        client = cognito.create_user_pool_client(
            UserPoolId=pool, ClientName="p", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
        )["UserPoolClient"]["ClientId"]
        secret = boto3.client("secretsmanager", region_name=REGION).create_secret(
            Name="ring", SecretString=json.dumps({"initial": "i" * 64, "keys": []})
        )["ARN"]
        boto3.client("sesv2", region_name=REGION).create_email_identity(EmailIdentity=MAIL_DOMAIN)
        environ = {
            "MAIL_DOMAIN": MAIL_DOMAIN,
            "OPERATOR_INBOX": settings.operator_inbox,
            "PORTAL_URL": "https://desk.example",
            "TABLE_NAME": TABLE,
            "MAIL_BUCKET": "mail",
            "FILE_BUCKET": "files",
            "OUTBOUND_QUEUE_URL": world.queue_url,
            "KEY_RING_SECRET_ID": secret,
            "USER_POOL_ID": pool,
            "USER_POOL_CLIENT_ID": client,
            "AWS_REGION": REGION,
        }
        with mock.patch.dict("os.environ", environ):
            bootstrap.reset()
            try:
                made = MotoDesk(world, settings)
                ses = bootstrap.aws("sesv2")
                send = ses.send_email

                def watched(**asked: Any) -> Any:
                    answer = send(**asked)
                    made.keep(
                        asked["Destination"]["ToAddresses"],
                        asked["Content"]["Raw"]["Data"],
                        answer["MessageId"],
                    )
                    return answer

                with mock.patch.object(ses, "send_email", watched):
                    _seed()
                    made._deliver()
                    made.sent.clear()
                    yield made
            finally:
                bootstrap.reset()


def _seed() -> None:
    tenants = bootstrap.tenants()
    for slug in ("acme", "globex"):
        tenants.create_tenant(
            slug=slug,
            name=slug.title(),
            admin_email=f"admin@{slug}.example",
            admin_name=f"{slug.title()} Admin",
            password=PASSWORD,
        )
    tenants.create_operator("operator@serveloapp.example", PASSWORD)
