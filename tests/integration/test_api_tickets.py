"""Tickets through the API: the conversation with the mails that each step promises."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pynamodb.exceptions import QueryError

from servelo.errors import InvalidInput, StoreUnavailable
from tests.integration.api_desk import Desk, new_desk
from tests.world import PASS, mail

ADA = "ada@customer.example"
UNPROVEN = {**PASS, "dmarc": "FAIL", "spf": "FAIL", "dkim": "FAIL"}


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A desk with ticket 1 of Ada's; all mails of it have gone out."""
    with new_desk() as made:
        made.world.receive(mail(), "acme@serveloapp.com")
        made.world.send_all()
        yield made


def comments(desk: Desk, number: int = 1) -> list[dict[str, object]]:
    return desk.get(f"/api/tickets/{number}", as_=desk.admin).json["comments"]


def reply_address(desk: Desk, recipient: str) -> str:
    return str(desk.world.mailbox.to(recipient)[-1]["Reply-To"])


def test_a_public_answer_is_mailed_with_its_files_and_shows_what_became_of_it(desk: Desk) -> None:
    photo = desk.upload(b"\x89PNG\r\n\x1a\n picture", "../../x.png", as_=desk.tech)
    desk.world.clock.turn(minutes=1)
    answer = desk.post(
        "/api/tickets/1/comments", {"text": "Look here", "files": [photo], "status": "pending"}, as_=desk.tech
    )
    assert ("team", "public", "Acme Tech") == tuple(
        answer.json[k] for k in ("author_role", "visibility", "author_name")
    )
    assert [("x.png", "image/png")] == [(f["filename"], f["content_type"]) for f in answer.json["files"]]
    desk.world.send_all()
    sent = desk.world.mailbox.to(ADA)[-1]
    assert "Look here" in sent.get_body(("plain",)).get_content()
    assert ["x.png"] == [part.get_filename() for part in sent.iter_attachments()]
    detail = desk.get("/api/tickets/1", as_=desk.admin).json
    assert ("pending", 2, False) == (detail["status"], detail["comment_count"], detail["unread"])
    [delivery] = detail["comments"][1]["deliveries"]
    assert (ADA, "accepted") == (delivery["recipient"], delivery["state"])
    assert ["Ada Lovelace <ada@customer.example>"] == detail["seen_by"]


def test_an_internal_note_is_mailed_to_nobody(desk: Desk) -> None:
    before = len(desk.world.mailbox.mails)
    note = desk.post("/api/tickets/1/comments", {"text": "Careful", "visibility": "internal"}, as_=desk.tech)
    desk.world.send_all()
    assert ("internal", []) == (note.json["visibility"], note.json["deliveries"])
    assert before == len(desk.world.mailbox.mails)


def test_an_answer_from_the_inbox_goes_on_with_what_was_said_in_the_portal(desk: Desk) -> None:
    desk.world.clock.turn(minutes=1)
    desk.post("/api/tickets/1/comments", {"text": "Try again"}, as_=desk.admin)
    desk.world.send_all()
    [outcome] = desk.world.receive(mail(subject="Re: printer", text="It works\n"), reply_address(desk, ADA))
    assert ("comment_client", 1) == (outcome.outcome.value, outcome.ticket_number)
    assert ["Please help.", "Try again", "It works"] == [c["text"] for c in comments(desk)]


def test_the_second_of_two_people_is_told(desk: Desk) -> None:
    first = desk.call("PATCH", "/api/tickets/1", {"status": "closed", "version": 0}, as_=desk.admin)
    assert (200, "closed", '"1"') == (first.status, first.json["status"], first.headers["etag"])
    for second in (
        desk.call("PATCH", "/api/tickets/1", {"status": "pending", "version": 0}, as_=desk.tech),
        desk.call(
            "PATCH", "/api/tickets/1", {"status": "pending"}, as_=desk.tech, headers={"If-Match": '"0"'}
        ),
    ):
        assert (409, "conflict") == (second.status, second.code)
    body, made_up = {"status": "pending", "version": 1}, {"If-Match": "x"}
    refused = desk.call("PATCH", "/api/tickets/1", body, as_=desk.tech, headers=made_up)
    assert (400, "bad_header") == (refused.status, refused.code)
    assert "closed" == desk.get("/api/tickets/1", as_=desk.admin).json["status"]


