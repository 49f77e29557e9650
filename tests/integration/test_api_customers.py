"""The customers' portal: links, sessions, and nothing that is not theirs."""

from collections.abc import Iterator

import pytest

from servelo.mail.reply_token import KeyRing, KeyState, SigningKey
from tests.integration.api_desk import Desk, link_in, new_desk
from tests.world import mail

ADA = "ada@customer.example"


@pytest.fixture
def desk() -> Iterator[Desk]:
    with new_desk() as made:
        made.world.receive(mail(), "acme@serveloapp.com")
        made.world.send_all()
        yield made


def ask(desk: Desk, **values: str) -> int:
    """Ask for a link and return how many mails went out."""
    before = len(desk.world.mailbox.mails)
    reply = desk.post("/api/auth/magic-link/request", {"slug": "acme", "email": ADA, **values})
    assert (202, "If we know this address, a mail with a link is on its way.") == (
        reply.status,
        reply.json["detail"],
    )
    desk.world.send_all()
    return len(desk.world.mailbox.mails) - before


def test_only_a_client_is_mailed_and_the_answer_is_the_same_for_all(desk: Desk) -> None:
    assert 1 == ask(desk)
    assert 0 == ask(desk, email="nobody@customer.example")
    assert 0 == ask(desk, slug="globex")
    assert 0 == ask(desk, slug="initech")
    assert 0 == ask(desk, email="admin@acme.example")


def test_three_links_an_hour(desk: Desk) -> None:
    assert [1, 1, 1, 0, 0] == [_later(desk) for _ in range(5)]
    desk.world.clock.turn(hours=1)
    assert 1 == ask(desk)


def _later(desk: Desk) -> int:
    desk.world.clock.turn(seconds=5)
    return ask(desk)


def test_the_link_carries_its_token_in_the_fragment_of_a_page_of_ours(desk: Desk) -> None:
    ask(desk)
    assert link_in(desk.world.mailbox.to(ADA)[-1]).startswith("https://desk.example/portal/acme#token=")
    desk.world.clock.turn(minutes=1)
    ask(desk, url="https://desk.example/portal/acme/tickets/1")
    assert link_in(desk.world.mailbox.to(ADA)[-1]).startswith(
        "https://desk.example/portal/acme/tickets/1#token="
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://desk.example.evil.example/portal/acme",
        "https://desk.example/portal/acme/../globex",
        "https://desk.example/portal/acme/%2e%2e/globex",
        "https://desk.example/portal/acme/..%5cglobex",
        "https://desk.example/portal/acme/tickets/../../../tickets/1",
        "https://desk.example/portal/acme/tickets/1?next=//evil.example",
        "https://desk.example/portal/acmes",
        "https://desk.example/portal/acme//evil.example",
    ],
)
def test_a_link_leads_to_no_other_page(desk: Desk, url: str) -> None:
    ask(desk, url=url)
    assert link_in(desk.world.mailbox.to(ADA)[-1]).startswith("https://desk.example/portal/acme#token=")


def test_link_and_session_end_after_seven_days(desk: Desk) -> None:
    ask(desk)
    token = link_in(desk.world.mailbox.to(ADA)[-1]).partition("#token=")[2]
    opened = desk.post("/api/auth/magic-link/verify", {"token": token}).json
    assert ("Ada Lovelace", "Acme", "2026-11-30T12:00:01.000Z") == (
        opened["client"]["name"],
        opened["tenant"]["name"],
        opened["expires_at"],
    )
    desk.world.clock.turn(days=6, hours=23)
    assert 200 == desk.get("/api/portal/acme/tickets", bearer=opened["session"]).status
    desk.world.clock.turn(hours=2)
    over = desk.get("/api/portal/acme/tickets", bearer=opened["session"])
    assert (401, "session_over") == (over.status, over.code)
    late = desk.post("/api/auth/magic-link/verify", {"token": token})
    assert (401, "link_over") == (late.status, late.code)


def test_a_revoked_key_and_a_block_end_sessions_at_once(desk: Desk) -> None:
    session = desk.customer(ADA)
    desk.world.ring = KeyRing((SigningKey(1, b"1" * 32, KeyState.RETIRED), SigningKey(2, b"2" * 32)))
    assert 200 == desk.get("/api/portal/acme/tickets", bearer=session).status
    desk.world.ring = KeyRing((SigningKey(1, b"1" * 32, KeyState.REVOKED), SigningKey(2, b"2" * 32)))
    assert 401 == desk.get("/api/portal/acme/tickets", bearer=session).status
    desk.world.clock.turn(minutes=1)
    fresh = desk.customer(ADA)
    [client] = desk.get("/api/clients", as_=desk.admin).json["items"]
    desk.call("PATCH", f"/api/clients/{client['id']}", {"blocked": True}, as_=desk.admin)
    assert 401 == desk.get("/api/portal/acme/tickets", bearer=fresh).status


