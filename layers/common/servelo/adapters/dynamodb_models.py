"""pynamodb items, one class per entity, told apart by a discriminator; the store maps them to the domain.

Nested values are JSON, long texts are compressed (zlib): a typical mail's text shrinks to a third, and read
and write units follow the stored size. The table name and region are set once by ``bind``.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pynamodb.attributes import (
    Attribute,
    BooleanAttribute,
    DiscriminatorAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.connection import Connection
from pynamodb.constants import BINARY, STRING
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, IncludeProjection
from pynamodb.models import Model

from servelo.adapters import aws_clients
from servelo.adapters.dynamodb_codec import OnePass
from servelo.records import field_names

SCHEMA = 1
_SMALL_TEXT = 1 << 12


def to_text(moment: datetime) -> str:
    """Return *moment* in UTC with microseconds: as text it sorts by time."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def from_text(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


class TimeAttribute(Attribute[datetime]):
    """An aware datetime as sortable text."""

    attr_type = STRING

    def serialize(self, value: datetime) -> str:
        return to_text(value)

    def deserialize(self, value: str) -> datetime:
        return from_text(value)


class LongTextAttribute(Attribute[str]):
    """Text, compressed. Empty text is stored as no attribute at all by the models that use it."""

    attr_type = BINARY

    def serialize(self, value: str) -> bytes:
        octets = value.encode("utf-8", "replace")
        if len(octets) > _SMALL_TEXT:
            # Level 5: of real HTML 3 % more than 6, in two thirds of the time.
            return zlib.compress(octets, 5)
        # A window as large as the text finds the same. zlib's usual one takes 256 kB from the system and
        # gives them back, for each text anew, which takes far longer than to compress a small one.
        small = zlib.compressobj(5, zlib.DEFLATED, 12, 5)
        return small.compress(octets) + small.flush()

    def deserialize(self, value: bytes | str) -> str:
        # As on the wire it is base64: ``aws_clients.plain_json`` leaves it so.
        packed = base64.b64decode(value) if isinstance(value, str) else value
        return zlib.decompress(packed).decode("utf-8")


