"""Mails from a tenant's other programs, their states, retries and suppressions."""

import base64
from collections.abc import Iterator
from dataclasses import replace

import pytest

from servelo.errors import DeliveryFailed, DeliveryUnknown
from servelo.services import emails
from tests.integration.api_desk import Desk, new_desk, path_of
from tests.world import mail

INVOICE = {
    "kind": "invoice",
    "recipient": "ada@customer.example",
    "recipient_name": "Ada",
    "number": "2026-0042",
    "amount": "129.90",
    "currency": "EUR",
    "due_date": "2026-12-24",
    "link": "https://pay.example.com/42",
}


@pytest.fixture
def desk() -> Iterator[Desk]:
    with new_desk() as made:
        yield made


def test_an_invoice_with_its_pdf_is_sent_once_for_one_key(desk: Desk) -> None:
    pdf = base64.b64encode(b"%PDF-1.7 invoice").decode()
    body = {**INVOICE, "attachment": {"filename": "invoice.pdf", "content_base64": pdf}}
    replies = [
        desk.post("/api/emails", body, as_=desk.admin, headers={"Idempotency-Key": "invoice-42"})
        for _ in range(3)
    ]
    assert [202] * 3 == [r.status for r in replies]
    assert 1 == len({r.json["id"] for r in replies})
    desk.world.send_all()
    [sent] = desk.world.mailbox.to("ada@customer.example")
    assert ["invoice.pdf"] == [p.get_filename() for p in sent.iter_attachments()]
    assert "2026-0042" in sent["Subject"]
    assert "129.90" in sent.get_body(("plain",)).get_content()
    state = desk.get(f"/api/emails/{replies[0].json['id']}", as_=desk.admin).json
    assert ("accepted", "invoice", "ses") == (state["state"], state["kind"], state["transport"])
    other = desk.post(
        "/api/emails", {**body, "amount": "1"}, as_=desk.admin, headers={"Idempotency-Key": "invoice-42"}
    )
    assert (422, "idempotency_key_reused") == (other.status, other.code)
    theirs = desk.post("/api/emails", body, as_=desk.stranger, headers={"Idempotency-Key": "invoice-42"})
    assert theirs.json["id"] != replies[0].json["id"]


def test_without_a_key_each_request_is_a_mail(desk: Desk) -> None:
    message = {"kind": "message", "recipient": "ada@customer.example", "text": "We come at nine."}
    ids = set()
    for _ in range(2):
        desk.world.clock.turn(seconds=1)
        ids.add(desk.post("/api/emails", message, as_=desk.tech).json["id"])
    assert 2 == len(ids)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"number": None}, "number"),
        ({"amount": None}, "amount"),
        ({"link": None}, "link"),
        ({"link": "http://pay.example.com"}, "link"),
        ({"recipient": "a@b>\r\nRCPT TO:<e@x.example>"}, "recipient"),
        ({"recipient": "<a@b.example>, <c@d.example>"}, "recipient"),
        ({"recipient": "a@b.example SIZE=1"}, "recipient"),
        ({"due_date": "24.12.2026"}, "due_date"),
        ({"currency": "euro"}, "currency"),
        ({"subject": "Hi\r\nBcc: evil@example.org"}, "subject"),
        ({"kind": "notification"}, "kind"),
        ({"attachment": {"filename": "x.pdf", "content_base64": "***"}}, "attachment.content_base64"),
        ({"attachment": {"filename": "x.pdf"}}, "attachment.content_base64"),
        ({"files": [{"id": "0" * 26, "filename": "x"}]}, "files.0.id"),
        ({"bcc": "evil@example.org"}, "bcc"),
    ],
)
def test_a_bad_mail_is_refused_with_its_field_and_nothing_is_promised(
    desk: Desk, change: dict[str, object], field: str
) -> None:
    refused = desk.post("/api/emails", {**INVOICE, **change}, as_=desk.admin)
    assert (422, field) == (refused.status, refused.json["field"])
    assert [] == desk.get("/api/emails", as_=desk.admin).json["items"]


def test_a_failed_mail_says_why_and_is_retried_on_request(desk: Desk) -> None:
    desk.world.mailbox.failures.append(DeliveryFailed("550 no such user", code="recipient_refused"))
    sent = desk.post("/api/emails", INVOICE, as_=desk.admin).json
    desk.world.send_all()
    failed = desk.get(f"/api/emails/{sent['id']}", as_=desk.admin).json
    assert ("failed", "recipient_refused", "550 no such user", True) == (
        failed["state"],
        failed["code"],
        failed["detail"],
        failed["retryable"],
    )
    assert failed["remedy"]
    retried = desk.post(f"/api/emails/{sent['id']}/retry", as_=desk.admin)
    assert (200, "queued") == (retried.status, retried.json["state"])
    again = desk.post(f"/api/emails/{sent['id']}/retry", as_=desk.admin)
    assert (409, "not_retryable") == (again.status, again.code)
    desk.world.send_all()
    assert 1 == len(desk.world.mailbox.to("ada@customer.example"))