def test_an_answer_to_a_conversation_that_moved_is_held_back_when_asked_to(desk: Desk) -> None:
    desk.post("/api/tickets/1/comments", {"text": "First"}, as_=desk.admin)
    late = desk.post("/api/tickets/1/comments", {"text": "Second", "seen_comments": 1}, as_=desk.tech)
    assert (409, "conversation_moved") == (late.status, late.code)
    assert 2 == len(comments(desk))


def test_assigning_takes_members_only_and_lists_by_assignee(desk: Desk) -> None:
    wrong = desk.call("PATCH", "/api/tickets/1", {"assignee": "admin@globex.example"}, as_=desk.admin)
    assert (422, "assignee") == (wrong.status, wrong.json["field"])
    desk.call("PATCH", "/api/tickets/1", {"assignee": "TECH@acme.example"}, as_=desk.admin)
    assert [1] == [t["number"] for t in desk.get("/api/tickets?assignee=me", as_=desk.tech).json["items"]]
    assert [] == desk.get("/api/tickets?assignee=me", as_=desk.admin).json["items"]
    desk.call("PATCH", "/api/tickets/1", {"assignee": ""}, as_=desk.admin)
    assert [] == desk.get("/api/tickets?assignee=me", as_=desk.tech).json["items"]


def test_reading_takes_the_unread_mark_off_and_it_can_be_put_back(desk: Desk) -> None:
    assert desk.get("/api/tickets/1", as_=desk.admin).json["unread"]
    assert 204 == desk.post("/api/tickets/1/read", as_=desk.admin).status
    assert not desk.get("/api/tickets/1", as_=desk.admin).json["unread"]
    assert desk.call("PATCH", "/api/tickets/1", {"unread": True}, as_=desk.admin).json["unread"]


def test_a_held_comment_is_accepted_once_and_then_mailed(desk: Desk) -> None:
    token = reply_address(desk, ADA)
    desk.world.receive(mail(from_="Bob <bob@elsewhere.example>", text="I am Bob\n"), token)
    desk.world.send_all()
    held = comments(desk)[1]
    assert ("held", True, "unverified") == (held["visibility"], held["needs_accept"], held["author_role"])
    assert [True] == [t["needs_accept"] for t in desk.get("/api/tickets", as_=desk.tech).json["items"]]
    before = len(desk.world.mailbox.to(ADA))
    path = f"/api/tickets/1/comments/{held['id']}/accept"
    accepted = desk.post(path, as_=desk.tech)
    assert (200, "public", False) == (
        accepted.status,
        accepted.json["visibility"],
        accepted.json["needs_accept"],
    )
    again = desk.post(path, as_=desk.admin)
    assert (409, "accepted_already") == (again.status, again.code)
    assert [False] == [t["needs_accept"] for t in desk.get("/api/tickets", as_=desk.tech).json["items"]]
    desk.world.send_all()
    assert before + 1 == len(desk.world.mailbox.to(ADA))
    assert "I am Bob" in desk.world.mailbox.to(ADA)[-1].get_body(("plain",)).get_content()
    shown = comments(desk)[1]
    assert ("client", ["accepted"]) == (
        shown["author_role"],
        [d["state"] for d in shown["deliveries"] if d["kind"] == "ticket_update"],
    )


def test_an_accepted_answer_opens_the_ticket_again_and_is_threaded(desk: Desk) -> None:
    desk.world.receive(
        mail(subject="with Bob", headers={"Cc": "bob@customer.example"}), "acme@serveloapp.com"
    )
    desk.world.send_all()
    to = str(desk.world.mailbox.to(ADA)[-1]["Reply-To"])
    desk.call("PATCH", "/api/tickets/2", {"status": "closed"}, as_=desk.tech)
    desk.world.receive(mail(text="still burning", message_id="held@mua"), to, verdicts={"dmarc": "FAIL"})
    opened = desk.get("/api/tickets/2", as_=desk.tech).json
    assert ("closed", True) == (opened["status"], opened["comments"][-1]["needs_accept"])
    assert [] == desk.world.mailbox.to("bob@customer.example")
    desk.post(f"/api/tickets/2/comments/{opened['comments'][-1]['id']}/accept", as_=desk.tech)
    desk.world.send_all()
    assert "open" == desk.get("/api/tickets/2", as_=desk.tech).json["status"]
    (update,) = desk.world.mailbox.to("bob@customer.example")
    assert "still burning" in update.get_body(("plain",)).get_content()
    assert "held@mua" in desk.world.store.ticket("acme", 2).message_ids


