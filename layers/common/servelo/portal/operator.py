"""The operator's side: tenants and the queues of what could not be processed."""

from __future__ import annotations

from servelo.portal import answers
from servelo.portal.answers import Json
from servelo.portal.fields import Email, Flag, Text
from servelo.portal.routes import PAGING, PATH_FIELDS, Answer, Call, Who, route
from servelo.services.permissions import Action


@route(
    "GET",
    "/api/tenants",
    who=Who.TEAM,
    action=Action.TENANTS_READ,
    summary="Tenants by name, with their usage",
    query=PAGING,
    answer=answers.TENANT_PAGE,
)
def list_tenants(call: Call) -> Json:
    found, cursor = call.services.tenants.list(call.query.get("limit", 50), call.query.get("cursor", ""))
    return answers.page(found, cursor)


@route(
    "POST",
    "/api/tenants",
    who=Who.TEAM,
    action=Action.TENANTS_WRITE,
    summary="Create a tenant; its admin is mailed an invitation",
    body={
        "slug": PATH_FIELDS["slug"],
        "name": Text(longest=80, example="Acme Plumbing"),
        "admin_email": Email(example="admin@acme.example"),
        "admin_name": Text(longest=100, shortest=0, optional=True),
        "notify_email": Email(empty=True, optional=True, doc="Portal Notify Email."),
    },
    answer=answers.TENANT,
    status=201,
    note="409 `conflict` when the slug is taken; 422 for a reserved one.",
)
def create_tenant(call: Call) -> Answer:
    body = call.body
    found = call.services.tenants.open(
        slug=body["slug"],
        name=body["name"],
        admin_email=body["admin_email"],
        admin_name=body.get("admin_name", ""),
        notify_email=body.get("notify_email", ""),
        origin=call.origin,
    )
    return Answer(found, 201, found["version"])


@route(
    "GET",
    "/api/tenants/{slug}",
    who=Who.TEAM,
    action=Action.TENANTS_READ,
    summary="A tenant",
    answer=answers.TENANT,
    versioned=True,
)
def show_tenant(call: Call) -> Answer:
    found = call.services.tenants.show(call.path["slug"])
    return Answer(found, version=found["version"])


@route(
    "PATCH",
    "/api/tenants/{slug}",
    who=Who.TEAM,
    action=Action.TENANTS_WRITE,
    summary="Suspend a tenant or lift it; change name or Portal Notify Email",
    body={
        "name": Text(longest=80, optional=True),
        "suspended": Flag(
            optional=True, doc="Its mail is recorded and goes no further; nobody of it can work."
        ),
        "notify_email": Email(empty=True, optional=True),
    },
    answer=answers.TENANT,
    versioned=True,
)
def change_tenant(call: Call) -> Answer:
    changes = {key: value for key, value in call.body.items() if key != "version"}
    found = call.services.tenants.change(call.path["slug"], changes, call.version)
    return Answer(found, version=found["version"])


@route(
    "GET",
    "/api/operator/queues",
    who=Who.TEAM,
    action=Action.QUEUES_READ,
    summary="How much waits, and how much could not be processed",
    answer=answers.QUEUES,
)
def list_queues(call: Call) -> Json:
    return {"items": call.services.dead_letters.counts(), "next_cursor": None}


@route(
    "POST",
    "/api/operator/queues/{queue}/redrive",
    who=Who.TEAM,
    action=Action.QUEUES_WRITE,
    summary="Put what could not be processed back on its queue",
    answer=answers.REDRIVE,
    note="Up to 100 a call, so that nothing that fails again floods the queue.",
)
def redrive_queue(call: Call) -> Json:
    name = call.path["queue"]
    return {"name": name, "moved": call.services.dead_letters.redrive(name)}