def test_an_unknown_outcome_is_sent_again_only_by_a_person(desk: Desk) -> None:
    desk.world.mailbox.failures.append(DeliveryUnknown("no answer"))
    sent = desk.post("/api/emails", INVOICE, as_=desk.admin).json
    desk.world.send_all()
    assert "unknown" == desk.get(f"/api/emails/{sent['id']}", as_=desk.admin).json["state"]
    desk.world.clock.turn(hours=6)
    desk.world.sweeper.sweep()
    desk.world.send_all()
    assert [] == desk.world.mailbox.mails
    desk.post(f"/api/emails/{sent['id']}/retry", as_=desk.tech)
    desk.world.send_all()
    assert 1 == len(desk.world.mailbox.mails)


def test_mails_are_listed_the_latest_first(desk: Desk) -> None:
    desk.world.receive(mail(), "acme@serveloapp.com")
    desk.world.clock.turn(minutes=1)
    desk.post("/api/emails", INVOICE, as_=desk.admin)
    kinds = [m["kind"] for m in desk.get("/api/emails", as_=desk.tech).json["items"]]
    assert "invoice" == kinds[0]
    assert {"confirmation", "notification"} == set(kinds[1:])


@pytest.mark.parametrize("in_path", [True, False])
def test_a_suppression_is_listed_and_lifted_in_its_own_tenant_alone(desk: Desk, in_path: bool) -> None:
    email = "ada@customer.example"
    # The list leaves out what has expired by the machine's own clock.
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    for slug in ("acme", "globex"):
        desk.store.suppress(slug, email, email, "bounced", "550 gone", now, 30)
    path = f"/api/suppressions/{path_of(email)}" if in_path else f"/api/suppressions?email={path_of(email)}"
    [shown] = desk.get("/api/suppressions", as_=desk.tech).json["items"]
    assert (email, "bounced", "550 gone") == (shown["email"], shown["reason"], shown["detail"])
    assert 403 == desk.call("DELETE", path, as_=desk.tech).status
    assert 204 == desk.call("DELETE", path, as_=desk.admin).status
    assert [] == desk.get("/api/suppressions", as_=desk.admin).json["items"]
    assert 1 == len(desk.get("/api/suppressions", as_=desk.stranger).json["items"])


def test_a_lifted_member_is_told_of_mail_again(desk: Desk) -> None:
    tenant = desk.store.tenant("acme")
    admin = "admin@acme.example"
    desk.store.put_tenant(replace(tenant, undeliverable={admin: 0, "other@acme.example": 0}))
    assert 204 == desk.call("DELETE", f"/api/suppressions?email={path_of(admin)}", as_=desk.admin).status
    assert {"other@acme.example": 0} == desk.store.tenant("acme").undeliverable


def test_nothing_is_sent_to_a_suppressed_address_until_it_is_lifted(desk: Desk) -> None:
    email = INVOICE["recipient"]
    desk.store.suppress("acme", email, email, "complaint", "", desk.world.clock.now(), 365)
    made = desk.post("/api/emails", INVOICE, as_=desk.admin)
    assert (202, "suppressed") == (made.status, made.json["state"])
    desk.world.send_all()
    assert [] == desk.world.mailbox.to(email)
    again = f"/api/emails/{made.json['id']}/retry"
    assert (409, "suppressed") == ((r := desk.post(again, as_=desk.admin)).status, r.json["code"])
    assert 204 == desk.call("DELETE", f"/api/suppressions?email={path_of(email)}", as_=desk.admin).status
    assert 200 == desk.post(again, as_=desk.admin).status
    desk.world.send_all()
    assert 1 == len(desk.world.mailbox.to(email))


def test_a_tenant_sends_a_bounded_number_a_day_by_the_shared_address(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emails, "BY_SHARED_ADDRESS_A_DAY", 2)
    sent = [desk.post("/api/emails", {**INVOICE, "number": str(n)}, as_=desk.admin).status for n in range(3)]
    assert [202, 202, 429] == sent
    assert 202 == desk.post("/api/emails", INVOICE, as_=desk.stranger).status
    desk.world.clock.turn(days=1)
    assert 202 == desk.post("/api/emails", {**INVOICE, "number": "4"}, as_=desk.admin).status
