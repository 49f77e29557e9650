"""Settings of a tenant: General, and the Outbound Email (SMTP) card."""

from __future__ import annotations

from dataclasses import asdict

from servelo.domain.outbound import MailKind
from servelo.domain.tenant import Tenant
from servelo.portal import answers
from servelo.portal.answers import Json
from servelo.portal.fields import AnyText, Choice, Email, Field, Flag, Link, Pattern, Text, Whole
from servelo.portal.routes import Answer, Call, Who, route
from servelo.services.permissions import Action

SMTP_FORM: dict[str, Field] = {
    "provider": AnyText(optional=True, longest=40, example="custom"),
    "host": AnyText(optional=True, longest=300, example="smtp.example.com"),
    "port": Whole(least=0, most=99999, optional=True, example=587),
    "username": AnyText(optional=True, longest=300, example="support@example.com"),
    "password": AnyText(
        optional=True, longest=600, doc="Write-only. Left out or empty: the saved one stays."
    ),
    "from_name": AnyText(optional=True, longest=200, example="Example Support"),
    "from_email": AnyText(optional=True, longest=300, example="support@example.com"),
}


@route(
    "GET",
    "/api/settings",
    who=Who.TEAM,
    action=Action.SETTINGS_READ,
    summary="The tenant's settings",
    answer=answers.SETTINGS,
    versioned=True,
)
def show_settings(call: Call) -> Answer:
    return _settings(call, *call.services.settings.get(call.caller.slug))


@route(
    "PUT",
    "/api/settings",
    who=Who.TEAM,
    action=Action.SETTINGS_WRITE,
    summary="Save settings; fields that are left out stay as they are",
    body={
        "name": Text(longest=80, optional=True, example="Acme Plumbing"),
        "notify_email": Email(empty=True, optional=True, doc="Portal Notify Email."),
        "logo_url": Link(optional=True),
        "colour": Pattern(
            pattern="#[0-9A-Fa-f]{6}",
            remedy="Use a colour such as #2457d6.",
            longest=7,
            optional=True,
            example="#2457d6",
        ),
        "locale": Choice(values=answers.LOCALES, optional=True),
        "footer": Text(longest=1000, shortest=0, lines=True, optional=True, doc="Below every mail."),
        "reopen_days": Whole(
            least=0, most=3650, optional=True, doc="A reply later than this opens a new, linked ticket."
        ),
        "customer_portal": Flag(optional=True),
        "new_tickets_in_portal": Flag(optional=True),
        "next_ticket_number": Whole(
            least=1, most=1_000_000_000, optional=True, doc="Only upwards: numbers are never used twice."
        ),
    },
    answer=answers.SETTINGS,
    versioned=True,
)
def save_settings(call: Call) -> Answer:
    changes = {key: value for key, value in call.body.items() if key != "version"}
    return _settings(call, *call.services.settings.save(call.caller.slug, changes, call.version))


@route(
    "GET",
    "/api/settings/preview",
    who=Who.TEAM,
    action=Action.SETTINGS_READ,
    summary="A mail of a kind as this tenant would send it, with made-up content",
    query={"kind": Choice(values=[k.value for k in MailKind])},
    answer=answers.PREVIEW,
)
def preview_mail(call: Call) -> Json:
    return call.services.settings.preview(call.caller.of_tenant, MailKind(call.query["kind"]))


@route(
    "GET",
    "/api/settings/smtp",
    who=Who.TEAM,
    action=Action.SMTP_READ,
    summary="The tenant's SMTP account, without its password",
    answer=answers.SMTP,
)
def show_smtp(call: Call) -> Json:
    return answers.smtp_json(call.caller.of_tenant.smtp, call.services.shared_sender)


@route(
    "PUT",
    "/api/settings/smtp",
    who=Who.TEAM,
    action=Action.SMTP_WRITE,
    summary="Save the SMTP account; the next mail uses it",
    body=SMTP_FORM,
    answer=answers.SMTP,
    note="409 `test_first` unless Send Test succeeded with these values within the last hour. From name and "
    "provider may change without a test.",
)
def save_smtp(call: Call) -> Json:
    account = call.services.settings.save_smtp(call.caller.slug, call.body)
    return answers.smtp_json(account, call.services.shared_sender)


@route(
    "DELETE",
    "/api/settings/smtp",
    who=Who.TEAM,
    action=Action.SMTP_WRITE,
    summary="Disconnect: mail goes out from the shared address again",
)
def drop_smtp(call: Call) -> None:
    call.services.settings.drop_smtp(call.caller.slug)


@route(
    "POST",
    "/api/settings/smtp/test",
    who=Who.TEAM,
    action=Action.SMTP_WRITE,
    summary="Send Test: a mail to your own address through these values, or the saved ones",
    body=SMTP_FORM,
    answer=answers.SMTP_TEST,
    idempotent=False,
    note="200 also when the test fails: `ok`, `stage`, `field` and `remedy` say what to mend. An empty "
    "object tests what is saved. Ten an hour.",
)
def test_smtp(call: Call) -> Json:
    report, test_id = call.services.settings.test_smtp(
        call.caller.of_tenant, call.body, recipient=call.caller.email, recipient_name=call.caller.name
    )
    return {
        "ok": report.ok,
        "stage": report.stage,
        "code": report.code,
        "field": report.field or None,
        "summary": report.summary,
        "remedy": report.remedy,
        "recipient": call.caller.email,
        "transcript": list(report.transcript),
        "test_id": test_id or None,
    }


@route(
    "GET",
    "/api/settings/smtp/test/{test_id}",
    who=Who.TEAM,
    action=Action.SMTP_WRITE,
    summary="How a test mail arrived: whether From was rewritten, and whether its domain is proven",
    answer=answers.SMTP_ARRIVAL,
    note="`waiting` until the copy that goes to an address of ours has arrived; usually a few seconds. 404 "
    "a day later.",
)
def test_arrival(call: Call) -> Json:
    return call.services.settings.test_arrival(call.caller.slug, call.path["test_id"])


@route(
    "GET",
    "/api/settings/smtp/providers",
    who=Who.TEAM,
    action=Action.SMTP_READ,
    summary="Presets of the form",
    answer=answers.PROVIDERS,
)
def list_providers(call: Call) -> Json:
    return {"items": [asdict(p) for p in call.services.settings.providers()], "next_cursor": None}


def _settings(call: Call, tenant: Tenant, highest_number: int) -> Answer:
    found = {
        "slug": tenant.slug,
        "name": tenant.name,
        "inbound_address": f"{tenant.slug}@{call.services.mail_domain}",
        "portal_address": f"{call.origin}/portal/{tenant.slug}",
        "notify_email": tenant.notify_email,
        "logo_url": tenant.logo_url,
        "colour": tenant.colour,
        "locale": tenant.locale,
        "footer": tenant.footer,
        "reopen_days": tenant.reopen_days,
        "customer_portal": tenant.customer_portal,
        "new_tickets_in_portal": tenant.new_tickets_in_portal,
        "next_ticket_number": highest_number + 1,
        "version": tenant.version,
    }
    return Answer(found, version=tenant.version)