def test_a_reply_token_is_no_session(desk: Desk) -> None:
    token = str(desk.world.mailbox.to(ADA)[0]["Reply-To"]).partition("+")[2].partition("@")[0]
    assert 401 == desk.get("/api/portal/acme/tickets", bearer=token).status


def test_internal_notes_and_others_held_words_are_never_shown(desk: Desk) -> None:
    token = str(desk.world.mailbox.to(ADA)[0]["Reply-To"])
    desk.post("/api/tickets/1/comments", {"text": "secret note", "visibility": "internal"}, as_=desk.admin)
    desk.world.receive(mail(from_="Bob <bob@elsewhere.example>", text="held words\n"), token)
    session = desk.customer(ADA)
    shown = desk.get("/api/portal/acme/tickets/1", bearer=session)
    assert ["Please help."] == [c["text"] for c in shown.json["comments"]]
    for secret in ("secret note", "held words", "bob@elsewhere", "admin@acme.example"):
        assert secret not in shown.text
    every = desk.get("/api/tickets/1", as_=desk.admin).json["comments"]
    hidden = desk.upload(b"hidden", as_=desk.admin)
    note = desk.post(
        "/api/tickets/1/comments",
        {"text": "x", "visibility": "internal", "files": [hidden]},
        as_=desk.admin,
    ).json
    path = f"/api/portal/acme/tickets/1/attachments/{note['files'][0]['id']}"
    assert 3 == len(every)
    assert 404 == desk.get(path, bearer=session).status


def test_a_customer_answers_with_a_file_and_closes(desk: Desk) -> None:
    session = desk.customer(ADA)
    before = len(desk.world.mailbox.mails)
    photo = desk.upload(b"\xff\xd8\xff jpeg", bearer=session)
    desk.world.clock.turn(minutes=1)
    said = desk.post(
        "/api/portal/acme/tickets/1/comments",
        {"text": "All well", "files": [photo], "close": True},
        bearer=session,
    )
    assert (201, True, False) == (said.status, said.json["mine"], said.json["waiting"])
    desk.world.send_all()
    assert ["admin@acme.example"] == desk.world.mailbox.recipients[before:]
    assert "closed" == desk.get("/api/tickets/1", as_=desk.admin).json["status"]
    url = desk.get(f"/api/portal/acme/tickets/1/attachments/{said.json['files'][0]['id']}", bearer=session)
    assert 200 == url.status
    desk.post("/api/portal/acme/tickets/1/comments", {"text": "Not well after all"}, bearer=session)
    assert "open" == desk.get("/api/tickets/1", as_=desk.admin).json["status"]


def test_a_customer_cannot_flood_others_through_the_portal(desk: Desk) -> None:
    session = desk.customer(ADA)
    told = [
        desk.post("/api/portal/acme/tickets/1/comments", {"text": f"again {n}"}, bearer=session).status
        for n in range(22)
    ]
    assert [201] * 20 + [429] * 2 == told
    opened = desk.post("/api/portal/acme/tickets", {"subject": "Drips", "text": "Again"}, bearer=session)
    assert 429 == opened.status


def test_a_customer_opens_a_ticket_and_both_sides_are_mailed(desk: Desk) -> None:
    session = desk.customer(ADA)
    before = len(desk.world.mailbox.mails)
    opened = desk.post("/api/portal/acme/tickets", {"subject": "Drips", "text": "Again"}, bearer=session)
    assert (201, 2) == (opened.status, opened.json["number"])
    desk.world.send_all()
    assert {ADA, "admin@acme.example"} == set(desk.world.mailbox.recipients[before:])


def test_new_tickets_in_the_portal_can_be_switched_off_and_the_portal_too(desk: Desk) -> None:
    session = desk.customer(ADA)
    desk.call("PUT", "/api/settings", {"new_tickets_in_portal": False}, as_=desk.admin)
    refused = desk.post("/api/portal/acme/tickets", {"subject": "s", "text": "t"}, bearer=session)
    assert (403, "new_tickets_off") == (refused.status, refused.code)
    assert desk.get("/api/portal/acme").json["new_tickets_in_portal"] is False
    desk.call("PUT", "/api/settings", {"customer_portal": False}, as_=desk.admin)
    assert desk.get("/api/portal/acme").json == desk.get("/api/portal/initech").json
    assert 404 == desk.get("/api/portal/acme/tickets", bearer=session).status


def test_a_customer_sees_no_ticket_of_another(desk: Desk) -> None:
    desk.world.receive(mail(from_="Bob <bob@customer.example>"), "acme@serveloapp.com")
    session = desk.customer(ADA)
    theirs = desk.get("/api/portal/acme/tickets/2", bearer=session)
    none = desk.get("/api/portal/acme/tickets/99", bearer=session)
    assert 404 == theirs.status
    assert none.json == theirs.json
    assert 404 == desk.post("/api/portal/acme/tickets/2/comments", {"text": "x"}, bearer=session).status
    assert [1] == [t["number"] for t in desk.get("/api/portal/acme/tickets", bearer=session).json["items"]]
