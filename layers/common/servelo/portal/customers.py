"""The customers' portal: their own tickets, and nothing that is not meant for them.

Whoever is requester or follower of a ticket sees its public words, and their own that wait for the team.
"""

from __future__ import annotations

from servelo.domain.ticket import Participant
from servelo.mail.address import identity
from servelo.portal import answers
from servelo.portal.answers import Json
from servelo.portal.fields import Flag, Text
from servelo.portal.routes import PAGING, Answer, Call, Who, route
from servelo.portal.tickets import FILES, UPLOAD_BODY, WORDS
from servelo.services.permissions import Action


@route(
    "GET",
    "/api/portal/{slug}",
    who=Who.OPEN,
    summary="The tenant's name and colours",
    answer=answers.BRANDING,
    note="404 alike for an unknown or suspended tenant and one without a customer portal.",
)
def show_branding(call: Call) -> Json:
    return answers.branding_json(call.services.customers.open_tenant(call.path["slug"]))


@route(
    "GET",
    "/api/portal/{slug}/tickets",
    who=Who.CUSTOMER,
    action=Action.OWN_TICKETS,
    summary="Your tickets, the newest first",
    query=PAGING,
    answer=answers.CUSTOMER_TICKET_PAGE,
)
def list_own_tickets(call: Call) -> Json:
    found, cursor = call.services.customers.tickets(
        call.caller.slug, _client(call), call.query.get("limit", 50), call.query.get("cursor", "")
    )
    return answers.page((answers.customer_ticket_json(t) for t in found), cursor)


@route(
    "POST",
    "/api/portal/{slug}/tickets",
    who=Who.CUSTOMER,
    action=Action.OWN_TICKETS,
    summary="Open a ticket",
    body={"subject": Text(longest=200, example="The boiler drips"), "text": WORDS, "files": FILES},
    answer=answers.CUSTOMER_TICKET_DETAIL,
    status=201,
    note="403 `new_tickets_off` where the tenant takes new tickets by mail only.",
)
def open_own_ticket(call: Call) -> Answer:
    body = call.body
    ticket = call.services.tickets.open_by_client(
        call.caller.of_tenant,
        _client(call),
        subject=body["subject"],
        text=body["text"],
        uploads=body.get("files", ()),
        origin=call.origin,
    )
    return Answer(_detail(call, ticket.number), 201)


@route(
    "GET",
    "/api/portal/{slug}/tickets/{number}",
    who=Who.CUSTOMER,
    action=Action.OWN_TICKETS,
    summary="One of your tickets with its conversation",
    query=PAGING,
    answer=answers.CUSTOMER_TICKET_DETAIL,
)
def show_own_ticket(call: Call) -> Json:
    return _detail(call, call.path["number"], call.query.get("limit", 50), call.query.get("cursor", ""))


@route(
    "POST",
    "/api/portal/{slug}/tickets/{number}/comments",
    who=Who.CUSTOMER,
    action=Action.OWN_TICKETS,
    summary="Answer, and close the ticket with it if all is well",
    body={"text": WORDS, "files": FILES, "close": Flag(optional=True)},
    answer=answers.CUSTOMER_COMMENT,
    status=201,
)
def write_own_comment(call: Call) -> Answer:
    comment = call.services.customers.comment(
        call.caller.of_tenant,
        _client(call),
        call.path["number"],
        text=call.body["text"],
        uploads=call.body.get("files", ()),
        close=call.body.get("close", False),
        origin=call.origin,
    )
    return Answer(
        answers.customer_comment_json(comment, mine=True, tenant_name=call.caller.of_tenant.name), 201
    )


@route(
    "POST",
    "/api/portal/{slug}/uploads",
    who=Who.CUSTOMER,
    action=Action.OWN_TICKETS,
    summary="Get a presigned form to upload one file of up to 10 MB",
    body=UPLOAD_BODY,
    answer=answers.UPLOAD,
    status=201,
    idempotent=False,
)
def begin_own_upload(call: Call) -> Answer:
    call.services.customers.count_upload(call.caller.slug, call.caller.client_id)
    return Answer(call.services.files.begin_upload(call.caller.slug, call.caller.client_id), 201)


@route(
    "GET",
    "/api/portal/{slug}/tickets/{number}/attachments/{attachment_id}",
    who=Who.CUSTOMER,
    action=Action.OWN_TICKETS,
    summary="Download an attachment",
    answer=answers.DOWNLOAD,
)
def download_own_attachment(call: Call) -> Json:
    return call.services.customers.attachment(
        call.caller.slug, _client(call), call.path["number"], call.path["attachment_id"]
    )


def _client(call: Call) -> Participant:
    return Participant(call.caller.email, call.caller.name)


def _detail(call: Call, number: int, limit: int = 50, cursor: str = "") -> Json:
    ticket, comments, following, others = call.services.customers.conversation(
        call.caller.slug, _client(call), number, limit, cursor
    )
    tenant, mine = call.caller.of_tenant, identity(call.caller.email)
    return {
        **answers.customer_ticket_json(ticket),
        "comments": [
            answers.customer_comment_json(c, mine=identity(c.author_email) == mine, tenant_name=tenant.name)
            for c in comments
        ],
        "next_cursor": following or None,
        "seen_by": [tenant.name, *others],
    }
