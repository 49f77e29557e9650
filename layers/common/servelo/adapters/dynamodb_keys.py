"""Every key of the one table. The tenant leads every partition key, so a caller's scope is in the key itself.

    item             PK                                 SK             GSI1 partition / sort key
    tenant           TENANT#slug                        SETTINGS       TENANTS / slug
    ticket counter   TENANT#slug#COUNTER                TICKET
    client           TENANT#slug#CLIENT#client_id       CLIENT         TENANT#slug#CLIENTS / email
    client's ticket  TENANT#slug#CLIENT#client_id       TICKET#number
    ticket           TENANT#slug#TICKET#number          TICKET         TENANT#slug#TICKETS / updated
    comment          TENANT#slug#TICKET#number          COMMENT#id
    message id       TENANT#slug#MESSAGE#hash           MESSAGE
    delivery         TENANT#slug#INBOUND#id             INBOUND        TENANT#slug#INBOUND / id
    outbox job       TENANT#slug#OUTBOX#id              OUTBOX         TENANT#slug#OUTBOX / id
    suppression      TENANT#slug#SUPPRESSION#identity   SUPPRESSION    TENANT#slug#SUPPRESSIONS / identity
    counter          TENANT#slug#CAP#name               CAP
    idempotency      TENANT#slug#ONCE#key               ONCE
    passwords set at TENANT#slug#PASSWORD#hash          PASSWORD
    search posting   TENANT#slug#WORDS#first two signs  word#number
    operator         TENANT#-                           OPERATOR
    folded token     FOLD#hash                          FOLD
    feedback alias   SENT#hash                          SENT

    GSI2  tickets by status     TENANT#slug#STATUS#status / updated
          blocked clients       TENANT#slug#BLOCKED / email (sparse)
          failed mails          FAILED / id (sparse)
    GSI3  jobs that wait        DUE#shard / due_at (sparse)
    GSI4  tickets by assignee   TENANT#slug#ASSIGNEE#identity / number (sparse)

Four partition keys are not led by the tenant, because the tenant is what they answer or because they serve
the sweep or the operator for all tenants: FOLD, SENT, DUE and FAILED. ``docs/data-model.md`` has every access
pattern with its cost.
"""

from __future__ import annotations

import hashlib

OPERATOR = "-"  # stands where a slug would, for mail that belongs to no tenant; no slug can be this
DUE_SHARDS = 4

Key = tuple[str, str]


def tenant(slug: str) -> Key:
    return f"TENANT#{slug}", "SETTINGS"


def operator() -> Key:
    return f"TENANT#{OPERATOR}", "OPERATOR"


def ticket_counter(slug: str) -> Key:
    return f"TENANT#{slug}#COUNTER", "TICKET"


def client(slug: str, client_id: str) -> Key:
    return f"TENANT#{slug}#CLIENT#{client_id}", "CLIENT"


def client_ticket(slug: str, client_id: str, number: int) -> Key:
    return f"TENANT#{slug}#CLIENT#{client_id}", f"TICKET#{number:013d}"


def ticket(slug: str, number: int) -> Key:
    return f"TENANT#{slug}#TICKET#{number:013d}", "TICKET"


def comment(slug: str, number: int, comment_id: str) -> Key:
    return f"TENANT#{slug}#TICKET#{number:013d}", f"COMMENT#{comment_id}"


def message(slug: str, message_id: str) -> Key:
    """Message ids are compared in lower case: some servers fold their domain."""
    digest = hashlib.sha256(message_id.lower().encode("utf-8", "replace")).hexdigest()[:32]
    return f"TENANT#{slug}#MESSAGE#{digest}", "MESSAGE"


def inbound(slug: str, record_id: str) -> Key:
    return f"TENANT#{slug}#INBOUND#{record_id}", "INBOUND"


def outbox(slug: str, job_id: str) -> Key:
    return f"TENANT#{slug}#OUTBOX#{job_id}", "OUTBOX"


def suppression(slug: str, identity: str) -> Key:
    return f"TENANT#{slug}#SUPPRESSION#{identity}", "SUPPRESSION"


def cap(slug: str, name: str) -> Key:
    return f"TENANT#{slug}#CAP#{name}", "CAP"


def once(slug: str, key: str) -> Key:
    return f"TENANT#{slug}#ONCE#{key}", "ONCE"


def passwords_set(slug: str, identity: str) -> Key:
    """The address is hashed: the item outlives a member's dismissal."""
    digest = hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:32]
    return f"TENANT#{slug}#PASSWORD#{digest}", "PASSWORD"


def folded(folded_token: str) -> Key:
    return f"FOLD#{folded_token}", "FOLD"


def sent(remote_message_id: str) -> Key:
    digest = hashlib.sha256(remote_message_id.lower().encode("utf-8", "replace")).hexdigest()[:32]
    return f"SENT#{digest}", "SENT"


def words(slug: str, word: str) -> str:
    """The partition that holds *word* and all that begin alike: a beginning can be asked for, too."""
    return f"TENANT#{slug}#WORDS#{word[:2]}"


def posting(slug: str, word: str, number: int) -> Key:
    return words(slug, word), f"{word}#{number:013d}"


def due_shard(job_id: str) -> str:
    """The sweep's partition for *job_id*: a few, so that no single one takes every write."""
    return f"DUE#{hashlib.sha256(job_id.encode()).digest()[0] % DUE_SHARDS}"


def tickets_view(slug: str) -> str:
    return f"TENANT#{slug}#TICKETS"


def status_view(slug: str, status: str) -> str:
    return f"TENANT#{slug}#STATUS#{status}"


def assignee_view(slug: str, identity: str) -> str:
    return f"TENANT#{slug}#ASSIGNEE#{identity}"


def clients_view(slug: str) -> str:
    return f"TENANT#{slug}#CLIENTS"


def blocked_view(slug: str) -> str:
    return f"TENANT#{slug}#BLOCKED"


def inbound_view(slug: str) -> str:
    return f"TENANT#{slug}#INBOUND"


def outbox_view(slug: str) -> str:
    return f"TENANT#{slug}#OUTBOX"


def suppressions_view(slug: str) -> str:
    return f"TENANT#{slug}#SUPPRESSIONS"


TENANTS_VIEW = "TENANTS"
FAILED_VIEW = "FAILED"
