"""Secrets are looked for by their canaries, everywhere that they could go, after all that can go wrong.

The functions run as Lambda runs them, wired by ``bootstrap`` on moto: mails in, answers, SMTP settings that
are saved and tested on servers that refuse in many ways (one echoes the login), mails through the account and
through SES that refuses, stores that break, events that are no events, export. Then:

    the SMTP password, key ring's secret   nowhere: logs, answers, items, objects, queues, export, template
    mail text, addresses, tokens, sessions not in the logs
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from servelo import bootstrap
from servelo.adapters.smtp_transport import default_ssl_context
from servelo.observability import logger
from servelo.operate import data
from tests import smtp_servers
from tests.smtp_servers import PASSWORD, USERNAME, Authority
from tests.world import MAIL_DOMAIN, REGION, TABLE, World, aws, mail, new_world

# observability says the same; pytest forgets what modules said before its tests.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")
PROOF = bool(os.environ.get("SERVELO_PROOF"))
RING = "canary-ring-5f1e0c7d9b3a48268c44d2a7e6b1f093-canary-ring"
TEXT = "canarytext"
CUSTOMER = "canary.person@canary-customer.example"
ACME = f"acme@{MAIL_DOMAIN}"
# What a server refuses, stage by stage; make proof takes the whole zoo.
SERVERS = ("sound, STARTTLS", "AUTH echoes the password", "certificate of a stranger", "554 after DATA")
CONTEXT = SimpleNamespace(
    function_name="f",
    memory_limit_in_mb=1,
    invoked_function_arn="arn",
    aws_request_id="1",
    get_remaining_time_in_millis=lambda: 60_000,
)


def forms(secret: str) -> set[str]:
    """Return *secret* in the forms in which programs write it."""
    raw = secret.encode()
    return {
        secret,
        secret[::-1],
        base64.b64encode(raw).decode().rstrip("="),
        base64.b64encode(f"\0{USERNAME}\0{secret}".encode()).decode().rstrip("="),
        raw.hex(),
        json.dumps(secret)[1:-1],
    }


PASSWORDS = forms(PASSWORD)
KEYS = forms(RING) | forms(hashlib.sha256(b"servelo key 1\0" + RING.encode()).hexdigest())
KEYS.add(base64.b64encode(hashlib.sha256(b"servelo key 1\0" + RING.encode()).digest()).decode().rstrip("="))


class Desk:
    """The three functions, and everything that they said."""

    def __init__(self, world: World, log: io.StringIO) -> None:
        import functions.api.app as api
        import functions.inbound_router.app as router
        import functions.sender.app as sender

        self.world, self.log = world, log
        self.answers: list[str] = []
        self.private: set[str] = {TEXT, CUSTOMER, "canary-customer"}
        self._api, self._router, self._sender = api, router, sender

    def call(
        self, method: str, path: str, body: object = None, *, claims: object = None, bearer: str = ""
    ) -> Any:
        context: dict[str, Any] = {
            "http": {"method": method, "path": path},
            "requestId": "r",
            "stage": "$default",
            "domainName": "desk.example",
        }
        if claims is not None:
            context["authorizer"] = {"jwt": {"claims": claims}}
        answer = self._api.lambda_handler(
            {
                "version": "2.0",
                "routeKey": f"{method} /api/{{proxy+}}",
                "rawPath": path,
                "rawQueryString": "",
                "headers": {"authorization": f"Bearer {bearer}"} if bearer else {},
                "requestContext": context,
                "body": None if body is None else json.dumps(body),
                "isBase64Encoded": False,
            },
            CONTEXT,
        )
        self.answers.append(json.dumps(answer))
        return json.loads(answer["body"]) if answer.get("body") else {}

    def receive(self, raw: bytes, *recipients: str, object_key: str = "") -> None:
        (delivery, *_) = self.world.deliveries(raw, *recipients)
        receipt = {
            "timestamp": "2026-11-23T12:00:00.000Z",
            "recipients": list(recipients),
            **{f"{name}Verdict": {"status": "PASS"} for name in ("spam", "virus", "spf", "dkim", "dmarc")},
            "action": {"type": "S3", "objectKey": object_key or delivery.object_key},
        }
        told = {"messageId": delivery.ses_message_id, "source": CUSTOMER, "timestamp": receipt["timestamp"]}
        self.record(self._router.lambda_handler, json.dumps({"mail": told, "receipt": receipt}))

    def record(self, handler: Callable[[Any, Any], Any], body: str) -> None:
        record = {
            "messageId": "m",
            "receiptHandle": "h",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1"},
            "eventSource": "aws:sqs",
        }
        self.answers.append(json.dumps(handler({"Records": [record]}, CONTEXT)))

    def send_all(self) -> None:
        while messages := self.world.sqs.receive_message(QueueUrl=self.world.queue_url).get("Messages"):
            for message in messages:
                self.world.sqs.delete_message(
                    QueueUrl=self.world.queue_url, ReceiptHandle=message["ReceiptHandle"]
                )
                self.record(self._sender.lambda_handler, message["Body"])

    def feedback(self, body: str) -> None:
        self.record(self._sender.feedback_handler, body)

    def malformed(self, body: str) -> None:
        for handler in (
            self._router.lambda_handler,
            self._sender.lambda_handler,
            self._sender.feedback_handler,
        ):
            self.record(handler, body)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Desk]:
    caplog.set_level(logging.INFO)
    with new_world() as world:
        cognito = aws("cognito-idp")
        pool = cognito.create_user_pool(
            PoolName="team",
            UsernameAttributes=["email"],
            Schema=[{"Name": n, "AttributeDataType": "String", "Mutable": True} for n in ("tenant", "role")],
        )["UserPool"]["Id"]
        client = cognito.create_user_pool_client(
            UserPoolId=pool, ClientName="p", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
        )["UserPoolClient"]["ClientId"]
        secret = boto3.client("secretsmanager", region_name=REGION).create_secret(
            Name="ring", SecretString=json.dumps({"initial": RING, "keys": []})
        )["ARN"]
        boto3.client("sesv2", region_name=REGION).create_email_identity(EmailIdentity=MAIL_DOMAIN)
        environ = {
            "MAIL_DOMAIN": MAIL_DOMAIN,
            "OPERATOR_INBOX": "operator@ops.example",
            "PORTAL_URL": "https://desk.example",
            "TABLE_NAME": TABLE,
            "MAIL_BUCKET": "mail",
            "FILE_BUCKET": "files",
            "OUTBOUND_QUEUE_URL": world.queue_url,
            "INBOUND_QUEUE_URL": world.queue_url,
            "KEY_RING_SECRET_ID": secret,
            "SMTP_KEY_ID": boto3.client("kms", region_name=REGION).create_key()["KeyMetadata"]["KeyId"],
            "USER_POOL_ID": pool,
            "USER_POOL_CLIENT_ID": client,
            "SMTP_ALLOW_LOOPBACK": "true",
            "AWS_REGION": REGION,
        }
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        # As after any other test: a process keeps the authorities that it trusted first.
        default_ssl_context()
        bootstrap.reset()
        log = io.StringIO()
        handler = logging.StreamHandler(log)
        handler.setFormatter(logger.registered_formatter)
        logger.addHandler(handler)
        try:
            with redirect_stdout(log), redirect_stderr(log):
                made = Desk(world, log)
                yield made
        finally:
            logger.removeHandler(handler)
            bootstrap.reset()
    made.log.write(caplog.text)


ADMIN = {
    "token_use": "id",
    "auth_time": "4102444800",
    "email": "admin@acme.example",
    "custom:tenant": "acme",
    "custom:role": "admin",
}


def play(desk: Desk, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every flow, and every way in which this file knows to break it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    bootstrap.tenants().create_tenant(
        slug="acme",
        name="Acme",
        admin_email="admin@acme.example",
        admin_name="Ann",
        password="Str0ng-Passw0rd!",
    )
    desk.receive(mail(from_=CUSTOMER, subject=f"{TEXT} subject", text=f"{TEXT} words"), ACME)
    desk.send_all()
    zoo = smtp_servers.zoo(authority)
    for name in zoo if PROOF else SERVERS:
        with zoo[name]() as running:
            account = {
                "provider": "custom",
                "host": smtp_servers.HOST,
                "port": running.port,
                "username": USERNAME,
                "password": PASSWORD,
                "from_name": "Acme",
                "from_email": USERNAME,
            }
            desk.call("POST", "/api/settings/smtp/test", account, claims=ADMIN)
            desk.call("PUT", "/api/settings/smtp", account, claims=ADMIN)
            desk.call("POST", "/api/tickets/1/comments", {"text": f"{TEXT} answer"}, claims=ADMIN)
            desk.send_all()
    for path in ("smtp", "smtp/providers", ""):
        desk.call("GET", f"/api/settings/{path}".rstrip("/"), claims=ADMIN)
    # Wrong types and a password that is too long are refused in words: not in the password's.
    for value in ([PASSWORD], {"a": PASSWORD}, PASSWORD * 200):
        desk.call("PUT", "/api/settings/smtp", {**account, "password": value}, claims=ADMIN)
    desk.call("POST", "/api/auth/login", {"email": CUSTOMER, "password": PASSWORD})
    desk.call("POST", "/api/auth/magic-link/request", {"slug": "acme", "email": CUSTOMER})
    desk.call("POST", "/api/auth/magic-link/verify", {"token": f"{TEXT}." + "A" * 80})
    desk.receive(mail(from_=CUSTOMER, text=TEXT), f"reply+{TEXT * 4}@{MAIL_DOMAIN}")
    desk.receive(mail(from_=CUSTOMER, text=TEXT), ACME, object_key=f"inbound/{TEXT}")
    for body in (f"{TEXT} {CUSTOMER}", json.dumps({"mail": CUSTOMER, "receipt": TEXT}), json.dumps([TEXT])):
        desk.malformed(body)
    links = bootstrap.portal_services().sessions
    client = bootstrap.store().clients("acme", 1)[0][0].id
    link, _ = links.make_link("acme", client)
    session = desk.call("POST", "/api/auth/magic-link/verify", {"token": link})["session"]
    desk.call("GET", "/api/portal/acme/tickets", bearer=session)
    desk.private |= {link, session}
    refused = ClientError(
        {"Error": {"Code": "MessageRejected", "Message": f"Email address is not verified: {CUSTOMER}"}},
        "SendEmail",
    )
    with monkeypatch.context() as broken:
        broken.setattr(bootstrap.aws("sesv2"), "send_email", _raising(refused))
        desk.receive(mail(from_=CUSTOMER, subject=f"{TEXT} 2", text=TEXT), ACME)
        desk.send_all()
    lost = ClientError(
        {"Error": {"Code": "InternalError", "Message": f"item {CUSTOMER} {TEXT}"}}, "GetObject"
    )
    with monkeypatch.context() as broken:
        broken.setattr(bootstrap.aws("s3"), "get_object", _raising(lost))
        desk.receive(mail(from_=CUSTOMER, text=TEXT), ACME)
        desk.call("GET", "/api/tickets/1", claims=ADMIN)
    with monkeypatch.context() as broken:
        defect = RuntimeError(f"a defect of ours: {TEXT}, {CUSTOMER}")
        broken.setattr(bootstrap.store(), "tenant", _raising(defect))
        desk.call("GET", "/api/tickets", claims=ADMIN)
    with monkeypatch.context() as broken:
        broken.setattr(bootstrap.aws("kms"), "decrypt", _raising(lost))
        desk.call("POST", "/api/settings/smtp/test", {**account, "password": None}, claims=ADMIN)
    desk.feedback(json.dumps({"eventType": "Bounce", "mail": {"messageId": "x"}, "bounce": {"x": CUSTOMER}}))


def _raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail


def test_no_secret_is_anywhere_after_everything_was_played(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(desk, Authority(tmp_path), monkeypatch)
    world = desk.world
    dynamodb = aws("dynamodb")
    data.export_tenant(
        "acme",
        tmp_path / "acme.json",
        dynamodb=dynamodb,
        table=TABLE,
        s3=world.s3,
        file_bucket="files",
        progress=lambda count: None,
    )
    objects = world.s3.list_objects_v2(Bucket="files").get("Contents", [])
    raw_keys = [each["Key"] for each in world.s3.list_objects_v2(Bucket="mail")["Contents"]]
    waiting = world.sqs.receive_message(QueueUrl=world.queue_url, MaxNumberOfMessages=10).get("Messages", [])
    logged = desk.log.getvalue()
    # What was looked for was there to be found: the password reached the account, the text the table.
    items = json.dumps(world.items())
    assert TEXT in items
    assert bootstrap.store().tenant("acme").smtp is not None
    assert logged.count('"mail handled"') >= len(SERVERS)
    assert logged.count('"ERROR"') >= 8
    places = {
        "the log": logged,
        "an answer": "\n".join(desk.answers),
        "an item": items,
        "an object": json.dumps([each["Key"] for each in objects] + raw_keys),
        "a queue": json.dumps([each["Body"] for each in waiting]),
        "the export": (tmp_path / "acme.json").read_text(encoding="utf-8"),
    }
    for place, content in places.items():
        found = [each[:12] for each in PASSWORDS | KEYS if each in content]
        assert not found, f"{place} holds a secret: {found}"
    for secret in (*desk.private, "reply+", "Str0ng-Passw0rd!"):
        where = logged.find(secret)
        assert where < 0, f"the log holds {secret!r}: {logged[max(0, where - 400) : where + 100]}"


def test_the_template_gives_no_function_a_secret_in_its_environment() -> None:
    from tests.world import template

    document = template()
    globals_ = document["Globals"]["Function"].get("Environment", {}).get("Variables", {})
    for name, resource in document["Resources"].items():
        variables = {**globals_, **resource.get("Properties", {}).get("Environment", {}).get("Variables", {})}
        for variable, value in variables.items() if resource["Type"].endswith("::Function") else ():
            secret = any(word in variable for word in ("PASSWORD", "SECRET", "TOKEN", "SIGNING"))
            assert not secret or variable.endswith("_ID"), f"{name} has {variable}"
            assert "resolve:secretsmanager" not in json.dumps(value), (
                f"{name}.{variable} holds a secret's value"
            )
