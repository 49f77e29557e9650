"""A help desk under moto: the real store, buckets and queue, a mailbox instead of SES, and a clock to turn.

With ``SERVELO_TEST_AWS=ministack`` it stands on a second AWS instead (``tests.second_aws``).

The table is made from ``template.yaml``, so tests and deployment cannot drift apart.
"""

from __future__ import annotations

import base64
import email
import email.policy
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import yaml
from moto import mock_aws

from servelo.adapters.dynamodb_store import DynamoStore
from servelo.adapters.s3_file_store import S3FileStore, S3MailStore
from servelo.adapters.sqs_job_queue import SqsJobQueue
from servelo.domain.smtp import SmtpLogin
from servelo.domain.tenant import Member, Role, Tenant
from servelo.mail.reply_token import KeyRing, SigningKey
from servelo.services.compose import Composer
from servelo.services.deliver import Deliverer, DeliverOutcome, Sweeper
from servelo.services.feedback import Feedback
from servelo.services.ports import Accepted
from servelo.services.route_inbound import Delivery, RouteOutcome, Router
from servelo.services.trial_mails import TrialMails
from tests import second_aws

REGION = "eu-west-1"
MAIL_DOMAIN = "serveloapp.com"
TABLE = "servelo-test"
TEMPLATE = Path(__file__).resolve().parents[1] / "template.yaml"
PASS = {"spam": "PASS", "virus": "PASS", "spf": "PASS", "dkim": "PASS", "dmarc": "PASS"}


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags, which this reader does not need to understand."""


_Loader.add_multi_constructor(
    "!",
    lambda loader, suffix, node: (
        {suffix: loader.construct_scalar(node)}
        if isinstance(node, yaml.ScalarNode)
        else {suffix: loader.construct_sequence(node, deep=True)}
        if isinstance(node, yaml.SequenceNode)
        else {suffix: loader.construct_mapping(node, deep=True)}
    ),
)


@cache
def template() -> dict[str, Any]:
    """Return ``template.yaml`` as plain data; ``!Ref X`` reads ``{"Ref": "X"}``."""
    return yaml.load(TEMPLATE.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a safe loader


def create_table(name: str = TABLE) -> None:
    """Create the one table with the keys and indexes that the template gives it."""
    properties = template()["Resources"]["Table"]["Properties"]
    aws("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=properties["AttributeDefinitions"],
        KeySchema=properties["KeySchema"],
        GlobalSecondaryIndexes=[
            {k: v for k, v in index.items() if k in ("IndexName", "KeySchema", "Projection")}
            for index in properties["GlobalSecondaryIndexes"]
        ],
    )


def cheap_rollback() -> None:
    """Let moto keep, for the rollback of a transaction, the items that it touches, not the whole table.

    moto 5.2 deep-copies the table once for each write of a TransactWriteItems: 280 ms a mail on a table of
    200 items, and quadratic in the length of a storm. A rollback swaps the copy in, so the copy must be a
    table; all it must not share are the items that the transaction changes in place.
    """
    import copy

    from moto.dynamodb.models import DynamoDBBackend, Table
    from moto.dynamodb.models.dynamo_type import DynamoType

    if getattr(DynamoDBBackend, "cheap_rollback", False):
        return
    whole = DynamoDBBackend.transact_write_items

    def transact_write_items(self: Any, transact_items: list[dict[str, Any]]) -> None:
        operations = [next(iter(item.values())) for item in transact_items]
        touched = [DynamoType((each.get("Key") or each["Item"])["pk"]) for each in operations]
        before: dict[int, Any] = {}

        def copied(table: Any, memo: dict[int, Any]) -> Any:
            if id(table) not in before:
                made = before[id(table)] = copy.copy(table)
                made.items = table.items.copy()
                for pk in touched:
                    if pk in table.items:
                        made.items[pk] = {sk: copy.deepcopy(item) for sk, item in table.items[pk].items()}
            return before[id(table)]

        Table.__deepcopy__ = copied  # type: ignore[attr-defined]
        try:
            whole(self, transact_items)
        finally:
            del Table.__deepcopy__  # type: ignore[attr-defined]

    DynamoDBBackend.transact_write_items = transact_write_items
    DynamoDBBackend.cheap_rollback = True


def quick_answers() -> None:
    """Let moto write an item's attributes as they are, for they have the wire's form already but for bytes.

    moto 5.2 takes each through botocore's model: half of the time of a request that reads items.
    """
    from moto.core.serialize import BaseJSONSerializer

    if getattr(BaseJSONSerializer, "quick_answers", False):
        return
    modelled = BaseJSONSerializer._serialize_type_structure

    def coded(value: Any) -> Any:
        if isinstance(value, bytes):
            return base64.b64encode(value).decode()
        if isinstance(value, dict):
            return {name: coded(each) for name, each in value.items()}
        return [coded(each) for each in value] if isinstance(value, list) else value

    def structure(self: Any, serialized: dict[str, Any], value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue" and isinstance(value, dict):
            serialized[key] = coded(value)
        else:
            modelled(self, serialized, value, shape, key)

    BaseJSONSerializer._serialize_type_structure = structure
    BaseJSONSerializer.quick_answers = True


@cache
def aws(service: str) -> Any:
    """One boto3 client a service for all worlds: making one costs more than most tests."""
    return boto3.client(service, region_name=REGION)


class TurnedClock:
    """A clock that only moves when a test turns it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def turn(self, **by: float) -> None:
        self.time += timedelta(**by)


