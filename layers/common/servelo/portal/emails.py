"""Mails that went out or are about to; invoices, quotes and messages from the tenant's own programs."""

from __future__ import annotations

from servelo.portal import answers
from servelo.portal.answers import Json
from servelo.portal.fields import Choice, Day, Email, Group, Link, Pattern, Secret, Text
from servelo.portal.routes import PAGING, Answer, Call, Who, route, when
from servelo.portal.tickets import FILES
from servelo.services.permissions import Action


@route(
    "POST",
    "/api/emails",
    who=Who.TEAM,
    action=Action.EMAILS_WRITE,
    summary="Send an invoice, a quote link or a message",
    body={
        "kind": Choice(values=("invoice", "quote", "message")),
        "recipient": Email(example="ada@example.org"),
        "recipient_name": Text(longest=100, shortest=0, optional=True),
        "number": Text(longest=60, optional=True, example="2026-0042", doc="Of the invoice or quote."),
        "amount": Text(longest=40, optional=True, example="129.90", doc="Shown as it is."),
        "currency": Pattern(
            pattern="[A-Z]{3}",
            remedy="Use three letters, such as EUR.",
            longest=3,
            optional=True,
            example="EUR",
        ),
        "due_date": Day(optional=True, example="2026-12-01", doc="Of a quote: valid until."),
        "link": Link(optional=True, example="https://pay.example.com/2026-0042"),
        "subject": Text(longest=200, optional=True),
        "text": Text(longest=20_000, lines=True, optional=True),
        "reply_to": Email(optional=True, doc="Where answers go; the help desk's address if left out."),
        "attachment": Group(
            fields={
                "filename": Text(longest=255, example="invoice.pdf"),
                "content_base64": Secret(longest=5_600_000, doc="At most 4 MB of content."),
            },
            optional=True,
        ),
        "files": FILES,
    },
    answer=answers.EMAIL,
    status=202,
    cases=(
        when("kind", "invoice", "number", "amount", "link"),
        when("kind", "invoice", "number", "amount", "attachment"),
        when("kind", "invoice", "number", "amount", "files"),
        when("kind", "quote", "number", "link"),
        when("kind", "message", "text"),
    ),
    note="Send an `Idempotency-Key`: the same key and body again is the same mail. An invoice needs "
    "`number`, `amount` and `link` or an attachment; a quote `number` and `link`; a message `text`. To an "
    "address whose mail came back for good nothing is sent: the mail is kept as `suppressed`. By the shared "
    "address a tenant sends 500 of these a day; 429 above.",
)
def send_email(call: Call) -> Answer:
    caller = call.caller
    cause = f"emails#{caller.slug}#{caller.email}#{call.idempotency_key}"
    job = call.services.emails.send(caller.of_tenant, call.body, owner=caller.email, cause=cause)
    return Answer(answers.email_json(job), 202)


@route(
    "GET",
    "/api/emails",
    who=Who.TEAM,
    action=Action.EMAILS_READ,
    summary="Every mail, the latest first, and what became of it",
    query=PAGING,
    answer=answers.EMAIL_PAGE,
)
def list_emails(call: Call) -> Json:
    found, cursor = call.services.store.jobs(
        call.caller.slug, call.query.get("limit", 50), call.query.get("cursor", "")
    )
    return answers.page((answers.email_json(j) for j in found), cursor)


@route(
    "GET",
    "/api/emails/{email_id}",
    who=Who.TEAM,
    action=Action.EMAILS_READ,
    summary="One mail",
    answer=answers.EMAIL,
)
def show_email(call: Call) -> Json:
    return answers.email_json(call.services.emails.get(call.caller.slug, call.path["email_id"]))


@route(
    "POST",
    "/api/emails/{email_id}/retry",
    who=Who.TEAM,
    action=Action.EMAILS_WRITE,
    summary="Send it again now",
    answer=answers.EMAIL,
    note="For mails that are `retryable`; 409 `not_retryable` for others, 409 `suppressed` while the address "
    "is on the suppression list. One that is `unknown` may arrive "
    "twice: that is why a person must ask for it.",
)
def retry_email(call: Call) -> Json:
    return answers.email_json(call.services.emails.retry(call.caller.slug, call.path["email_id"]))


@route(
    "GET",
    "/api/suppressions",
    who=Who.TEAM,
    action=Action.SUPPRESSIONS_READ,
    summary="Addresses that mail is withheld from, because it bounced or was called spam",
    query=PAGING,
    answer=answers.SUPPRESSION_PAGE,
)
def list_suppressions(call: Call) -> Json:
    found, cursor = call.services.store.suppressions(
        call.caller.slug, call.query.get("limit", 50), call.query.get("cursor", "")
    )
    return answers.page((answers.suppression_json(s) for s in found), cursor)


@route(
    "DELETE",
    "/api/suppressions",
    who=Who.TEAM,
    action=Action.SUPPRESSIONS_WRITE,
    summary="Lift a suppression",
    query={"email": Email()},
)
def lift_suppression(call: Call) -> None:
    call.services.emails.lift(call.caller.slug, call.query["email"])


@route(
    "DELETE",
    "/api/suppressions/{email}",
    who=Who.TEAM,
    action=Action.SUPPRESSIONS_WRITE,
    summary="Lift a suppression, the address in the path",
)
def lift_suppression_of(call: Call) -> None:
    call.services.emails.lift(call.caller.slug, call.path["email"])
