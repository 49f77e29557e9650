"""Clients: the people who write in, and which of them are blocked."""

from __future__ import annotations

from servelo.portal import answers
from servelo.portal.answers import Json
from servelo.portal.fields import Email, Flag, Text
from servelo.portal.routes import PAGING, Answer, Call, Who, route
from servelo.services.permissions import Action

NOTES = Text(longest=5000, shortest=0, lines=True, optional=True, doc="For the team only.")


@route(
    "GET",
    "/api/clients",
    who=Who.TEAM,
    action=Action.CLIENTS_READ,
    summary="List clients by address",
    query={"blocked": Flag(optional=True, doc="`true`: blocked senders only."), **PAGING},
    answer=answers.CLIENT_PAGE,
)
def list_clients(call: Call) -> Json:
    found, cursor = call.services.clients.page(
        call.caller.slug,
        blocked=call.query.get("blocked", False),
        limit=call.query.get("limit", 50),
        after=call.query.get("cursor", ""),
    )
    return answers.page((answers.client_json(c) for c in found), cursor)


@route(
    "POST",
    "/api/clients",
    who=Who.TEAM,
    action=Action.CLIENTS_WRITE,
    summary="Add a client, or block an address that has not written yet",
    body={
        "email": Email(example="ada@example.org"),
        "name": Text(longest=100, shortest=0, optional=True),
        "notes": NOTES,
        "blocked": Flag(optional=True),
    },
    answer=answers.CLIENT,
    status=201,
    note="409 `conflict` when there is a client with this address.",
)
def add_client(call: Call) -> Answer:
    client = call.services.clients.add(call.caller.slug, dict(call.body))
    return Answer(answers.client_json(client), 201, client.version)


@route(
    "GET",
    "/api/clients/{client_id}",
    who=Who.TEAM,
    action=Action.CLIENTS_READ,
    summary="A client",
    answer=answers.CLIENT,
    versioned=True,
)
def show_client(call: Call) -> Answer:
    client = call.services.clients.get(call.caller.slug, call.path["client_id"])
    return Answer(answers.client_json(client), version=client.version)


@route(
    "GET",
    "/api/clients/{client_id}/tickets",
    who=Who.TEAM,
    action=Action.TICKETS_READ,
    summary="A client's tickets, the newest first",
    query=PAGING,
    answer=answers.TICKET_PAGE,
)
def list_tickets_of_client(call: Call) -> Json:
    found, cursor = call.services.clients.tickets(
        call.caller.slug,
        call.path["client_id"],
        limit=call.query.get("limit", 50),
        after=call.query.get("cursor", ""),
    )
    return answers.page((answers.ticket_json(t) for t in found), cursor)


@route(
    "PATCH",
    "/api/clients/{client_id}",
    who=Who.TEAM,
    action=Action.CLIENTS_WRITE,
    summary="Change name, notes or the block",
    body={
        "name": Text(longest=100, shortest=0, optional=True),
        "notes": NOTES,
        "blocked": Flag(optional=True),
    },
    answer=answers.CLIENT,
    versioned=True,
)
def change_client(call: Call) -> Answer:
    changes = {key: value for key, value in call.body.items() if key != "version"}
    client = call.services.clients.change(call.caller.slug, call.path["client_id"], changes, call.version)
    return Answer(answers.client_json(client), version=client.version)