def test_the_days_to_reopen_are_what_the_settings_say(desk: Desk) -> None:
    to = reply_address(desk, ADA)
    settings = desk.get("/api/settings", as_=desk.admin).json
    saved = desk.call("PUT", "/api/settings", {"name": settings["name"], "reopen_days": 2}, as_=desk.admin)
    assert (200, 2) == (saved.status, saved.json["reopen_days"])
    desk.call("PATCH", "/api/tickets/1", {"status": "closed"}, as_=desk.tech)
    desk.world.clock.turn(days=1, hours=23)
    desk.world.receive(mail(text="in time"), to)
    assert "open" == desk.get("/api/tickets/1", as_=desk.tech).json["status"]
    desk.call("PATCH", "/api/tickets/1", {"status": "closed"}, as_=desk.tech)
    desk.world.clock.turn(days=2, hours=1)
    desk.world.receive(mail(text="too late"), to)
    assert "closed" == desk.get("/api/tickets/1", as_=desk.tech).json["status"]
    assert 1 == desk.get("/api/tickets/2", as_=desk.tech).json["linked_number"]


def test_nothing_is_accepted_on_a_spam_ticket(desk: Desk) -> None:
    desk.world.receive(
        mail(subject="with Bob", headers={"Cc": "bob@customer.example"}), "acme@serveloapp.com"
    )
    desk.world.send_all()
    to = str(desk.world.mailbox.to(ADA)[-1]["Reply-To"])
    desk.world.receive(mail(text="buy", from_="eve@evil.example"), to)
    held = desk.get("/api/tickets/2", as_=desk.tech).json["comments"][-1]
    desk.post("/api/tickets/2/spam", {}, as_=desk.tech)
    refused = desk.post(f"/api/tickets/2/comments/{held['id']}/accept", as_=desk.tech)
    assert (409, "ticket_spam") == (refused.status, refused.code)
    desk.world.send_all()
    assert [] == desk.world.mailbox.to("bob@customer.example")


def test_an_unverified_note_of_a_member_goes_out_as_the_teams_answer_once_accepted(desk: Desk) -> None:
    token = reply_address(desk, "admin@acme.example")
    desk.world.receive(
        mail(from_="Admin <admin@acme.example>", text="From my phone\n"), token, verdicts=UNPROVEN
    )
    note = comments(desk)[1]
    assert ("internal", True) == (note["visibility"], note["needs_accept"])
    desk.post(f"/api/tickets/1/comments/{note['id']}/accept", as_=desk.tech)
    desk.world.send_all()
    assert "From my phone" in desk.world.mailbox.to(ADA)[-1].get_body(("plain",)).get_content()
    assert "team" == comments(desk)[1]["author_role"]


def test_spam_is_let_in_as_if_it_came_now(desk: Desk) -> None:
    desk.world.receive(
        mail(from_="Cy <cy@customer.example>", subject="Win"),
        "acme@serveloapp.com",
        verdicts={**PASS, "spam": "FAIL"},
    )
    before = len(desk.world.mailbox.mails)
    assert [2] == [t["number"] for t in desk.get("/api/tickets?status=spam", as_=desk.admin).json["items"]]
    refused = desk.call("PATCH", "/api/tickets/2", {"status": "open"}, as_=desk.admin)
    assert (409, "ticket_spam") == (refused.status, refused.code)
    let_in = desk.post("/api/tickets/2/not-spam", as_=desk.admin)
    assert (200, "open", True) == (let_in.status, let_in.json["status"], let_in.json["unread"])
    desk.world.send_all()
    assert {"admin@acme.example", "cy@customer.example"} == set(desk.world.mailbox.recipients[before:])
    again = desk.post("/api/tickets/2/not-spam", as_=desk.admin)
    assert (409, "not_spam") == (again.status, again.code)


def test_spam_of_an_unproven_sender_is_let_in_without_a_confirmation(desk: Desk) -> None:
    desk.world.receive(
        mail(from_="Cy <cy@customer.example>", subject="Win"),
        "acme@serveloapp.com",
        verdicts={**UNPROVEN, "spam": "FAIL"},
    )
    before = len(desk.world.mailbox.mails)
    desk.post("/api/tickets/2/not-spam", as_=desk.admin)
    desk.world.send_all()
    assert ["admin@acme.example"] == desk.world.mailbox.recipients[before:]


