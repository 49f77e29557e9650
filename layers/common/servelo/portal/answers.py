"""What the API answers: a schema and the function that makes it, side by side for each kind of thing.

Times are RFC 3339 in UTC. Text of mails and people is plain text, to be escaped where it is shown; only
``html`` of a comment is HTML, sanitised, and meant for a sandboxed frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from servelo.domain.client import Client
from servelo.domain.inbound_record import REMEDIES, InboundRecord, Outcome
from servelo.domain.outbound import DeliveryState, MailKind, OutboundJob
from servelo.domain.tenant import BreakerState, Member, Role, SmtpAccount, Tenant
from servelo.domain.ticket import AuthorRole, Comment, StoredFile, Ticket, TicketStatus, Visibility
from servelo.portal.fields import Schema

Json = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}

COMPONENTS: dict[str, Schema] = {}


def items(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def one_of(values: Iterable[str]) -> Schema:
    return {"type": "string", "enum": [str(v) for v in values]}


def noted(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def thing(name: str, properties: Mapping[str, Schema]) -> Schema:
    """Register an object with exactly these properties and return a reference to it."""
    COMPONENTS[name] = {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"$ref": f"#/components/schemas/{name}"}


def page_of(name: str, of: Schema) -> Schema:
    return thing(
        f"{name}Page",
        {
            "items": items(of),
            "next_cursor": noted(
                {"type": ["string", "null"]}, "`cursor` of the next page; null on the last."
            ),
        },
    )


def page(found: Iterable[Json], cursor: str) -> Json:
    return {"items": list(found), "next_cursor": cursor or None}


def when(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None


PROBLEM = thing(
    "Problem",
    {
        "type": TEXT,
        "title": TEXT,
        "status": WHOLE,
        "code": noted(TEXT, "Stable; programs decide by it."),
        "detail": noted(TEXT, "What to do, for people."),
        "field": noted({"type": ["string", "null"]}, "The field at fault (`files.0.filename`), or null."),
    },
)

# ---- files -----------------------------------------------------------------------------------------------

FILE = thing(
    "File",
    {
        "id": noted(TEXT, "For `GET …/attachments/{attachment_id}`."),
        "filename": TEXT,
        "content_type": noted(TEXT, "As sniffed or declared; a download is always octet-stream."),
        "size_bytes": WHOLE,
        "content_id": noted(TEXT, "What `cid:` in the HTML refers to, or empty."),
        "inline": FLAG,
        "dangerous": noted(FLAG, "Runs when opened (programs, scripts, HTML): ask before the download."),
    },
)


def file_json(comment_id: str, stored: StoredFile) -> Json:
    return {
        "id": f"{comment_id}-{stored.id}",
        "filename": stored.filename,
        "content_type": stored.content_type,
        "size_bytes": stored.size_bytes,
        "content_id": stored.content_id,
        "inline": stored.inline,
        "dangerous": stored.dangerous,
    }


DOWNLOAD = thing(
    "Download",
    {
        "url": noted(TEXT, "Presigned, for one GET without an Authorization header, at most 5 minutes."),
        "filename": TEXT,
        "content_type": TEXT,
        "size_bytes": WHOLE,
        "expires_at": TIME,
    },
)
UPLOAD = thing(
    "Upload",
    {
        "id": noted(TEXT, "For `files` of the comment or ticket."),
        "url": noted(TEXT, "POST here: multipart/form-data of all `fields`, then `file`. S3 answers 204."),
        "fields": {"type": "object", "additionalProperties": TEXT},
        "max_bytes": WHOLE,
        "expires_at": TIME,
    },
)

# ---- deliveries ------------------------------------------------------------------------------------------

# State to what the reader should do about it. The server's own words are in ``detail``.
DELIVERY_REMEDIES: Mapping[DeliveryState, str] = {
    DeliveryState.QUEUED: "",
    DeliveryState.SENDING: "",
    DeliveryState.ACCEPTED: "",
    DeliveryState.DELIVERED: "",
    DeliveryState.UNKNOWN: "The server never said whether it took the mail. Ask the recipient before you "
    "choose Send again: it may arrive twice.",
    DeliveryState.DEFERRED: "It is tried again by itself. Choose Retry to try now.",
    DeliveryState.BOUNCED: "Check the address with the recipient by another way, then choose Retry.",
    DeliveryState.COMPLAINED: "The recipient marked the mail as spam. Speak to them before you write again.",
    DeliveryState.SUPPRESSED: "The address is on the suppression list. An admin can lift it in Settings.",
    DeliveryState.FAILED: "Read the server's words, mend the cause, then choose Retry.",
}
RETRYABLE = frozenset(
    {
        DeliveryState.UNKNOWN,
        DeliveryState.DEFERRED,
        DeliveryState.BOUNCED,
        DeliveryState.COMPLAINED,
        DeliveryState.SUPPRESSED,
        DeliveryState.FAILED,
    }
)

DELIVERY = thing(
    "Delivery",
    {
        "id": noted(TEXT, "For `POST /api/emails/{email_id}/retry`."),
        "kind": one_of(MailKind),
        "recipient": TEXT,
        "state": one_of(DeliveryState),
        "code": noted(TEXT, "Why, as a stable word; empty when all is well."),
        "detail": noted(TEXT, "The server's own words, without secrets."),
        "remedy": TEXT,
        "shared_address": noted(FLAG, "It went by the shared address although the tenant has SMTP."),
        "retryable": FLAG,
        "attempts": WHOLE,
        "accepted_at": TIME_OR_NULL,
    },
)


def delivery_json(job: OutboundJob) -> Json:
    return {
        "id": job.id,
        "kind": job.kind.value,
        "recipient": job.recipient,
        "state": job.state.value,
        "code": job.error_code,
        "detail": job.error_detail,
        "remedy": DELIVERY_REMEDIES[job.state],
        "shared_address": job.shared_address,
        "retryable": job.state in RETRYABLE,
        "attempts": job.attempts,
        "accepted_at": when(job.accepted_at),
    }


EMAIL = thing(
    "Email",
    {
        **{k: v for k, v in COMPONENTS["Delivery"]["properties"].items() if k != "id"},
        "id": TEXT,
        "recipient_name": TEXT,
        "subject": TEXT,
        "created_at": TIME,
        "ticket_number": noted(WHOLE, "0: the mail belongs to no ticket."),
        "transport": noted(TEXT, "`smtp` or `ses`; empty before the first try."),
    },
)
EMAIL_PAGE = page_of("Email", EMAIL)


def email_json(job: OutboundJob) -> Json:
    return {
        **delivery_json(job),
        "recipient_name": job.recipient_name,
        "subject": job.subject,
        "created_at": when(job.created_at),
        "ticket_number": job.ticket_number,
        "transport": job.transport,
    }


# ---- tickets ---------------------------------------------------------------------------------------------

PERSON = thing(
    "Participant",
    {"email": TEXT, "name": TEXT, "undeliverable": noted(FLAG, "A mail to this address came back.")},
)
_TICKET: dict[str, Schema] = {
    "number": WHOLE,
    "subject": TEXT,
    "status": one_of(TicketStatus),
    "assignee": noted(TEXT, "Address of a member, or empty."),
    "client_id": noted(TEXT, "The requester's client."),
    "requester": PERSON,
    "followers": items(PERSON),
    "unread": FLAG,
    "preview": noted(TEXT, "Beginning of the newest words."),
    "comment_count": WHOLE,
    "needs_accept": noted(FLAG, "Words wait until somebody accepts them."),
    "created_at": TIME,
    "updated_at": TIME,
    "closed_at": TIME_OR_NULL,
    "linked_number": noted(WHOLE, "The older ticket that this one goes on from, or 0."),
    "merged_into": noted(WHOLE, "The ticket that this one goes on in, or 0."),
    "version": WHOLE,
}
TICKET = thing("Ticket", _TICKET)
TICKET_PAGE = page_of("Ticket", TICKET)


def ticket_json(ticket: Ticket) -> Json:
    people = [
        {"email": p.email, "name": p.name, "undeliverable": p.undeliverable} for p in ticket.participants
    ]
    return {
        "number": ticket.number,
        "subject": ticket.subject,
        "status": ticket.status.value,
        "assignee": ticket.assignee,
        "client_id": ticket.client_id,
        "requester": people[0],
        "followers": people[1:],
        "unread": ticket.unread,
        "preview": ticket.preview,
        "comment_count": ticket.comment_count,
        "needs_accept": ticket.waiting > 0,
        "created_at": when(ticket.created_at),
        "updated_at": when(ticket.updated_at),
        "closed_at": when(ticket.closed_at),
        "linked_number": ticket.linked_number,
        "merged_into": ticket.merged_into,
        "version": ticket.version,
    }


COMMENT = thing(
    "Comment",
    {
        "id": TEXT,
        "author_role": one_of(AuthorRole),
        "author_name": TEXT,
        "author_email": TEXT,
        "visibility": one_of(Visibility),
        "text": noted(TEXT, "The new words, plain text."),
        "quoted_text": noted(TEXT, "What was stripped from a reply; show it folded."),
        "signature": TEXT,
        "full_text": noted(TEXT, "The whole mail as text where something was stripped, else empty."),
        "html": noted(
            TEXT,
            "The mail as sanitised HTML, for a sandboxed frame; empty without one. "
            "Remote pictures wait in `data-src`.",
        ),
        "has_remote_images": FLAG,
        "files": items(FILE),
        "created_at": TIME,
        "has_raw": noted(FLAG, "`GET …/raw` gives the original mail."),
        "inbound_id": noted(TEXT, "For `GET /api/inbound/{inbound_id}` (why), or empty."),
        "needs_accept": noted(FLAG, "Unverified: kept from the other side until somebody accepts it."),
        "automatic": noted(FLAG, "A program wrote it."),
        "warnings": items(TEXT),
        "deliveries": items(DELIVERY),
    },
)


def comment_json(comment: Comment, jobs: Sequence[OutboundJob]) -> Json:
    return {
        "id": comment.id,
        "author_role": comment.author_role.value,
        "author_name": comment.author_name,
        "author_email": comment.author_email,
        "visibility": comment.visibility.value,
        "text": comment.text,
        "quoted_text": comment.quoted_text,
        "signature": comment.signature,
        "full_text": comment.full_text,
        "html": comment.html,
        "has_remote_images": "data-src=" in comment.html,
        "files": [file_json(comment.id, f) for f in comment.files],
        "created_at": when(comment.created_at),
        "has_raw": bool(comment.raw_key),
        "inbound_id": comment.inbound_id,
        "needs_accept": comment.needs_accept,
        "automatic": comment.automatic,
        "warnings": list(comment.warnings),
        "deliveries": [delivery_json(j) for j in jobs],
    }


TICKET_DETAIL = thing(
    "TicketDetail",
    {
        **_TICKET,
        "comments": noted(items(COMMENT), "Oldest first."),
        "next_cursor": noted({"type": ["string", "null"]}, "For the comments that follow; null at the end."),
        "seen_by": noted(items(TEXT), "Who is mailed a public answer: `Ada <ada@example.org>`."),
    },
)

# ---- clients ---------------------------------------------------------------------------------------------

CLIENT = thing(
    "Client",
    {
        "id": TEXT,
        "email": TEXT,
        "name": TEXT,
        "notes": TEXT,
        "blocked": noted(FLAG, "Mail from this address is recorded and goes no further."),
        "created_at": TIME,
        "version": WHOLE,
    },
)
CLIENT_PAGE = page_of("Client", CLIENT)


def client_json(client: Client) -> Json:
    return {
        "id": client.id,
        "email": client.email,
        "name": client.name,
        "notes": client.notes,
        "blocked": client.blocked,
        "created_at": when(client.created_at),
        "version": client.version,
    }


# ---- members ---------------------------------------------------------------------------------------------

TEAM_ROLES = (Role.ADMIN, Role.TECHNICIAN)
MEMBER = thing(
    "Member",
    {
        "email": TEXT,
        "name": TEXT,
        "role": one_of(TEAM_ROLES),
        "notify": noted(FLAG, "Told of new mail. Only admins are told, unless a Portal Notify Email is set."),
    },
)
MEMBERS = thing("Members", {"items": items(MEMBER), "next_cursor": {"type": "null"}})


def member_json(member: Member) -> Json:
    return {
        "email": member.email,
        "name": member.name,
        "role": member.role.value,
        "notify": member.notify,
    }


# ---- settings --------------------------------------------------------------------------------------------

LOCALES = ("en", "es", "fr", "de", "pt")
SETTINGS = thing(
    "Settings",
    {
        "slug": TEXT,
        "name": TEXT,
        "inbound_address": noted(TEXT, "Forward your own address here."),
        "portal_address": noted(TEXT, "Customers' own page."),
        "notify_email": noted(TEXT, "Portal Notify Email: where set, only it is told of new mail."),
        "logo_url": TEXT,
        "colour": TEXT,
        "locale": one_of(LOCALES),
        "footer": TEXT,
        "reopen_days": WHOLE,
        "customer_portal": FLAG,
        "new_tickets_in_portal": FLAG,
        "next_ticket_number": noted(WHOLE, "The next ticket gets this number or a higher one."),
        "version": WHOLE,
    },
)

BRANDING = thing(
    "Branding",
    {
        "slug": TEXT,
        "name": TEXT,
        "logo_url": TEXT,
        "colour": TEXT,
        "locale": one_of(LOCALES),
        "new_tickets_in_portal": FLAG,
    },
)


def branding_json(tenant: Tenant) -> Json:
    return {
        "slug": tenant.slug,
        "name": tenant.name,
        "logo_url": tenant.logo_url,
        "colour": tenant.colour,
        "locale": tenant.locale,
        "new_tickets_in_portal": tenant.new_tickets_in_portal,
    }


SMTP = thing(
    "Smtp",
    {
        "connected": noted(FLAG, "False: mail goes out from the shared address."),
        "shared_address": noted(TEXT, "What mail comes from without an account of your own."),
        "provider": TEXT,
        "host": TEXT,
        "port": WHOLE,
        "username": TEXT,
        "password_set": noted(FLAG, "The password itself is never shown."),
        "from_name": TEXT,
        "from_email": TEXT,
        "tested_at": noted(TIME_OR_NULL, "When Send Test last succeeded with these values."),
        "breaker": noted(
            one_of(BreakerState), "`open`: the server refused us; mail takes the shared address meanwhile."
        ),
        "breaker_reason": noted(TEXT, "Code of what opened it."),
        "breaker_probe_at": noted(TIME_OR_NULL, "When the account is tried again."),
    },
)


def smtp_json(account: SmtpAccount | None, shared_address: str) -> Json:
    return {
        "connected": account is not None,
        "shared_address": shared_address,
        "provider": account.provider if account else "custom",
        "host": account.host if account else "",
        "port": account.port if account else 587,
        "username": account.username if account else "",
        "password_set": bool(account and account.encrypted_password),
        "from_name": account.from_name if account else "",
        "from_email": account.from_email if account else "",
        "tested_at": when(account.tested_at) if account else None,
        "breaker": (account.breaker if account else BreakerState.CLOSED).value,
        "breaker_reason": account.breaker_reason if account else "",
        "breaker_probe_at": when(account.breaker_probe_at) if account else None,
    }


SMTP_TEST = thing(
    "SmtpTest",
    {
        "ok": FLAG,
        "stage": noted(TEXT, "Where it ended: dns, connect, tls, ehlo, auth, mail_from, rcpt, data, done."),
        "code": TEXT,
        "field": noted({"type": ["string", "null"]}, "The field of the form to mend, or null."),
        "summary": TEXT,
        "remedy": TEXT,
        "recipient": noted(TEXT, "Where the test mail went: your own address."),
        "transcript": items(TEXT),
        "test_id": noted(
            {"type": ["string", "null"]}, "Ask by it how the mail arrived; null when that cannot be seen."
        ),
    },
)
SMTP_ARRIVAL = thing(
    "SmtpArrival",
    {
        "state": noted(TEXT, "`waiting` or `arrived`."),
        "code": noted(
            TEXT, "`aligned`, `not_aligned`, `from_rewritten`, `not_visible`; empty while waiting."
        ),
        "summary": TEXT,
        "remedy": TEXT,
        "from_rewritten": FLAG,
        "aligned": noted({"type": ["boolean", "null"]}, "null when the mail does not show it."),
    },
)
PROVIDERS = thing(
    "Providers",
    {
        "items": items(
            thing(
                "Provider",
                {
                    "id": TEXT,
                    "name": TEXT,
                    "host": TEXT,
                    "port": WHOLE,
                    "username_help": TEXT,
                    "password_help": TEXT,
                    "alias_help": TEXT,
                    "help_url": TEXT,
                },
            )
        ),
        "next_cursor": {"type": "null"},
    },
)
PREVIEW = thing("Preview", {"kind": one_of(MailKind), "subject": TEXT, "text": TEXT, "html": TEXT})

# ---- inbound ---------------------------------------------------------------------------------------------

INBOUND = thing(
    "Inbound",
    {
        "id": TEXT,
        "received_at": TIME,
        "processed_at": TIME_OR_NULL,
        "envelope_recipient": noted(TEXT, "RCPT TO; the token of a reply address is cut."),
        "sender": TEXT,
        "subject": TEXT,
        "size_bytes": WHOLE,
        "outcome": one_of(Outcome),
        "remedy": TEXT,
        "verdicts": {"type": "object", "additionalProperties": TEXT},
        "reasons": noted(
            items(thing("Reason", {"question": TEXT, "value": TEXT, "answer": TEXT})), "In the order asked."
        ),
        "ticket_number": noted(WHOLE, "What it became, or 0."),
        "comment_id": TEXT,
        "warnings": items(TEXT),
        "deliveries": noted(items(TEXT), "Ids of the mails that it made necessary."),
        "replays": WHOLE,
        "replayable": noted(FLAG, "Nothing was made of it, so it may be decided anew."),
    },
)
INBOUND_PAGE = page_of("Inbound", INBOUND)


def inbound_json(record: InboundRecord, *, replayable: bool) -> Json:
    return {
        "id": record.id,
        "received_at": when(record.received_at),
        "processed_at": when(record.processed_at),
        "envelope_recipient": record.envelope_recipient,
        "sender": record.sender,
        "subject": record.subject,
        "size_bytes": record.size_bytes,
        "outcome": record.outcome.value,
        "remedy": REMEDIES[record.outcome],
        "verdicts": {str(k): str(v) for k, v in record.verdicts.items()},
        "reasons": [{"question": r.question, "value": r.value, "answer": r.answer} for r in record.reasons],
        "ticket_number": record.ticket_number,
        "comment_id": record.comment_id,
        "warnings": list(record.warnings),
        "deliveries": list(record.job_ids),
        "replays": record.replays,
        "replayable": replayable,
    }


REPLAY = thing(
    "Replay",
    {
        "id": TEXT,
        "dry_run": FLAG,
        "before": noted(one_of(Outcome), "What is recorded."),
        "after": noted(one_of(Outcome), "What was decided now."),
        "changed": FLAG,
        "ticket_number": WHOLE,
    },
)

SUPPRESSION = thing(
    "Suppression",
    {
        "email": TEXT,
        "reason": TEXT,
        "detail": noted(TEXT, "The server's own words."),
        "created_at": TIME,
        "expires_at": TIME,
    },
)
SUPPRESSION_PAGE = page_of("Suppression", SUPPRESSION)


def suppression_json(found: Mapping[str, Any]) -> Json:
    return {
        "email": found["email"],
        "reason": found["reason"],
        "detail": found["detail"],
        "created_at": when(found["created_at"]),
        "expires_at": when(found["expires_at"]),
    }


# ---- signing in ------------------------------------------------------------------------------------------

TENANT_BRIEF = thing(
    "TenantBrief",
    {
        "slug": TEXT,
        "name": TEXT,
        "colour": TEXT,
        "logo_url": TEXT,
        "inbound_address": noted(TEXT, "Forward your own address here."),
        "suspended": noted(FLAG, "Nothing but this can be asked for."),
        "members": noted(items(MEMBER), "The team; empty while suspended."),
    },
)
USER = thing(
    "User",
    {"email": TEXT, "name": TEXT, "role": one_of(Role), "tenant": noted(TEXT, "Slug; `-` for the operator.")},
)
ME = thing(
    "Me",
    {
        "user": USER,
        "tenant": noted({"anyOf": [TENANT_BRIEF, {"type": "null"}]}, "null for the operator."),
        "permissions": noted(items(TEXT), "What this role may do (`tickets.write`)."),
    },
)
SIGN_IN = {
    "oneOf": [
        thing(
            "Session",
            {
                "id_token": noted(TEXT, "Send it as `Authorization: Bearer …`."),
                "access_token": noted(TEXT, "For `/api/auth/totp/…` alone."),
                "refresh_token": noted(TEXT, "Empty when it stays the one you have."),
                "expires_in": noted(WHOLE, "Seconds."),
                "user": USER,
            },
        ),
        thing(
            "Challenge",
            {
                "challenge": one_of(("SOFTWARE_TOKEN_MFA", "NEW_PASSWORD_REQUIRED")),
                "session": noted(TEXT, "For `POST /api/auth/challenge`."),
            },
        ),
    ]
}
CUSTOMER_SESSION = thing(
    "CustomerSession",
    {
        "session": noted(TEXT, "Send it as `Authorization: Bearer …` to `/api/portal/{slug}/…`."),
        "expires_at": TIME,
        "client": thing("Customer", {"email": TEXT, "name": TEXT}),
        "tenant": BRANDING,
    },
)
DONE = thing("Done", {"detail": TEXT})

# ---- operator --------------------------------------------------------------------------------------------

TENANT = thing(
    "Tenant",
    {
        "slug": TEXT,
        "name": TEXT,
        "created_at": TIME,
        "suspended": FLAG,
        "notify_email": TEXT,
        "inbound_address": TEXT,
        "members": WHOLE,
        "admins": items(TEXT),
        "tickets": noted(WHOLE, "Highest ticket number given so far."),
        "smtp": noted(one_of(("shared", "connected", "breaker_open")), "How its mail goes out."),
        "version": WHOLE,
    },
)
TENANT_PAGE = page_of("Tenant", TENANT)
QUEUES = thing(
    "Queues",
    {
        "items": items(
            thing(
                "Queue",
                {
                    "name": one_of(("inbound", "outbound", "feedback")),
                    "waiting": noted(WHOLE, "About how many wait to be processed."),
                    "dead": noted(WHOLE, "About how many could not be processed."),
                },
            )
        ),
        "next_cursor": {"type": "null"},
    },
)
REDRIVE = thing("Redrive", {"name": TEXT, "moved": noted(WHOLE, "How many were put back on the queue.")})

FAILED_MAIL = thing(
    "FailedMail",
    {
        **COMPONENTS["Delivery"]["properties"],
        "id": noted(TEXT, "For `POST /api/operator/failed/{slug}/{email_id}/retry`."),
        "slug": noted(TEXT, "The tenant; `-` for the operator's own mails."),
        "transport": noted(TEXT, "`smtp` or `ses`; empty before the first try."),
        "created_at": TIME,
    },
)
FAILED_MAIL_PAGE = page_of("FailedMail", FAILED_MAIL)


def failed_mail_json(job: OutboundJob) -> Json:
    """Without subject and words: what a tenant writes is not the operator's to read."""
    return {
        **delivery_json(job),
        "slug": job.slug,
        "transport": job.transport,
        "created_at": when(job.created_at),
    }


