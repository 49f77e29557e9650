"""Settings through the API, and the Outbound Email (SMTP) card with its Send Test."""

import logging
from collections.abc import Iterator

import pytest

from servelo.domain.smtp import SmtpAttempt, SmtpOutcome, SmtpStage
from tests.integration.api_desk import Desk, new_desk
from tests.world import mail

CANARY = "canary-Pa55word-7391"
FORM = {
    "provider": "custom",
    "host": "smtp.example.com",
    "port": 587,
    "username": "support@example.com",
    "password": CANARY,
    "from_name": "Acme Support",
    "from_email": "support@example.com",
}


@pytest.fixture
def desk() -> Iterator[Desk]:
    with new_desk() as made:
        yield made


def connect(desk: Desk) -> None:
    assert desk.post("/api/settings/smtp/test", FORM, as_=desk.admin).json["ok"]
    assert 200 == desk.call("PUT", "/api/settings/smtp", FORM, as_=desk.admin).status


def test_settings_are_saved_field_by_field_and_shown(desk: Desk) -> None:
    saved = desk.call(
        "PUT",
        "/api/settings",
        {"name": "Acme & Sons", "notify_email": "desk@acme.example", "colour": "#aa0000", "locale": "de"},
        as_=desk.admin,
    )
    assert ("Acme & Sons", "desk@acme.example", "#aa0000", "de", 30) == tuple(
        saved.json[k] for k in ("name", "notify_email", "colour", "locale", "reopen_days")
    )
    assert ("acme@serveloapp.com", "https://desk.example/portal/acme") == (
        saved.json["inbound_address"],
        saved.json["portal_address"],
    )
    desk.world.receive(mail(), "acme@serveloapp.com")
    desk.world.send_all()
    assert 1 == len(desk.world.mailbox.to("desk@acme.example"))
    assert [] == desk.world.mailbox.to("admin@acme.example")


def test_two_admins_do_not_overwrite_each_other(desk: Desk) -> None:
    version = desk.get("/api/settings", as_=desk.admin).json["version"]
    assert 200 == desk.call("PUT", "/api/settings", {"name": "A", "version": version}, as_=desk.admin).status
    late = desk.call("PUT", "/api/settings", {"name": "B", "version": version}, as_=desk.admin)
    assert (409, "conflict") == (late.status, late.code)
    assert "A" == desk.get("/api/settings", as_=desk.admin).json["name"]