def test_spam_with_block_ends_the_sender_and_unblocking_lets_them_in(desk: Desk) -> None:
    assert "spam" == desk.post("/api/tickets/1/spam", {"block": True}, as_=desk.tech).json["status"]
    [blocked] = desk.get("/api/clients?blocked=true", as_=desk.admin).json["items"]
    assert (ADA, True) == (blocked["email"], blocked["blocked"])
    [outcome] = desk.world.receive(mail(subject="More"), "acme@serveloapp.com")
    assert "sender_blocked" == outcome.outcome.value
    desk.call("PATCH", f"/api/clients/{blocked['id']}", {"blocked": False}, as_=desk.admin)
    assert [] == desk.get("/api/clients?blocked=true", as_=desk.admin).json["items"]
    [outcome] = desk.world.receive(mail(subject="Again"), "acme@serveloapp.com")
    assert "ticket_created" == outcome.outcome.value


def test_two_tickets_become_one_conversation(desk: Desk) -> None:
    desk.world.receive(mail(from_="Bob <bob@customer.example>", text="Same here\n"), "acme@serveloapp.com")
    desk.world.send_all()
    bobs = reply_address(desk, "bob@customer.example")
    desk.world.clock.turn(minutes=1)
    merged = desk.post("/api/tickets/2/merge", {"into": 1}, as_=desk.admin)
    assert 200 == merged.status
    assert ["Please help.", "Same here", "Ticket #2 (The printer is on fire) was merged into this one."] == [
        c["text"] for c in merged.json["comments"]
    ]
    assert ["bob@customer.example"] == [p["email"] for p in merged.json["followers"]]
    source = desk.get("/api/tickets/2", as_=desk.admin).json
    assert ("merged", 1) == (source["status"], source["merged_into"])
    again = desk.post("/api/tickets/2/merge", {"into": 1}, as_=desk.admin)
    assert (200, merged.json["comment_count"]) == (again.status, again.json["comment_count"])
    late = desk.post("/api/tickets/2/comments", {"text": "Hello"}, as_=desk.admin)
    assert (409, "ticket_merged") == (late.status, late.code)
    [outcome] = desk.world.receive(mail(from_="Bob <bob@customer.example>", text="Any news?\n"), bobs)
    assert (1, "comment_client") == (outcome.ticket_number, outcome.outcome.value)


def test_a_ticket_is_merged_into_a_living_other_one_only(desk: Desk) -> None:
    for into, status in ((1, 422), (9, 404)):
        assert status == desk.post("/api/tickets/1/merge", {"into": into}, as_=desk.admin).status


def test_the_requester_of_a_forwarded_mail_is_corrected(desk: Desk) -> None:
    wrong = desk.post("/api/tickets/1/requester", {"email": "tech@acme.example"}, as_=desk.admin)
    assert (422, "email") == (wrong.status, wrong.json["field"])
    new = {"email": "grace@customer.example", "name": "Grace"}
    changed = desk.post("/api/tickets/1/requester", new, as_=desk.admin)
    assert "grace@customer.example" == changed.json["requester"]["email"]
    desk.post("/api/tickets/1/comments", {"text": "Hello Grace"}, as_=desk.admin)
    desk.world.send_all()
    assert "Hello Grace" in desk.world.mailbox.to("grace@customer.example")[-1].as_string()
    [outcome] = desk.world.receive(
        mail(from_="Grace <grace@customer.example>", text="Thank you\n"),
        reply_address(desk, "grace@customer.example"),
    )
    assert ("comment_client", 1) == (outcome.outcome.value, outcome.ticket_number)
    client = changed.json["client_id"]
    assert [1] == [
        t["number"] for t in desk.get(f"/api/clients/{client}/tickets", as_=desk.admin).json["items"]
    ]


def test_the_team_opens_a_ticket_for_a_client(desk: Desk) -> None:
    new = {"email": "eve@customer.example", "name": "Eve", "subject": "Your boiler", "text": "It is time."}
    opened = desk.post("/api/tickets", new, as_=desk.tech)
    assert (201, 2, "pending", "tech@acme.example") == (
        opened.status,
        opened.json["number"],
        opened.json["status"],
        opened.json["assignee"],
    )
    desk.world.send_all()
    [sent] = desk.world.mailbox.to("eve@customer.example")
    assert "[#2] Your boiler" == sent["Subject"]
    ours = desk.post("/api/tickets", {**new, "email": "acme@serveloapp.com"}, as_=desk.tech)
    assert (422, "email") == (ours.status, ours.json["field"])


def test_the_original_mail_and_its_files_are_fetched_as_attachments(desk: Desk) -> None:
    first = comments(desk)[0]
    raw = desk.get(f"/api/tickets/1/comments/{first['id']}/raw", as_=desk.admin).json
    assert "response-content-disposition=attachment" in raw["url"]
    assert "response-content-type=application%2Foctet-stream" in raw["url"]
    assert "X-Amz-Expires=300" in raw["url"] or "Expires=" in raw["url"]
    assert raw["filename"].endswith(".eml")