@dataclass
class Mailbox:
    """A mail transport that keeps what it was given. ``failures`` are raised first, one a mail."""

    name: str = "ses"
    replaces_ids: bool = True
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def send(
        self, message: bytes, *, envelope_sender: str, recipient: str, tags: Mapping[str, str]
    ) -> Accepted:
        if self.failures:
            raise self.failures.pop(0)
        mail = email.message_from_bytes(message, policy=email.policy.default)
        remote = ""
        if self.replaces_ids:
            remote = f"010f{len(self.mails):08d}@eu-west-1.amazonses.com"
            mail.replace_header("Message-ID", f"<{remote}>")
        self.mails.append(mail)  # type: ignore[arg-type]
        self.recipients.append(recipient)
        return Accepted(remote, "250 2.0.0 accepted")

    def to(self, address: str) -> list[EmailMessage]:
        return [m for m, r in zip(self.mails, self.recipients, strict=True) if r == address]


class PlainVault:
    """Keeps passwords readable, as KMS would for whoever may use the key."""

    def encrypt(self, slug: str, password: str) -> str:
        return f"{slug}:{password[::-1]}"

    def decrypt(self, slug: str, ciphertext: str) -> str:
        owner, _, reverse = ciphertext.partition(":")
        if owner != slug:
            raise AssertionError("decrypted under another tenant's context")
        return reverse[::-1]