def test_ticket_numbers_go_up_only(desk: Desk) -> None:
    saved = desk.call("PUT", "/api/settings", {"next_ticket_number": 1000}, as_=desk.admin)
    assert 1000 == saved.json["next_ticket_number"]
    [outcome] = desk.world.receive(mail(), "acme@serveloapp.com")
    assert 1000 == outcome.ticket_number
    back = desk.call("PUT", "/api/settings", {"next_ticket_number": 5}, as_=desk.admin)
    assert (422, "next_ticket_number") == (back.status, back.json["field"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "   "),
        ("name", "x" * 81),
        ("name", "Acme\r\nBcc: evil@example.org"),
        ("name", 7),
        ("notify_email", "Ada <ada@example.org>"),
        ("notify_email", "ada@example.org\nBcc: x@example.org"),
        ("logo_url", "http://example.org/logo.png"),
        ("logo_url", "javascript:alert(1)"),
        ("colour", "red"),
        ("colour", "#12345"),
        ("locale", "xx"),
        ("reopen_days", -1),
        ("reopen_days", "many"),
        ("customer_portal", "yes"),
        ("footer", "\x00"),
        ("slug", "globex"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_saved(desk: Desk, field: str, value: object) -> None:
    before = desk.get("/api/settings", as_=desk.admin).json
    refused = desk.call("PUT", "/api/settings", {"footer": "good", field: value}, as_=desk.admin)
    assert (422, field) == (refused.status, refused.json["field"])
    assert before == desk.get("/api/settings", as_=desk.admin).json


@pytest.mark.parametrize(
    "name", ["🛠 Acme", "שלום עולם", "<script>alert(1)</script>", "{{7*7}} {% x %}", "=cmd|' /C calc'!A0"]
)
def test_odd_names_are_kept_as_they_are(desk: Desk, name: str) -> None:
    desk.call("PUT", "/api/settings", {"name": name}, as_=desk.admin)
    assert name == desk.get("/api/settings", as_=desk.admin).json["name"]
    assert name == desk.get("/api/portal/acme").json["name"]
    preview = desk.get("/api/settings/preview?kind=confirmation", as_=desk.admin).json
    assert "<script>" not in preview["html"]
    assert "49" not in preview["subject"]


def test_save_needs_a_test_of_exactly_these_values(desk: Desk) -> None:
    early = desk.call("PUT", "/api/settings/smtp", FORM, as_=desk.admin)
    assert (409, "test_first") == (early.status, early.code)
    report = desk.post("/api/settings/smtp/test", FORM, as_=desk.admin).json
    assert (True, "done", "admin@acme.example", None) == (
        report["ok"],
        report["stage"],
        report["recipient"],
        report["field"],
    )
    for changed in ({"password": "other"}, {"host": "smtp.example.org"}, {"from_email": "x@example.com"}):
        other = desk.call("PUT", "/api/settings/smtp", {**FORM, **changed}, as_=desk.admin)
        assert (409, "test_first") == (other.status, other.code)
    saved = desk.call("PUT", "/api/settings/smtp", FORM, as_=desk.admin)
    assert (True, True, "smtp.example.com") == (
        saved.json["connected"],
        saved.json["password_set"],
        saved.json["host"],
    )


def test_a_test_counts_for_an_hour(desk: Desk) -> None:
    desk.post("/api/settings/smtp/test", FORM, as_=desk.admin)
    desk.world.clock.turn(minutes=61)
    assert "test_first" == desk.call("PUT", "/api/settings/smtp", FORM, as_=desk.admin).code


def test_a_failed_test_names_field_and_remedy_and_does_not_count(desk: Desk) -> None:
    desk.probe.attempt = SmtpAttempt(
        SmtpOutcome.ACCOUNT, SmtpStage.AUTH, "auth_refused", 535, "5.7.8 bad", ("C: AUTH PLAIN ***",)
    )
    report = desk.post("/api/settings/smtp/test", FORM, as_=desk.admin).json
    assert (False, "auth", "password") == (report["ok"], report["stage"], report["field"])
    assert report["remedy"]
    assert "test_first" == desk.call("PUT", "/api/settings/smtp", FORM, as_=desk.admin).code


def test_the_next_mail_uses_the_account_and_disconnect_takes_the_shared_address_again(desk: Desk) -> None:
    connect(desk)
    desk.world.receive(mail(), "acme@serveloapp.com")
    desk.world.send_all()
    assert [] == desk.world.mailbox.mails
    sent = desk.world.accounts["acme"].to("ada@customer.example")[0]
    assert "support@example.com" in str(sent["From"])
    assert CANARY == desk.world.logins[0].password
    assert 204 == desk.call("DELETE", "/api/settings/smtp", as_=desk.admin).status
    assert not desk.get("/api/settings/smtp", as_=desk.admin).json["connected"]
    desk.world.receive(mail(subject="Next"), "acme@serveloapp.com")
    desk.world.send_all()
    assert 1 == len(desk.world.mailbox.to("ada@customer.example"))
    assert 2 == len(desk.get("/api/tickets", as_=desk.admin).json["items"])


def test_a_saved_password_stays_and_goes_nowhere_else(desk: Desk) -> None:
    connect(desk)
    form = {k: v for k, v in FORM.items() if k != "password"}
    renamed = desk.call("PUT", "/api/settings/smtp", {**form, "from_name": "New"}, as_=desk.admin)
    assert (200, "New") == (renamed.status, renamed.json["from_name"])
    assert desk.post("/api/settings/smtp/test", {}, as_=desk.admin).json["ok"]
    assert CANARY == desk.probe.logins[-1].password
    for changed in ({"host": "smtp.evil.example"}, {"username": "other@example.com"}):
        for method, path in (("POST", "/api/settings/smtp/test"), ("PUT", "/api/settings/smtp")):
            refused = desk.call(method, path, {**form, **changed}, as_=desk.admin)
            assert (422, "password") == (refused.status, refused.json["field"])
    assert {"smtp.example.com"} == {login.host for login in desk.probe.logins}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", "127.0.0.1"),
        ("host", "169.254.169.254"),
        ("host", "localhost"),
        ("host", "smtp.example.com\r\nRCPT TO:<x@y>"),
        ("port", 25),
        ("port", 99999),
        ("username", ""),
        ("from_email", "not an address"),
        ("from_name", "Boss <ceo@bank.example>"),
        ("provider", "nosuch"),
    ],
)
def test_a_bad_value_of_the_form_never_reaches_the_network(desk: Desk, field: str, value: object) -> None:
    refused = desk.post("/api/settings/smtp/test", {**FORM, field: value}, as_=desk.admin)
    assert (422, field) == (refused.status, refused.json["field"])
    assert [] == desk.probe.logins