def test_html_as_a_file_is_marked_and_never_shown_as_a_page(desk: Desk) -> None:
    page = desk.upload(b"<html><script>alert(1)</script>", "x.png\u202e", as_=desk.admin)
    sent = desk.post("/api/tickets/1/comments", {"text": "A page", "files": [page]}, as_=desk.admin).json
    [shown] = sent["files"]
    assert ("text/html", True) == (shown["content_type"], shown["dangerous"])
    url = desk.get(f"/api/tickets/1/attachments/{shown['id']}", as_=desk.admin).json["url"]
    assert "application%2Foctet-stream" in url
    assert "text%2Fhtml" not in url


def test_an_upload_serves_who_made_it_and_nobody_else(desk: Desk) -> None:
    mine = desk.upload(b"secret", as_=desk.admin)
    for who in (desk.tech, desk.stranger):
        other = desk.post(
            "/api/tickets", {"email": "e@x.example", "subject": "s", "text": "t", "files": [mine]}, as_=who
        )
        assert (422, "upload_missing", "files.0.id") == (other.status, other.code, other.json["field"])
    ok = desk.post("/api/tickets/1/comments", {"text": "t", "files": [mine]}, as_=desk.admin)
    assert 201 == ok.status
    used = desk.post("/api/tickets/1/comments", {"text": "t", "files": [mine]}, as_=desk.admin)
    assert (422, "upload_missing") == (used.status, used.code)


def test_pages_of_tickets_and_comments_come_by_cursor(desk: Desk) -> None:
    for number in range(4):
        desk.world.receive(mail(subject=f"More {number}"), "acme@serveloapp.com")
    seen: list[int] = []
    cursor = ""
    while True:
        page = desk.get(
            f"/api/tickets?limit=2&cursor={cursor}" if cursor else "/api/tickets?limit=2", as_=desk.admin
        )
        seen += [t["number"] for t in page.json["items"]]
        cursor = page.json["next_cursor"]
        if not cursor:
            break
    assert [5, 4, 3, 2, 1] == seen
    stolen = desk.get("/api/tickets?limit=2", as_=desk.admin).json["next_cursor"]
    theirs = desk.get(f"/api/tickets?cursor={stolen}", as_=desk.stranger)
    assert "customer.example" not in theirs.text
    bad = desk.get("/api/tickets?cursor=rubbish", as_=desk.admin)
    assert (400, "bad_cursor") == (bad.status, bad.code)
    session = desk.customer("ada@customer.example")
    bad = desk.get("/api/portal/acme/tickets?cursor=0", bearer=session)
    assert (400, "bad_cursor") == (bad.status, bad.code)


def test_a_start_key_that_dynamodb_refuses_is_a_cursor_that_no_list_made(desk: Desk) -> None:
    """moto takes any start key; DynamoDB refuses one outside the bounds of the query, or too long."""

    def refused() -> list[int]:
        answer: Any = {"Error": {"Code": "ValidationException", "Message": "starting key is invalid"}}
        raise QueryError("Failed to query items", ClientError(answer, "Query"))

    store = desk.services.store
    with pytest.raises(InvalidInput, match="cursor"):
        store._guard_page(refused, "MDAw")
    with pytest.raises(StoreUnavailable):
        store._guard_page(refused, "")


def test_every_mail_received_says_why(desk: Desk) -> None:
    first = comments(desk)[0]
    why = desk.get(f"/api/inbound/{first['inbound_id']}", as_=desk.admin).json
    assert ("ticket_created", 1, False) == (why["outcome"], why["ticket_number"], why["replayable"])
    assert why["reasons"]
    assert why["remedy"] == "Nothing to do."
    assert "url" in desk.get(f"/api/inbound/{why['id']}/raw", as_=desk.admin).json


def test_people_who_are_copied_see_the_ticket_among_theirs(desk: Desk) -> None:
    desk.world.receive(
        mail(subject="For both", headers={"Cc": "Dan <dan@customer.example>"}), "acme@serveloapp.com"
    )
    desk.post("/api/clients", {"email": "dan@customer.example", "name": "Dan"}, as_=desk.admin)
    session = desk.customer("dan@customer.example")
    assert ["For both"] == [
        t["subject"] for t in desk.get("/api/portal/acme/tickets", bearer=session).json["items"]
    ]
    assert 404 == desk.get("/api/portal/acme/tickets/1", bearer=session).status