OPERATOR_SETTINGS = thing(
    "OperatorSettings",
    {
        "inbox": noted(TEXT, "Where mail to support@ and legal@ is forwarded; empty: `default_inbox`."),
        "default_inbox": noted(TEXT, "The template's OperatorInbox."),
        "mailboxes": noted(items(TEXT), "The addresses that are forwarded."),
        "version": WHOLE,
    },
)

# ---- customers -------------------------------------------------------------------------------------------

CUSTOMER_TICKET = thing(
    "CustomerTicket",
    {
        "number": WHOLE,
        "subject": TEXT,
        "status": one_of(("open", "pending", "closed")),
        "created_at": TIME,
        "updated_at": TIME,
    },
)
CUSTOMER_TICKET_PAGE = page_of("CustomerTicket", CUSTOMER_TICKET)
CUSTOMER_COMMENT = thing(
    "CustomerComment",
    {
        "id": TEXT,
        "author_name": TEXT,
        "from_team": FLAG,
        "mine": FLAG,
        "text": TEXT,
        "files": items(FILE),
        "created_at": TIME,
        "waiting": noted(FLAG, "Your own words that the team has yet to accept."),
    },
)
CUSTOMER_TICKET_DETAIL = thing(
    "CustomerTicketDetail",
    {
        **COMPONENTS["CustomerTicket"]["properties"],
        "comments": items(CUSTOMER_COMMENT),
        "next_cursor": {"type": ["string", "null"]},
        "seen_by": items(TEXT),
    },
)
_CUSTOMER_STATUS = {TicketStatus.PENDING: "pending", TicketStatus.CLOSED: "closed"}


def customer_ticket_json(ticket: Ticket) -> Json:
    return {
        "number": ticket.number,
        "subject": ticket.subject,
        "status": _CUSTOMER_STATUS.get(ticket.status, "open"),
        "created_at": when(ticket.created_at),
        "updated_at": when(ticket.updated_at),
    }


def customer_comment_json(comment: Comment, *, mine: bool, tenant_name: str) -> Json:
    team = comment.author_role in (AuthorRole.TEAM, AuthorRole.SYSTEM)
    return {
        "id": comment.id,
        "author_name": comment.author_name or (tenant_name if team else ""),
        "from_team": team,
        "mine": mine,
        "text": comment.text,
        "files": [file_json(comment.id, f) for f in comment.files],
        "created_at": when(comment.created_at),
        "waiting": comment.visibility is Visibility.HELD,
    }