def test_ten_tests_an_hour(desk: Desk) -> None:
    statuses = [desk.post("/api/settings/smtp/test", FORM, as_=desk.admin).status for _ in range(11)]
    assert [200] * 10 + [429] == statuses


def test_the_password_is_in_no_answer_log_or_item(
    desk: Desk, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    shown = [
        desk.post("/api/settings/smtp/test", FORM, as_=desk.admin).text,
        desk.call("PUT", "/api/settings/smtp", FORM, as_=desk.admin).text,
        desk.get("/api/settings/smtp", as_=desk.admin).text,
        desk.get("/api/settings", as_=desk.admin).text,
        desk.get("/api/tenants", as_=desk.operator).text,
        desk.post("/api/settings/smtp/test", {**FORM, "port": "x"}, as_=desk.admin).text,
        desk.call("PUT", "/api/settings/smtp", raw=f'{{"password": "{CANARY}", ', as_=desk.admin).text,
        repr(desk.world.items()),
        repr(desk.probe.logins),
        caplog.text,
    ]
    output = capsys.readouterr()
    assert all(CANARY not in text for text in (*shown, output.out, output.err))


def test_presets_and_previews_are_shown(desk: Desk) -> None:
    hosts = {
        p["id"]: p["host"] for p in desk.get("/api/settings/smtp/providers", as_=desk.admin).json["items"]
    }
    assert ("smtp.gmail.com", "smtp.office365.com") == (hosts["gmail"], hosts["microsoft365"])
    preview = desk.get("/api/settings/preview?kind=invoice", as_=desk.tech).json
    assert preview["subject"]
    assert "<html" in preview["html"].lower()
    assert 422 == desk.get("/api/settings/preview?kind=nosuch", as_=desk.tech).status


# ---- how the test mail arrived -------------------------------------------------------------------------


COPIED = SmtpAttempt(SmtpOutcome.ACCEPTED, SmtpStage.DONE, "accepted", copied=True)
PROVEN = (
    b"Return-Path: <support@example.com>\r\nAuthentication-Results: amazonses.com;\r\n"
    b" spf=pass (spfCheck: domain of example.com designates 192.0.2.1 as permitted sender)"
    b" client-ip=192.0.2.1; envelope-from=support@example.com; helo=mx.example.com;\r\n"
    b" dkim=none; dmarc=none header.from=example.com;\r\n"
)
FOREIGN = (
    b"Return-Path: <bounce@provider.example>\r\nAuthentication-Results: amazonses.com;\r\n"
    b" spf=pass (spfCheck: domain of provider.example) client-ip=192.0.2.1;"
    b" envelope-from=bounce@provider.example; helo=mx.provider.example;\r\n"
    b" dkim=pass header.i=@provider.example; dmarc=fail header.from=example.com;\r\n"
)


def arrive(desk: Desk, added: bytes, message: bytes | None = None) -> str:
    """Let the copy of a Send Test arrive as SES stores it; return the test's id."""
    desk.probe.attempt = COPIED
    answer = desk.post("/api/settings/smtp/test", FORM, as_=desk.admin).json
    copy_to, sent = desk.probe.copies[-1]
    assert f"acme+test-{answer['test_id']}@serveloapp.com" == copy_to
    desk.world.receive(added + (message or sent), copy_to)
    return str(answer["test_id"])


@pytest.mark.parametrize(
    ("added", "code", "aligned"), [(PROVEN, "aligned", True), (FOREIGN, "not_aligned", False)]
)
def test_the_copy_of_a_test_mail_shows_whether_from_is_proven(
    desk: Desk, added: bytes, code: str, aligned: bool
) -> None:
    test_id = arrive(desk, added)
    found = desk.get(f"/api/settings/smtp/test/{test_id}", as_=desk.admin).json
    assert ("arrived", code, aligned) == (found["state"], found["code"], found["aligned"])
    assert "example.com" in found["summary"]
    assert aligned == (found["remedy"] == "")
    assert [] == desk.world.store.tickets("acme")[0]
    assert [] == desk.world.mailbox.mails


def test_the_copy_shows_that_the_provider_rewrote_from(desk: Desk) -> None:
    desk.probe.attempt = COPIED
    answer = desk.post("/api/settings/smtp/test", {**FORM, "provider": "gmail"}, as_=desk.admin).json
    copy_to, sent = desk.probe.copies[-1]
    # Gmail puts its own address into From; other programs take unknown fields off as well.
    changed = sent.replace(b"<support@example.com>", b"<owner@gmail.com>").replace(
        b"X-Servelo-Stamp", b"X-Gone"
    )
    assert changed != sent
    desk.world.receive(PROVEN + changed, copy_to)
    found = desk.get(f"/api/settings/smtp/test/{answer['test_id']}", as_=desk.admin).json
    assert ("from_rewritten", True) == (found["code"], found["from_rewritten"])
    assert "owner@gmail.com" in found["summary"]
    assert "Send mail as" in found["remedy"]
    assert [] == desk.world.store.tickets("acme")[0]


def test_the_arrival_is_waited_for_and_belongs_to_its_tenant(desk: Desk) -> None:
    desk.probe.attempt = COPIED
    test_id = desk.post("/api/settings/smtp/test", FORM, as_=desk.admin).json["test_id"]
    path = f"/api/settings/smtp/test/{test_id}"
    assert "waiting" == desk.get(path, as_=desk.admin).json["state"]
    assert 403 == desk.get(path, as_=desk.tech).status
    assert 404 == desk.get("/api/settings/smtp/test/01jjjjjjjjjjjjjjjjjjjjjjjj", as_=desk.admin).status


def test_without_a_copy_there_is_nothing_to_wait_for(desk: Desk) -> None:
    assert desk.post("/api/settings/smtp/test", FORM, as_=desk.admin).json["test_id"] is None


def test_mail_to_a_made_up_test_address_makes_no_ticket_and_no_result(desk: Desk) -> None:
    made_up = "01aaaaaaaaaaaaaaaaaaaaaaaa"
    desk.world.receive(mail(), f"acme+test-{made_up}@serveloapp.com")
    assert [] == desk.world.store.tickets("acme")[0]
    assert 404 == desk.get(f"/api/settings/smtp/test/{made_up}", as_=desk.admin).status


def test_a_copy_that_comes_twice_counts_once(desk: Desk) -> None:
    test_id = arrive(desk, FOREIGN)
    copy_to, sent = desk.probe.copies[-1]
    desk.world.receive(PROVEN + sent, copy_to)
    assert "not_aligned" == desk.get(f"/api/settings/smtp/test/{test_id}", as_=desk.admin).json["code"]