class World:
    """Everything wired as ``bootstrap`` wires it, but for the way out and the clock."""

    def __init__(self) -> None:
        self.clock = TurnedClock()
        self.ring = KeyRing((SigningKey(1, b"1" * 32),))
        self.s3 = aws("s3")
        self.sqs = aws("sqs")
        for bucket in ("mail", "files"):
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        create_table()
        self.queue_url = self.sqs.create_queue(QueueName="outbound")["QueueUrl"]
        self.store = DynamoStore(TABLE, REGION, sleep=lambda _: None)
        self.files = S3FileStore(self.s3, "files")
        self.raw_mails = S3MailStore(self.s3, "mail")
        self.queue = SqsJobQueue(self.sqs, self.queue_url)
        self.mailbox = Mailbox()
        self.accounts: dict[str, Mailbox] = {}
        self.logins: list[SmtpLogin] = []
        self.feedback = Feedback(store=self.store, clock=self.clock, mail_domain=MAIL_DOMAIN)
        self.vault = PlainVault()
        self.router = Router(
            store=self.store,
            raw_mails=self.raw_mails,
            files=self.files,
            queue=self.queue,
            ring=lambda: self.ring,
            clock=self.clock,
            mail_domain=MAIL_DOMAIN,
            portal_url="https://desk.example",
            operator_inbox="operator@ops.example",
            shared_sender=f"notify@{MAIL_DOMAIN}",
            feedback=self.feedback.dsn,
            trial=TrialMails(self.store, self.clock).arrived,
        )
        self.deliverer = Deliverer(
            store=self.store,
            queue=self.queue,
            files=self.files,
            raw_mails=self.raw_mails,
            vault=self.vault,
            shared=self.mailbox,
            smtp=self._account,
            composer=self.composer,
            clock=self.clock,
            mail_domain=MAIL_DOMAIN,
            shared_sender=f"notify@{MAIL_DOMAIN}",
        )
        self.sweeper = Sweeper(store=self.store, queue=self.queue, clock=self.clock)
        self._received = 0

    def composer(self) -> Composer:
        return Composer(MAIL_DOMAIN, "https://desk.example", self.ring)

    def _account(self, slug: str, login: SmtpLogin) -> Mailbox:
        self.logins.append(login)
        return self.accounts.setdefault(slug, Mailbox(name="smtp", replaces_ids=False))

    def tenant(self, slug: str, **settings: Any) -> Tenant:
        """Create a tenant with an admin and a technician at ``{slug}.example``."""
        members = (
            Member(f"admin@{slug}.example", f"{slug.title()} Admin", Role.ADMIN),
            Member(f"tech@{slug}.example", f"{slug.title()} Tech", Role.TECHNICIAN),
        )
        made = Tenant(slug=slug, name=slug.title(), created_at=self.clock.now(), members=members, **settings)
        return self.store.put_tenant(made, create=True)

    def store_raw(self, raw: bytes, ses_id: str) -> str:
        self.s3.put_object(Bucket="mail", Key=f"inbound/{ses_id}", Body=raw)
        return f"inbound/{ses_id}"

    def deliveries(
        self,
        raw: bytes,
        *recipients: str,
        verdicts: Mapping[str, str] | None = None,
        envelope_sender: str = "",
        ses_id: str = "",
    ) -> list[Delivery]:
        self._received += 1
        self.clock.turn(seconds=1)
        ses_id = ses_id or f"ses{self._received:06d}"
        key = self.store_raw(raw, ses_id)
        return [
            Delivery(ses_id, key, r, envelope_sender, self.clock.now(), {**PASS, **(verdicts or {})})
            for r in recipients
        ]

    def receive(self, raw: bytes, *recipients: str, **more: Any) -> list[RouteOutcome]:
        """Let a mail arrive at *recipients* and route it."""
        return self.router.route(self.deliveries(raw, *recipients, **more))

    def send_all(self) -> list[DeliverOutcome]:
        """Deliver every job on the queue, as the sender would, until none is visible."""
        outcomes = []
        while True:
            messages = self.sqs.receive_message(
                QueueUrl=self.queue_url, MaxNumberOfMessages=10, VisibilityTimeout=1
            ).get("Messages", [])
            if not messages:
                return outcomes
            for message in messages:
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
                slug, _, job_id = message["Body"].partition("/")
                outcomes.append(self.deliverer.deliver(slug, job_id))

    def items(self) -> list[dict[str, Any]]:
        """Every item of the table, as plain data sorted by key."""
        client = aws("dynamodb")
        found = [
            {k: json.dumps(v, default=repr, sort_keys=True) for k, v in item.items()}
            for page in client.get_paginator("scan").paginate(TableName=TABLE)
            for item in page["Items"]
        ]
        return sorted(found, key=lambda item: (item["pk"], item["sk"]))


@contextmanager
def new_world() -> Iterator[World]:
    """A world of its own, gone afterwards."""
    if second_aws.is_wanted():
        with second_aws.fresh():
            yield World()
        return
    keys = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
    }
    before = {key: os.environ.get(key) for key in keys}
    os.environ.update(keys)
    cheap_rollback()
    quick_answers()
    try:
        with mock_aws():
            yield World()
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


def mail(
    *,
    from_: str = "Ada Lovelace <ada@customer.example>",
    to: str = "support@acme.example",
    subject: str = "The printer is on fire",
    text: str = "Please help.\n",
    message_id: str = "",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return a plain mail as bytes; a Message-ID is made from its content when none is given."""
    import hashlib

    digest = hashlib.sha256(f"{from_}{subject}{text}{headers}".encode()).hexdigest()[:16]
    lines = [
        f"From: {from_}",
        f"To: {to}",
        f"Subject: {subject}",
        f"Message-ID: <{message_id or digest + '@mua.example'}>",
        "Date: Mon, 23 Nov 2026 12:00:00 +0000",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "",
        *text.splitlines(),
    ]
    return ("\r\n".join(lines) + "\r\n").encode()


def reply(
    received: EmailMessage, *, from_: str, text: str, headers: Mapping[str, str] | None = None
) -> tuple[bytes, str]:
    """Return an answer to *received* as a mail program writes it, and the address that it goes to."""
    to = str(received["Reply-To"])
    quoted = received.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    body = f"{text}\n\nOn Mon, Nov 23, 2026 at 1:00 PM {received['From']} wrote:\n\n" + "".join(
        f"> {line}\n" for line in quoted.splitlines()
    )
    references = f"{received.get('References', '')} {received['Message-ID']}".strip()
    return (
        mail(
            from_=from_,
            to=to,
            subject=f"Re: {received['Subject']}",
            text=body,
            headers={"In-Reply-To": str(received["Message-ID"]), "References": references, **(headers or {})},
        ),
        to,
    )
