"""The operator's side: tenants and the queues of what could not be processed."""

from __future__ import annotations

from servelo.domain.tenant import Role, Tenant
from servelo.portal import answers
from servelo.portal.answers import Json
from servelo.portal.fields import Email, Flag, Text
from servelo.portal.routes import PAGING, PATH_FIELDS, Answer, Call, Who, route
from servelo.services.permissions import Action
from servelo.services.tenants import smtp_state


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
    found, cursor = call.services.tenants.page(call.query.get("limit", 50), call.query.get("cursor", ""))
    return answers.page((_tenant(call, *each) for each in found), cursor)


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
    tenant = call.services.tenants.create_tenant(
        slug=body["slug"],
        name=body["name"],
        admin_email=body["admin_email"],
        admin_name=body.get("admin_name", ""),
        notify_email=body.get("notify_email", ""),
        origin=call.origin,
        again=False,
    )
    return Answer(_tenant(call, tenant, 0), 201, tenant.version)


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
    tenant, highest_number = call.services.tenants.get(call.path["slug"])
    return Answer(_tenant(call, tenant, highest_number), version=tenant.version)


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
    tenant, highest_number = call.services.tenants.change(call.path["slug"], changes, call.version)
    return Answer(_tenant(call, tenant, highest_number), version=tenant.version)


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


def _tenant(call: Call, tenant: Tenant, highest_number: int) -> Json:
    return {
        "slug": tenant.slug,
        "name": tenant.name,
        "created_at": answers.when(tenant.created_at),
        "suspended": tenant.suspended,
        "notify_email": tenant.notify_email,
        "inbound_address": f"{tenant.slug}@{call.services.mail_domain}",
        "members": len(tenant.members),
        "admins": [m.email for m in tenant.members if m.role is Role.ADMIN],
        "tickets": highest_number,
        "smtp": smtp_state(tenant),
        "version": tenant.version,
    }