class JsonAttribute(Attribute[Any]):
    """Lists, mappings and dataclasses as JSON text."""

    attr_type = STRING

    def serialize(self, value: Any) -> str:
        return _COMPACT.encode(value)

    def deserialize(self, value: str) -> Any:
        return json.loads(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_text(value)
    if isinstance(value, Mapping):
        return dict(value)
    # The encoder comes back for what is nested.
    return {name: getattr(value, name) for name in field_names(type(value))}


_COMPACT = json.JSONEncoder(default=_plain, ensure_ascii=False, separators=(",", ":"))


class _Gsi1(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "gsi1"
        projection = AllProjection()

    gsi1pk = UnicodeAttribute(hash_key=True)
    gsi1sk = UnicodeAttribute(range_key=True)


class _Gsi2(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "gsi2"
        projection = AllProjection()

    gsi2pk = UnicodeAttribute(hash_key=True)
    gsi2sk = UnicodeAttribute(range_key=True)


class _Gsi3(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "gsi3"
        # pynamodb filters every query by the discriminator, so the index must hold it.
        projection = IncludeProjection(["kind"])

    gsi3pk = UnicodeAttribute(hash_key=True)
    gsi3sk = UnicodeAttribute(range_key=True)


class _Gsi4(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "gsi4"
        projection = AllProjection()

    gsi4pk = UnicodeAttribute(hash_key=True)
    gsi4sk = UnicodeAttribute(range_key=True)


class Item(OnePass, Model):
    """What every item has. ``schema`` is the version of the entity's shape, to read older releases' items."""

    class Meta:
        table_name = "unbound"
        region = None
        # Three tries at 100 ms and up; what still fails is Transient and comes back through the queue.
        max_retry_attempts = 3
        connect_timeout_seconds = 3
        read_timeout_seconds = 10

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    kind = DiscriminatorAttribute()
    schema = NumberAttribute(default=SCHEMA)
    gsi1pk = UnicodeAttribute(null=True)
    gsi1sk = UnicodeAttribute(null=True)
    gsi2pk = UnicodeAttribute(null=True)
    gsi2sk = UnicodeAttribute(null=True)
    gsi3pk = UnicodeAttribute(null=True)
    gsi3sk = UnicodeAttribute(null=True)
    gsi4pk = UnicodeAttribute(null=True)
    gsi4sk = UnicodeAttribute(null=True)
    expires_at_epoch = NumberAttribute(null=True)
    gsi1 = _Gsi1()
    gsi2 = _Gsi2()
    gsi3 = _Gsi3()
    gsi4 = _Gsi4()


class TenantItem(Item, discriminator="tenant"):
    slug = UnicodeAttribute()
    name = UnicodeAttribute()
    created_at = TimeAttribute()
    suspended = BooleanAttribute(default=False)
    notify_email = UnicodeAttribute(default="")
    logo_url = UnicodeAttribute(default="")
    colour = UnicodeAttribute(default="#2457d6")
    locale = UnicodeAttribute(default="en")
    footer = UnicodeAttribute(default="")
    reopen_days = NumberAttribute(default=30)
    customer_portal = BooleanAttribute(default=True)
    new_tickets_in_portal = BooleanAttribute(default=True)
    members = JsonAttribute(default=list)
    undeliverable = JsonAttribute(default=list)
    smtp = JsonAttribute(null=True)
    mail_version = NumberAttribute(default=0)
    version = NumberAttribute(default=0)


class OperatorItem(Item, discriminator="operator"):
    """What the operator has set for the whole deployment; empty: the template's parameter."""

    inbox = UnicodeAttribute(default="")
    version = NumberAttribute(default=0)


class CounterItem(Item, discriminator="counter"):
    n = NumberAttribute(default=0)


class ClientItem(Item, discriminator="client"):
    id = UnicodeAttribute()
    slug = UnicodeAttribute()
    email = UnicodeAttribute()
    name = UnicodeAttribute(default="")
    created_at = TimeAttribute()
    blocked = BooleanAttribute(default=False)
    notes = UnicodeAttribute(default="")
    proven = BooleanAttribute(default=False)
    version = NumberAttribute(default=0)


class ClientTicketItem(Item, discriminator="client_ticket"):
    number = NumberAttribute()


class TicketItem(Item, discriminator="ticket"):
    slug = UnicodeAttribute()
    number = NumberAttribute()
    subject = UnicodeAttribute()
    client_id = UnicodeAttribute()
    participants = JsonAttribute(default=list)
    status = UnicodeAttribute()
    created_at = TimeAttribute()
    updated_at = TimeAttribute()
    assignee = UnicodeAttribute(default="")
    closed_at = TimeAttribute(null=True)
    comment_count = NumberAttribute(default=0)
    unread = BooleanAttribute(default=True)
    message_ids = JsonAttribute(default=list)
    folded_key_ids = JsonAttribute(default=list)
    linked_number = NumberAttribute(default=0)
    merged_into = NumberAttribute(default=0)
    preview = UnicodeAttribute(default="")
    waiting = NumberAttribute(default=0)
    version = NumberAttribute(default=0)
    people_version = NumberAttribute(default=0)


class CommentItem(Item, discriminator="comment"):
    slug = UnicodeAttribute()
    number = NumberAttribute()
    id = UnicodeAttribute()
    author_role = UnicodeAttribute()
    author_email = UnicodeAttribute(default="")
    author_name = UnicodeAttribute(default="")
    visibility = UnicodeAttribute()
    text = LongTextAttribute(null=True)
    html = LongTextAttribute(null=True)
    quoted_text = LongTextAttribute(null=True)
    signature = LongTextAttribute(null=True)
    full_text = LongTextAttribute(null=True)
    overflow_key = UnicodeAttribute(default="")
    created_at = TimeAttribute()
    files = JsonAttribute(default=list)
    raw_key = UnicodeAttribute(default="")
    message_id = UnicodeAttribute(default="")
    inbound_id = UnicodeAttribute(default="")
    warnings = JsonAttribute(default=list)
    needs_accept = BooleanAttribute(default=False)
    automatic = BooleanAttribute(default=False)
    job_ids = JsonAttribute(default=list)


class MessageItem(Item, discriminator="message"):
    """An id that a mail we sent or received carries, and the ticket it belongs to.

    ``sender`` is the identity of the author of a received mail; job ids tell which mail of ours bounced.
    """

    number = NumberAttribute()
    received = BooleanAttribute(default=False)
    sender = UnicodeAttribute(default="")
    job_id = UnicodeAttribute(default="")


class InboundItem(Item, discriminator="inbound"):
    id = UnicodeAttribute()
    slug = UnicodeAttribute()
    ses_message_id = UnicodeAttribute()
    object_key = UnicodeAttribute()
    envelope_recipient = UnicodeAttribute()
    envelope_sender = UnicodeAttribute(default="")
    received_at = TimeAttribute()
    processed_at = TimeAttribute(null=True)
    outcome = UnicodeAttribute()
    sender = UnicodeAttribute(default="")
    subject = UnicodeAttribute(default="")
    message_id = UnicodeAttribute(default="")
    size_bytes = NumberAttribute(default=0)
    verdicts = JsonAttribute(default=dict)
    reasons = JsonAttribute(default=list)
    ticket_number = NumberAttribute(default=0)
    comment_id = UnicodeAttribute(default="")
    warnings = JsonAttribute(default=list)
    job_ids = JsonAttribute(default=list)
    replays = NumberAttribute(default=0)


class OutboxItem(Item, discriminator="outbox"):
    id = UnicodeAttribute()
    slug = UnicodeAttribute()
    mail_kind = UnicodeAttribute()
    recipient = UnicodeAttribute()
    recipient_name = UnicodeAttribute(default="")
    subject = UnicodeAttribute(default="")
    from_name = UnicodeAttribute(default="")
    reply_to = UnicodeAttribute(default="")
    message_id = UnicodeAttribute()
    in_reply_to = UnicodeAttribute(default="")
    references = JsonAttribute(default=list)
    content = LongTextAttribute(null=True)
    files = JsonAttribute(default=list)
    raw_key = UnicodeAttribute(default="")
    automatic = BooleanAttribute(default=False)
    ticket_number = NumberAttribute(default=0)
    comment_id = UnicodeAttribute(default="")
    mail_version = NumberAttribute(default=0)
    created_at = TimeAttribute()
    due_at = TimeAttribute()
    state = UnicodeAttribute()
    attempts = NumberAttribute(default=0)
    claimed_until = TimeAttribute(null=True)
    claimed_by = UnicodeAttribute(default="")
    error_code = UnicodeAttribute(default="")
    error_detail = UnicodeAttribute(default="")
    remote_message_id = UnicodeAttribute(default="")
    transport = UnicodeAttribute(default="")
    shared_address = BooleanAttribute(default=False)
    accepted_at = TimeAttribute(null=True)
    version = NumberAttribute(default=0)


class SuppressionItem(Item, discriminator="suppression"):
    """An address that automatic mail is withheld from, until it expires or an admin lifts it."""

    email = UnicodeAttribute()
    reason = UnicodeAttribute()
    detail = UnicodeAttribute(default="")
    created_at = TimeAttribute()


class OnceItem(Item, discriminator="once"):
    """An Idempotency-Key and what was answered to it."""

    fingerprint = UnicodeAttribute(default="")
    answer = LongTextAttribute(null=True)
    begun_at = TimeAttribute(null=True)
    carried_out = BooleanAttribute(null=True)


class PasswordsSetItem(Item, discriminator="passwords_set"):
    """When an account's password was set last: older links and sign-ins of it are over."""

    set_at = TimeAttribute()


class FoldItem(Item, discriminator="fold"):
    """The look-up of a folded reply token; it proves nothing by itself."""

    slug = UnicodeAttribute()
    number = NumberAttribute()
    client_id = UnicodeAttribute()
    role = NumberAttribute()
    key_id = NumberAttribute()


class SentItem(Item, discriminator="sent"):
    """An id that SES gave to a mail of ours, for events that carry no tags."""

    slug = UnicodeAttribute()
    job_id = UnicodeAttribute()


class PostingItem(Item, discriminator="posting"):
    """One word of one ticket, for the search; the keys say it all."""


def bind(table_name: str, region: str) -> Connection:
    """Point all items at one table, over one connection, and return it; the same again for the same table.

    pynamodb would otherwise make a client for each class, and a client takes longer than all requests of a
    mail together.
    """
    connection = Item._connection
    if connection is None or (connection.table_name, connection.connection.region) != (table_name, region):
        Item.Meta.table_name = table_name
        Item.Meta.region = region  # type: ignore[assignment]
        Item._connection = None
        connection = Item._get_connection()
        connection.connection._client = _client(region)
        for model in _all_models(Item):
            model._connection = connection
    return connection.connection


def _client(region: str) -> Any:
    """pynamodb would make the same from a session of its own."""
    meta = Item.Meta
    client = aws_clients.client(
        "dynamodb",
        region,
        parameter_validation=False,
        connect_timeout=meta.connect_timeout_seconds,
        read_timeout=meta.read_timeout_seconds,
        retries={"total_max_attempts": 1 + meta.max_retry_attempts, "mode": "standard"},
    )
    aws_clients.plain_json(client)
    return client


def _all_models(model: type[Item]) -> list[type[Item]]:
    return [model] + [m for child in model.__subclasses__() for m in _all_models(child)]
