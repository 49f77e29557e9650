"""The operator's side: tenants and the queues of what could not be processed."""

from __future__ import annotations

from servelo.domain.ids import OPERATOR_MAILBOXES
from servelo.domain.tenant import Role, Tenant
from servelo.portal import answers
from servelo.portal.answers import Json
from servelo.portal.fields import Email, Flag, Text
from servelo.portal.routes import PAGING, PATH_FIELDS, Answer, Call, Who, route
from servelo.services.permissions import Action
from servelo.services.tenant_changes import refuse_own
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


@route(
    "GET",
    "/api/operator/failed",
    who=Who.TEAM,
    action=Action.QUEUES_READ,
    summary="Mails of all tenants that failed, came back, or may never have arrived; the latest first",
    query=PAGING,
    answer=answers.FAILED_MAIL_PAGE,
    note="Without subject and words: what a tenant writes is not the operator's to read.",
)
def list_failed(call: Call) -> Json:
    found, cursor = call.services.store.failed_jobs(call.query.get("limit", 50), call.query.get("cursor", ""))
    return answers.page((answers.failed_mail_json(job) for job in found), cursor)


@route(
    "POST",
    "/api/operator/failed/{owner}/{email_id}/retry",
    who=Who.TEAM,
    action=Action.QUEUES_WRITE,
    summary="Send a failed mail again now",
    answer=answers.FAILED_MAIL,
    note="409 `not_retryable` for a mail that went. One that is `unknown` may arrive twice.",
)
def retry_failed(call: Call) -> Json:
    return answers.failed_mail_json(call.services.emails.retry(call.path["owner"], call.path["email_id"]))


@route(
    "GET",
    "/api/operator/settings",
    who=Who.TEAM,
    action=Action.OPERATION_READ,
    summary="Where mail to the system's own addresses goes",
    answer=answers.OPERATOR_SETTINGS,
    versioned=True,
)
def show_operator_settings(call: Call) -> Answer:
    return _operator_settings(call)


@route(
    "PUT",
    "/api/operator/settings",
    who=Who.TEAM,
    action=Action.OPERATION_WRITE,
    summary="Choose the inbox for mail to support@ and legal@; the next mail goes there",
    body={"inbox": Email(empty=True, doc="Empty: the template's OperatorInbox.", example="ops@example.org")},
    answer=answers.OPERATOR_SETTINGS,
    versioned=True,
    note="422 `address_is_ours` for an address of the mail domain itself.",
)
def save_operator_settings(call: Call) -> Answer:
    refuse_own(call.body["inbox"], call.services.mail_domain, "inbox")
    store = call.services.store
    seen = store.operator_inbox()[1] if call.version is None else call.version
    store.put_operator_inbox(call.body["inbox"], seen)
    return _operator_settings(call)


def _operator_settings(call: Call) -> Answer:
    inbox, version = call.services.store.operator_inbox()
    found = {
        "inbox": inbox,
        "default_inbox": call.services.operator_inbox,
        "mailboxes": [f"{name}@{call.services.mail_domain}" for name in sorted(OPERATOR_MAILBOXES)],
        "version": version,
    }
    return Answer(found, version=version)


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
